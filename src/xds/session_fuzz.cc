// Any messages to either side of the talk: an error, or an answer; never a snapshot that lacks what
// it names while it is told to wait for ever.
#include <cstdint>
#include <string_view>

#include "xds/session.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fairlead;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  xds::Bootstrap bootstrap;
  bootstrap.discovery = xds::AggregatedDiscovery{.cluster = "c"};
  xds::AdsClient client(bootstrap, {});
  const Instant now{};
  static_cast<void>(client.connected(now));
  static_cast<void>(client.received(bytes, now));
  static_cast<void>(client.elapsed(now + std::chrono::hours(1)));
  static_cast<void>(client.restore(bytes, now));
  xds::AdsServer server;
  static_cast<void>(server.received(bytes));
  static_cast<void>(server.received(bytes));
  return 0;
}
