// The last good configuration as a file: written whole or not at all, and read only when it is what
// was written.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fairlead::proxy {

[[nodiscard]] Result<> write_last_good(const std::string& path, std::string_view content);
// To a name beside it, to the disk, and then renamed. Its folder must be there.

[[nodiscard]] Result<std::string> read_last_good(const std::string& path);
// Faults: `missing` when there is no such file, `invalid` when it is damaged.

}  // namespace fairlead::proxy
