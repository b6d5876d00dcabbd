// fairlead node: names and service addresses on one node. Runs the agent, or tells and removes what
// it left in the kernel.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/near.h"
#include "cli/commands.h"
#include "http/io/client.h"
#include "lab/paths.h"
#include "net/give_back.h"
#include "net/loop.h"
#include "net/passed.h"
#include "net/signals.h"
#include "nft/apply.h"
#include "node/agent.h"
#include "node/hold.h"
#include "node/services_view.h"
#include "registry/edit.h"
#include "registry/worlds.h"

namespace fairlead::cli {
namespace {

constexpr int failed = 1;
constexpr const char* hold_sockets_flag = "--hold-sockets";

struct Options {
  std::string action = "run";
  std::string name;  // the node's; of `services`, the lab's
  std::string node;
  std::vector<std::string> files;
  std::vector<std::string> dns;
  std::string status_socket;
  std::string log_level = "info";
  bool no_rules = false;
  bool closed = false;
  bool hold_sockets = false;
  Arguments arguments;  // as they were given
};

int complain(const Fault& fault, int status = failed) {
  std::fprintf(stderr, "fairlead node: %s\n", fault.describe().c_str());
  return status;
}

// ── the agent ───────────────────────────────────────────────────────────────────────────────────

Task<Result<>> run_agent(net::Loop& loop, const Options& flags, node::AgentOptions options) {
  Result<std::unique_ptr<net::Signals>> signals =
      net::Signals::watch(loop, {SIGTERM, SIGINT, SIGHUP});
  if (!signals) co_return std::move(signals).fault();
  Result<std::unique_ptr<node::Agent>> started = node::Agent::start(loop, std::move(options));
  if (!started) co_return std::move(started).fault();
  node::Agent& agent = **started;

  std::unique_ptr<registry::Worlds> worlds;
  mesh::WorldPointer given;
  const auto hand_over = [&agent, &worlds, &given] {
    agent.set_broken(worlds->broken());
    if (const auto removed = worlds->take_removed(); !removed.empty()) {
      log::info(registry::describe_removed(removed));
    }
    for (const std::string& broken : worlds->broken()) log::warning(broken);
    if (worlds->world() == nullptr || worlds->world() == given) return;
    given = worlds->world();
    agent.set_world(given);
  };
  Result<std::unique_ptr<registry::Worlds>> watched =
      registry::Worlds::watch(loop, flags.files, hand_over);
  if (!watched) {
    co_await agent.close();
    co_return std::move(watched).fault();
  }
  worlds = std::move(*watched);
  hand_over();

  while (true) {
    const Result<int> signal = co_await (*signals)->next();
    if (!signal || *signal != SIGHUP) break;
  }
  log::info("ending; the rules stay in the kernel (`fairlead node remove` takes them out)");
  worlds.reset();
  co_await agent.close();
  co_return done();
}

Result<std::vector<SocketAddress>> dns_addresses(const Options& flags) {
  std::vector<SocketAddress> addresses;
  for (const std::string& text : flags.dns) {
    const Result<SocketAddress> address = SocketAddress::parse(text);
    if (!address) return address.fault();
    addresses.push_back(*address);
  }
  return addresses;
}

// The parent of the agent: the same command without the flag that says so.
int hold(const Options& flags, const std::vector<SocketAddress>& dns) {
  const Result<node::Sockets> sockets = node::open_sockets(dns, flags.status_socket);
  if (!sockets) return complain(sockets.fault());
  std::vector<std::string> words{"fairlead", "node"};
  for (const std::string& argument : flags.arguments) {
    if (argument != hold_sockets_flag) words.push_back(argument);
  }
  const int status = node::hold(*sockets, words);
  if (!flags.status_socket.empty()) ::unlink(flags.status_socket.c_str());
  return status;
}

int run(const Options& flags) {
  log::Level level = log::Level::info;
  if (!log::level_from(flags.log_level, level)) {
    return complain(invalid("'" + flags.log_level + "' is no log level"), wrong_use);
  }
  log::set_source("node");
  log::set_level(level);
  Result<std::vector<SocketAddress>> dns = dns_addresses(flags);
  if (!dns) return complain(dns.fault(), wrong_use);
  if (Result<> there = check_files_exist(flags.files); !there) {
    return complain(there.fault(), wrong_use);
  }
  if (flags.hold_sockets) return hold(flags, *dns);
  node::AgentOptions options{.self = {.node = flags.name, .dns = std::move(*dns)},
                             .status_socket = flags.status_socket,
                             .rules = !flags.no_rules,
                             .closed = flags.closed};
  Result<node::Sockets> passed = net::take_passed();
  if (!passed) return complain(passed.fault(), wrong_use);
  options.sockets = std::move(*passed);
  take_all_descriptors();
  net::Loop loop;
  const net::GiveBack give_back(loop);
  const Result<> ended = loop.run(run_agent(loop, flags, std::move(options)));
  return ended ? 0 : complain(ended.fault());
}

// ── what is in the kernel ───────────────────────────────────────────────────────────────────────

Result<std::string> ask_lab(const Options& flags) {
  const Result<lab::Found> found = lab::find_lab(flags.name);
  if (!found) return found.fault();
  const std::vector<lab::MachineRecord>& nodes = found->record.nodes;
  const bool known = std::any_of(nodes.begin(), nodes.end(),
                                 [&](const auto& node) { return node.name == flags.node; });
  if (!known) {
    std::vector<std::string> names;
    names.reserve(nodes.size());
    for (const auto& node : nodes) names.push_back(node.name);
    return missing(fmt::format("the lab {} has no node '{}'{}", found->paths.name, flags.node,
                               did_you_mean(flags.node, names)));
  }
  net::Loop loop;
  const http::Endpoint at(found->paths.node_socket(flags.node));
  const Result<http::Answer> answer =
      loop.run(http::fetch(loop, at, {.path = "/services", .authority = "node"}));
  if (!answer) return answer.fault();
  if (answer->head.status != 200) return invalid(answer->body);
  return answer->body;
}

Result<std::string> ask_kernel() {
  Result<nft::Kernel> kernel = nft::Kernel::open();
  if (!kernel) return std::move(kernel).fault();
  return node::show_services(*kernel);
}

int services(const Options& flags) {
  const bool in_lab = !flags.name.empty() || !flags.node.empty();
  if (in_lab && flags.node.empty()) {
    return complain(invalid("which node of the lab? --node NODE says it"), wrong_use);
  }
  const Result<std::string> shown = in_lab ? ask_lab(flags) : ask_kernel();
  if (!shown) {
    const bool unknown = shown.fault().kind == FaultKind::missing;
    return complain(shown.fault(), unknown ? wrong_use : failed);
  }
  std::fputs(shown->c_str(), stdout);
  return 0;
}

int remove() {
  Result<nft::Kernel> kernel = nft::Kernel::open();
  if (!kernel) return complain(kernel.fault());
  if (Result<> removed = node::remove_rules(*kernel); !removed) return complain(removed.fault());
  std::puts("no service address is translated here any more");
  return 0;
}

int act(const Options& flags) {
  if (flags.action == "services") return services(flags);
  if (flags.action == "remove") return remove();
  if (flags.name.empty() || flags.files.empty()) {
    return complain(invalid("--name NODE and --files PATH... are needed"), wrong_use);
  }
  return run(flags);
}

void add_options(CLI::App& app, Options& flags) {
  app.add_option("--name", flags.name, "this node's name, as in its Node object");
  app.add_option("--files", flags.files, "manifests, or what a lab wrote: files and directories");
  app.add_option("--dns-address", flags.dns,
                 "answer DNS here, 10.96.0.10:53 or [fd00:10:96::a]:53; may be given again");
  app.add_option("--status-socket", flags.status_socket,
                 "tell the state here, by HTTP: /status, /ready, /services");
  app.add_option("-l,--log-level", flags.log_level, "trace, debug, info, warning, error, off");
  app.add_flag("--closed", flags.closed,
               "nothing leads out of the cluster: DNS says of names outside that they do not exist "
               "(NXDOMAIN), instead of refusing the question");
  app.add_flag("--no-rules", flags.no_rules, "DNS alone: leave the kernel's rules as they are");
  app.add_flag(hold_sockets_flag, flags.hold_sockets,
               "as the first process of a container: open the sockets, run the agent, and start it "
               "again when it is killed; queries wait meanwhile instead of being lost");
  CLI::App* shows = app.add_subcommand(
      "services", "print the kernel's service addresses: of this namespace, or of a lab's node");
  shows->add_option("--name", flags.name, "the lab; without it the only one there is");
  shows->add_option("--node", flags.node, "which of its nodes");
  shows->callback([&flags] { flags.action = "services"; });
  CLI::App* removes =
      app.add_subcommand("remove", "take the rules out of this namespace's kernel tables");
  removes->callback([&flags] { flags.action = "remove"; });
  app.require_subcommand(0, 1);
}

}  // namespace

int run_node(const Arguments& arguments) {
  CLI::App app(
      "Answers DNS for services and takes their addresses to pods, on one node. SIGTERM ends it "
      "and leaves the rules, so that connections go on; `remove` takes them out.",
      "fairlead node");
  Options flags{.arguments = arguments};
  add_options(app, flags);
  if (const auto status = ended_by_arguments(app, arguments)) return *status;
  return act(flags);
}

}  // namespace fairlead::cli
