// Which route takes this request. Pure: no socket, no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "config/route.h"
#include "http/message.h"
#include "proxy/decide/refusal.h"
#include "proxy/decide/retry.h"
#include "proxy/decide/text_match.h"

namespace fairlead::proxy {

// A route, made ready.
struct Rule {
  const config::VirtualHost* host = nullptr;  // never null
  const config::Route* route = nullptr;       // never null; route->origin names the resource
  RetryRules retry;                           // the route's, else its virtual host's, else none
  Pattern rewritten;                          // what regex_rewrite replaces; null without one
  bool changes_request = false;               // rewrite_request() would do something
  bool changes_response = false;
  const config::Closed* closed = nullptr;  // of the route, its virtual host or all routes
};

// A RouteConfiguration made ready: domains in tries, patterns compiled. Immutable; may be used by
// many threads.
class RouteTable {
 public:
  static Result<std::shared_ptr<const RouteTable>> make(
      std::shared_ptr<const config::RouteConfiguration> routes);
  // A fault names the virtual host and route whose pattern RE2 refuses, or a domain that stands
  // twice.
  ~RouteTable();
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  [[nodiscard]] const config::RouteConfiguration& routes() const LIFETIMEBOUND { return *routes_; }

  struct State;
  [[nodiscard]] const State& state() const LIFETIMEBOUND { return *state_; }

 private:
  RouteTable();
  std::shared_ptr<const config::RouteConfiguration> routes_;
  std::unique_ptr<const State> state_;
};

[[nodiscard]] const Rule* match(const RouteTable& table LIFETIMEBOUND,
                                const http::RequestHead& head, Refusals* refused = nullptr);
// The virtual host: exact domain, then longest "*.suffix", then longest "prefix.*", then "*". In
// it the first route, in the order the operator wrote them, that accepts `head`; null if none does.
// Good as long as `table`. With `refused`, also why each virtual host and each earlier route said
// no. The path is compared as it is in `head`, without its query: normalise it before.

[[nodiscard]] const config::VirtualHost* match_host(const RouteTable& table LIFETIMEBOUND,
                                                    std::string_view authority);

[[nodiscard]] const config::WeightedCluster& choose_cluster(
    const std::vector<config::WeightedCluster>& clusters LIFETIMEBOUND, Random& random);
// By weight; `clusters` is not empty. Weights that are all 0: the first.

struct ClusterShare {
  const config::WeightedCluster* cluster = nullptr;
  double share = 0;  // of 1
};
[[nodiscard]] std::vector<ClusterShare> cluster_shares(
    const std::vector<config::WeightedCluster>& clusters LIFETIMEBOUND);
// How often choose_cluster() takes each; those that it never takes are not listed.

}  // namespace fairlead::proxy
