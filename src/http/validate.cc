#include "http/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "http/fields.h"
#include "http/scan.h"

namespace fairlead::http {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// RFC 3986's unreserved and sub-delims: what a reg-name may have, apart from escapes.
constexpr std::array<bool, 256> name_bytes = [] {
  std::array<bool, 256> allowed{};
  for (int c = '0'; c <= '9'; ++c) allowed[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) allowed[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) allowed[c] = true;
  for (const char c : std::string_view("-._~!$&'()*+,;="))
    allowed[static_cast<unsigned char>(c)] = true;
  return allowed;
}();

bool is_name_byte(char c) {
  return name_bytes[static_cast<unsigned char>(c)];
}

bool is_registered_name(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (is_name_byte(text[at])) continue;
    if (text[at] != '%' || at + 2 >= text.size()) return false;
    if (!is_hex(text[at + 1]) || !is_hex(text[at + 2])) return false;
    at += 2;
  }
  return !text.empty();
}

bool is_address_literal(std::string_view inside) {
  return !inside.empty() && std::all_of(inside.begin(), inside.end(),
                                        [](char c) { return is_name_byte(c) || c == ':'; });
}

constexpr std::array<std::string_view, 32> not_in_trailers{"age",
                                                           "authorization",
                                                           "cache-control",
                                                           "connection",
                                                           "content-encoding",
                                                           "content-length",
                                                           "content-range",
                                                           "content-type",
                                                           "cookie",
                                                           "date",
                                                           "expect",
                                                           "expires",
                                                           "host",
                                                           "http2-settings",
                                                           "if-match",
                                                           "if-modified-since",
                                                           "if-none-match",
                                                           "if-range",
                                                           "if-unmodified-since",
                                                           "keep-alive",
                                                           "location",
                                                           "max-forwards",
                                                           "proxy-authenticate",
                                                           "proxy-authorization",
                                                           "proxy-connection",
                                                           "range",
                                                           "set-cookie",
                                                           "te",
                                                           "trailer",
                                                           "transfer-encoding",
                                                           "upgrade",
                                                           "www-authenticate"};

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && token_end(text.data(), text.data() + text.size()) == text.end();
}

bool is_field_value(std::string_view text) {
  if (text.empty()) return true;
  return !is_white(text.front()) && !is_white(text.back()) &&
         value_end(text.data(), text.data() + text.size()) == text.end();
}

bool is_target(std::string_view text) {
  return !text.empty() && target_end(text.data(), text.data() + text.size()) == text.end();
}

std::optional<Authority> parse_authority(std::string_view text LIFETIMEBOUND) {
  std::size_t host_end = 0;
  if (text.starts_with('[')) {
    host_end = text.find(']');
    if (host_end == std::string_view::npos) return {};
    if (!is_address_literal(text.substr(1, host_end - 1))) return {};
    ++host_end;
  } else {
    host_end = std::min(text.find(':'), text.size());
    if (!is_registered_name(text.substr(0, host_end))) return {};
  }
  Authority authority{.host = text.substr(0, host_end), .port = {}};
  const std::string_view rest = text.substr(host_end);
  if (rest.empty()) return authority;
  if (rest.front() != ':') return {};
  if (rest.size() == 1) return authority;  // RFC 3986 lets the port be empty
  const std::optional<std::uint64_t> port = parse_decimal(rest.substr(1));
  if (!port || *port > 65535) return {};
  authority.port = static_cast<std::uint16_t>(*port);
  return authority;
}

std::optional<std::uint64_t> parse_decimal(std::string_view digits) {
  if (digits.empty()) return {};
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (!is_digit(c)) return {};
    if (__builtin_mul_overflow(value, std::uint64_t{10}, &value) ||
        __builtin_add_overflow(value, static_cast<std::uint64_t>(c - '0'), &value)) {
      return {};
    }
  }
  return value;
}

bool forbidden_in_trailers(std::string_view name) {
  return std::any_of(not_in_trailers.begin(), not_in_trailers.end(),
                     [&](std::string_view forbidden) { return same_name(name, forbidden); });
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  while (!text.empty()) {
    unsigned value = 0;
    const bool escape =
        text.size() >= 3 && text[0] == '%' &&
        std::from_chars(text.data() + 1, text.data() + 3, value, 16).ptr == text.data() + 3;
    decoded.push_back(escape ? static_cast<char>(value) : text[0]);
    text.remove_prefix(escape ? 3 : 1);
  }
  return decoded;
}

std::string printable(std::string_view bytes, std::size_t most) {
  std::string text = "'";
  for (const char c : bytes.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '\'' || c == '\\') {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  text += bytes.size() > most ? "'..." : "'";
  return text;
}

}  // namespace fairlead::http
