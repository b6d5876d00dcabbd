#include "proxy/client_hello.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace fairlead::proxy {
namespace {

constexpr std::size_t record_header = 5;       // type, version, length (RFC 8446 §5.1)
constexpr std::size_t handshake_header = 4;    // type, length (§4)
constexpr std::size_t longest_record = 16384;  // of plain text
constexpr std::size_t longest_name = 255;      // of a host (RFC 1035 §2.3.4)
constexpr std::uint8_t handshake_record = 22;
constexpr std::uint8_t hello_message = 1;
constexpr std::uint16_t name_extension = 0;
constexpr std::uint16_t protocols_extension = 16;

// Takes numbers and vectors off the front. Once something is not there all that follows is not, and
// good() says so.
class HelloReader {
 public:
  explicit HelloReader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  std::string_view take(std::size_t size) {
    if (size > bytes_.size()) {
      good_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::size_t number(std::size_t bytes) {
    std::size_t value = 0;
    for (const char byte : take(bytes)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  // With its length before it, of so many bytes.
  std::string_view vector(std::size_t length_bytes) { return take(number(length_bytes)); }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

std::optional<std::string> name_in(std::string_view extension) {
  HelloReader all(extension);
  HelloReader list(all.vector(2));
  // One name of each type at most, and host_name (0) is the only type there is.
  if (list.number(1) != 0) return {};
  const std::string_view name = list.vector(2);
  const bool visible =
      std::all_of(name.begin(), name.end(), [](char byte) { return byte > 0x20 && byte < 0x7f; });
  if (!all.good() || !all.empty() || !list.good() || !list.empty() || name.empty() ||
      name.size() > longest_name || !visible) {
    return {};
  }
  std::string lower(name);
  for (char& byte : lower) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte | 0x20);
  }
  return lower;
}

std::optional<std::vector<std::string>> protocols_in(std::string_view extension) {
  HelloReader all(extension);
  HelloReader list(all.vector(2));
  std::vector<std::string> protocols;
  while (list.good() && !list.empty()) {
    const std::string_view protocol = list.vector(1);
    if (protocol.empty()) return {};
    protocols.emplace_back(protocol);
  }
  if (!all.good() || !all.empty() || !list.good() || protocols.empty()) return {};
  return protocols;
}

std::optional<ClientHello> read_extensions(std::string_view extensions) {
  ClientHello hello;
  bool named = false;
  bool offered = false;
  HelloReader reader(extensions);
  while (reader.good() && !reader.empty()) {
    const std::size_t type = reader.number(2);
    const std::string_view content = reader.vector(2);
    if (!reader.good()) return {};
    if (type == name_extension) {
      std::optional<std::string> name = name_in(content);
      if (!name || std::exchange(named, true)) return {};  // each comes once (§4.2)
      hello.server_name = std::move(*name);
    } else if (type == protocols_extension) {
      auto protocols = protocols_in(content);
      if (!protocols || std::exchange(offered, true)) return {};
      hello.protocols = std::move(*protocols);
    }
  }
  if (!reader.good()) return {};
  return hello;
}

// The message without its header.
std::optional<ClientHello> read_message(std::string_view message) {
  HelloReader reader(message);
  const std::size_t version = reader.number(2);
  (void)reader.take(32);   // random
  (void)reader.vector(1);  // legacy_session_id
  const std::string_view suites = reader.vector(2);
  const std::string_view compression = reader.vector(1);
  if (!reader.good() || version >> 8 != 3 || suites.empty() || suites.size() % 2 != 0 ||
      compression.empty()) {
    return {};
  }
  if (reader.empty()) return ClientHello{};  // no extensions, as before TLS 1.2
  const std::string_view extensions = reader.vector(2);
  if (!reader.good() || !reader.empty()) return {};
  return read_extensions(extensions);
}

// The handshake's bytes that have come, out of their records, until `wanted` are there.
struct Handshake {
  HelloState state = HelloState::incomplete;
  std::string bytes;
};

// What a record's header says, as far as it has come.
HelloState look_at_header(std::string_view header) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(header[at]); };
  if (!header.empty() && byte(0) != handshake_record) return HelloState::broken;
  if (header.size() > 1 && byte(1) != 3) return HelloState::broken;
  if (header.size() > 2 && byte(2) > 4) return HelloState::broken;
  if (header.size() < record_header) return HelloState::incomplete;
  const std::size_t length = std::size_t{byte(3)} << 8 | byte(4);
  return length == 0 || length > longest_record ? HelloState::broken : HelloState::complete;
}

// Of the message, as far as it has come: absent, its header is not whole.
std::optional<std::size_t> message_size(std::string_view bytes) {
  if (bytes.size() < handshake_header) return {};
  HelloReader reader(bytes.substr(1));
  return handshake_header + reader.number(3);
}

Handshake gather_handshake(std::string_view bytes) {
  Handshake all;
  std::size_t at = 0;
  while (true) {
    const std::string_view header = bytes.substr(at, record_header);
    all.state = look_at_header(header);
    if (all.state != HelloState::complete) return all;
    const std::size_t length = HelloReader(header.substr(3)).number(2);
    const std::string_view piece = bytes.substr(at + record_header, length);
    all.bytes += piece;
    if (!all.bytes.empty() && static_cast<std::uint8_t>(all.bytes[0]) != hello_message) {
      all.state = HelloState::broken;
      return all;
    }
    const std::optional<std::size_t> size = message_size(all.bytes);
    if (size && *size > longest_client_hello - record_header) {
      all.state = HelloState::too_long;
      return all;
    }
    if (size && all.bytes.size() >= *size) {
      all.bytes.resize(*size);
      return all;
    }
    if (piece.size() < length) {
      all.state = HelloState::incomplete;
      return all;
    }
    at += record_header + length;
  }
}

}  // namespace

HelloRead read_client_hello(std::string_view bytes) {
  const std::string_view looked_at = bytes.substr(0, longest_client_hello);
  Handshake gathered = gather_handshake(looked_at);
  if (gathered.state == HelloState::incomplete && looked_at.size() == longest_client_hello) {
    gathered.state = HelloState::too_long;
  }
  if (gathered.state != HelloState::complete) return {gathered.state, {}};
  std::optional<ClientHello> hello =
      read_message(std::string_view(gathered.bytes).substr(handshake_header));
  if (!hello) return {HelloState::broken, {}};
  return {HelloState::complete, std::move(*hello)};
}

}  // namespace fairlead::proxy
