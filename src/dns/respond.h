// From the bytes of a query to the bytes of its response: what a server says, without a socket.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/clock.h"
#include "dns/message.h"
#include "dns/zone.h"

namespace fairlead::dns {

enum class Carrier : std::uint8_t { udp, tcp };

[[nodiscard]] std::string respond(const Zone& zone, std::span<const std::uint8_t> query,
                                  Carrier carrier, Random& chance);
// Empty when there must be no response: to a response, or to less than a header. Several addresses
// come in random order. FORMERR for bytes that are no message, NOTIMP for other operations than a
// query, REFUSED for other classes than IN, BADVERS for an EDNS that is not 0. By UDP no more than
// the client can take, and never more than 1232 bytes.

}  // namespace fairlead::dns
