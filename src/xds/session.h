// The talk of aggregated discovery (ADS, state of the world) without a socket: messages in,
// messages out, as opaque bytes of one gRPC message each; time is an argument. AdsClient is the
// proxy's side of one control plane, AdsServer is the control plane's side of one stream.
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "config/snapshot.h"
#include "xds/bootstrap.h"
#include "xds/encodings.h"
#include "xds/resource.h"

namespace fairlead::xds {

inline constexpr std::string_view ads_method =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

// ── The client ───────────────────────────────────────────────────────────────────────────────────

struct ClientOptions {
  bool strict = false;  // refuse (NACK) a response that has anything we do not honour
  config::Milliseconds warming_limit{15000};
  // How long a set of resources may wait for the clusters, endpoints and routes that it names.
  // After that it is used as it is, as Envoy does; the missing clusters answer 503. 0: for ever.
  std::uint64_t first_number = 1;  // of the first snapshot; the static one is 0
};

// What the client wants its caller to do.
struct ClientStep {
  std::vector<std::string> send;     // in order
  config::SnapshotPointer snapshot;  // a new one is ready; null: keep the one in force
};

class AdsClient {
 public:
  AdsClient(const Bootstrap& bootstrap, ClientOptions options);
  ~AdsClient();
  AdsClient(AdsClient&&) noexcept;
  AdsClient& operator=(AdsClient&&) noexcept;

  [[nodiscard]] ClientStep connected(Instant now);
  // A new stream is open. Everything that was accepted is kept, and asked for by its version.

  [[nodiscard]] Result<ClientStep> received(std::string_view message, Instant now);
  // A DiscoveryResponse. Its resources are judged one by one. What is wrong with them is answered
  // by a NACK that names the fields; the others are taken. One that cannot be taken stays as it
  // was, and is never treated as removed; where it would have brought a protection that is not
  // enforced here and that the old one lacks, that part of the old one closes. One that closes a
  // part of itself is taken, closed, and named in the NACK all the same. A fault means that this is
  // no DiscoveryResponse: reset the stream.

  [[nodiscard]] ClientStep elapsed(Instant now);
  [[nodiscard]] std::optional<Instant> deadline() const;
  // Call elapsed() when deadline() is reached, if it is given.

  [[nodiscard]] std::vector<std::string> waiting_for() const;
  // "cluster outbound|80||a", "endpoints b", "routes 80": what the next snapshot lacks. Clusters
  // that are named and not there hold back only the listeners that name them themselves, and what
  // would replace a listener or routes in force; routes to them answer 503.

  struct Counts {
    std::uint64_t accepted = 0;  // responses
    std::uint64_t refused = 0;
    std::uint64_t unhonoured = 0;  // fields listed, over all responses
  };
  [[nodiscard]] const Counts& counts(ResourceType type) const;
  [[nodiscard]] const std::string& refusal(ResourceType type) const;
  // Why the last response of that type was refused; empty when it was not. Good as long as *this.

  [[nodiscard]] std::string last_good() const;
  // What is accepted, as bytes to keep on disk.
  [[nodiscard]] Result<ClientStep> restore(std::string_view last_good, Instant now);
  // Before connected(): starts from such bytes. The step holds the snapshot when it is complete.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ── The server ───────────────────────────────────────────────────────────────────────────────────

// What one proxy has told us about one type.
struct TypeStatus {
  ResourceType type = ResourceType::cluster;
  bool subscribed = false;
  std::size_t names = 0;     // resources asked for by name; 0 for all
  std::string sent;          // version_info of the last response
  std::string acknowledged;  // version_info that the proxy speaks; empty: none yet
  std::string refusal;       // the NACK's reason; empty when the last answer was an ACK
};

class AdsServer {
 public:
  explicit AdsServer(std::shared_ptr<Encodings> encodings = std::make_shared<Encodings>());
  // Streams that are told the same share `encodings`.
  ~AdsServer();
  AdsServer(AdsServer&&) noexcept;
  AdsServer& operator=(AdsServer&&) noexcept;

  [[nodiscard]] Result<Messages> received(std::string_view message);
  // A DiscoveryRequest; gives the messages to send. A fault means that this is none, that the first
  // one carries no node, or that it is over one of the limits below: end the stream with
  // INVALID_ARGUMENT.
  static constexpr std::size_t most_names = 100'000;        // resources asked for, of one type
  static constexpr std::size_t largest_node = 256 * 1024;   // bytes of the node's message
  static constexpr std::size_t longest_refusal = 4 * 1024;  // bytes kept of a NACK's reason

  [[nodiscard]] Messages publish(config::SnapshotPointer snapshot);
  // What this proxy should speak from now on; gives the messages to send. Only types that changed
  // are pushed, in the order CDS, EDS, LDS, RDS, each when the one before is answered, so that
  // nothing points at what is not there; only endpoints that were asked for do not wait, since a
  // real Envoy answers for its clusters when it has them. A cluster that goes away is taken out
  // last.
  // version_info is the snapshot's version of that type where it has one, else its world; it
  // changes only when the type's resources do.

  [[nodiscard]] const std::optional<Node>& node() const;
  // Known once the first request came. Good as long as *this.

  [[nodiscard]] std::array<TypeStatus, 4> status() const;
  [[nodiscard]] const std::string& acknowledged_world() const;
  // The newest world of which the proxy has acknowledged everything that it asked for; empty: none.
  [[nodiscard]] bool settled() const;
  // The published snapshot is acknowledged in full: nothing is on its way, nothing was refused.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::xds
