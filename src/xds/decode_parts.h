// Messages of Envoy's API made into config values. For this room alone.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/address.h"
#include "base/origin.h"
#include "base/result.h"
#include "config/snapshot.h"
#include "xds/place.h"
#include "xds/wire.h"

namespace fairlead::xds {

// Each takes the message and the place where it stands. Unknown fields are for read_resource().
[[nodiscard]] Result<config::Cluster> read(const wire::cluster::Cluster& cluster,
                                           const Place& place);
[[nodiscard]] Result<config::ClusterLoadAssignment> read(
    const wire::endpoint::ClusterLoadAssignment& endpoints, const Place& place,
    bool names_allowed = false);
[[nodiscard]] Result<config::Listener> read(const wire::listener::Listener& listener,
                                            const Place& place);
[[nodiscard]] Result<config::RouteConfiguration> read(const wire::route::RouteConfiguration& routes,
                                                      const Place& place);

// A whole resource: what it says, and every field in it that is not in our subset.
template <class Value, class Message>
[[nodiscard]] Result<Value> read_resource(const Message& message, const Place& place) {
  place.note_unknown(message);
  return read(message, place);
}

[[nodiscard]] std::string lower(std::string_view text);  // ASCII

[[nodiscard]] Result<SocketAddress> read_address(const wire::core::SocketAddress& address,
                                                 const Place& place);
[[nodiscard]] Result<SocketAddress> read_address(const wire::core::Address& address,
                                                 const Place& place);
[[nodiscard]] Result<config::Milliseconds> read_duration(const google::protobuf::Duration& duration,
                                                         const Place& place);
// Rounded up, so that only zero is zero.
[[nodiscard]] Result<std::vector<config::AccessLog>> read_access_logs(
    const google::protobuf::RepeatedPtrField<wire::log::AccessLog>& logs, const Place& place);
[[nodiscard]] Result<std::string> read_text(const wire::core::DataSource& source,
                                            const Place& place);
[[nodiscard]] Result<> check_line(std::string_view text, const Place& place);
// What is written into a line of a message must not end it: no line break, no NUL.
[[nodiscard]] Result<> check_pattern(const std::string& pattern, const Place& place);
// Of RE2, as the data path compiles it.
[[nodiscard]] Result<> check_field_name(std::string_view name, const Place& place);
// Of a field to add or to remove: those of HTTP/2 with a colon, and Host, are not to be changed.
void check_config_source(const wire::core::ConfigSource& source, const Place& place);
// Notes what is not aggregated discovery, version 3.

void note_http2(const wire::cluster::Cluster& cluster, const Place& place);
// Of a cluster with `http2` to which requests may go. Control itself is asked in HTTP/2.

[[nodiscard]] Origin origin_in(const wire::core::Metadata& metadata);
// As we write it, else what Istio says of a resource.
[[nodiscard]] std::string workload_in(const wire::core::Metadata& metadata);
[[nodiscard]] std::string type_in(const wire::Any& any);
// The full name of what is in it, also when that is wrapped into a TypedStruct.
[[nodiscard]] bool proxied_in(const wire::core::Metadata& metadata);
// Of an endpoint: a proxy that fairlead control configures takes its connections.
void close_unless_closed(config::Closed& part, const wire::core::Metadata& metadata,
                         const Place& place);
// By what we wrote beside it, else by what protects and is not honoured in it.
[[nodiscard]] config::Labels labels_in(const wire::Struct& object);
// Each field with its value as text; of another kind than text, as a mark and its bytes.
[[nodiscard]] config::Labels labels_in(const wire::core::Metadata& metadata);
// Of envoy.transport_socket_match.
void note_metadata(const wire::core::Metadata& metadata, const Place& place);
// Metadata of other filters, which nobody here reads.

template <class Message>
[[nodiscard]] Result<Message> unpack(const wire::Any& any, const Place& place) {
  Message message;
  if (!any.UnpackTo(&message)) return place.refused("is not what its type says");
  place.note_unknown(message);
  return message;
}

// What may stand in an Any, in a table of what is known there.
struct Known {
  bool (*is)(const wire::Any& any);
  Result<> (*check)(const wire::Any& any, const Place& place);
};
// `check` refuses what is not what its type says, and notes what is not honoured in it.

template <class Message>
[[nodiscard]] constexpr Known known() {
  return {.is = [](const wire::Any& any) { return any.Is<Message>(); },
          .check = [](const wire::Any& any, const Place& place) -> Result<> {
            const Result<Message> message = unpack<Message>(any, place);
            return message.ok() ? done() : message.fault();
          }};
}

template <class Into, class Value>
[[nodiscard]] Result<> take(Into& into, Result<Value> from) {
  if (!from.ok()) return std::move(from).fault();
  into = std::move(from).value();
  return done();
}
// into = from, or from's fault.

[[nodiscard]] Result<> all(std::initializer_list<Result<>> parts);
// The first fault among them, if there is one. All are read, in their order.

template <class Value, class Message>
using Reader = Result<Value> (*)(const Message& message, const Place& place);

template <class Value, class Message>
[[nodiscard]] Result<> read_each(std::vector<Value>& into,
                                 const google::protobuf::RepeatedPtrField<Message>& messages,
                                 const Place& place, std::string_view field,
                                 std::type_identity_t<Reader<Value, Message>> read_one) {
  into.reserve(static_cast<std::size_t>(messages.size()));
  Result<> all = done();
  for (int i = 0; i < messages.size(); ++i) {
    Result<Value> value = read_one(messages[i], place.in(field, i));
    if (value.ok()) {
      into.push_back(std::move(value).value());
    } else if (all.ok()) {
      all = std::move(value).fault();
    }
  }
  return all;
}
// Each of the repeated field at `place`. All are read, so that what they would protect is known;
// the first fault counts.

}  // namespace fairlead::xds
