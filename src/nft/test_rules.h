// For tests: the node's table of services in the layout of data maps, small enough to read.
#pragma once

#include <algorithm>

#include "nft/ruleset.h"

namespace fairlead::nft::testing {

struct NodeOptions {
  std::uint32_t endpoints = 2;  // of default/reviews, 10.96.0.12:9080 and [fd96::c]:9080
  std::uint32_t fillers = 0;    // other services, 2 endpoints each
};

inline IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return IpAddress::v4({a, b, c, d});
}

inline IpAddress v6(const char* text) {
  return *IpAddress::parse(text);
}

inline IpAddress pod_v4(std::uint32_t number) {
  return v4(10, 244, 2, static_cast<std::uint8_t>(number + 1));
}

inline IpAddress pod_v6(std::uint32_t number) {
  auto bytes = v6("fd44:2::").bytes();
  bytes[15] = static_cast<std::uint8_t>(number + 1);
  return IpAddress::v6(bytes);
}

// The half of the table that belongs to one family.
struct Half {
  Set connections;  // counts connections by service
  Map services;     // how many endpoints
  Map endpoints;    // which, by slot
  Set refused;      // services without any
  Set hairpin;      // a pod that reached itself by its service
};

inline Half half(Family family) {
  const bool four = family == Family::v4;
  const std::string digit = four ? "4" : "6";
  const Field to = four ? Field::ip_daddr : Field::ip6_daddr;
  const Field from = four ? Field::ip_saddr : Field::ip6_saddr;
  const std::vector<Field> service{to, Field::l4proto, Field::dport};
  return {
      .connections = {.name = "connections" + digit, .key = service, .counted = true},
      .services = {.name = "services" + digit, .key = service, .data = {Field::mark}},
      .endpoints = {.name = "endpoints" + digit,
                    .key = {to, Field::l4proto, Field::tcp_dport, Field::slot},
                    .data = {to, Field::tcp_dport}},
      .refused = {.name = "refused" + digit, .key = service, .counted = true},
      .hairpin = {.name = "hairpin" + digit, .key = {from, to}},
  };
}

inline void add_service(Half& half, const IpAddress& ip, std::uint32_t port,
                        const std::vector<SocketAddress>& endpoints, const std::string& name) {
  const Tuple key{ip, tcp, port};
  if (endpoints.empty()) {
    half.refused.elements[key] = name;
    return;
  }
  half.connections.elements[key] = name;
  half.services.elements[key] = {.data = Tuple{static_cast<std::uint32_t>(endpoints.size())}};
  for (std::uint32_t slot = 0; slot < endpoints.size(); ++slot) {
    const SocketAddress& to = endpoints[slot];
    half.endpoints.elements[{ip, tcp, port, slot}] = {.data = Tuple{to.ip, std::uint32_t{to.port}},
                                                      .comment = name};
    half.hairpin.elements[{to.ip, to.ip}] = "";
  }
}

inline Ruleset node_rules(const NodeOptions& options) {
  Half four = half(Family::v4);
  Half six = half(Family::v6);
  std::vector<SocketAddress> pods4;
  std::vector<SocketAddress> pods6;
  for (std::uint32_t i = 0; i < options.endpoints; ++i) {
    pods4.push_back({pod_v4(i), 9080});
    pods6.push_back({pod_v6(i), 9080});
  }
  add_service(four, v4(10, 96, 0, 12), 9080, pods4, "Service default/reviews");
  add_service(six, v6("fd96::c"), 9080, pods6, "Service default/reviews");
  add_service(four, v4(10, 96, 0, 99), 80, {}, "Service default/empty");
  add_service(six, v6("fd96::63"), 80, {}, "Service default/empty");
  for (std::uint32_t i = 0; i < options.fillers; ++i) {
    const IpAddress ip =
        v4(10, 100, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i));
    add_service(four, ip, 80, {{pod_v4(0), 80}, {pod_v4(1), 80}}, "Service load/filler");
  }

  Table table{.name = "fairlead-services", .comment = "node n1"};
  Map counts{
      .name = "counts", .key = {Field::mark}, .comment = "which chain for how many endpoints"};
  const auto jump = [](std::string chain) {
    return Verdict{Verdict::Kind::jump, std::move(chain)};
  };
  const auto nat = [](Hook hook, int priority) { return Base{ChainType::nat, hook, priority}; };
  const auto filter = [](Hook hook) { return Base{ChainType::filter, hook, -110}; };
  const Match transport{.field = Field::l4proto, .values = {tcp}};

  for (std::uint32_t n = 1; n <= std::max(options.endpoints, 2U); ++n) {
    const std::string name = "n" + std::to_string(n);
    counts.elements[{n}] = {.data = Verdict{Verdict::Kind::go_to, name}};
    table.chains.push_back(
        {.name = name,
         .rules = {
             {{transport, Dnat{four.endpoints.key, four.endpoints.name, n}}, "one at random"},
             {{transport, Dnat{six.endpoints.key, six.endpoints.name, n}}, "one at random"}}});
  }
  table.chains.push_back({.name = "services",
                          .rules = {{{InSet{four.connections.key, four.connections.name}}},
                                    {{InSet{six.connections.key, six.connections.name}}},
                                    {{SetMark{four.services.key, four.services.name}}},
                                    {{SetMark{six.services.key, six.services.name}}},
                                    {{VerdictMap{Field::mark, counts.name}}}}});
  table.chains.push_back(
      {.name = "refuse",
       .rules = {{{InSet{four.refused.key, four.refused.name}, RejectWithReset{}}, "no endpoints"},
                 {{InSet{six.refused.key, six.refused.name}, RejectWithReset{}}, "no endpoints"}}});
  table.chains.push_back({.name = "refuse-prerouting",
                          .rules = {{{jump("refuse")}}},
                          .base = filter(Hook::prerouting)});
  table.chains.push_back(
      {.name = "refuse-output", .rules = {{{jump("refuse")}}}, .base = filter(Hook::output)});
  table.chains.push_back(
      {.name = "prerouting", .rules = {{{jump("services")}}}, .base = nat(Hook::prerouting, -100)});
  table.chains.push_back(
      {.name = "output", .rules = {{{jump("services")}}}, .base = nat(Hook::output, -100)});
  table.chains.push_back(
      {.name = "postrouting",
       .rules = {{{InSet{four.hairpin.key, four.hairpin.name}, Count{}, Masquerade{}}, "hairpin"},
                 {{InSet{six.hairpin.key, six.hairpin.name}, Count{}, Masquerade{}}, "hairpin"}},
       .base = nat(Hook::postrouting, 100)});
  for (Half* one : {&four, &six}) {
    table.sets.push_back(one->connections);
    table.sets.push_back(one->refused);
    table.sets.push_back(one->hairpin);
    table.maps.push_back(one->services);
    table.maps.push_back(one->endpoints);
  }
  table.maps.push_back(counts);
  return {.tables = {std::move(table)}};
}

}  // namespace fairlead::nft::testing
