// One step of a request's way: what happens there, what decided it, who was not taken and why, and
// what was seen of it. Values alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/origin.h"

namespace fairlead::explain {

// In the order of the road.
enum class Stage : std::uint8_t {
  caller,    // who calls
  name,      // a name becomes an address
  capture,   // the kernel's rules in a pod's network namespace
  listener,  // of a proxy
  chain,     // the listener's filter chain
  route,     // the rule that takes the request
  cluster,   // where the rule sends it
  endpoint,  // which of the cluster's endpoints
  kernel,    // a node's rules: service IP to pod IP
  delivery,  // a proxy hands over to its app
  app,       // who answers
};

[[nodiscard]] const char* name_of(Stage stage);  // "capture"; "from" for the caller

// One place where the request may go from here.
struct Choice {
  std::string name;     // "default/reviews-v1-5d8f6"
  std::string address;  // "10.244.1.5:9080"
  double share = 1;     // of all choices of this hop, which sum up to 1
  Origin origin;
  bool operator==(const Choice&) const = default;
};

// Somebody or something that was considered and not taken.
struct Refusal {
  std::string name;     // "default/reviews-v1-5d8f6", "chain virtualInbound-blackhole"
  std::string address;  // when it has one
  std::string why;      // "not ready"
  Origin origin;
  bool operator==(const Refusal&) const = default;
};

// The rule of the kernel behind a hop.
struct KernelRule {
  std::string table;     // "fairlead-capture"
  std::string chain;     // "outbound"
  std::size_t rule = 0;  // its 1-based place in the chain; 0: the policy at the chain's end
  std::string text;      // as nft prints it
  std::string comment;   // why it is there, in its author's words
  bool operator==(const KernelRule&) const = default;
};

// What was seen of a hop, beside what was predicted.
struct Seen {
  enum class Verdict : std::uint8_t {
    agrees,
    differs,
    shown,    // nothing was predicted about it: counters, times
    missing,  // it could not be looked at, and why
    unknown,  // what would show it was not there yet
  };
  Verdict verdict = Verdict::shown;
  std::string text;
  bool operator==(const Seen&) const = default;
};

[[nodiscard]] const char* name_of(Seen::Verdict verdict);

struct Hop {
  Stage stage = Stage::caller;
  std::string place;  // where: "default/productpage-v1-6f9", "its proxy", "node-1"
  std::string name;   // of the listener, chain, route or cluster
  std::string to;     // where the connection goes from here, as an address, when that is certain
  std::string says;   // what happens here, in a sentence without the final full stop
  std::vector<std::string> details;  // how it came to that, a line each
  std::vector<Choice> choices;
  std::vector<Refusal> refused;
  std::vector<KernelRule> rules;
  Origin origin;        // the object behind it; not known where only a kernel's rule is
  std::string world;    // the version of the world that this hop speaks
  std::string failure;  // why the request ends here; empty: it goes on
  std::vector<Seen> seen;
  bool operator==(const Hop&) const = default;
};

}  // namespace fairlead::explain
