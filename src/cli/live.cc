#include "cli/live.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "dns/query.h"
#include "explain/endpoints.h"
#include "explain/model.h"
#include "intercept/rules.h"
#include "lab/ipc.h"
#include "node/plan/services.h"
#include "witness/access_log.h"
#include "witness/gather.h"
#include "witness/order.h"

namespace fairlead::cli {
namespace {

// ── a witness in one place ──────────────────────────────────────────────────────────────────────

Result<std::string> all_of(const Descriptor& pipe) {
  std::string text;
  std::array<char, 65536> piece{};
  while (true) {
    const ssize_t got = ::read(pipe.number(), piece.data(), piece.size());
    if (got == 0) return text;
    if (got > 0) text.append(piece.data(), static_cast<std::size_t>(got));
    if (got < 0 && errno != EINTR) return from_errno(errno, "reading what the witness says");
  }
}

Result<explain::Evidence> ask(const lab::Paths& paths, const std::string& target,
                              const witness::Order& order) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return from_errno(errno, "making a pipe");
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const Descriptor nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const lab::Line request{{"command", "exec"},
                          {"target", target},
                          {"bare", true},
                          {"words", {"fairlead", "witness", witness::order_json(order)}}};
  const std::array<int, 3> streams{nothing.number(), writing.number(), nothing.number()};
  Result<Descriptor> asked = lab::call(paths, request, streams);
  if (!asked) return std::move(asked).fault();
  writing.close();  // so that the end is seen when the witness is done
  Result<std::string> said = all_of(reading);
  if (!said) return std::move(said).fault();
  Result<lab::Line> answer = lab::last_line(*asked, [](const std::string&) {});
  if (!answer) return std::move(answer).fault().during("looking in " + target);
  Result<explain::Evidence> evidence = explain::evidence_from_json(*said);
  if (!evidence) return std::move(evidence).fault().during("looking in " + target);
  return evidence;
}

template <class T>
void append(std::vector<T>& all, std::vector<T> more) {
  std::move(more.begin(), more.end(), std::back_inserter(all));
}

void join(explain::Evidence& all, explain::Evidence more) {
  append(all.names, std::move(more.names));
  if (more.exchange) all.exchange = std::move(more.exchange);
  append(all.connections, std::move(more.connections));
  append(all.records, std::move(more.records));
  append(all.counts, std::move(more.counts));
  append(all.worlds, std::move(more.worlds));
  append(all.listening, std::move(more.listening));
  append(all.asked, std::move(more.asked));
  append(all.trouble, std::move(more.trouble));
}

// ── what to ask ─────────────────────────────────────────────────────────────────────────────────

std::string fresh_id() {
  SeededRandom random(seed_from_system());
  const std::uint64_t high = random.next();
  const std::uint64_t low = random.next();
  return fmt::format("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", high >> 32U, (high >> 16U) & 0xFFFFU,
                     high & 0xFFFU, (low >> 48U) & 0xFFFU, low & 0xFFFFFFFFFFFFU);
}

bool keeps_records(const mesh::Workload* workload) {
  return workload && workload->sidecar == mesh::Sidecar::fairlead;
}

// ── a real Envoy's access log ───────────────────────────────────────────────────────────────────

constexpr std::chrono::milliseconds log_patience{3000};  // it is written some time after the answer
constexpr std::chrono::milliseconds log_pause{20};
constexpr std::streamoff most_log = std::streamoff{1} << 20U;

Result<std::string> end_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return from_errno(errno, "reading " + path);
  file.seekg(std::max(std::streamoff{0}, static_cast<std::streamoff>(file.tellg()) - most_log));
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

// An Envoy keeps no records: what its access log says of this request takes their place.
void read_access_log(const lab::Found& lab, const mesh::Workload& workload, const std::string& id,
                     const std::vector<SocketAddress>& sources, explain::Evidence& evidence) {
  const std::string proxy = workload.name_space + '/' + workload.name;
  const std::string path = lab.paths.log_of(workload.name_space, workload.name, "istio-proxy");
  const auto until = std::chrono::steady_clock::now() + log_patience;
  while (true) {
    const Result<std::string> log = end_of_file(path);
    if (!log) {
      evidence.trouble.push_back(
          fmt::format("the access log of {}'s proxy: {}", proxy, log.fault().describe()));
      return;
    }
    std::vector<explain::ProxyRecord> records = witness::records_from_access_log(
        *log, proxy, [&](const explain::ProxyRecord& record, std::string_view of) {
          if (!id.empty()) return of == id;
          // TCP has no id: it is known by its client's end.
          return std::find(sources.begin(), sources.end(), record.downstream_remote) !=
                 sources.end();
        });
    if (!records.empty() || std::chrono::steady_clock::now() >= until) {
      return append(evidence.records, std::move(records));
    }
    std::this_thread::sleep_for(log_pause);
  }
}

bool is_envoy(const mesh::Workload* workload) {
  return workload && workload->sidecar == mesh::Sidecar::envoy;
}

std::vector<std::string> capture_tables(const mesh::Workload* workload) {
  if (!workload || workload->sidecar == mesh::Sidecar::none) return {};
  return {intercept::table_name};
}

// Of the name, as most clients try them.
std::vector<std::string> addresses_in_order(const explain::Path& path) {
  std::vector<std::string> addresses;
  for (const explain::Hop& hop : path.hops) {
    if (hop.stage != explain::Stage::name) continue;
    for (const explain::Choice& choice : hop.choices) addresses.push_back(choice.address);
  }
  return addresses;
}

witness::Request request_of(const explain::Call& call, const explain::Path& path,
                            const mesh::World& world) {
  const mesh::RunsAs user = call.from.workload ? call.from.workload->runs_as : mesh::RunsAs();
  witness::Request request{.http = path.scheme == "http",
                           .host = call.to.host,
                           .port = call.to.port,
                           .head = call.method == "HEAD",
                           .id = fresh_id(),
                           .uid = user.user,
                           .gid = user.group};
  request.text = explain::request_text(call, request.id);
  if (const Result<IpAddress> literal = IpAddress::parse(call.to.host); literal) {
    // What Linux takes it for, so that conntrack's entry is known again.
    if (literal->is_unspecified()) request.addresses = {literal->is_v4() ? "127.0.0.1" : "::1"};
    return request;
  }
  if (!explain::in_hosts_file(call.from, call.to.host).empty()) {
    request.addresses = addresses_in_order(path);
    return request;
  }
  if (call.from.workload == nullptr && call.node_resolver) {
    // As its own resolv.conf says, which the witness reads in that place.
    request.names =
        dns::candidates(call.to.host, call.node_resolver->search, call.node_resolver->ndots);
  } else {
    request.names =
        dns::candidates(call.to.host, dns::search_path(call.from.name_space(), world.domain));
    for (const SocketAddress& server : explain::cluster_dns()) {
      request.servers.push_back(server.text());
    }
  }
  const std::vector<std::string> predicted = addresses_in_order(path);
  request.prefer_v6 = !predicted.empty() && predicted.front().find(':') != std::string::npos;
  return request;
}

// The nodes whose rules the path meets.
std::vector<std::string> nodes_of(const explain::Path& path) {
  std::vector<std::string> nodes;
  const auto look = [&](const std::vector<explain::Hop>& hops) {
    for (const explain::Hop& hop : hops) {
      if (hop.stage != explain::Stage::kernel) continue;
      std::string node = hop.place.substr(hop.place.find(' ') + 1);
      if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) {
        nodes.push_back(std::move(node));
      }
    }
  };
  look(path.hops);
  for (const explain::Branch& branch : path.branches) look(branch.hops);
  return nodes;
}

// ── who answered ────────────────────────────────────────────────────────────────────────────────

// The connection that left the caller's pod, as a node tracks it.
const explain::TrackedConnection* through_a_node(const explain::Evidence& evidence,
                                                 const SocketAddress& source,
                                                 const mesh::World& world) {
  for (const explain::TrackedConnection& connection : evidence.connections) {
    const bool by_node = mesh::find_node(world, connection.where) != nullptr;
    if (by_node && connection.source == source) return &connection;
  }
  return nullptr;
}

const explain::TrackedConnection* through_a_node(const explain::Evidence& evidence,
                                                 const mesh::World& world) {
  for (const explain::ProxyRecord& record : evidence.records) {
    if (record.direction == "outbound" && record.upstream_local) {
      return through_a_node(evidence, *record.upstream_local, world);
    }
  }
  return evidence.exchange ? through_a_node(evidence, evidence.exchange->local, world) : nullptr;
}

const mesh::Workload* workload_reached(const explain::Evidence& evidence, const explain::Path& path,
                                       const mesh::World& world) {
  if (const explain::TrackedConnection* connection = through_a_node(evidence, world)) {
    return explain::workload_at(world, connection->reply_source);
  }
  for (const explain::ProxyRecord& record : evidence.records) {
    if (record.direction == "outbound" && record.upstream_remote) {
      return explain::workload_at(world, *record.upstream_remote);
    }
  }
  if (path.branches.size() != 1) return nullptr;
  const auto address = SocketAddress::parse(path.branches.front().address);
  return address ? explain::workload_at(world, *address) : nullptr;
}

// Of all connections on the way; a node may have given one another source.
std::vector<SocketAddress> client_ends(const explain::Evidence& evidence,
                                       const mesh::World& world) {
  std::vector<SocketAddress> ends;
  if (const explain::TrackedConnection* connection = through_a_node(evidence, world)) {
    ends.push_back(connection->reply_destination);
  }
  if (evidence.exchange) ends.push_back(evidence.exchange->local);
  for (const explain::ProxyRecord& record : evidence.records) {
    if (record.upstream_local) ends.push_back(*record.upstream_local);
  }
  return ends;
}

void look_in(const lab::Found& lab, const witness::Order& order, explain::Evidence& evidence) {
  Result<explain::Evidence> seen = ask(lab.paths, order.where, order);
  if (seen) {
    join(evidence, std::move(*seen));
  } else {
    evidence.trouble.push_back(seen.fault().describe());
  }
}

// Counters of nodes are read on both sides of the request.
void put_earlier(const std::vector<explain::Count>& before, std::vector<explain::Count>& after) {
  for (explain::Count& count : after) {
    for (const explain::Count& earlier : before) {
      if (earlier.where == count.where && earlier.table == count.table &&
          earlier.place == count.place && earlier.rule == count.rule && earlier.key == count.key) {
        count.before = earlier.after;
      }
    }
  }
}

constexpr std::size_t most_places_looked_at = 16;  // each takes a process of its own

// From when on a record may be of what is sent now. A proxy's clock may lag by a moment.
std::uint64_t a_moment_ago() {
  using std::chrono::microseconds;
  constexpr std::chrono::seconds moment{1};
  const auto then = std::chrono::system_clock::now() - moment;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<microseconds>(then.time_since_epoch()).count());
}

}  // namespace

std::vector<explain::LookedAt> look_at_listening(const lab::Found& lab, const explain::Path& path,
                                                 std::vector<std::string>& trouble) {
  std::vector<std::string> places = explain::places_to_look_at(path);
  places.resize(std::min(places.size(), most_places_looked_at));
  explain::Evidence evidence;
  for (const std::string& place : places) {
    look_in(lab, {.where = place, .listening = true}, evidence);
  }
  for (std::string& each : evidence.trouble) trouble.push_back(std::move(each));
  return std::move(evidence.listening);
}

Result<explain::Evidence> gather_evidence(const lab::Found& lab, const explain::Call& call,
                                          const explain::Path& path, const mesh::World& world) {
  const std::vector<std::string> nodes = nodes_of(path);
  explain::Evidence earlier;
  for (const std::string& node : nodes) {
    look_in(lab, {.where = node, .tables = {node::services_table}}, earlier);
  }

  const mesh::Workload* from = call.from.workload;
  witness::Order order{.where = path.from,
                       .request = request_of(call, path, world),
                       .proxy = keeps_records(from),
                       .since = a_moment_ago()};
  if (order.request->http) order.id = order.request->id;
  order.tables = capture_tables(from);
  Result<explain::Evidence> sent = ask(lab.paths, path.from, order);
  if (!sent) return std::move(sent).fault();
  explain::Evidence evidence = std::move(*sent);
  if (is_envoy(from) && evidence.exchange) {
    read_access_log(lab, *from, order.id, {evidence.exchange->local}, evidence);
    std::vector<SocketAddress> onward;
    for (const explain::ProxyRecord& record : evidence.records) {
      if (record.upstream_local) onward.push_back(*record.upstream_local);
    }
    if (!onward.empty()) {
      look_in(lab, {.where = path.from, .sources = std::move(onward)}, evidence);
    }
  }

  for (const std::string& node : nodes) {
    look_in(
        lab,
        {.where = node, .sources = client_ends(evidence, world), .tables = {node::services_table}},
        evidence);
    evidence.worlds.push_back(witness::node_status(node, lab.paths.node_socket(node)));
  }
  put_earlier(earlier.counts, evidence.counts);

  const mesh::Workload* reached = workload_reached(evidence, path, world);
  const bool came_back = reached == from && through_a_node(evidence, world) != nullptr;
  if (reached && (reached != from || came_back)) {
    look_in(lab,
            {.where = reached->name_space + '/' + reached->name,
             .proxy = keeps_records(reached),
             .id = order.id,
             .sources = client_ends(evidence, world),
             .since = order.since,
             .tables = came_back ? std::vector<std::string>() : capture_tables(reached)},
            evidence);
    if (is_envoy(reached)) {
      read_access_log(lab, *reached, order.id, client_ends(evidence, world), evidence);
    }
  }
  return evidence;
}

}  // namespace fairlead::cli
