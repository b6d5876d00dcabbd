#include "xds/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <type_traits>

#include "document/document.h"
#include "xds/decode_parts.h"
#include "xds/text.h"

namespace fairlead::xds {
namespace {

// What each type is called in reports, and where its name is.
const char* kind_of(const wire::cluster::Cluster&) {
  return "Cluster";
}
const char* kind_of(const wire::endpoint::ClusterLoadAssignment&) {
  return "ClusterLoadAssignment";
}
const char* kind_of(const wire::listener::Listener&) {
  return "Listener";
}
const char* kind_of(const wire::route::RouteConfiguration&) {
  return "RouteConfiguration";
}
template <class Message>
std::string name_of(const Message& message) {
  return message.name();
}
std::string name_of(const wire::endpoint::ClusterLoadAssignment& message) {
  return message.cluster_name();
}

// 3 of "filter_chains[3].filters[0]" after "filter_chains[".
std::optional<int> position_in(std::string_view path, std::string_view start) {
  if (!path.starts_with(start)) return std::nullopt;
  return std::atoi(std::string(path.substr(start.size())).c_str());
}

template <class Message>
std::string title_of(const Message& message) {
  const std::string name = name_of(message);
  return name.empty() ? kind_of(message) : fmt::format("{} {}", kind_of(message), name);
}

// Routes within a listener need no name, those that stand by themselves do. Whatever else there is
// needs one anyway.
template <class Message>
Result<> check_name(const Message& message, const Place& place) {
  const bool is_routes = std::is_same_v<Message, wire::route::RouteConfiguration>;
  return is_routes && name_of(message).empty() ? place.in("name").refused("is needed") : done();
}

// The part of the resource at `path`, by its name.
std::string part_of(const wire::cluster::Cluster& /*message*/, std::string_view /*path*/) {
  return {};
}
std::string part_of(const wire::endpoint::ClusterLoadAssignment& /*message*/,
                    std::string_view /*path*/) {
  return {};
}
std::string part_of(const wire::listener::Listener& message, std::string_view path) {
  if (path.starts_with("default_filter_chain")) return message.default_filter_chain().name();
  const std::optional<int> chain = position_in(path, "filter_chains[");
  return chain && *chain < message.filter_chains_size() ? message.filter_chains(*chain).name()
                                                        : std::string();
}
std::string part_of(const wire::route::RouteConfiguration& message, std::string_view path) {
  const std::optional<int> host = position_in(path, "virtual_hosts[");
  return host && *host < message.virtual_hosts_size() ? message.virtual_hosts(*host).name()
                                                      : std::string();
}

template <class Message>
Protections protections_in(const Message& message, const Report& report) {
  Protections all;
  for (const Report::Note& note : report.notes()) {
    if (note.effect != Effect::protects && !note.claimed) continue;
    Protection one{.part = part_of(message, note.path), .why = note.told()};
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(std::move(one));
  }
  std::sort(all.begin(), all.end(),
            [](const Protection& left, const Protection& right) { return left.why < right.why; });
  return all;
}

// A resource that stands by itself.
template <class Value, class Message>
Result<Value> read_whole(const Message& message, Report& report) {
  report.name(title_of(message));
  const Place place(report);
  Result<> named = check_name(message, place);
  if (!named.ok()) return std::move(named).fault();
  Result<Value> value = read_resource<Value>(message, place);
  if constexpr (std::is_same_v<Value, config::Cluster>) {
    if (value.ok() && value->http2) note_http2(message, place);
  }
  return value;
}

template <class Value, class Message>
Result<Decoded<Value>> decode(std::string_view bytes, Rejected* rejected) {
  Message message;
  Report report;
  if (!parse(bytes, message)) {
    return invalid(fmt::format("{}: the bytes are no such message", kind_of(message)));
  }
  Result<Value> value = read_whole<Value>(message, report);
  if (!value.ok()) {
    if (rejected) *rejected = {name_of(message), protections_in(message, report)};
    return std::move(value).fault();
  }
  return Decoded<Value>{std::move(value).value(), report.unhonoured(),
                        protections_in(message, report)};
}

// One resource of a list in text.
template <class Value, class Message>
Result<> add(std::vector<Value>& into, Resources& all, const document::Node& node) {
  Message message;
  Report report(node);
  Result<> text = read_message(node, message, Place(report));
  if (!text.ok()) return text;
  Result<Value> value = read_whole<Value>(message, report);
  if (!value.ok()) return std::move(value).fault();
  into.push_back(std::move(value).value());
  for (config::Unhonoured& field : report.unhonoured()) all.unhonoured.push_back(std::move(field));
  return done();
}

Result<> add(Resources& all, const document::Node& node) {
  const Result<std::string> type = type_of_resource(node);
  if (!type.ok()) return type.fault();
  const std::optional<ResourceType> known = resource_type_from(*type);
  if (!known) {
    all.unhonoured.push_back({.resource = *type,
                              .reason = "the whole resource",
                              .origin = {.file = node.file(), .line = node.line()}});
    return done();
  }
  switch (*known) {
    case ResourceType::cluster:
      return add<config::Cluster, wire::cluster::Cluster>(all.clusters, all, node);
    case ResourceType::endpoint:
      return add<config::ClusterLoadAssignment, wire::endpoint::ClusterLoadAssignment>(
          all.endpoints, all, node);
    case ResourceType::listener:
      return add<config::Listener, wire::listener::Listener>(all.listeners, all, node);
    case ResourceType::route:
      return add<config::RouteConfiguration, wire::route::RouteConfiguration>(all.routes, all,
                                                                              node);
  }
  return done();
}

}  // namespace

Result<Decoded<config::Cluster>> decode_cluster(std::string_view bytes, Rejected* rejected) {
  return decode<config::Cluster, wire::cluster::Cluster>(bytes, rejected);
}

Result<Decoded<config::ClusterLoadAssignment>> decode_cluster_load_assignment(
    std::string_view bytes, Rejected* rejected) {
  return decode<config::ClusterLoadAssignment, wire::endpoint::ClusterLoadAssignment>(bytes,
                                                                                      rejected);
}

Result<Decoded<config::Listener>> decode_listener(std::string_view bytes, Rejected* rejected) {
  return decode<config::Listener, wire::listener::Listener>(bytes, rejected);
}

Result<Decoded<config::RouteConfiguration>> decode_route_configuration(std::string_view bytes,
                                                                       Rejected* rejected) {
  return decode<config::RouteConfiguration, wire::route::RouteConfiguration>(bytes, rejected);
}

Result<Resources> decode_resources(std::string_view text, const std::string& source) {
  const Result<std::vector<document::Document>> documents = document::parse(text, source);
  if (!documents.ok()) return documents.fault();
  Resources all;
  for (const document::Document& document : *documents) {
    const document::Node root = document.root();
    Result<> list = root.as_list();
    if (!list.ok()) return std::move(list).fault();
    for (const document::Node& node : root.children()) {
      Result<> added = add(all, node);
      if (!added.ok()) return std::move(added).fault();
    }
  }
  return all;
}

}  // namespace fairlead::xds
