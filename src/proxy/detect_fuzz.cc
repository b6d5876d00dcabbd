// What a connection speaks is decided within the limit, and more bytes do not change what was
// decided.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/detect.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fairlead::proxy;
  if (size < 2) return 0;
  // Long inputs are made of short ones: what repeats is a part of it.
  const std::size_t times = std::size_t{1} << (data[0] % 12);
  const std::string_view part(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string bytes(part.substr(0, data[1] % (part.size() + 1)));
  for (std::size_t round = 0; round < times && bytes.size() < 3 * detection_limit; ++round) {
    bytes += part.substr(data[1] % (part.size() + 1));
  }
  bytes += part;
  Speech decided = Speech::undecided;
  std::size_t step = 1;
  for (std::size_t length = 0; length <= bytes.size(); length += step) {
    const Speech speech = detect(std::string_view(bytes).substr(0, length));
    if (length >= detection_limit && speech == Speech::undecided) std::abort();
    if (decided != Speech::undecided && speech != decided) {
      // The limit alone takes for HTTP what may yet turn out not to be.
      if (length < detection_limit) std::abort();
    }
    if (length < detection_limit) decided = speech;
    step = length < 64 || length + 64 > detection_limit ? 1 : 37;
    if (length > detection_limit + 64) break;
  }
  return 0;
}
