// The generated types of our subset of Envoy's API, by short names. For this room alone.
#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <string_view>

#include "xds/proto/access_log.pb.h"
#include "xds/proto/bootstrap.pb.h"
#include "xds/proto/cluster.pb.h"
#include "xds/proto/core.pb.h"
#include "xds/proto/cors.pb.h"
#include "xds/proto/discovery.pb.h"
#include "xds/proto/downstream_connections.pb.h"
#include "xds/proto/endpoint.pb.h"
#include "xds/proto/fault.pb.h"
#include "xds/proto/file_log.pb.h"
#include "xds/proto/http_connection_manager.pb.h"
#include "xds/proto/http_inspector.pb.h"
#include "xds/proto/http_options.pb.h"
#include "xds/proto/listener.pb.h"
#include "xds/proto/original_dst.pb.h"
#include "xds/proto/overload.pb.h"
#include "xds/proto/previous_hosts.pb.h"
#include "xds/proto/raw_buffer.pb.h"
#include "xds/proto/rbac.pb.h"
#include "xds/proto/route.pb.h"
#include "xds/proto/router.pb.h"
#include "xds/proto/stream_log.pb.h"
#include "xds/proto/tcp_proxy.pb.h"
#include "xds/proto/tls_inspector.pb.h"
#include "xds/proto/typed_struct.pb.h"
#include "xds/proto/udpa_typed_struct.pb.h"
#include "xds/proto/uuid.pb.h"

namespace fairlead::xds {

[[nodiscard]] bool parse(std::string_view bytes, google::protobuf::Message& into);
[[nodiscard]] bool is_utf8(std::string_view text);
// What a protobuf string must be.

}  // namespace fairlead::xds

namespace fairlead::xds::wire {

using google::protobuf::Any;
using google::protobuf::Message;
using google::protobuf::Struct;

namespace log = envoy::config::accesslog::v3;
namespace file_log = envoy::extensions::access_loggers::file::v3;
namespace stream_log = envoy::extensions::access_loggers::stream::v3;
namespace boot = envoy::config::bootstrap::v3;
namespace cluster = envoy::config::cluster::v3;
namespace core = envoy::config::core::v3;
namespace discovery = envoy::service::discovery::v3;
namespace endpoint = envoy::config::endpoint::v3;
namespace listener = envoy::config::listener::v3;
namespace matcher = envoy::type::matcher::v3;
namespace route = envoy::config::route::v3;
namespace http = envoy::extensions::filters::network::http_connection_manager::v3;
namespace http_options = envoy::extensions::upstreams::http::v3;
namespace tcp = envoy::extensions::filters::network::tcp_proxy::v3;
using envoy::config::overload::v3::OverloadManager;
using UdpaTypedStruct = udpa::type::v1::TypedStruct;
using XdsTypedStruct = ::xds::type::v3::TypedStruct;
using envoy::extensions::filters::http::cors::v3::Cors;
using envoy::extensions::filters::http::fault::v3::HTTPFault;
using envoy::extensions::filters::http::rbac::v3::RBAC;
using envoy::extensions::filters::http::rbac::v3::RBACPerRoute;
using envoy::extensions::filters::http::router::v3::Router;
using envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
using envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
using envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
using envoy::extensions::request_id::uuid::v3::UuidRequestIdConfig;
using envoy::extensions::resource_monitors::downstream_connections::v3::DownstreamConnectionsConfig;
using envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
using envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;

inline constexpr const char* transport_socket_filter = "envoy.transport_socket_match";
inline constexpr const char* http_options_key =
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

}  // namespace fairlead::xds::wire
