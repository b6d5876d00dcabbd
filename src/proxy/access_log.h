// Access log lines: Envoy's command operators, compiled once, rendered once a request. Pure.
// https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/message.h"
#include "proxy/flags.h"

namespace fairlead::proxy {

// What one request, or one TCP connection, came to. Views: good during the call. An empty text is
// written as "-".
struct LogEntry {
  WallTime started;
  Duration duration{};
  std::optional<Duration> request_duration;    // until the request's last byte had come
  std::optional<Duration> response_duration;   // until the response's first byte came
  const http::RequestHead* request = nullptr;  // null for TCP, and for what was no request
  const http::ResponseHead* response = nullptr;
  const http::Fields* trailers = nullptr;
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
  std::string_view unique_id;  // a UUID; may be empty where the format does not want it
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

  [[nodiscard]] bool wants_unique_id() const { return wants_unique_id_; }
  // Whether `unique_id` is looked at: a new one for each entry.

  struct Operator;

 private:
  using Operators = std::vector<Operator>;
  explicit LogFormat(std::shared_ptr<const Operators> operators);

  std::shared_ptr<const Operators> operators_;
  bool wants_unique_id_ = false;
};

extern const std::string_view default_log_format;

}  // namespace fairlead::proxy
