// Config values made into messages of Envoy's API. For this room alone.
#pragma once

#include <string>

#include "base/address.h"
#include "base/origin.h"
#include "config/snapshot.h"
#include "xds/wire.h"

namespace fairlead::xds {

void write(const config::Cluster& cluster, wire::cluster::Cluster& into);
void write(const config::ClusterLoadAssignment& endpoints,
           wire::endpoint::ClusterLoadAssignment& into);
void write(const config::Listener& listener, wire::listener::Listener& into);
void write(const config::RouteConfiguration& routes, wire::route::RouteConfiguration& into);

void write(const SocketAddress& address, wire::core::SocketAddress& into);
void write(config::Milliseconds duration, google::protobuf::Duration& into);
void write_ads(wire::core::ConfigSource& into);
// Aggregated discovery, without a limit on the first fetch: as Istio has it.
void write_text(const std::string& text, wire::core::DataSource& into);
void write_access_logs(const std::vector<config::AccessLog>& logs,
                       google::protobuf::RepeatedPtrField<wire::log::AccessLog>& into);

void write_text_field(wire::core::Metadata& into, const char* key, const std::string& text);
// filter_metadata["fairlead"][key] = text
template <class Message>
void write_origin(const Origin& origin, Message& into) {
  if (origin != Origin{}) write_text_field(*into.mutable_metadata(), "origin", origin.encode());
}

template <class Message>
void write_closed(const config::Closed& closed, Message& into) {
  if (!closed.empty()) write_text_field(*into.mutable_metadata(), "closed", closed);
}
// That a part is closed is carried beside what is written of it, so that it never opens on the way.
void write_labels(const config::Labels& labels, wire::Struct& into);
void write_disabled_filters(const std::vector<std::string>& names,
                            google::protobuf::Map<std::string, wire::Any>& into);

void write_undelivered_marks(wire::http::LocalReplyConfig& into);
// For a real Envoy beside an app: its own replies to requests that the app never had, or to safe
// ones without a body with which the app died, carry x-fairlead-undelivered, as our proxy's do, so
// that the caller's proxy may send them to another endpoint.

[[nodiscard]] std::string bytes_of(const wire::Message& message);
// The same message gives the same bytes.
void pack(const wire::Message& message, wire::Any& into);

}  // namespace fairlead::xds
