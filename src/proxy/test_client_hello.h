// For tests: a ClientHello's bytes, made by hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::proxy::testing {

inline std::string with_length(std::size_t bytes, std::string_view content) {
  std::string made;
  for (std::size_t at = bytes; at-- > 0;) {
    made += static_cast<char>(content.size() >> (8 * at) & 0xff);
  }
  return made + std::string(content);
}

inline std::string extension(std::uint16_t type, std::string_view content) {
  std::string made{static_cast<char>(type >> 8), static_cast<char>(type & 0xff)};
  return made + with_length(2, content);
}

inline std::string server_name_extension(std::string_view name) {
  return extension(0, with_length(2, std::string(1, '\0') + with_length(2, name)));
}

inline std::string protocols_extension(const std::vector<std::string>& protocols) {
  std::string list;
  for (const std::string& one : protocols) list += with_length(1, one);
  return extension(16, with_length(2, list));
}

// The handshake message: its header, and a body with these extensions.
inline std::string hello_message(std::string_view extensions) {
  std::string body = "\x03\x03" + std::string(32, 'r') + with_length(1, "session");
  body += with_length(2, "\x13\x01\x13\x02");
  body += with_length(1, std::string(1, '\0'));
  body += with_length(2, extensions);
  return "\x01" + with_length(3, body);
}

// In records of at most so many bytes each.
inline std::string records_of(std::string_view message, std::size_t most = 16384) {
  std::string made;
  while (!message.empty()) {
    const std::string_view piece = message.substr(0, most);
    message.remove_prefix(piece.size());
    made += "\x16\x03\x01" + with_length(2, piece);
  }
  return made;
}

inline std::string client_hello(std::string_view name,
                                const std::vector<std::string>& protocols = {}) {
  std::string extensions = extension(43, std::string_view("\x02\x03\x04", 3));
  if (!name.empty()) extensions += server_name_extension(name);
  if (!protocols.empty()) extensions += protocols_extension(protocols);
  return records_of(hello_message(extensions));
}

}  // namespace fairlead::proxy::testing
