// The node's agent: takes worlds, keeps the kernel's rules and DNS after them, and tells how far it
// is. Where worlds come from is its owner's business.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/gate.h"
#include "dns/zone.h"
#include "http/io/server.h"
#include "mesh/world.h"
#include "net/descriptors.h"
#include "net/loop.h"
#include "node/dns_server.h"
#include "node/kernel_rules.h"
#include "node/sockets.h"

namespace fairlead::node {

struct AgentOptions {
  Self self;
  std::string status_socket;  // empty: none
  bool rules = true;          // false: DNS alone, the kernel is left as it is
  bool closed = false;        // nothing leads out of the cluster: names outside do not exist
  Sockets sockets;            // that were passed on; empty: the agent opens its own
};

struct Status {
  std::string node;
  std::string world;                // the newest that was given
  std::string applied;              // the one that kernel and DNS speak
  std::string error;                // why `applied` is behind; empty when all is well
  std::vector<std::string> broken;  // files whose last good version is in force
  std::size_t services = 0;
  std::uint64_t changes = 0;   // transactions
  std::uint64_t restored = 0;  // times that somebody else's change was undone
  double last_change_ms = 0;   // how long the last one took, from world to kernel
  std::vector<std::string> dns;
  DnsCounts queries;
  net::DescriptorState descriptors;
};

[[nodiscard]] std::string to_json(const Status& status);
// {"node":"n1","world":"42","applied":"42","error":"","broken":[],"services":7,"changes":3,
//  "restored":0,"last_change_ms":0.4,"dns":{"addresses":["10.96.0.10:53"],"udp":1,"tcp":0,
//  "denied":0,"truncated":0,"failed":0,"lost":0,"dropped":0,"connections":0,"refused":0,
//  "evicted":0},"accepting_paused":false,"accepting_pauses":0}

class Agent {
 public:
  static Result<std::unique_ptr<Agent>> start(net::Loop& loop, AgentOptions options);
  // In the network namespace of the calling thread. No query is read before the first world: it
  // waits in the kernel. Fault: an address in use; sockets were passed on, and one is missing.
  // The status socket answers GET /status (JSON), /ready (200 once a world is applied, else 503)
  // and /services (text, see services_view.h).

  void set_world(const mesh::WorldPointer& world);  // never null
  void set_broken(std::vector<std::string> broken);

  [[nodiscard]] Status status() const;
  [[nodiscard]] const std::vector<SocketAddress>& dns_addresses() const LIFETIMEBOUND {
    return dns_.addresses();
  }

  [[nodiscard]] Task<> close();
  // Stops answering. The rules stay in the kernel, as kube-proxy's do: connections go on while an
  // agent is replaced. remove_rules() takes them out.

 private:
  Agent(net::Loop& loop, AgentOptions options);
  Result<> open();
  Result<> open_dns();
  Result<> open_status();
  void apply_rules();
  Task<> keep_watch();
  Task<http::Response> answer(http::Request& request);

  net::Loop& loop_;
  AgentOptions options_;
  SeededRandom chance_;
  dns::Zone zone_;
  mesh::WorldPointer world_;    // the newest
  mesh::WorldPointer applied_;  // by kernel and DNS
  std::string error_;
  std::vector<std::string> broken_;
  std::uint64_t changes_ = 0;
  std::uint64_t restored_ = 0;
  double last_change_ms_ = 0;
  std::optional<KernelRules> rules_;
  DnsServer dns_;
  http::Server server_;
  Gate gate_;
};

}  // namespace fairlead::node
