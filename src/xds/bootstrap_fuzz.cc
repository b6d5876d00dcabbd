// Any text as a bootstrap: refused, or one that is written and reads back the same.
#include <cstdlib>
#include <string_view>

#include "xds/bootstrap.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fairlead::xds;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto once = read_bootstrap(text, "fuzz.yaml", {.allow_unknown = true});
  if (!once.ok()) return 0;
  const auto again = read_bootstrap(write_bootstrap(*once), "again.json");
  if (!again.ok() || again->listeners != once->listeners || again->clusters != once->clusters ||
      again->discovery != once->discovery || again->admin != once->admin) {
    std::abort();
  }
  return 0;
}
