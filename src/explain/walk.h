// Follows a call from its sender to every app that may get it. Pure, and of this room alone.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/route.h"
#include "dns/message.h"
#include "dns/zone.h"
#include "explain/path.h"
#include "http/message.h"
#include "nft/trace.h"
#include "proxy/decide/filter_chain.h"

namespace fairlead::explain {

// One way to the end, with its share of all requests.
struct Leaf {
  double share = 1;
  std::vector<Hop> hops;
  std::string workload;
  std::string address;
  std::string failure;
  std::string condition;
  std::string unknown;
  std::string client;
  std::optional<Family> family;
  Met met;
};

inline constexpr std::uint32_t proxy_user = 1337;
inline constexpr std::uint16_t some_port = 40000;  // of a connection that does not exist yet
inline constexpr int most_proxies = 6;

[[nodiscard]] IpAddress loopback(Family family);
// Where a redirected connection arrives that begins in the same namespace.
[[nodiscard]] std::vector<KernelRule> rules_behind(const nft::Ruleset& rules,
                                                   const nft::Trace& trace);
// The rule that decided its fate, and before it the one that led there. A policy, when none did.
[[nodiscard]] bool holds(const std::vector<IpAddress>& addresses, const IpAddress& address);
[[nodiscard]] std::string pod_of(const mesh::Workload& workload);    // "default/reviews-v1-5d8f6"
[[nodiscard]] std::string proxy_of(const mesh::Workload& workload);  // "..., its proxy"

class Walk {
 public:
  Walk(Model& model, const Call& call);
  std::vector<Leaf> from_the_caller();
  [[nodiscard]] bool http() const { return http_; }
  [[nodiscard]] const std::vector<std::string>& notes() const LIFETIMEBOUND { return notes_; }

 private:
  // How far a request has come.
  struct Way {
    std::vector<Hop> hops;
    double share = 1;
    std::string client;
    std::optional<Family> family;
    bool by_http = false;  // a proxy that speaks HTTP has it: what fails behind is an answer
    bool by_tcp = false;   // a proxy has accepted it as TCP: what fails behind closes it
  };
  // A proxy that holds the connection.
  struct AtProxy {
    const mesh::Workload* workload = nullptr;
    const config::Snapshot* snapshot = nullptr;
    const config::Listener* listener = nullptr;
    SocketAddress source;   // the connection's
    SocketAddress dialled;  // before capture
    bool http = false;      // its filter chain speaks HTTP
    [[nodiscard]] bool inbound() const { return listener->direction == config::Direction::inbound; }
  };

  Hop& add(Way& way, Stage stage, std::string place, std::string says) const;
  static Leaf leaf_of(Way way);
  void fail(Way way, const Met& met, std::string failure);
  void end(Way way, const mesh::Workload* workload, const SocketAddress& address);
  void end_refused(Way way, const mesh::Workload* workload, const SocketAddress& address,
                   std::string failure);
  void end_unknown(Way way, const SocketAddress& address, std::string unknown);
  void end_if(Way way, const mesh::Workload* workload, const SocketAddress& address,
              std::string condition);
  void note(std::string text);

  // Names: walk_name.cc.
  void resolve(Way way);
  void take_as_address(Way way, const IpAddress& address);
  bool ask(Hop& hop, const std::string& candidate, std::vector<IpAddress>& found,
           std::vector<dns::Reason>& reasons);
  [[nodiscard]] std::string likely_cause(const Hop& hop,
                                         const std::vector<dns::Reason>& reasons) const;
  [[nodiscard]] std::vector<std::string> names_to_ask() const;
  bool ask_nobody_of_the_cluster(Way& way);
  void found_as(Way way, const std::vector<IpAddress>& found);
  std::string why_no_name(const std::string& first_reason) const;
  [[nodiscard]] std::vector<IpAddress> own_addresses() const;
  void dial_in_order(const Way& way, const std::vector<Family>& families,
                     const std::vector<IpAddress>& addresses);
  bool dial_each(const Way& way, const std::vector<IpAddress>& addresses, bool others_follow);
  [[nodiscard]] bool refused_since(std::size_t leaf) const;

  // Kernels: walk_kernel.cc.
  void dial(Way way, const IpAddress& address);
  void leave(Way way, const SocketAddress& to, bool by_proxy, const mesh::Workload* sender);
  void through_node(Way way, const mesh::Node& node, const nft::Packet& packet, bool by_proxy);
  void translated(const Way& way, const nft::Ruleset& rules, const nft::Trace& trace,
                  const nft::Packet& packet);
  void refused_by_node(Way way, const SocketAddress& to, Ending met);

  // The far end: walk_arrival.cc.
  void arrive(Way way, const SocketAddress& to, const SocketAddress& source);
  void arrive_beside(Way way, const mesh::Workload& sender, const SocketAddress& to);
  [[nodiscard]] std::string why_unheard(const std::string& place, const SocketAddress& at) const;
  void reach_node(Way way, const mesh::Node& node, const SocketAddress& to);
  [[nodiscard]] bool out_of_reach(const IpAddress& address) const;
  void arrive_nowhere(Way way, const SocketAddress& to);
  // Each: false when `to` is no such address; else `way` has ended there.
  bool arrive_at_node(Way& way, const SocketAddress& to);
  bool arrive_at_ended_pod(Way& way, const SocketAddress& to);
  bool arrive_among_pods(Way& way, const SocketAddress& to);
  bool arrive_at_name_server(Way& way, const SocketAddress& to);
  bool arrive_at_stranger(Way& way, const SocketAddress& to);
  void reach_app(Way way, const mesh::Workload& workload, const SocketAddress& at);
  bool reach_proxy_itself(Way& way, const mesh::Workload& workload, const SocketAddress& at);

  // Proxies: walk_proxy.cc.
  void enter_proxy(Way way, const mesh::Workload& workload, std::uint16_t capture_port,
                   const SocketAddress& source, const SocketAddress& dialled);
  void choose_chain(Way way, AtProxy at);
  void route(Way way, const AtProxy& at, const config::HttpConnectionManager& manager);
  void forward(const Way& way, const AtProxy& at,
               const std::vector<config::WeightedCluster>& clusters);
  void to_cluster(Way way, const AtProxy& at, const std::string& name);
  void to_endpoints(Way way, const AtProxy& at, const config::Cluster& cluster,
                    const config::ClusterLoadAssignment& endpoints);
  void to_dialled(Way way, const AtProxy& at, const config::Cluster& cluster);
  void deliver(Way way, const AtProxy& at, const config::Cluster& cluster);
  void send_out(Way way, const AtProxy& at, const SocketAddress& to);

  [[nodiscard]] IpAddress address_of(const mesh::Workload* workload, Family family) const;
  [[nodiscard]] std::string name_at(const SocketAddress& address) const;
  // "namespace/name" of the workload there; empty when there is none.
  [[nodiscard]] std::string with_name(const SocketAddress& address) const;
  [[nodiscard]] const mesh::Node* node_of(const mesh::Workload* sender) const;

  Model& model_;
  const Call& call_;
  const mesh::World& world_;
  bool http_;
  int depth_ = 0;  // of proxies, so that a circle ends
  std::vector<Leaf> leaves_;
  std::vector<std::string> notes_;
};

}  // namespace fairlead::explain
