#include "xds/decode.h"

#include <fmt/format.h>

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
Result<Decoded<Value>> decode(std::string_view bytes) {
  Message message;
  Report report;
  if (!parse(bytes, message)) {
    return invalid(fmt::format("{}: the bytes are no such message", kind_of(message)));
  }
  Result<Value> value = read_whole<Value>(message, report);
  if (!value.ok()) return std::move(value).fault();
  return Decoded<Value>{std::move(value).value(), report.unhonoured()};
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

Result<Decoded<config::Cluster>> decode_cluster(std::string_view bytes) {
  return decode<config::Cluster, wire::cluster::Cluster>(bytes);
}

Result<Decoded<config::ClusterLoadAssignment>> decode_cluster_load_assignment(
    std::string_view bytes) {
  return decode<config::ClusterLoadAssignment, wire::endpoint::ClusterLoadAssignment>(bytes);
}

Result<Decoded<config::Listener>> decode_listener(std::string_view bytes) {
  return decode<config::Listener, wire::listener::Listener>(bytes);
}

Result<Decoded<config::RouteConfiguration>> decode_route_configuration(std::string_view bytes) {
  return decode<config::RouteConfiguration, wire::route::RouteConfiguration>(bytes);
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
