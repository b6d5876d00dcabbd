// gRPC over HTTP/2 as bytes: length-prefixed messages, status and deadlines in fields
// (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md). No sockets, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "http/h2_session.h"

namespace fairlead::http {

// grpc/statuscodes.md.
enum class GrpcCode : std::uint8_t {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};
[[nodiscard]] const char* name_of(GrpcCode code);  // "UNAVAILABLE"; static

struct GrpcStatus {
  GrpcCode code = GrpcCode::ok;
  std::string message;  // a sentence for people
  [[nodiscard]] bool ok() const { return code == GrpcCode::ok; }
  bool operator==(const GrpcStatus&) const = default;
};

[[nodiscard]] GrpcStatus status_of(const Fault& fault);

[[nodiscard]] std::string grpc_prefix(std::size_t size);
// The five bytes before a message of that size that is not compressed.
[[nodiscard]] std::string frame_grpc(std::string_view message);
// One message with its five bytes before it, not compressed.

// Takes a body's bytes, however they are cut, and gives messages.
class GrpcDeframer {
 public:
  explicit GrpcDeframer(std::size_t max_message) : max_message_(max_message) {}

  void add(std::string_view bytes) { buffer_.append(bytes); }
  [[nodiscard]] Result<std::optional<std::string>> next();
  // Absent: more bytes are needed. A fault, `exhausted` for a message over the limit, `unsupported`
  // for a compressed one: the stream cannot go on.
  [[nodiscard]] bool between_messages() const { return taken_ == buffer_.size(); }
  // A body may end here and nowhere else.
  [[nodiscard]] std::size_t waiting() const { return buffer_.size() - taken_; }
  // Bytes that next() has not given yet.
  [[nodiscard]] std::size_t room() const { return buffer_.capacity(); }

 private:
  std::size_t max_message_;
  std::string buffer_;
  std::size_t taken_ = 0;
};

[[nodiscard]] H2Fields grpc_trailers(const GrpcStatus& status);
// grpc-status, and grpc-message percent-encoded.
[[nodiscard]] std::optional<GrpcStatus> grpc_status_in(const H2Fields& fields);
// Absent when the fields carry none.
[[nodiscard]] GrpcCode grpc_code_for_http(std::string_view http_status);
// What an answer without a grpc-status means (grpc/doc/http-grpc-status-mapping.md).

[[nodiscard]] std::optional<Duration> parse_grpc_timeout(std::string_view text);
// "100m", "5S": at most eight digits and a unit out of HMSmun. Absent when it is not that.
[[nodiscard]] std::string format_grpc_timeout(Duration timeout);

}  // namespace fairlead::http
