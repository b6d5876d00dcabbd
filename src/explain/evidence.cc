#include "explain/evidence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json_text.h"

namespace fairlead::explain {
namespace {

std::string milliseconds(std::uint64_t microseconds) {
  const double value = static_cast<double>(microseconds) / 1000;
  return value < 10 ? fmt::format("{:.1f} ms", value) : fmt::format("{:.0f} ms", value);
}

std::string age_text(std::uint64_t milliseconds) {
  if (milliseconds < 10000)
    return fmt::format("{:.1f} s", static_cast<double>(milliseconds) / 1000);
  return fmt::format("{} s", milliseconds / 1000);
}

std::string first_line_of(const std::string& body) {
  constexpr std::size_t most = 160;
  std::string line = body.substr(0, body.find_first_of("\r\n"));
  if (line.size() > most) line = line.substr(0, most) + "...";
  return line;
}

std::string header_of(const Exchange& exchange, std::string_view name) {
  for (const auto& [header, value] : exchange.headers) {
    const bool same = header.size() == name.size() &&
                      std::equal(header.begin(), header.end(), name.begin(), [](char a, char b) {
                        return std::tolower(static_cast<unsigned char>(a)) == b;
                      });
    if (same) return value;
  }
  return {};
}

// The sample app and many others tell in their answer which pod they are.
std::string pod_named_in(const Exchange& exchange) {
  const auto json = parse_json(exchange.body);
  if (!json.is_object()) return {};
  const auto pod = json.find("pod");
  return pod != json.end() && pod->is_string() ? pod->get<std::string>() : std::string();
}

std::set<std::string> addresses_in(const NameAnswer& answer) {
  std::set<std::string> addresses;
  for (const IpAddress& address : answer.addresses) addresses.insert(address.text());
  return addresses;
}

std::string listed(const std::set<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, ", "));
}

bool is_trouble(const std::string& flags) {
  return !flags.empty() && flags != "-";
}

// Of "UF,URX".
bool has_flag(const std::string& flags, std::string_view flag) {
  std::size_t at = 0;
  while (at <= flags.size()) {
    const std::size_t end = std::min(flags.find(',', at), flags.size());
    if (std::string_view(flags).substr(at, end - at) == flag) return true;
    at = end + 1;
  }
  return false;
}

bool is_v6(const std::string& address) {
  return address.find(':') != std::string::npos;
}

class EvidenceMatcher {
 public:
  EvidenceMatcher(Path& path, const Evidence& evidence, const mesh::World& world)
      : path_(path), evidence_(evidence), world_(world) {
    client_ = record_of("outbound", path.from);
    if (!client_) client_ = record_of("unspecified", path.from);  // by a listener of its own
    judgement_.predicted = prediction_of(path);
  }

  Judgement run() {
    take_branch();
    for (Hop& hop : path_.hops) lay(hop);
    for (Branch& branch : path_.branches) {
      for (Hop& hop : branch.hops) lay(hop);
    }
    conclude();
    for (const std::string& trouble : evidence_.trouble) {
      path_.notes.push_back("not looked at: " + trouble);
    }
    return judgement_;
  }

 private:
  const ProxyRecord* record_of(std::string_view direction, const std::string& proxy) const {
    const auto found = std::find_if(evidence_.records.rbegin(), evidence_.records.rend(),
                                    [&](const ProxyRecord& record) {
                                      return record.direction == direction && record.proxy == proxy;
                                    });
    return found == evidence_.records.rend() ? nullptr : &*found;
  }

  // ── which of the branches it was ────────────────────────────────────────────────────────────

  // Of all hops on the way, up to where the branches part and on in the first.
  std::vector<const Hop*> way() const {
    std::vector<const Hop*> all;
    all.reserve(path_.hops.size());
    for (const Hop& hop : path_.hops) all.push_back(&hop);
    if (path_.branches.empty()) return all;
    for (const Hop& hop : path_.branches.front().hops) all.push_back(&hop);
    return all;
  }

  bool goes_through_its_proxy() const {
    for (const Hop* hop : way()) {
      if (hop->stage == Stage::listener) return true;
      if (hop->stage == Stage::kernel) return false;
    }
    return false;
  }

  bool passes(Stage stage) const {
    const std::vector<const Hop*> all = way();
    return std::any_of(all.begin(), all.end(), [&](const Hop* hop) { return hop->stage == stage; });
  }

  // A connection's two ends, the client's first.
  struct Ends {
    SocketAddress source;
    SocketAddress destination;
  };

  // Of what left the caller's pod: its proxy's connection, or its own.
  std::optional<Ends> ends_when_sent() const {
    if (client_ && client_->upstream_local && client_->upstream_remote) {
      return Ends{*client_->upstream_local, *client_->upstream_remote};
    }
    if (!evidence_.exchange || goes_through_its_proxy()) return {};
    return Ends{evidence_.exchange->local, evidence_.exchange->peer};
  }

  // The same connection where it arrives: a node may have changed both ends on the way.
  std::optional<Ends> ends_on_arrival() const {
    const std::optional<Ends> sent = ends_when_sent();
    if (!sent) return {};
    for (const TrackedConnection& each : evidence_.connections) {
      const bool by_node = mesh::find_node(world_, each.where) != nullptr;
      if (by_node && each.source == sent->source && each.destination == sent->destination) {
        return Ends{each.reply_destination, each.reply_source};
      }
    }
    return sent;
  }

  std::string address_taken() const {
    const std::optional<Ends> ends = ends_on_arrival();
    const std::string address = client_ && client_->upstream_remote && !client_->upstream_local
                                    ? client_->upstream_remote->text()
                                : ends ? ends->destination.text()
                                       : std::string();
    const bool is_an_end =
        std::any_of(path_.branches.begin(), path_.branches.end(),
                    [&](const Branch& branch) { return branch.address == address; });
    return is_an_end ? address : std::string();
  }

  // Which clients the sender is one of, its address tells.
  void take_clients() {
    if (!evidence_.exchange || evidence_.exchange->peer.port == 0) return;
    const Family dialled = evidence_.exchange->peer.ip.family();
    const bool any = std::any_of(
        path_.branches.begin(), path_.branches.end(),
        [&](const Branch& branch) { return !branch.family || *branch.family == dialled; });
    if (!any) return;
    std::erase_if(path_.branches,
                  [&](const Branch& branch) { return branch.family && *branch.family != dialled; });
  }

  void take_branch() {
    take_clients();
    if (path_.branches.size() > 1) {
      const std::string address = address_taken();
      const std::string pod = evidence_.exchange ? pod_named_in(*evidence_.exchange) : "";
      const auto taken =
          std::find_if(path_.branches.begin(), path_.branches.end(), [&](const Branch& branch) {
            return address.empty() ? !pod.empty() && branch.workload.ends_with('/' + pod)
                                   : branch.address == address;
          });
      if (taken != path_.branches.end()) {
        Branch one = std::move(*taken);
        path_.branches.clear();
        path_.branches.push_back(std::move(one));
      }
    }
    if (path_.branches.size() == 1) server_ = record_of("inbound", path_.branches[0].workload);
  }

  // ── hop by hop ──────────────────────────────────────────────────────────────────────────────

  void say(Hop& hop, Seen::Verdict verdict, std::string text) {
    if (verdict == Seen::Verdict::agrees) ++judgement_.agrees;
    if (verdict == Seen::Verdict::unknown && judgement_.unknown.empty()) {
      judgement_.unknown = fmt::format("{}, {}: {}", name_of(hop.stage), hop.place, text);
    }
    if (verdict == Seen::Verdict::differs) {
      ++judgement_.differs;
      if (judgement_.difference.empty()) {
        judgement_.difference = fmt::format("{}, {}: {}", name_of(hop.stage), hop.place, text);
      }
    }
    hop.seen.push_back({.verdict = verdict, .text = std::move(text)});
  }

  void compare(Hop& hop, std::string_view who, const std::string& seen,
               const std::string& predicted) {
    if (seen.empty()) return;
    if (seen == predicted) return say(hop, Seen::Verdict::agrees, fmt::format("{}: {}", who, seen));
    say(hop, Seen::Verdict::differs, fmt::format("{}: {}; predicted was {}", who, seen, predicted));
  }

  void lay(Hop& hop) {
    switch (hop.stage) {
      case Stage::caller:
        return;
      case Stage::name:
        return lay_name(hop);
      case Stage::capture:
        if (passed_endpoint_) inbound_ = true;
        return lay_capture(hop);
      case Stage::listener:
        return lay_record(hop, &ProxyRecord::listener);
      case Stage::chain:
        return lay_record(hop, &ProxyRecord::filter_chain);
      case Stage::route:
        return lay_record(hop, &ProxyRecord::route);
      case Stage::cluster:
        return lay_record(hop, &ProxyRecord::cluster);
      case Stage::endpoint:
        passed_endpoint_ = true;
        return lay_endpoint(hop);
      case Stage::kernel:
        passed_endpoint_ = true;
        return lay_kernel(hop);
      case Stage::delivery:
        return lay_delivery(hop);
      case Stage::app:
        return lay_app(hop);
    }
  }

  void lay_name(Hop& hop) {
    for (const NameAnswer& answer : evidence_.names) {
      const auto refused =
          std::find_if(hop.refused.begin(), hop.refused.end(),
                       [&](const Refusal& refusal) { return refusal.name == answer.name; });
      if (refused != hop.refused.end()) {
        lay_no_name(hop, answer, refused->why);
      } else {
        lay_addresses(hop, answer);
      }
    }
  }

  static std::string text_of(const NameAnswer& answer) {
    const std::set<std::string> seen = addresses_in(answer);
    return fmt::format("{} says {} for {} {} in {}", answer.server,
                       seen.empty() ? answer.outcome : listed(seen), answer.type, answer.name,
                       milliseconds(answer.microseconds));
  }

  // A name of which nobody was expected to know an address.
  void lay_no_name(Hop& hop, const NameAnswer& answer, const std::string& why) {
    const bool as_told = why.starts_with(answer.outcome) || answer.type != "A";
    if (answer.addresses.empty() && as_told) {
      return say(hop, Seen::Verdict::agrees, text_of(answer));
    }
    say(hop, Seen::Verdict::differs, text_of(answer) + "; predicted was " + why);
  }

  void lay_addresses(Hop& hop, const NameAnswer& answer) {
    std::set<std::string> predicted;
    for (const Choice& choice : hop.choices) {
      if (is_v6(choice.address) == (answer.type == "AAAA")) predicted.insert(choice.address);
    }
    if (predicted.empty() && (answer.addresses.empty() || hop.choices.empty())) {
      return say(hop, Seen::Verdict::shown, text_of(answer));
    }
    if (addresses_in(answer) == predicted) {
      return say(hop, Seen::Verdict::agrees, text_of(answer));
    }
    say(hop, Seen::Verdict::differs,
        text_of(answer) + "; predicted was " +
            (predicted.empty() ? "no address of that family" : listed(predicted)));
  }

  std::string describe(const TrackedConnection& each) const {
    std::string text =
        fmt::format("conntrack: {} to {}", each.source.text(), each.destination.text());
    if (each.reply_source != each.destination) text += ", turned to " + each.reply_source.text();
    text += ", " + each.state;
    if (each.age_milliseconds) text += fmt::format(", {} old", age_text(*each.age_milliseconds));
    return text;
  }

  // The very connection: by both ends.
  const TrackedConnection* tracked(const std::string& where, const SocketAddress& source,
                                   const SocketAddress& destination) const {
    for (const TrackedConnection& each : evidence_.connections) {
      if (each.where == where && each.source == source && each.destination == destination) {
        return &each;
      }
    }
    return nullptr;
  }

  void lay_capture(Hop& hop) {
    const TrackedConnection* connection = evidence_.exchange ? arrived_here() : nullptr;
    if (connection) {
      const bool agrees = hop.to.empty() || connection->reply_source.text() == hop.to;
      say(hop, agrees ? Seen::Verdict::agrees : Seen::Verdict::differs,
          describe(*connection) + (agrees ? "" : "; predicted was " + hop.to));
    } else if (!hop.rules.empty() && evidence_.exchange && evidence_.exchange->peer.port != 0) {
      say(hop, Seen::Verdict::missing, "conntrack: no entry of this connection");
    }
    show_counts(hop);
  }

  void show_counts(Hop& hop) {
    for (const Count& count : evidence_.counts) {
      for (const KernelRule& rule : hop.rules) {
        const bool same_rule = rule.table.ends_with(count.table) &&
                               count.place == "chain " + rule.chain && count.rule == rule.rule;
        if (!same_rule || !hop.place.ends_with(count.where)) continue;
        const std::string rule_name = fmt::format("{} {}", rule.chain, rule.rule);
        say(hop, Seen::Verdict::shown,
            count.before == count.after
                ? fmt::format("rule {} has counted {}", rule_name, count.after)
                : fmt::format("rule {} has counted {}, now {}", rule_name, count.before,
                              count.after));
      }
    }
  }

  [[nodiscard]] const ProxyRecord* record_here() const { return inbound_ ? server_ : client_; }

  static std::string_view witness_of(const ProxyRecord& record) {
    return record.from_access_log ? "its access log" : "its record";
  }

  // Of the proxy that this hop is in.
  [[nodiscard]] bool is_envoy_here() const {
    return is_envoy(!inbound_                ? path_.from
                    : path_.branches.empty() ? std::string()
                                             : path_.branches[0].workload);
  }

  [[nodiscard]] bool is_envoy(const std::string& name) const {
    const std::size_t slash = std::min(name.find('/'), name.size());
    const mesh::Workload* workload =
        slash == name.size()
            ? nullptr
            : mesh::find_workload(world_, name.substr(0, slash), name.substr(slash + 1));
    return workload && workload->sidecar == mesh::Sidecar::envoy;
  }

  void lay_record(Hop& hop, std::string ProxyRecord::* field) {
    const ProxyRecord* record = record_here();
    if (!record) {
      if (hop.stage != Stage::listener || !evidence_.exchange) return;
      if (is_envoy_here()) {
        return say(hop, Seen::Verdict::missing,
                   "no line of this request in its access log; an Envoy keeps no other records");
      }
      return lay_missing_record(hop);
    }
    if (hop.stage == Stage::listener && record->from_access_log) {
      say(hop, Seen::Verdict::shown,
          "an Envoy, which keeps no records: its access log names neither listener nor filter "
          "chain");
    }
    compare(hop, fmt::format("{} says", witness_of(*record)), record->*field, hop.name);
    if (hop.stage == Stage::listener && !record->world.empty()) {
      say(hop, Seen::Verdict::shown, fmt::format("it speaks world {}", record->world));
    }
  }

  // An app answered, and the proxy that would have passed it on has told all it knows. Whether the
  // connection came to it at all, the kernel tells.
  void lay_missing_record(Hop& hop) {
    const Exchange& exchange = *evidence_.exchange;
    const std::string workload = hop.place.substr(0, hop.place.find(','));
    const bool asked = std::find(evidence_.asked.begin(), evidence_.asked.end(), workload) !=
                       evidence_.asked.end();
    const bool answered = exchange.failing == Failing::none && !answered_by_proxy(exchange);
    if (!asked || !answered) {
      return say(hop, Seen::Verdict::missing, "no record of this request at this proxy");
    }
    const TrackedConnection* connection = arrived_here();
    if (connection != nullptr && connection->reply_source == connection->destination) {
      return say(hop, Seen::Verdict::differs,
                 "it has no record of this request, which went past it: " + describe(*connection));
    }
    say(hop, Seen::Verdict::unknown, "its record of this request was not there yet");
  }

  // The connection on its arrival in the network namespace of this proxy.
  [[nodiscard]] const TrackedConnection* arrived_here() const {
    if (!inbound_) {
      return tracked(path_.from, evidence_.exchange->local, evidence_.exchange->peer);
    }
    const std::string& where = path_.branches.empty() ? path_.from : path_.branches[0].workload;
    const std::optional<Ends> ends = ends_on_arrival();
    return ends ? tracked(where, ends->source, ends->destination) : nullptr;
  }

  static bool is_member(const Hop& hop, const std::string& address) {
    if (hop.choices.empty()) return hop.to == address;
    return std::any_of(hop.choices.begin(), hop.choices.end(),
                       [&](const Choice& choice) { return choice.address == address; });
  }

  void member(Hop& hop, std::string_view who, const std::string& address) {
    if (is_member(hop, address)) {
      return say(hop, Seen::Verdict::agrees, fmt::format("{} {}", who, address));
    }
    say(hop, Seen::Verdict::differs,
        fmt::format("{} {}, who is not among the predicted", who, address));
  }

  void lay_endpoint(Hop& hop) {
    const ProxyRecord* record = record_here();
    if (!record || !record->upstream_remote) return;
    std::string who = fmt::format("{} says", witness_of(*record));
    if (record->attempts > 1) who = fmt::format("after {} attempts {}", record->attempts, who);
    member(hop, who, record->upstream_remote->text());
    if (!record->upstream_local) return;
    std::string connection = fmt::format("the connection {} to {}", record->upstream_local->text(),
                                         record->upstream_remote->text());
    if (record->pooled_milliseconds) {
      connection += fmt::format(" is pooled, {} old", age_text(*record->pooled_milliseconds));
    } else if (!record->from_access_log) {
      connection += " is new";
    }
    say(hop, Seen::Verdict::shown, std::move(connection));
    for (const TrackedConnection& each : evidence_.connections) {
      const bool very = each.source == *record->upstream_local &&
                        each.destination == *record->upstream_remote && each.where == path_.from;
      if (very) say(hop, Seen::Verdict::agrees, describe(each));
    }
  }

  void lay_kernel(Hop& hop) {
    const std::string node = hop.place.substr(hop.place.find(' ') + 1);
    const std::optional<Ends> sent = ends_when_sent();
    for (const Speaks& speaks : evidence_.worlds) {
      if (speaks.who != node) continue;
      if (speaks.world.empty()) {
        say(hop, Seen::Verdict::missing, fmt::format("{} does not say: {}", node, speaks.error));
      } else {
        say(hop, Seen::Verdict::shown, fmt::format("it speaks world {}", speaks.world));
      }
    }
    const TrackedConnection* connection =
        sent ? tracked(node, sent->source, sent->destination) : nullptr;
    if (connection) {
      const bool agrees = is_member(hop, connection->reply_source.text());
      say(hop, agrees ? Seen::Verdict::agrees : Seen::Verdict::differs,
          describe(*connection) + (agrees ? "" : ", who is not among the predicted"));
    } else if (hop.failure.empty() && !hop.choices.empty() && evidence_.exchange &&
               evidence_.exchange->error.empty()) {
      say(hop, Seen::Verdict::missing, "conntrack: no entry of this connection");
    }
    show_counts(hop);
    if (sent) show_service_count(hop, node, sent->destination);
  }

  // The service's own: an element of a set, with the address that was dialled in its key.
  void show_service_count(Hop& hop, const std::string& node, const SocketAddress& dialled) {
    const std::string key = fmt::format("{} . tcp . {}", dialled.ip.text(), dialled.port);
    for (const Count& count : evidence_.counts) {
      if (count.where != node || count.key != key) continue;
      say(hop, Seen::Verdict::shown,
          fmt::format("{} {} has counted {}, now {}", count.place, key, count.before, count.after));
    }
  }

  void lay_delivery(Hop& hop) {
    if (!server_ || !server_->upstream_remote) return;
    compare(hop, fmt::format("{} says it went to", witness_of(*server_)),
            server_->upstream_remote->text(), hop.to);
    if (server_->upstream_local) {
      compare(hop, "from", server_->upstream_local->ip.text(), hop.name);
    }
  }

  void lay_app(Hop& hop) {
    if (!evidence_.exchange) return;
    const Exchange& exchange = *evidence_.exchange;
    if (!exchange.error.empty()) say(hop, Seen::Verdict::shown, exchange.error);
    if (exchange.failing != Failing::none) return;
    if (answered_by_proxy(exchange)) {
      const std::string what =
          exchange.status > 0 ? fmt::format("a proxy answered in its place: {}", exchange.status)
                              : std::string("a proxy took the connection in its place");
      return say(hop, Seen::Verdict::shown,
                 fmt::format("{}, in {}", what, milliseconds(exchange.microseconds)));
    }
    const std::string pod = pod_named_in(exchange);
    if (!pod.empty() && path_.branches.size() == 1) {
      const std::string& predicted = path_.branches[0].workload;
      const bool agrees = predicted.ends_with('/' + pod);
      say(hop, agrees ? Seen::Verdict::agrees : Seen::Verdict::differs,
          fmt::format("{} says that it answered{}", pod,
                      agrees ? "" : "; predicted was " + predicted));
    }
    if (exchange.status > 0) {
      say(hop, Seen::Verdict::shown,
          fmt::format("answered {} in {}", exchange.status, milliseconds(exchange.microseconds)));
    } else {
      say(hop, Seen::Verdict::shown,
          fmt::format("connected in {}", milliseconds(exchange.connect_microseconds)));
    }
  }

  // ── the end ─────────────────────────────────────────────────────────────────────────────────

  // Of the proxy that answered itself; empty when none did.
  std::string flags_seen() const {
    for (const ProxyRecord* record : {client_, server_}) {
      if (record && is_trouble(record->flags)) return record->flags;
    }
    return {};
  }

  // Why one of them refused it, where the flag does not tell in full.
  std::string refused_for() const {
    for (const ProxyRecord* record : {client_, server_}) {
      if (record && !record->details.empty()) return ", " + record->details;
    }
    return {};
  }

  // A proxy that answers itself says so in its record, or leaves out how long the app took.
  bool answered_by_proxy(const Exchange& exchange) const {
    if (!flags_seen().empty()) return true;
    for (const ProxyRecord* record : {client_, server_}) {
      if (record && exchange.status > 0 && !record->upstream_remote) return true;
    }
    if (client_ || server_) return false;
    const bool by_proxy = std::any_of(path_.hops.begin(), path_.hops.end(),
                                      [](const Hop& hop) { return hop.stage == Stage::route; });
    return exchange.status >= 400 && by_proxy &&
           header_of(exchange, "x-envoy-upstream-service-time").empty();
  }

  std::string why_nothing_was_sent() const {
    if (evidence_.names.empty()) return "no request was sent";
    const NameAnswer& last = evidence_.names.back();
    return fmt::format("{} says {} for {}", last.server, last.outcome, last.name);
  }

  // The app was reached, and what it said, or did not say, is no HTTP. A proxy that waits for its
  // answer says so in its record; without one, whoever took the connection is the app.
  std::string strange_answer(const Exchange& exchange) const {
    for (const ProxyRecord* record : {server_, client_}) {
      if (record && record->upstream_remote && has_flag(record->flags, "UPE")) {
        return "the app does not speak HTTP";
      }
    }
    // A proxy that speaks HTTP passes nothing else on.
    if (exchange.failing == Failing::not_http) return "the app does not speak HTTP";
    if (!exchange.connected || client_ || server_ || passes(Stage::listener)) return {};
    if (exchange.failing == Failing::closed) {
      return "the app closed the connection without an answer";
    }
    return exchange.failing == Failing::timed_out ? "the app did not answer in time" : "";
  }

  // A proxy takes a TCP connection before it has one to the app: its record shows that one.
  bool is_held_by_a_proxy(const Exchange& exchange) const {
    return path_.scheme == "tcp" && exchange.failing == Failing::none && exchange.body.empty() &&
           goes_through_its_proxy() && !is_envoy(path_.from) &&
           (!client_ || !client_->upstream_remote);
  }

  void judge_arrival(const Exchange& exchange) {
    judgement_.remark = strange_answer(exchange);
    if (!judgement_.remark.empty()) {
      judgement_.arrived = true;
    } else if (exchange.failing != Failing::none) {
      judgement_.cause = exchange.error + refused_for();
    } else if (answered_by_proxy(exchange)) {
      const std::string flags = flags_seen();
      judgement_.cause = fmt::format("{}{}{}: {}", exchange.status, flags.empty() ? "" : " ", flags,
                                     first_line_of(exchange.body));
    } else if (is_held_by_a_proxy(exchange)) {
      judgement_.cause = "its proxy took the connection, and has none to the app yet";
      if (path_.certain_failure().empty()) judgement_.unknown = judgement_.cause;
    } else {
      judgement_.arrived = true;
    }
  }

  // Whether this is how that failure looks to the sender.
  bool fits(const Met& met, const Exchange& exchange) const {
    const Failing seen = exchange.failing;
    const std::string flags = flags_seen();
    if (!met.flag.empty() && !flags.empty() && !has_flag(flags, met.flag)) return false;
    switch (met.ending) {
      case Ending::unsaid:
        return true;
      case Ending::no_address:
        return false;  // something was dialled
      case Ending::refused:
        return seen == Failing::refused;
      case Ending::unreachable:
        return !exchange.connected && seen != Failing::none;
      case Ending::closed:
        // A proxy ends a TCP connection some time after its record says that it cannot go on.
        return seen == Failing::closed || seen == Failing::timed_out ||
               is_held_by_a_proxy(exchange) || (path_.scheme == "tcp" && !flags.empty());
      case Ending::answered:
        if (exchange.status > 0 && met.status > 0) {
          return static_cast<std::uint32_t>(exchange.status) == met.status;
        }
        return exchange.status > 0 || seen == Failing::timed_out;
    }
    return true;
  }

  bool fits_a_prediction(const Exchange& exchange) const {
    if (path_.branches.empty()) return fits(path_.met, exchange);
    return std::any_of(path_.branches.begin(), path_.branches.end(), [&](const Branch& branch) {
      return !branch.failure.empty() && fits(branch.met, exchange);
    });
  }

  bool some_branch_fails() const {
    return std::any_of(path_.branches.begin(), path_.branches.end(),
                       [](const Branch& branch) { return !branch.failure.empty(); });
  }

  void differ(std::string difference) {
    ++judgement_.differs;
    if (judgement_.difference.empty()) judgement_.difference = std::move(difference);
    judgement_.verdict = Verdict::differs;
  }

  void conclude() {
    const std::string predicted = path_.certain_failure();
    if (!predicted.empty()) judgement_.predicted = Verdict::does_not_arrive;
    if (!evidence_.exchange) {
      const bool no_name = predicted.empty() || path_.met.ending == Ending::no_address ||
                           path_.met.ending == Ending::unsaid;
      judgement_.cause = predicted.empty() || !no_name ? why_nothing_was_sent() : predicted;
      judgement_.verdict = Verdict::did_not_arrive;
      if (!no_name) return for_another_reason(predicted);
      if (predicted.empty()) did_not_arrive_unforeseen();
      return;
    }
    judge_arrival(*evidence_.exchange);
    if (judgement_.arrived) {
      if (!predicted.empty()) return differ("it arrived, though predicted was: " + predicted);
      judgement_.verdict = !judgement_.difference.empty() ? Verdict::differs
                           : !judgement_.unknown.empty()  ? Verdict::cannot_be_known
                                                          : Verdict::agrees;
      return;
    }
    judgement_.verdict = Verdict::did_not_arrive;
    if (!predicted.empty()) {
      if (!fits_a_prediction(*evidence_.exchange)) return for_another_reason(predicted);
      judgement_.cause = predicted;
      if (!judgement_.difference.empty()) judgement_.verdict = Verdict::differs;
      return;
    }
    did_not_arrive_unforeseen();
  }

  void for_another_reason(const std::string& predicted) {
    differ(fmt::format("for another reason: {}; predicted was: {}", judgement_.cause, predicted));
  }

  // No failure was predicted for certain: a condition may not hold, or chance took another branch.
  void did_not_arrive_unforeseen() {
    if (!judgement_.unknown.empty()) {
      judgement_.verdict = Verdict::cannot_be_known;
      return;
    }
    const bool open = !path_.unknown.empty() || !path_.condition().empty();
    if (open ||
        (some_branch_fails() && evidence_.exchange && fits_a_prediction(*evidence_.exchange))) {
      return;
    }
    differ("it did not arrive: " + judgement_.cause);
  }

  Path& path_;
  const Evidence& evidence_;
  const mesh::World& world_;
  const ProxyRecord* client_ = nullptr;
  const ProxyRecord* server_ = nullptr;
  bool passed_endpoint_ = false;
  bool inbound_ = false;
  Judgement judgement_;
};

}  // namespace

const char* name_of(Failing failing) {
  switch (failing) {
    case Failing::none:
      return "";
    case Failing::refused:
      return "refused";
    case Failing::unreachable:
      return "unreachable";
    case Failing::timed_out:
      return "timed out";
    case Failing::closed:
      return "closed";
    case Failing::not_http:
      return "not HTTP";
  }
  return "";
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::arrives:
      return "arrives";
    case Verdict::does_not_arrive:
      return "does not arrive";
    case Verdict::agrees:
      return "agrees";
    case Verdict::differs:
      return "differs";
    case Verdict::did_not_arrive:
      return "did not arrive";
    case Verdict::cannot_be_known:
      return "cannot be known";
  }
  return "";
}

Verdict prediction_of(const Path& path) {
  if (!path.failure.empty()) return Verdict::does_not_arrive;
  return path.unknown.empty() ? Verdict::arrives : Verdict::cannot_be_known;
}

Judgement lay_beside(Path& path, const Evidence& evidence, const mesh::World& world) {
  return EvidenceMatcher(path, evidence, world).run();
}

}  // namespace fairlead::explain
