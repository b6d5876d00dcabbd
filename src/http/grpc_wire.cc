#include "http/grpc_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

#include "base/release.h"
#include "http/validate.h"

namespace fairlead::http {
namespace {

constexpr std::size_t kept_when_empty = 4096;
constexpr std::size_t prefix_size = 5;  // compressed flag, length in four bytes

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (c >= 0x20 && c <= 0x7e && c != '%') {
      encoded.push_back(c);
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace

const char* name_of(GrpcCode code) {
  constexpr std::array names{"OK",
                             "CANCELLED",
                             "UNKNOWN",
                             "INVALID_ARGUMENT",
                             "DEADLINE_EXCEEDED",
                             "NOT_FOUND",
                             "ALREADY_EXISTS",
                             "PERMISSION_DENIED",
                             "RESOURCE_EXHAUSTED",
                             "FAILED_PRECONDITION",
                             "ABORTED",
                             "OUT_OF_RANGE",
                             "UNIMPLEMENTED",
                             "INTERNAL",
                             "UNAVAILABLE",
                             "DATA_LOSS",
                             "UNAUTHENTICATED"};
  return names.at(static_cast<std::size_t>(code));
}

GrpcStatus status_of(const Fault& fault) {
  const GrpcCode code = [&] {
    switch (fault.kind) {
      case FaultKind::invalid:
        return GrpcCode::invalid_argument;
      case FaultKind::unsupported:
        return GrpcCode::unimplemented;
      case FaultKind::missing:
        return GrpcCode::not_found;
      case FaultKind::denied:
        return GrpcCode::permission_denied;
      case FaultKind::unreachable:
      case FaultKind::closed:
        return GrpcCode::unavailable;
      case FaultKind::timed_out:
        return GrpcCode::deadline_exceeded;
      case FaultKind::cancelled:
        return GrpcCode::cancelled;
      case FaultKind::exhausted:
        return GrpcCode::resource_exhausted;
      case FaultKind::internal:
        return GrpcCode::internal;
    }
    return GrpcCode::unknown;
  }();
  return {code, fault.describe()};
}

std::string grpc_prefix(std::size_t size) {
  std::string prefix{'\0'};
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    prefix.push_back(static_cast<char>(size >> shift & 0xffU));
  }
  return prefix;
}

std::string frame_grpc(std::string_view message) {
  return grpc_prefix(message.size()).append(message);
}

Result<std::optional<std::string>> GrpcDeframer::next() {
  const std::string_view rest = std::string_view(buffer_).substr(taken_);
  if (rest.size() < prefix_size) return std::optional<std::string>();
  std::size_t size = 0;
  for (std::size_t i = 1; i < prefix_size; ++i) {
    size = size << 8 | static_cast<unsigned char>(rest[i]);
  }
  if (rest[0] != 0) {
    return unsupported("a compressed gRPC message came, and no compression was agreed");
  }
  if (size > max_message_) {
    return Fault{.kind = FaultKind::exhausted,
                 .message = fmt::format("a gRPC message of {} bytes is over the limit of {}", size,
                                        max_message_)};
  }
  if (rest.size() < prefix_size + size) return std::optional<std::string>();
  std::optional<std::string> message(std::in_place, rest.substr(prefix_size, size));
  taken_ += prefix_size + size;
  if (taken_ == buffer_.size() || taken_ > 64 * 1024) {
    buffer_.erase(0, taken_);
    taken_ = 0;
    // A stream may live for days after one large message.
    if (buffer_.empty() && buffer_.capacity() > kept_when_empty) release(buffer_);
  }
  return message;
}

H2Fields grpc_trailers(const GrpcStatus& status) {
  H2Fields fields{{"grpc-status", std::to_string(static_cast<int>(status.code))}};
  if (!status.message.empty()) {
    fields.push_back({"grpc-message", percent_encode(status.message)});
  }
  return fields;
}

std::optional<GrpcStatus> grpc_status_in(const H2Fields& fields) {
  const std::string* text = find_field(fields, "grpc-status");
  if (!text) return std::nullopt;
  int code = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), code);
  const bool valid =
      error == std::errc() && end == text->data() + text->size() && code >= 0 && code <= 16;
  const std::string* message = find_field(fields, "grpc-message");
  return GrpcStatus{valid ? static_cast<GrpcCode>(code) : GrpcCode::unknown,
                    message ? percent_decoded(*message) : std::string()};
}

GrpcCode grpc_code_for_http(std::string_view http_status) {
  if (http_status == "400") return GrpcCode::internal;
  if (http_status == "401") return GrpcCode::unauthenticated;
  if (http_status == "403") return GrpcCode::permission_denied;
  if (http_status == "404") return GrpcCode::unimplemented;
  if (http_status == "429" || http_status == "502" || http_status == "503" ||
      http_status == "504") {
    return GrpcCode::unavailable;
  }
  return GrpcCode::unknown;
}

namespace {

struct Unit {
  char letter;
  Duration length;
};
constexpr std::array units{
    Unit{'n', std::chrono::nanoseconds(1)},  Unit{'u', std::chrono::microseconds(1)},
    Unit{'m', std::chrono::milliseconds(1)}, Unit{'S', std::chrono::seconds(1)},
    Unit{'M', std::chrono::minutes(1)},      Unit{'H', std::chrono::hours(1)}};

}  // namespace

std::optional<Duration> parse_grpc_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  const auto unit = std::find_if(units.begin(), units.end(),
                                 [&](const Unit& one) { return one.letter == text.back(); });
  if (unit == units.end()) return std::nullopt;
  std::int64_t count = 0;
  const std::string_view digits = text.substr(0, text.size() - 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (error != std::errc() || end != digits.data() + digits.size() || count < 0)
    return std::nullopt;
  constexpr auto longest = std::chrono::hours(24 * 365);  // further away is for ever
  if (count > longest / unit->length) return longest;
  return count * unit->length;
}

std::string format_grpc_timeout(Duration timeout) {
  timeout = std::max(timeout, Duration(0));
  for (const Unit& unit : units) {
    const std::int64_t count = timeout / unit.length;
    if (count < 100'000'000) return fmt::format("{}{}", count, unit.letter);
  }
  return "99999999H";
}

}  // namespace fairlead::http
