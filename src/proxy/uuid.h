// Names that nothing else has, as text.
#pragma once

#include <array>
#include <string_view>

#include "base/clock.h"
#include "base/lifetime.h"

namespace fairlead::proxy {

std::string_view write_uuid(std::array<char, 40>& into LIFETIMEBOUND, Random& random);
// 36 characters: a UUID of version 4 (RFC 9562 §5.4).

}  // namespace fairlead::proxy
