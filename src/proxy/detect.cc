#include "proxy/detect.h"

#include <algorithm>
#include <utility>

namespace fairlead::proxy {
namespace {

constexpr std::string_view http2_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t longest_method = 32;

bool is_token(char byte) {
  if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'))
    return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(byte) != std::string_view::npos;
}

bool begins_alike(std::string_view bytes, std::string_view pattern) {
  const std::size_t common = std::min(bytes.size(), pattern.size());
  return bytes.substr(0, common) == pattern.substr(0, common);
}

Speech detect_tls(std::string_view bytes) {
  // Record type 22, version 3.x, two bytes of length, handshake type 1.
  if (bytes.size() >= 2 && bytes[1] != 3) return Speech::other;
  if (bytes.size() >= 3 && static_cast<unsigned char>(bytes[2]) > 4) return Speech::other;
  if (bytes.size() < 6) return Speech::undecided;
  return bytes[5] == 1 ? Speech::tls : Speech::other;
}

Speech version_of(std::string_view word) {
  constexpr std::string_view start = "HTTP/1.";
  if (!begins_alike(word, start)) return Speech::other;
  if (word.size() <= start.size()) return Speech::undecided;
  const char minor = word[start.size()];
  if (minor < '0' || minor > '9') return Speech::other;
  const std::string_view rest = word.substr(start.size() + 1);
  if (rest.empty()) return Speech::undecided;
  if (rest[0] != '\r' && rest[0] != '\n') return Speech::other;
  return minor == '0' ? Speech::http10 : Speech::http11;
}

// An empty line before a request is passed over (RFC 9112 §2.2).
Speech detect_http1(std::string_view bytes) {
  constexpr std::string_view empty_line = "\r\n";
  if (begins_alike(bytes, empty_line)) {
    if (bytes.size() <= empty_line.size()) return Speech::undecided;
    bytes.remove_prefix(empty_line.size());
  }
  const auto method_end = std::find_if_not(
      bytes.begin(),
      bytes.begin() + static_cast<std::ptrdiff_t>(std::min(bytes.size(), longest_method + 1)),
      is_token);
  const auto method = static_cast<std::size_t>(method_end - bytes.begin());
  if (method == 0 || method > longest_method) return Speech::other;
  if (method == bytes.size()) return Speech::undecided;
  if (bytes[method] != ' ') return Speech::other;

  const std::string_view target = bytes.substr(method + 1);
  const auto target_end = std::find_if(target.begin(), target.end(), [](char byte) {
    return static_cast<unsigned char>(byte) <= ' ' || byte == 0x7f;
  });
  const auto length = static_cast<std::size_t>(target_end - target.begin());
  if (length == target.size()) return Speech::undecided;
  if (length == 0 || target[length] != ' ') return Speech::other;
  return version_of(target.substr(length + 1));
}

}  // namespace

Speech detect(std::string_view first_bytes) {
  if (first_bytes.empty()) return Speech::undecided;
  if (first_bytes[0] == 0x16) return detect_tls(first_bytes);
  if (begins_alike(first_bytes, http2_preface)) {
    return first_bytes.size() >= http2_preface.size() ? Speech::http2 : Speech::undecided;
  }
  const Speech speech = detect_http1(first_bytes);
  const bool too_long = speech == Speech::undecided && first_bytes.size() >= detection_limit;
  return too_long ? Speech::http11 : speech;
}

Inspection inspect(std::string_view first_bytes, bool with_hello) {
  Inspection made{.speech = detect(first_bytes), .hello = {}};
  if (made.speech != Speech::tls || !with_hello) return made;
  HelloRead read = read_client_hello(first_bytes);
  switch (read.state) {
    case HelloState::incomplete:
      made.speech = Speech::undecided;
      break;
    case HelloState::complete:
      made.hello = std::move(read.hello);
      break;
    case HelloState::too_long:
      made.too_long = true;
      break;
    case HelloState::broken:
      made.speech = Speech::other;
      break;
  }
  return made;
}

std::string_view application_protocol(Speech speech) {
  switch (speech) {
    case Speech::http10:
      return "http/1.0";
    case Speech::http11:
      return "http/1.1";
    case Speech::http2:
      return "h2c";
    case Speech::undecided:
    case Speech::tls:
    case Speech::other:
      return {};
  }
  return {};
}

}  // namespace fairlead::proxy
