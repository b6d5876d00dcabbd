#include "xds/encode.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "xds/encode_parts.h"

namespace fairlead::xds {
namespace {

template <class Message, class Value>
std::string encoded(const Value& value) {
  Message message;
  write(value, message);
  return bytes_of(message);
}

}  // namespace

std::string encode(const config::Cluster& cluster) {
  return encoded<wire::cluster::Cluster>(cluster);
}

std::string encode(const config::ClusterLoadAssignment& endpoints) {
  return encoded<wire::endpoint::ClusterLoadAssignment>(endpoints);
}

std::string encode(const config::Listener& listener) {
  return encoded<wire::listener::Listener>(listener);
}

std::string encode(const config::RouteConfiguration& routes) {
  return encoded<wire::route::RouteConfiguration>(routes);
}

// ── What all share ───────────────────────────────────────────────────────────────────────────────

void write(const SocketAddress& address, wire::core::SocketAddress& into) {
  into.set_address(address.ip.text());
  into.set_port_value(address.port);
}

void write(config::Milliseconds duration, google::protobuf::Duration& into) {
  into.set_seconds(duration.count() / 1000);
  into.set_nanos(static_cast<std::int32_t>(duration.count() % 1000) * 1'000'000);
}

void write_ads(wire::core::ConfigSource& into) {
  into.mutable_ads();
  into.mutable_initial_fetch_timeout();  // 0s
  into.set_resource_api_version(wire::core::V3);
}

void write_text(const std::string& text, wire::core::DataSource& into) {
  if (is_utf8(text)) {
    into.set_inline_string(text);
  } else {
    into.set_inline_bytes(text);
  }
}

void write_access_logs(const std::vector<config::AccessLog>& logs,
                       google::protobuf::RepeatedPtrField<wire::log::AccessLog>& into) {
  for (const config::AccessLog& log : logs) {
    wire::file_log::FileAccessLog file;
    file.set_path(log.path);
    if (!log.format.empty()) {
      write_text(log.format, *file.mutable_log_format()->mutable_text_format_source());
    }
    wire::log::AccessLog& made = *into.Add();
    made.set_name("envoy.access_loggers.file");
    pack(file, *made.mutable_typed_config());
  }
}

void write_text_field(wire::core::Metadata& into, const char* key, const std::string& text) {
  wire::Struct& ours = (*into.mutable_filter_metadata())["fairlead"];
  (*ours.mutable_fields())[key].set_string_value(text);
}

void write_labels(const config::Labels& labels, wire::Struct& into) {
  for (const auto& [name, value] : labels) {
    google::protobuf::Value& made = (*into.mutable_fields())[name];
    if (!value.starts_with('\n') || !made.ParseFromString(value.substr(1))) {
      made.set_string_value(value);
    }
  }
}

void write_disabled_filters(const std::vector<std::string>& names,
                            google::protobuf::Map<std::string, wire::Any>& into) {
  wire::route::FilterConfig disabled;
  disabled.set_disabled(true);
  for (const std::string& name : names) pack(disabled, into[name]);
}

std::string bytes_of(const wire::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

void pack(const wire::Message& message, wire::Any& into) {
  into.set_type_url("type.googleapis.com/" + message.GetTypeName());
  into.set_value(bytes_of(message));
}

}  // namespace fairlead::xds
