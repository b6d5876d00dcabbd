#include "xds/decode_parts.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "base/split.h"

namespace fairlead::xds {
namespace {

const wire::Struct* metadata_of(const wire::core::Metadata& metadata, const char* filter) {
  const auto found = metadata.filter_metadata().find(filter);
  return found == metadata.filter_metadata().end() ? nullptr : &found->second;
}

std::string text_in(const wire::Struct& object, const char* key) {
  const auto found = object.fields().find(key);
  return found == object.fields().end() ? std::string() : found->second.string_value();
}

// "virtual-service" -> "VirtualService"
std::string kind_from(std::string_view words) {
  std::string kind;
  bool starts = true;
  for (const char c : words) {
    if (c == '-') {
      starts = true;
      continue;
    }
    kind += starts && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    starts = false;
  }
  return kind;
}

// "/apis/networking.istio.io/v1/namespaces/default/virtual-service/echo"
Origin origin_from_path(std::string_view path) {
  const std::vector<std::string_view> parts = split(path, '/');
  if (parts.size() != 8 || parts[4] != "namespaces") return {};
  return {.kind = kind_from(parts[6]),
          .name_space = std::string(parts[5]),
          .name = std::string(parts[7])};
}

Origin origin_from_service(const wire::Struct& service) {
  const std::string name = text_in(service, "name");
  if (name.empty()) return {};
  return {.kind = "Service", .name_space = text_in(service, "namespace"), .name = name};
}

Origin origin_from_istio(const wire::Struct& istio) {
  const auto services = istio.fields().find("services");
  if (services != istio.fields().end() && services->second.list_value().values_size() > 0) {
    return origin_from_service(services->second.list_value().values(0).struct_value());
  }
  return origin_from_path(text_in(istio, "config"));
}

Result<config::AccessLog> with_format(std::string path,
                                      const wire::core::SubstitutionFormatString& format,
                                      const Place& place) {
  config::AccessLog log{.path = std::move(path)};
  switch (format.format_case()) {
    case wire::core::SubstitutionFormatString::kTextFormat:
      log.format = format.text_format();
      break;
    case wire::core::SubstitutionFormatString::kTextFormatSource: {
      Result<std::string> text =
          read_text(format.text_format_source(), place.in("text_format_source"));
      if (!text.ok()) return std::move(text).fault();
      log.format = std::move(text).value();
      break;
    }
    case wire::core::SubstitutionFormatString::FORMAT_NOT_SET:
      break;  // json_format is among the unknown
  }
  return log;
}

Result<config::AccessLog> read_file_log(const wire::Any& any, const Place& place) {
  const Result<wire::file_log::FileAccessLog> file =
      unpack<wire::file_log::FileAccessLog>(any, place);
  if (!file.ok()) return file.fault();
  if (file->path().empty()) return place.in("path").refused("expected a file");
  if (file->access_log_format_case() == wire::file_log::FileAccessLog::kFormat) {
    return config::AccessLog{.path = file->path(), .format = file->format()};
  }
  return with_format(file->path(), file->log_format(), place.in("log_format"));
}

template <class Message>
Result<config::AccessLog> read_stream_log(const char* path, const wire::Any& any,
                                          const Place& place) {
  const Result<Message> stream = unpack<Message>(any, place);
  if (!stream.ok()) return stream.fault();
  return with_format(path, stream->log_format(), place.in("log_format"));
}

// Absent: a log of a kind that we do not write.
Result<std::optional<config::AccessLog>> read_access_log(const wire::log::AccessLog& log,
                                                         const Place& place) {
  const wire::Any& any = log.typed_config();
  const Place inside = place.in("typed_config");
  Result<config::AccessLog> made = config::AccessLog{};
  if (any.Is<wire::file_log::FileAccessLog>()) {
    made = read_file_log(any, inside);
  } else if (any.Is<wire::stream_log::StdoutAccessLog>()) {
    made = read_stream_log<wire::stream_log::StdoutAccessLog>("/dev/stdout", any, inside);
  } else if (any.Is<wire::stream_log::StderrAccessLog>()) {
    made = read_stream_log<wire::stream_log::StderrAccessLog>("/dev/stderr", any, inside);
  } else {
    place.note(log.name());
    return std::optional<config::AccessLog>();
  }
  if (!made.ok()) return std::move(made).fault();
  return std::optional<config::AccessLog>(std::move(made).value());
}

}  // namespace

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return made;
}

Result<SocketAddress> read_address(const wire::core::SocketAddress& address, const Place& place) {
  if (address.protocol() != wire::core::SocketAddress::TCP) {
    return place.in("protocol").refused("expected TCP: nothing else is carried");
  }
  if (address.port_value() > std::numeric_limits<std::uint16_t>::max()) {
    return place.in("port_value").refused(fmt::format("{} is no port", address.port_value()));
  }
  const Result<IpAddress> ip = IpAddress::parse(address.address());
  if (!ip.ok()) {
    return place.in("address").refused(
        fmt::format("expected an IP address, found \"{}\"", address.address()));
  }
  return SocketAddress{*ip, static_cast<std::uint16_t>(address.port_value())};
}

Result<SocketAddress> read_address(const wire::core::Address& address, const Place& place) {
  if (!address.has_socket_address()) {
    return place.refused("expected a socket_address: nothing else is listened on");
  }
  return read_address(address.socket_address(), place.in("socket_address"));
}

Result<config::Milliseconds> read_duration(const google::protobuf::Duration& duration,
                                           const Place& place) {
  constexpr std::int64_t most_seconds = 315'576'000'000;  // as protobuf bounds it
  const std::int64_t seconds = duration.seconds();
  const std::int64_t nanos = duration.nanos();
  if (seconds < 0 || seconds > most_seconds || nanos < 0 || nanos > 999'999'999) {
    return place.refused("is no duration from 0s on");
  }
  return config::Milliseconds{seconds * 1000 + (nanos + 999'999) / 1'000'000};
}

Result<std::vector<config::AccessLog>> read_access_logs(
    const google::protobuf::RepeatedPtrField<wire::log::AccessLog>& logs, const Place& place) {
  std::vector<config::AccessLog> made;
  for (int i = 0; i < logs.size(); ++i) {
    Result<std::optional<config::AccessLog>> log =
        read_access_log(logs[i], place.in("access_log", i));
    if (!log.ok()) return std::move(log).fault();
    if (*log) made.push_back(std::move(**log));
  }
  return made;
}

Result<std::string> read_text(const wire::core::DataSource& source, const Place& place) {
  switch (source.specifier_case()) {
    case wire::core::DataSource::kInlineBytes:
      return source.inline_bytes();
    case wire::core::DataSource::kInlineString:
      return source.inline_string();
    case wire::core::DataSource::SPECIFIER_NOT_SET:
      break;
  }
  return place.refused("expected inline_string or inline_bytes");
}

Result<> all(std::initializer_list<Result<>> parts) {
  for (const Result<>& part : parts) {
    if (!part.ok()) return part;
  }
  return done();
}

Result<> check_line(std::string_view text, const Place& place) {
  constexpr std::string_view ends_it("\r\n\0", 3);
  if (text.find_first_of(ends_it) == std::string_view::npos) return done();
  return place.refused("expected no line break and no NUL");
}

Result<> check_pattern(const std::string& pattern, const Place& place) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  const re2::RE2 compiled(pattern, options);
  return compiled.ok() ? done()
                       : place.refused(fmt::format("RE2 refuses the pattern {}: {}", pattern,
                                                   compiled.error()));
}

Result<> check_field_name(std::string_view name, const Place& place) {
  // RFC 9110 §5.6.2
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  if (name.empty()) return place.refused("is needed");
  if (name.starts_with(':') || lower(name) == "host") {
    return place.refused("fields with a colon and Host are not to be changed");
  }
  const bool is_token = std::all_of(name.begin(), name.end(), [&](unsigned char c) {
    return std::isalnum(c) != 0 || marks.find(static_cast<char>(c)) != std::string_view::npos;
  });
  return is_token ? done() : place.refused("is no name of a field");
}

void check_config_source(const wire::core::ConfigSource& source, const Place& place) {
  if (!source.has_ads()) place.note("other than ads");
  if (source.resource_api_version() == wire::core::V2) {
    place.in("resource_api_version").note("V2");
  }
  const google::protobuf::Duration& patience = source.initial_fetch_timeout();
  if (patience.seconds() != 0 || patience.nanos() != 0) {
    place.in("initial_fetch_timeout").note("waited for without limit, as with 0s");
  }
}

Origin origin_in(const wire::core::Metadata& metadata) {
  if (const wire::Struct* ours = metadata_of(metadata, "fairlead")) {
    return Origin::decode(text_in(*ours, "origin"));
  }
  const wire::Struct* istio = metadata_of(metadata, "istio");
  return istio != nullptr ? origin_from_istio(*istio) : Origin{};
}

std::string workload_in(const wire::core::Metadata& metadata) {
  if (const wire::Struct* ours = metadata_of(metadata, "fairlead")) {
    return text_in(*ours, "workload");
  }
  const wire::Struct* istio = metadata_of(metadata, "istio");
  if (istio == nullptr) return {};
  // "echo-v1;default;echo;v1;Kubernetes": workload, namespace, app, version, cluster
  const std::string workload = text_in(*istio, "workload");
  const std::vector<std::string_view> parts = split(workload, ';');
  if (parts.size() < 2 || parts[0].empty()) return {};
  return fmt::format("{}/{}", parts[1], parts[0]);
}

std::string type_in(const wire::Any& any) {
  std::string type = any.type_url();
  wire::UdpaTypedStruct udpa;
  wire::XdsTypedStruct xds;
  if (any.UnpackTo(&udpa)) type = udpa.type_url();
  if (any.UnpackTo(&xds)) type = xds.type_url();
  return type.substr(type.rfind('/') + 1);
}

bool proxied_in(const wire::core::Metadata& metadata) {
  const wire::Struct* ours = metadata_of(metadata, "fairlead");
  return ours && text_in(*ours, "proxied") == "true";
}

void close_unless_closed(config::Closed& part, const wire::core::Metadata& metadata,
                         const Place& place) {
  config::Closed why = place.claim();
  if (!part.empty()) return;
  const wire::Struct* ours = metadata_of(metadata, "fairlead");
  part = ours == nullptr ? std::string() : text_in(*ours, "closed");
  if (part.empty()) part = std::move(why);
}

config::Labels labels_in(const wire::Struct& object) {
  config::Labels labels;
  for (const auto& [name, value] : object.fields()) {
    const bool is_text = value.kind_case() == google::protobuf::Value::kStringValue;
    labels[name] = is_text ? value.string_value() : '\n' + value.SerializeAsString();
  }
  return labels;
}

config::Labels labels_in(const wire::core::Metadata& metadata) {
  const wire::Struct* labels = metadata_of(metadata, wire::transport_socket_filter);
  return labels == nullptr ? config::Labels() : labels_in(*labels);
}

void note_metadata(const wire::core::Metadata& metadata, const Place& place) {
  const Place inside = place.in("metadata");
  const Place filters = inside.in("filter_metadata");
  std::vector<std::string> others;
  for (const auto& [filter, content] : metadata.filter_metadata()) {
    if (filter != "fairlead" && filter != "istio" && filter != wire::transport_socket_filter)
      others.push_back(filter);
  }
  std::sort(others.begin(), others.end());
  for (const std::string& filter : others) filters.note(filter);
}

}  // namespace fairlead::xds
