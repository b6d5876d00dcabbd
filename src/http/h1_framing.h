// What a head says of its connection and its body (RFC 9110 §7.6.1, RFC 9112 §6.3). Of this room
// alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace fairlead::http {

// The fields of one head that the parser itself understands, looked up in one pass. Good as long as
// the head's text.
struct KnownFields {
  explicit KnownFields(const Fields& fields);

  const Field* host = nullptr;
  const Field* length = nullptr;
  const Field* coding = nullptr;
  const Field* upgrade = nullptr;
  std::uint32_t hosts = 0;
  std::uint32_t lengths = 0;
  std::uint32_t codings = 0;
  bool close = false;  // the rest is what Connection lists
  bool keep_alive = false;
  bool upgrades = false;
  bool expects_continue = false;

  [[nodiscard]] bool persistent(Version version) const {
    return !close && (version == Version::http11 || keep_alive);
  }
  [[nodiscard]] bool asks_upgrade(Version version) const {
    return upgrades && upgrade && version == Version::http11;
  }

 private:
  void connection(std::string_view value);
};

inline constexpr std::uint64_t largest_body = (std::uint64_t{1} << 63U) - 1;
// Of a message or a chunk, in bytes. No peer can mean more, and signed arithmetic holds it.

struct Refused {
  std::uint16_t status = 400;
  std::string why;
};

[[nodiscard]] std::optional<Refused> framing_of(const KnownFields& fields, Version version,
                                                std::optional<BodyFraming>& framing);
// What frames the body by its fields alone (RFC 9112 §6.3); absent when none of them does.

}  // namespace fairlead::http
