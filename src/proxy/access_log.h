// Access log lines: Envoy's command operators, compiled once, rendered once a request. Pure.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "proxy/flags.h"

namespace fairlead::proxy {

// Looks a field up by its lower-case name, in a message of whatever type. A view with a null
// pointer: there is none.
struct FieldFinder {
  const void* message = nullptr;
  std::string_view (*find)(const void* message, std::string_view name) = nullptr;

  std::string_view operator()(std::string_view name) const {
    return message ? find(message, name) : std::string_view();
  }
};

// What one request, or one TCP connection, came to. Views: good during the call. An empty text is
// written as "-".
struct LogEntry {
  WallTime started;
  Duration duration{};
  std::optional<Duration> request_duration;   // until the request's last byte had come
  std::optional<Duration> response_duration;  // until the response's first byte came
  FieldFinder request;                        // also ":method", ":path", ":authority", ":scheme"
  FieldFinder response;
  FieldFinder trailers;
  std::string_view protocol;           // "HTTP/1.1"; empty for TCP
  std::string_view upstream_protocol;  // the same
  std::uint32_t response_code = 0;
  Flag flags = Flag::none;
  std::string_view response_details;     // "via_upstream"
  std::string_view termination_details;  // of the downstream connection
  std::string_view upstream_failure;     // why the connection upstream failed
  std::uint64_t bytes_received = 0;      // body bytes for HTTP
  std::uint64_t bytes_sent = 0;
  std::string_view upstream_host;  // "10.0.0.1:80"
  std::string_view upstream_cluster;
  std::string_view upstream_local_address;
  std::string_view downstream_remote_address;
  std::string_view downstream_local_address;  // the address that the client dialled
  std::string_view downstream_direct_local_address;
  std::string_view requested_server_name;
  std::string_view route_name;
  std::string_view virtual_host;
  std::string_view filter_chain;
  std::string_view unique_id;
  std::uint32_t attempts = 0;
  std::uint64_t connection_id = 0;
};

class LogFormat {
 public:
  static Result<LogFormat> parse(std::string_view format);
  // Empty: Envoy's default format. An operator that Envoy does not have is refused by its name; one
  // that speaks of what we do not do (metadata, filter state, TLS) is always "-".

  void render(const LogEntry& entry, std::string& out) const;
  // Appends one entry. Never fails.

  struct Operator {
    enum class Kind : std::uint8_t;
    Kind kind;
    std::string text;       // literal, or a field's name, or a time's format
    std::string otherwise;  // the field to take when the first is absent
    std::size_t limit = std::string::npos;
  };

 private:
  std::vector<Operator> operators_;
};

extern const std::string_view default_log_format;

}  // namespace fairlead::proxy
