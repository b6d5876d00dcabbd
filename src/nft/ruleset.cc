#include "nft/ruleset.h"

namespace fairlead::nft {}
