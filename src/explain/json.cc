// Paths and evidence as JSON, and evidence back.
#include <nlohmann/json.hpp>

#include <optional>
#include <string>

#include "base/json_text.h"
#include "explain/evidence.h"
#include "explain/render.h"

namespace fairlead::explain {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Hop& hop);
Json json_of(const Branch& branch);
Json json_of(const NameAnswer& answer);
Json json_of(const TrackedConnection& connection);
Json json_of(const ProxyRecord& record);
Json json_of(const Count& count);
Json json_of(const Speaks& speaks);
Json json_of(const LookedAt& looked);

// ── a path ──────────────────────────────────────────────────────────────────────────────────────

Json json_of(const Origin& origin) {
  if (!origin.known()) return nullptr;
  Json json{{"kind", origin.kind}};
  if (!origin.name_space.empty()) json["namespace"] = origin.name_space;
  json["name"] = origin.name;
  if (!origin.file.empty()) json["file"] = origin.file;
  if (origin.line > 0) json["line"] = origin.line;
  return json;
}

Json json_of(const Choice& choice) {
  return {{"name", choice.name},
          {"address", choice.address},
          {"share", choice.share},
          {"object", json_of(choice.origin)}};
}

Json json_of(const Refusal& refusal) {
  return {{"name", refusal.name},
          {"address", refusal.address},
          {"why", refusal.why},
          {"object", json_of(refusal.origin)}};
}

Json json_of(const KernelRule& rule) {
  return {{"table", rule.table},
          {"chain", rule.chain},
          {"rule", rule.rule},
          {"text", rule.text},
          {"comment", rule.comment}};
}

Json json_of(const Seen& seen) {
  return {{"verdict", name_of(seen.verdict)}, {"text", seen.text}};
}

template <class Things>
Json list_of(const Things& things) {
  Json list = Json::array();
  for (const auto& thing : things) list.push_back(json_of(thing));
  return list;
}

Json json_of(const Hop& hop) {
  return {{"stage", name_of(hop.stage)},
          {"place", hop.place},
          {"name", hop.name},
          {"to", hop.to},
          {"says", hop.says},
          {"details", hop.details},
          {"choices", list_of(hop.choices)},
          {"refused", list_of(hop.refused)},
          {"rules", list_of(hop.rules)},
          {"object", json_of(hop.origin)},
          {"world", hop.world},
          {"failure", hop.failure},
          {"seen", list_of(hop.seen)}};
}

Json json_of(const Branch& branch) {
  return {{"share", branch.share},         {"client", branch.client},
          {"workload", branch.workload},   {"address", branch.address},
          {"failure", branch.failure},     {"ending", name_of(branch.met.ending)},
          {"condition", branch.condition}, {"unknown", branch.unknown},
          {"hops", list_of(branch.hops)}};
}

Json ends_of(const Path& path) {
  Json ends = list_of(path.ends);
  for (Json& end : ends) end.erase("hops");
  return ends;
}

// ── evidence ────────────────────────────────────────────────────────────────────────────────────

std::string text_or_empty(const std::optional<SocketAddress>& address) {
  return address ? address->text() : std::string();
}

Json json_of(const NameAnswer& answer) {
  Json addresses = Json::array();
  for (const IpAddress& address : answer.addresses) addresses.push_back(address.text());
  return {{"server", answer.server}, {"name", answer.name},
          {"type", answer.type},     {"outcome", answer.outcome},
          {"addresses", addresses},  {"microseconds", answer.microseconds}};
}

Json json_of(const Exchange& exchange) {
  Json headers = Json::array();
  for (const auto& [name, value] : exchange.headers) headers.push_back(Json{name, value});
  return {{"id", exchange.id},
          {"error", exchange.error},
          {"failing", name_of(exchange.failing)},
          {"connected", exchange.connected},
          {"tried", exchange.tried},
          {"local", exchange.local.text()},
          {"peer", exchange.peer.text()},
          {"status", exchange.status},
          {"headers", headers},
          {"body", exchange.body},
          {"connectMicroseconds", exchange.connect_microseconds},
          {"microseconds", exchange.microseconds}};
}

Json json_of(const TrackedConnection& connection) {
  Json json{{"where", connection.where},
            {"source", connection.source.text()},
            {"destination", connection.destination.text()},
            {"replySource", connection.reply_source.text()},
            {"replyDestination", connection.reply_destination.text()},
            {"state", connection.state}};
  if (connection.age_milliseconds) json["ageMilliseconds"] = *connection.age_milliseconds;
  return json;
}

Json json_of(const ProxyRecord& record) {
  Json json{{"proxy", record.proxy},
            {"direction", record.direction},
            {"source", record.from_access_log ? "access log" : "records"},
            {"downstreamRemote", record.downstream_remote.text()},
            {"downstreamLocal", record.downstream_local.text()},
            {"originalDestination", record.original_destination.text()},
            {"upstreamLocal", text_or_empty(record.upstream_local)},
            {"upstreamRemote", text_or_empty(record.upstream_remote)},
            {"listener", record.listener},
            {"filterChain", record.filter_chain},
            {"route", record.route},
            {"cluster", record.cluster},
            {"endpoint", record.endpoint},
            {"attempts", record.attempts}};
  if (record.pooled_milliseconds) json["pooledMilliseconds"] = *record.pooled_milliseconds;
  json["status"] = record.status;
  json["flags"] = record.flags;
  if (!record.details.empty()) json["details"] = record.details;
  json["microseconds"] = record.microseconds;
  json["world"] = record.world;
  return json;
}

Json json_of(const Count& count) {
  return {{"where", count.where}, {"table", count.table}, {"place", count.place},
          {"rule", count.rule},   {"key", count.key},     {"before", count.before},
          {"after", count.after}};
}

Json json_of(const LookedAt& looked) {
  Json sockets = Json::array();
  for (const ListeningSocket& socket : looked.sockets) {
    sockets.push_back({{"address", socket.address.text()}, {"bothFamilies", socket.both_families}});
  }
  return {{"where", looked.where}, {"sockets", std::move(sockets)}};
}

Json json_of(const Speaks& speaks) {
  return {{"who", speaks.who}, {"world", speaks.world}, {"error", speaks.error}};
}

Json json_of(const Evidence& evidence) {
  return {{"names", list_of(evidence.names)},
          {"exchange", evidence.exchange ? json_of(*evidence.exchange) : Json()},
          {"connections", list_of(evidence.connections)},
          {"records", list_of(evidence.records)},
          {"asked", evidence.asked},
          {"counts", list_of(evidence.counts)},
          {"worlds", list_of(evidence.worlds)},
          {"listening", list_of(evidence.listening)},
          {"trouble", evidence.trouble}};
}

// Reading: what is missing or of another kind stays as it was.

std::optional<std::uint64_t> maybe_number_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

std::optional<SocketAddress> maybe_address_at(const Json& json, const char* key) {
  const Result<SocketAddress> address = SocketAddress::parse(text_at(json, key));
  return address ? std::optional(*address) : std::nullopt;
}

SocketAddress address_at(const Json& json, const char* key) {
  return maybe_address_at(json, key).value_or(SocketAddress{});
}

const Json& list_at(const Json& json, const char* key) {
  static const Json none = Json::array();
  const auto found = json.find(key);
  return found != json.end() && found->is_array() ? *found : none;
}

bool flag_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

Failing failing_named(const std::string& name) {
  for (const Failing each : {Failing::refused, Failing::unreachable, Failing::timed_out,
                             Failing::closed, Failing::not_http}) {
    if (name == name_of(each)) return each;
  }
  return Failing::none;
}

LookedAt looked_at_from(const Json& json) {
  LookedAt looked{.where = text_at(json, "where")};
  for (const Json& each : list_at(json, "sockets")) {
    if (!each.is_object()) continue;
    looked.sockets.push_back(
        {.address = address_at(each, "address"), .both_families = flag_at(each, "bothFamilies")});
  }
  return looked;
}

NameAnswer name_answer_from(const Json& json) {
  NameAnswer answer{.server = text_at(json, "server"),
                    .name = text_at(json, "name"),
                    .type = text_at(json, "type"),
                    .outcome = text_at(json, "outcome"),
                    .microseconds = number_at(json, "microseconds")};
  for (const Json& each : list_at(json, "addresses")) {
    const auto address = IpAddress::parse(each.is_string() ? each.get<std::string>() : "");
    if (address) answer.addresses.push_back(*address);
  }
  return answer;
}

std::vector<std::string> texts_at(const Json& json, const char* key) {
  std::vector<std::string> texts;
  for (const Json& each : list_at(json, key)) {
    if (each.is_string()) texts.push_back(each.get<std::string>());
  }
  return texts;
}

Exchange exchange_from(const Json& json) {
  Exchange exchange{.id = text_at(json, "id"),
                    .error = text_at(json, "error"),
                    .failing = failing_named(text_at(json, "failing")),
                    .connected = flag_at(json, "connected"),
                    .tried = texts_at(json, "tried"),
                    .local = address_at(json, "local"),
                    .peer = address_at(json, "peer"),
                    .status = static_cast<int>(number_at(json, "status")),
                    .body = text_at(json, "body"),
                    .connect_microseconds = number_at(json, "connectMicroseconds"),
                    .microseconds = number_at(json, "microseconds")};
  for (const Json& each : list_at(json, "headers")) {
    const bool pair =
        each.is_array() && each.size() == 2 && each[0].is_string() && each[1].is_string();
    if (pair) exchange.headers.emplace_back(each[0].get<std::string>(), each[1].get<std::string>());
  }
  return exchange;
}

TrackedConnection connection_from(const Json& json) {
  return {.where = text_at(json, "where"),
          .source = address_at(json, "source"),
          .destination = address_at(json, "destination"),
          .reply_source = address_at(json, "replySource"),
          .reply_destination = address_at(json, "replyDestination"),
          .state = text_at(json, "state"),
          .age_milliseconds = maybe_number_at(json, "ageMilliseconds")};
}

ProxyRecord record_from(const Json& json) {
  return {.proxy = text_at(json, "proxy"),
          .direction = text_at(json, "direction"),
          .from_access_log = text_at(json, "source") == "access log",
          .downstream_remote = address_at(json, "downstreamRemote"),
          .downstream_local = address_at(json, "downstreamLocal"),
          .original_destination = address_at(json, "originalDestination"),
          .upstream_local = maybe_address_at(json, "upstreamLocal"),
          .upstream_remote = maybe_address_at(json, "upstreamRemote"),
          .listener = text_at(json, "listener"),
          .filter_chain = text_at(json, "filterChain"),
          .route = text_at(json, "route"),
          .cluster = text_at(json, "cluster"),
          .endpoint = text_at(json, "endpoint"),
          .attempts = static_cast<std::uint32_t>(number_at(json, "attempts")),
          .pooled_milliseconds = maybe_number_at(json, "pooledMilliseconds"),
          .status = static_cast<int>(number_at(json, "status")),
          .flags = text_at(json, "flags"),
          .details = text_at(json, "details"),
          .microseconds = number_at(json, "microseconds"),
          .world = text_at(json, "world")};
}

Count count_from(const Json& json) {
  return {.where = text_at(json, "where"),
          .table = text_at(json, "table"),
          .place = text_at(json, "place"),
          .rule = static_cast<std::size_t>(number_at(json, "rule")),
          .key = text_at(json, "key"),
          .before = number_at(json, "before"),
          .after = number_at(json, "after")};
}

}  // namespace

std::string render_json(const Path& path, const Evidence* evidence, const Judgement* judgement) {
  const Judgement none;
  const Judgement& seen = judgement ? *judgement : none;
  const char* predicted = judgement ? name_of(judgement->predicted) : name_of(prediction_of(path));
  Json json{{"verdict", judgement ? name_of(judgement->verdict) : predicted},
            {"predicted", predicted},
            {"cause", !seen.cause.empty() ? seen.cause : path.failure},
            {"condition", path.condition()},
            {"unknown", !seen.unknown.empty() ? seen.unknown : path.unknown},
            {"difference", seen.difference},
            {"from", path.from},
            {"to", path.to},
            {"scheme", path.scheme},
            {"world", path.world},
            {"hops", list_of(path.hops)},
            {"ends", ends_of(path)},
            {"branches", list_of(path.branches)},
            {"notes", path.notes},
            {"notEnforced", list_of(path.not_enforced)}};
  if (judgement) json["arrived"] = judgement->arrived;
  if (evidence) json["evidence"] = json_of(*evidence);
  return json_text(json, 2) + '\n';
}

std::string evidence_json(const Evidence& evidence) {
  return json_text(json_of(evidence));
}

Result<Evidence> evidence_from_json(std::string_view text) {
  const Json json = parse_ordered_json(text);
  if (!json.is_object()) return invalid("the evidence is no JSON object");
  Evidence evidence;
  for (const Json& each : list_at(json, "names")) evidence.names.push_back(name_answer_from(each));
  const auto exchange = json.find("exchange");
  if (exchange != json.end() && exchange->is_object()) evidence.exchange = exchange_from(*exchange);
  for (const Json& each : list_at(json, "connections")) {
    evidence.connections.push_back(connection_from(each));
  }
  for (const Json& each : list_at(json, "records")) evidence.records.push_back(record_from(each));
  for (const Json& each : list_at(json, "counts")) evidence.counts.push_back(count_from(each));
  for (const Json& each : list_at(json, "listening")) {
    evidence.listening.push_back(looked_at_from(each));
  }
  for (const Json& each : list_at(json, "worlds")) {
    evidence.worlds.push_back({.who = text_at(each, "who"),
                               .world = text_at(each, "world"),
                               .error = text_at(each, "error")});
  }
  evidence.asked = texts_at(json, "asked");
  evidence.trouble = texts_at(json, "trouble");
  return evidence;
}

}  // namespace fairlead::explain
