// For tests: a small world, proxies of it, and discovery messages made and read by hand.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "control/publish.h"
#include "mesh/world.h"
#include "xds/bootstrap.h"

namespace fairlead::control::testing {

inline mesh::Service service(const char* name, const char* address,
                             const std::vector<std::string>& endpoints) {
  mesh::Service made;
  made.name_space = "default";
  made.name = name;
  made.host = made.name + ".default.svc.cluster.local";
  made.addresses = {*IpAddress::parse(address)};
  made.ports = {{.name = "http", .port = 9080, .protocol = mesh::Protocol::http}};
  for (const std::string& ip : endpoints) {
    mesh::Endpoint endpoint;
    endpoint.address = *IpAddress::parse(ip);
    endpoint.ports = {{.name = "http", .port = 9080}};
    made.endpoints.push_back(std::move(endpoint));
  }
  return made;
}

// details and reviews; reviews has these endpoints.
inline mesh::WorldPointer shop(const char* version, const std::vector<std::string>& reviews) {
  mesh::World world;
  world.version = version;
  world.namespaces = {"default"};
  world.services = {service("details", "10.96.0.11", {"10.244.1.11"}),
                    service("reviews", "10.96.0.12", reviews)};
  return std::make_shared<const mesh::World>(std::move(world));
}

inline xds::Bootstrap sidecar(const std::string& pod) {
  xds::Bootstrap bootstrap;
  bootstrap.node.id = "sidecar~10.244.1.2~" + pod + ".default~default.svc.cluster.local";
  bootstrap.node.cluster = pod + ".default";
  bootstrap.node.metadata = R"({"NAMESPACE":"default","INSTANCE_IPS":"10.244.1.2"})";
  bootstrap.discovery = xds::AggregatedDiscovery{.cluster = "xds-grpc"};
  return bootstrap;
}

// ── protobuf by hand (protobuf.dev, "Encoding"): fields of less than 128 bytes, numbers under 16
// ──

inline std::string text_field(int number, const std::string& text) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(text.size())} + text;
}

// The first field of this number that holds bytes; empty when there is none.
inline std::string bytes_of(std::string_view message, int wanted) {
  const auto varint = [&message] {
    std::uint64_t value = 0;
    for (int shift = 0; !message.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(message[0]);
      message.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (!message.empty()) {
    const std::uint64_t tag = varint();
    const std::uint64_t size = varint();
    if ((tag & 7) != 2) continue;
    if (tag >> 3 == static_cast<std::uint64_t>(wanted)) return std::string(message.substr(0, size));
    message.remove_prefix(size);
  }
  return {};
}

// DiscoveryRequest and DiscoveryResponse, by their field numbers.
inline std::string first_request(const std::string& type_url, const std::string& node_id) {
  return text_field(2, text_field(1, node_id)) + text_field(4, type_url);
}
inline std::string refusal(const std::string& response, const std::string& why) {
  return text_field(4, bytes_of(response, 4)) + text_field(5, bytes_of(response, 5)) +
         text_field(6, std::string("\x08\x0d") + text_field(2, why));
}

}  // namespace fairlead::control::testing
