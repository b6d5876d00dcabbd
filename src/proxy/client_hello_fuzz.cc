// A connection's first bytes. What must hold: the answer does not change once it is there, however
// few of the bytes have come, and it is always there in the end.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/client_hello.h"

namespace {

using namespace fairlead::proxy;  // NOLINT: a fuzzer is one file

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const HelloRead whole = read_client_hello(bytes);
  if (size >= longest_client_hello) must(whole.state != HelloState::incomplete);
  const std::size_t step = size < 256 ? 1 : size / 64;
  bool known = false;
  for (std::size_t length = 0; length <= size; length += step) {
    const HelloRead read = read_client_hello(bytes.substr(0, length));
    if (read.state == HelloState::incomplete) {
      must(!known);
      continue;
    }
    known = true;
    must(read.state == whole.state && read.hello == whole.hello);
  }
  if (!known && whole.state == HelloState::incomplete) {
    // More of anything decides at last.
    std::string more(bytes);
    more.resize(longest_client_hello, '\0');
    must(read_client_hello(more).state != HelloState::incomplete);
  }
  for (const char byte : whole.hello.server_name) must(byte > 0x20 && byte < 0x7f);
  return 0;
}
