#include "lab/fabric.h"

#include <fmt/format.h>

namespace fairlead::lab {
namespace {

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();  // our own texts alone
}

const IpAddress& underlay_gateway() {
  static const IpAddress address = ip("172.30.255.254");
  return address;
}
const IpAddress& gateway6() {
  static const IpAddress address = ip("fe80::1");
  return address;
}

// The gateway of a pod or VM: the first address of its /24.
IpAddress gateway_of(const IpAddress& v4) {
  std::array<std::uint8_t, 4> bytes{v4.bytes()[0], v4.bytes()[1], v4.bytes()[2], 1};
  return IpAddress::v4(bytes);
}

std::string wire_name(const Addresses& addresses) {
  const auto& bytes = addresses.v4.bytes();
  return fmt::format("to-{}.{}.{}", bytes[1], bytes[2], bytes[3]);
}

// The near end of a wire: a gateway's addresses, and routes to the machine at the far end.
Result<> wire_near(Netlink& here, const std::string& interface, const IpAddress& gateway,
                   const Addresses& far) {
  if (Result<> up = here.set_up(interface); !up) return up;
  if (Result<> given = here.add_address(interface, gateway, 32); !given) return given;
  if (Result<> given = here.add_address(interface, gateway6(), 64); !given) return given;
  const Route v4{.to = far.v4, .prefix_length = 32, .interface = interface, .source = gateway};
  if (Result<> routed = here.add_route(v4); !routed) return routed;
  return here.add_route({.to = far.v6, .prefix_length = 128, .interface = interface});
}

// The far end: its own addresses, and everything else by the gateway.
Result<> wire_far(Netlink& there, const IpAddress& gateway, const Addresses& own) {
  if (Result<> up = there.set_up("eth0"); !up) return up;
  if (Result<> given = there.add_address("eth0", own.v4, 32); !given) return given;
  if (Result<> given = there.add_address("eth0", own.v6, 128); !given) return given;
  const Route neighbour{.to = gateway, .prefix_length = 32, .interface = "eth0"};
  if (Result<> routed = there.add_route(neighbour); !routed) return routed;
  const Route v4{.to = ip("0.0.0.0"), .interface = "eth0", .via = gateway, .source = own.v4};
  if (Result<> routed = there.add_route(v4); !routed) return routed;
  return there.add_route({.to = ip("::"), .interface = "eth0", .via = gateway6()});
}

Result<Machine> make_machine(const std::string& name, const Addresses& addresses) {
  Result<NetworkNamespace> network = NetworkNamespace::make();
  if (!network) return std::move(network).fault();
  Result<Netlink> netlink = network->in([] { return Netlink::open(); });
  if (!netlink) return std::move(netlink).fault();
  return Machine{name, addresses, std::move(*network), std::move(*netlink)};
}

// A node answers DNS at its own lo, and its kernel must think that it knows a way to services.
Result<> prepare_node(Machine& node) {
  if (Result<> forwards = node.network.in([] { return prepare_here(true); }); !forwards) {
    return forwards;
  }
  Netlink& netlink = node.netlink;
  const IpAddress v4 = node.addresses.v4;
  const IpAddress v6 = node.addresses.v6;
  if (Result<> given = netlink.add_address("lo", ip(dns_address), 32); !given) return given;
  if (Result<> given = netlink.add_address("lo", ip(dns_address6), 128); !given) return given;
  const Route services{.to = ip("10.96.0.0"), .prefix_length = 16, .interface = "lo", .source = v4};
  if (Result<> routed = netlink.add_route(services); !routed) return routed;
  return netlink.add_route(
      {.to = ip("fd00:10:96::"), .prefix_length = 112, .interface = "lo", .source = v6});
}

}  // namespace

Addresses node_addresses(int number) {
  return {ip(fmt::format("172.30.0.{}", number)), ip(fmt::format("fd00:172:30::{:x}", number))};
}

std::vector<std::string> pod_ranges(int number) {
  return {fmt::format("10.244.{}.0/24", number), fmt::format("fd00:10:244:{:x}::/64", number)};
}

Addresses pod_addresses(int node, int number) {
  return {ip(fmt::format("10.244.{}.{}", node, number)),
          ip(fmt::format("fd00:10:244:{:x}::{:x}", node, number))};
}

Addresses vm_addresses(int number) {
  return {ip(fmt::format("10.200.0.{}", number)), ip(fmt::format("fd00:10:200::{:x}", number))};
}

Addresses control_addresses() {
  return {ip("172.30.1.1"), ip("fd00:172:30:1::1")};
}

std::vector<std::string> all_ranges() {
  return {"172.30.0.0/16",    "10.244.0.0/16",    "10.200.0.0/24",    "10.96.0.0/16",
          "fd00:172:30::/48", "fd00:10:244::/48", "fd00:10:200::/48", "fd00:10:96::/112"};
}

Result<Fabric> Fabric::make() {
  Result<Netlink> underlay = Netlink::open();
  if (!underlay) return std::move(underlay).fault();
  return Fabric(std::move(*underlay));
}

Result<Machine> Fabric::add_to_underlay(const std::string& name, const Addresses& addresses) {
  Result<Machine> machine = make_machine(name, addresses);
  if (!machine) return machine;
  const std::string interface = wire_name(addresses);
  Result<> laid = underlay_.add_wire(interface, "eth0", machine->network.descriptor());
  if (laid) laid = wire_near(underlay_, interface, underlay_gateway(), addresses);
  if (laid) laid = wire_far(machine->netlink, underlay_gateway(), addresses);
  if (!laid) return std::move(laid).fault().during("wiring " + name);
  return machine;
}

Result<Machine> Fabric::add_control() {
  return add_to_underlay("control", control_addresses());
}

Result<Machine> Fabric::add_node(int number, const std::string& name) {
  Result<Machine> node = add_to_underlay(name, node_addresses(number));
  if (!node) return node;
  Result<> prepared = prepare_node(*node);
  const std::string interface = wire_name(node->addresses);
  const Route v4{.to = pod_addresses(number, 0).v4,
                 .prefix_length = 24,
                 .interface = interface,
                 .via = node->addresses.v4,
                 .via_is_on_link = true};
  const Route v6{.to = pod_addresses(number, 0).v6,
                 .prefix_length = 64,
                 .interface = interface,
                 .via = node->addresses.v6};
  if (prepared) prepared = underlay_.add_route(v4);
  if (prepared) prepared = underlay_.add_route(v6);
  if (!prepared) return std::move(prepared).fault().during("preparing " + name);
  return node;
}

Result<Machine> Fabric::add_pod(Machine& node, const std::string& name,
                                const Addresses& addresses) {
  Result<Machine> pod = make_machine(name, addresses);
  if (!pod) return pod;
  // As container runtimes have it: whoever an app runs as, it may listen on port 80.
  Result<> opened =
      pod->network.in([] { return set_system_value("net/ipv4/ip_unprivileged_port_start", "0"); });
  if (!opened) return std::move(opened).fault().during("preparing " + name);
  const std::string interface = wire_name(addresses);
  const IpAddress gateway = gateway_of(addresses.v4);
  Result<> laid = node.netlink.add_wire(interface, "eth0", pod->network.descriptor());
  if (laid) laid = wire_near(node.netlink, interface, gateway, addresses);
  if (laid) laid = wire_far(pod->netlink, gateway, addresses);
  if (!laid) return std::move(laid).fault().during("wiring " + name);
  return pod;
}

Result<> Fabric::route_to_vm(const Machine& node, const Addresses& addresses) {
  const std::string interface = wire_name(node.addresses);
  const Route v4{.to = addresses.v4,
                 .prefix_length = 32,
                 .interface = interface,
                 .via = node.addresses.v4,
                 .via_is_on_link = true};
  if (Result<> routed = underlay_.add_route(v4); !routed) return routed;
  return underlay_.add_route(
      {.to = addresses.v6, .prefix_length = 128, .interface = interface, .via = node.addresses.v6});
}

Result<Machine> Fabric::share(const Machine& node, const std::string& name) {
  Result<NetworkNamespace> network = node.network.in([] { return NetworkNamespace::current(); });
  if (!network) return std::move(network).fault();
  Result<Netlink> netlink = network->in([] { return Netlink::open(); });
  if (!netlink) return std::move(netlink).fault();
  return Machine{name, node.addresses, std::move(*network), std::move(*netlink)};
}

Result<> Fabric::remove_pod(Machine& node, const Machine& pod) {
  return node.netlink.remove_link(wire_name(pod.addresses));
}

}  // namespace fairlead::lab
