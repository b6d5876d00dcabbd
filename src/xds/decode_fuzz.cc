// Any bytes as any resource: either refused, or a value that goes out and comes back the same.
#include <cstdlib>
#include <string_view>

#include "xds/decode.h"
#include "xds/encode.h"

namespace {

template <class Decode>
void check(std::string_view bytes, Decode decode) {
  fairlead::xds::Rejected rejected;
  const auto once = decode(bytes, &rejected);
  if (!once.ok()) return;
  const auto again = decode(fairlead::xds::encode(once->value), &rejected);
  // Of what is closed not all is written; that it is closed is (RoundTrip.WhatIsClosedStaysClosed).
  if (!once->protections.empty()) return;
  if (!again.ok() || !(again->value == once->value)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      check(bytes, fairlead::xds::decode_cluster);
      break;
    case 1:
      check(bytes, fairlead::xds::decode_cluster_load_assignment);
      break;
    case 2:
      check(bytes, fairlead::xds::decode_listener);
      break;
    default:
      check(bytes, fairlead::xds::decode_route_configuration);
      break;
  }
  return 0;
}
