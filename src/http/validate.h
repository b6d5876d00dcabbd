// What may stand where in a message, whichever protocol version brings it. Nothing is repaired:
// a text is good or it is not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/lifetime.h"

namespace fairlead::http {

[[nodiscard]] bool is_token(std::string_view text);
// RFC 9110 §5.6.2; methods and field names are tokens. Not empty.
[[nodiscard]] bool is_field_value(std::string_view text);
// No control bytes but tab, no white space at either end (RFC 9110 §5.5). May be empty.
[[nodiscard]] bool is_target(std::string_view text);
// Visible ASCII without '#'. Not empty.

struct Authority {
  std::string_view host;              // with the brackets of an IPv6 address
  std::optional<std::uint16_t> port;  // absent when none is named
};
[[nodiscard]] std::optional<Authority> parse_authority(std::string_view text LIFETIMEBOUND);
// host [":" port] (RFC 3986 §3.2 without userinfo). Absent when it is not that; an empty host is
// refused too.

[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view digits);
// Digits alone, at least one, without overflow.

[[nodiscard]] bool forbidden_in_trailers(std::string_view name);
// Fields that frame, route or authorise a message (RFC 9110 §6.5.1).

[[nodiscard]] std::string percent_decoded(std::string_view text);
// RFC 3986 §2.1; a '%' that begins no escape stands for itself.

[[nodiscard]] std::string printable(std::string_view bytes, std::size_t most = 60);
// For messages to people: quoted, control bytes as \xNN, cut when longer.

}  // namespace fairlead::http
