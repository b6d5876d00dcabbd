// Where a call goes, and why: the way of a request through names, kernels and proxies, told by the
// functions that do the work (dns/zone, nft/trace over the very rulesets, control/compile,
// proxy/decide). Pure: no socket, no clock, no chance; where chance decides, the answer is the set
// of choices with their shares.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "config/snapshot.h"
#include "explain/hop.h"
#include "explain/model.h"
#include "mesh/world.h"
#include "nft/ruleset.h"

namespace fairlead::explain {

// ── the question ────────────────────────────────────────────────────────────────────────────────

enum class Scheme : std::uint8_t {
  http,
  tcp,
  declared,  // not said: HTTP where the port declares it or nothing, else TCP
};

struct Target {
  Scheme scheme = Scheme::declared;
  std::string host;  // a name as an app would write it, or an address
  std::uint16_t port = 80;
  std::string path = "/";  // with its query
  bool operator==(const Target&) const = default;
};

[[nodiscard]] Result<Target> parse_target(std::string_view text);
// "http://reviews:9080/reviews/0", "tcp://10.96.0.12:9080", "reviews:9080", "[fd00::1]:80".

// Who calls: a pod, a VM, or a process on a node.
struct Caller {
  const mesh::Workload* workload = nullptr;  // one of the two is there
  const mesh::Node* node = nullptr;
  std::size_t siblings = 0;  // how many other pods the same word would have meant

  [[nodiscard]] std::string name() const;        // "default/productpage-v1-6f9", "node-1"
  [[nodiscard]] std::string name_space() const;  // whose short names it understands
};
// Points into the world: good as long as it.

[[nodiscard]] Result<Caller> find_caller(const mesh::World& world LIFETIMEBOUND,
                                         std::string_view text, std::string_view kind = {});
// A pod's or VM's name, the name of what owns pods ("productpage-v1", "productpage"), a node's, or
// NAMESPACE/NAME of the first three. With a kind ("Pod", "VM", "Node", "Service", or an owner's,
// "Deployment"), only what is of that kind. Where nothing of that name runs, a pod that has ended.
// Fault: missing, with the names that are nearest, or invalid, when several namespaces have one.

// How a process on a node asks for names: a resolv.conf.
struct ResolverSettings {
  std::vector<IpAddress> servers;
  std::vector<std::string> search;
  int ndots = 1;
};

[[nodiscard]] ResolverSettings read_resolver_settings(std::string_view resolv_conf);
// Without a server in it, the machine itself is asked (127.0.0.1), as glibc does.

struct Call {
  Caller from;
  Target to;
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<nft::Prefix> within;
  // Nothing outside of these can be reached, and in them an address of which nothing is known is
  // nobody's; empty: not said.
  std::optional<ResolverSettings> node_resolver;
  // Of the node, for a process on it; absent: not known. Pods and VMs ask the cluster's DNS.
};

[[nodiscard]] std::string request_text(const Call& call, std::string_view id);
// The HTTP/1.1 request itself, with `id` as its x-request-id (36 characters): the bytes that are
// spoken of, and that --live sends.

[[nodiscard]] std::vector<IpAddress> in_hosts_file(const Caller& from, std::string_view host);
// What the caller's own /etc/hosts says, which an app reads before it asks DNS: of localhost and of
// its own name. Empty: nothing.

// ── the answer ──────────────────────────────────────────────────────────────────────────────────

// How a request that does not arrive ends for its sender.
enum class Ending : std::uint8_t {
  unsaid,       // it arrives, or nothing is predicted of how it fails
  no_address,   // its name has none: nothing is sent
  refused,      // the connection is refused
  unreachable,  // no way leads there, or nobody ever answers
  closed,       // a proxy takes the connection and closes it without a word
  answered,     // a proxy answers in the app's place
};

[[nodiscard]] const char* name_of(Ending ending);  // "refused"; empty for unsaid

struct Met {
  Ending ending = Ending::unsaid;
  std::uint32_t status = 0;  // of `answered`; 0: any
  std::string flag;          // that the proxy's record has, "UH"; empty: any
  bool operator==(const Met&) const = default;
};

// What becomes of the request at one endpoint.
struct Branch {
  double share = 1;       // of all requests of its clients
  std::string workload;   // "namespace/name"; empty: nobody that is known
  std::string address;    // "10.244.1.5:9080"
  std::vector<Hop> hops;  // from the arrival to the app
  std::string failure;    // of its hops; empty: arrives
  std::string condition;  // "something listens on port 9999": what nobody declares; empty: none
  std::string unknown;    // why it cannot be known whether it arrives; empty: it can
  std::string client;     // which clients this is of: "IPv6 first, as glibc does"; empty: all
  std::optional<Family> family;  // that those clients dial; absent: there is but one
  Met met;                       // with a failure: how the sender meets it
  [[nodiscard]] bool arrives() const { return failure.empty() && unknown.empty(); }
};

struct Path {
  std::string from;    // "default/productpage-v1-6f9"
  std::string to;      // as asked: "http://reviews:9080/reviews/0"
  std::string scheme;  // "http" or "tcp": what was decided
  std::string world;
  std::vector<Hop> hops;             // what all requests have in common
  std::vector<Branch> branches;      // one an endpoint that may be chosen; none: it ends before
  std::vector<Branch> ends;          // the same, without their hops: evidence leaves all of them
  std::string failure;               // the cause, when no request arrives
  std::string unknown;               // when none is known to arrive, why that cannot be known
  Met met;                           // with a failure: how the sender meets it
  std::vector<std::string> notes;    // what the reader should know beside
  std::vector<Origin> not_enforced;  // policies that would judge what arrives

  [[nodiscard]] bool arrives() const { return failure.empty() && unknown.empty(); }
  [[nodiscard]] std::string condition() const;
  // Without which no request arrives: "something listens on port 9999"; empty: none.
  [[nodiscard]] const std::string& certain_failure() const LIFETIMEBOUND;
  // The cause when no request arrives, or none of the one branch that is left.
};

[[nodiscard]] Path explain(Model& model, const Call& call);

[[nodiscard]] std::vector<std::string> places_to_look_at(const Path& path);
// Whose listening sockets would make it certain, named as put_listening() wants them.

}  // namespace fairlead::explain
