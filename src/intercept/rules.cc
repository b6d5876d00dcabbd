#include "intercept/rules.h"

namespace fairlead::intercept {}
