// What was seen of one real request, as values, and how it is laid beside the predicted path. The
// room witness gathers it; it travels as JSON, because it is gathered inside other namespaces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "explain/path.h"

namespace fairlead::explain {

// One question to a name server, sent from where the caller runs.
struct NameAnswer {
  std::string server;   // "10.96.0.10:53"
  std::string name;     // "reviews.default.svc.cluster.local"
  std::string type;     // "A" or "AAAA"
  std::string outcome;  // "NOERROR", "NODATA", "NXDOMAIN", "REFUSED", ..., or why there is none
  std::vector<IpAddress> addresses;
  std::uint64_t microseconds = 0;
  bool operator==(const NameAnswer&) const = default;
};

// How a request ended that got no whole answer.
enum class Failing : std::uint8_t {
  none,
  refused,      // the connection was
  unreachable,  // no way leads there
  timed_out,
  closed,    // the connection ended, or was reset
  not_http,  // something else came back
};

[[nodiscard]] const char* name_of(Failing failing);  // "timed out"; empty for none

// The request itself, as its sender met it.
struct Exchange {
  std::string id;                   // its x-request-id; empty for TCP
  std::string error;                // why there is no answer: "connecting: Connection refused"
  Failing failing = Failing::none;  // the same, for who decides by it
  bool connected = false;           // somebody took the connection
  std::vector<std::string> tried;   // addresses before this one that could not be reached, and why
  SocketAddress local;
  SocketAddress peer;  // as dialled
  int status = 0;      // of HTTP; 0: none
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // its first 4 KiB
  std::uint64_t connect_microseconds = 0;
  std::uint64_t microseconds = 0;  // from before the connection until the answer was whole
  bool operator==(const Exchange&) const = default;
};

// A connection as a kernel tracks it (conntrack).
struct TrackedConnection {
  std::string where;  // whose kernel tables: "default/productpage-v1-6f9" or "node-1"
  SocketAddress source;
  SocketAddress destination;   // as dialled
  SocketAddress reply_source;  // who answers: the destination after translation
  SocketAddress reply_destination;
  std::string state;  // "ESTABLISHED"
  std::optional<std::uint64_t> age_milliseconds;
  bool operator==(const TrackedConnection&) const = default;
};

// One line of a proxy's /fairlead/records, or what a real Envoy's access log says of a request.
struct ProxyRecord {
  std::string proxy;             // whose: "default/productpage-v1-6f9"
  std::string direction;         // "outbound" or "inbound"
  bool from_access_log = false;  // which names no listener, chain or world, and counts no attempts
  SocketAddress downstream_remote;
  SocketAddress downstream_local;
  SocketAddress original_destination;
  std::optional<SocketAddress> upstream_local;
  std::optional<SocketAddress> upstream_remote;
  std::string listener;
  std::string filter_chain;
  std::string route;
  std::string cluster;
  std::string endpoint;
  std::uint32_t attempts = 0;
  std::optional<std::uint64_t> pooled_milliseconds;  // age of the pooled connection; absent: new
  int status = 0;
  std::string flags;
  std::string details;  // of a refusal that a flag does not tell in full
  std::uint64_t microseconds = 0;
  std::string world;
  bool operator==(const ProxyRecord&) const = default;
};

// A counter of the kernel's rules before and after. Other traffic may have moved it.
struct Count {
  std::string where;  // as in TrackedConnection
  std::string table;
  std::string place;     // "counter reviews", "chain outbound"
  std::size_t rule = 0;  // of a rule's own
  std::string key;
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  bool operator==(const Count&) const = default;
};

// What a program says that it has in force.
struct Speaks {
  std::string who;    // "node-1", "control"
  std::string world;  // "42"; empty: none, and why in `error`
  std::string error;
  bool operator==(const Speaks&) const = default;
};

// Where the listening sockets of a place were looked at.
struct LookedAt {
  std::string where;  // as in TrackedConnection
  std::vector<ListeningSocket> sockets;
  bool operator==(const LookedAt&) const = default;
};

struct Evidence {
  std::vector<NameAnswer> names;
  std::optional<Exchange> exchange;
  std::vector<TrackedConnection> connections;
  std::vector<ProxyRecord> records;
  std::vector<std::string> asked;  // whose proxies gave all the records that they had of it
  std::vector<Count> counts;
  std::vector<Speaks> worlds;
  std::vector<LookedAt> listening;
  std::vector<std::string> trouble;  // what could not be looked at, and why
  bool operator==(const Evidence&) const = default;
};

[[nodiscard]] std::string evidence_json(const Evidence& evidence);
[[nodiscard]] Result<Evidence> evidence_from_json(std::string_view json);

enum class Verdict : std::uint8_t {
  arrives,          // predicted
  does_not_arrive,  // predicted
  agrees,           // seen: it arrived by the predicted way
  differs,          // seen: something is not as predicted
  did_not_arrive,   // seen: as predicted, or a condition does not hold
  cannot_be_known,
};

[[nodiscard]] const char* name_of(Verdict verdict);  // "did not arrive"
[[nodiscard]] Verdict prediction_of(const Path& path);
// arrives, does_not_arrive or cannot_be_known.

struct Judgement {
  Verdict verdict = Verdict::cannot_be_known;
  Verdict predicted = Verdict::cannot_be_known;
  std::size_t agrees = 0;
  std::size_t differs = 0;
  bool arrived = false;    // it reached an app, or a proxy that was meant to answer
  std::string difference;  // the first one, for the first line; empty: none
  std::string unknown;     // the first thing that was not there yet; empty: all was
  std::string cause;       // not arrived: why, as seen
  std::string remark;      // arrived: what is strange about the answer
};

[[nodiscard]] Judgement lay_beside(Path& path, const Evidence& evidence, const mesh::World& world);
// Fills `seen` of the hops. Where the choice is random, any member of the predicted set agrees, and
// the branch that was taken keeps its hops while the others go.

}  // namespace fairlead::explain
