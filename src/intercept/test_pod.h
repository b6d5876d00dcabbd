// For tests: a pod with capture rules, its peer, and connections told as one line each.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "intercept/check.h"
#include "intercept/install.h"
#include "intercept/rules.h"
#include "intercept/settings.h"
#include "nft/apply.h"
#include "nft/test_namespace.h"
#include "nft/trace.h"

namespace fairlead::intercept::testing {

using nft::Hook;
using nft::testing::Caller;
using nft::testing::Landing;
using nft::testing::Listeners;
using nft::testing::Wire;

struct Connection {
  const char* from;  // "app", "proxy", "proxy group", "outside"
  const char* to;
  const char* source = "";  // bound to this address
};

inline Caller caller_of(const Connection& connection, const Settings& settings) {
  Caller caller{.uid = 1000, .gid = 1000};
  const std::string from = connection.from;
  if (from == "proxy" && settings.exemption == Exemption::owner) caller.uid = 1337;
  if (from == "proxy" && settings.exemption == Exemption::mark) caller.mark = proxy_mark;
  if (from == "proxy group") caller.gid = 1337;
  if (*connection.source != '\0') caller.source = *IpAddress::parse(connection.source);
  return caller;
}

inline bool is_of_pod(const IpAddress& ip) {
  const std::string text = ip.text();
  return ip.is_loopback() || ip.within(*IpAddress::parse("127.0.0.0"), 8) ||
         text == "10.244.1.11" || text == "fd44:1::11" || text == "::6";
}

inline nft::Packet packet_of(const Connection& connection, const Settings& settings) {
  const SocketAddress to = *SocketAddress::parse(connection.to);
  const bool v4 = to.ip.is_v4();
  if (std::string(connection.from) == "outside") {
    return {.hook = Hook::prerouting,
            .source = {*IpAddress::parse(v4 ? "10.244.1.1" : "fd44:1::1"), 40000},
            .destination = to,
            .in_interface = "eth0",
            .destination_is_local = true};
  }
  const Caller caller = caller_of(connection, settings);
  const bool inside = is_of_pod(to.ip);
  // Unbound, the kernel takes 127.0.0.1 for 127/8, the destination itself for other local ones.
  IpAddress source = *IpAddress::parse(v4 ? "10.244.1.11" : "fd44:1::11");
  if (inside && !v4) source = to.ip;
  if (inside && to.ip.within(*IpAddress::parse("127.0.0.0"), 8)) {
    source = *IpAddress::parse("127.0.0.1");
  }
  return {.hook = Hook::output,
          .source = {caller.source.value_or(source), 40000},
          .destination = to,
          .out_interface = inside ? "lo" : "eth0",
          .uid = caller.uid,
          .gid = caller.gid,
          .mark = caller.mark,
          .destination_is_local = inside};
}

inline std::string traced(const nft::Ruleset& rules, const Connection& connection,
                          const Settings& settings) {
  const nft::Trace result = nft::trace(rules, packet_of(connection, settings));
  return result.fate == nft::Fate::redirected ? std::to_string(result.port) : "-";
}

inline Settings settings_with(std::initializer_list<std::pair<std::string, std::string>> flags) {
  Settings settings;
  for (const auto& [name, value] : flags) {
    for (const Option& option : options()) {
      if (option.name != name) continue;
      const Result<> set = option.set(settings, value);
      EXPECT_TRUE(set.ok()) << set.fault().describe();
    }
  }
  return settings;
}

class Pod {
 public:
  explicit Pod(const Settings& settings)
      : settings_(settings), kernel_(wire_.pod.in([] {
          Result<nft::Kernel> kernel = nft::Kernel::open();
          if (!kernel) throw std::runtime_error(kernel.fault().describe());
          return std::move(*kernel);
        })) {
    const Result<> applied = wire_.pod.in([&] { return apply(kernel_, settings); });
    if (!applied) throw std::runtime_error(applied.fault().describe());
    for (const std::uint16_t port : {15001, 15006, 15008, 15020, 15021, 15090, 9080, 22}) {
      listeners_.open("pod", wire_.pod, port);
    }
    for (const std::uint16_t port : {9080, 80, 443, 15008, 15020}) {
      listeners_.open("peer", wire_.peer, port);
    }
  }

  nft::Kernel& kernel() { return kernel_; }
  Wire& wire() { return wire_; }

  // Where the connection really lands.
  Landing connect(const Connection& connection) {
    const bool outside = std::string(connection.from) == "outside";
    return listeners_.connect(outside ? wire_.peer : wire_.pod,
                              outside ? Caller{} : caller_of(connection, settings_),
                              *SocketAddress::parse(connection.to));
  }

  // Where it lands if the kernel does what the rules say.
  std::string expected(const Connection& connection) {
    const SocketAddress to = *SocketAddress::parse(connection.to);
    const std::string taken = traced(capture_rules(settings_), connection, settings_);
    if (taken != "-") return "pod:" + taken;
    const bool to_pod = is_of_pod(to.ip);
    const std::string place = (to_pod ? "pod:" : "peer:") + std::to_string(to.port);
    return listens(place) ? place : "refused";
  }

 private:
  static bool listens(const std::string& place) {
    static const std::set<std::string> all{
        "pod:15001", "pod:15006", "pod:15008", "pod:15020", "pod:15021",  "pod:15090", "pod:9080",
        "pod:22",    "peer:9080", "peer:80",   "peer:443",  "peer:15008", "peer:15020"};
    return all.contains(place);
  }

  Settings settings_;
  Wire wire_;
  nft::Kernel kernel_;
  Listeners listeners_;
};

// What `check` saw.
struct Verdicts {
  int agree = 0;
  std::string failures;
  std::string all;
  Judgement judgement;
};

inline Verdicts check_in(const nft::testing::Wire& wire, nft::Kernel& kernel) {
  return wire.pod.in([&] {
    Verdicts verdicts;
    const auto found = installed(kernel);
    if (!found || !found->has_value()) throw std::runtime_error("nothing installed");
    const std::vector<Probe> probes = check((*found)->table);
    for (const Probe& probe : probes) {
      const std::string line = probe.what + ": " + probe.predicted + " / " + probe.observed + "\n";
      verdicts.all += line;
      if (probe.outcome == Probe::Outcome::agrees) ++verdicts.agree;
      const bool failed =
          probe.outcome == Probe::Outcome::differs || probe.outcome == Probe::Outcome::altered;
      if (failed) verdicts.failures += line;
    }
    verdicts.judgement = judge(probes, (*found)->table);
    return verdicts;
  });
}

inline nft::Kernel kernel_of(const nft::testing::Wire& wire, const Settings& settings) {
  return wire.pod.in([&] {
    Result<nft::Kernel> kernel = nft::Kernel::open();
    if (!kernel) throw std::runtime_error(kernel.fault().describe());
    const Result<> applied = apply(*kernel, settings);
    if (!applied) throw std::runtime_error(applied.fault().describe());
    return *std::move(kernel);
  });
}

}  // namespace fairlead::intercept::testing
