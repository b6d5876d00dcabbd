// From the bytes of a query to the bytes of its response: what a server says, without a socket.
#pragma once

#include <cstdint>
#include <span>

#include "base/clock.h"
#include "base/lifetime.h"
#include "dns/message.h"
#include "dns/zone.h"

namespace fairlead::dns {

enum class Carrier : std::uint8_t { udp, tcp };

// Long-lived: the memory that one answer took serves the next one.
class Responder {
 public:
  Responder(const Zone& zone LIFETIMEBOUND, Random& chance LIFETIMEBOUND)
      : zone_(zone), chance_(chance) {}
  // `zone` is read at each query and may change in between.

  [[nodiscard]] std::size_t respond(std::span<const std::uint8_t> query, Carrier carrier,
                                    std::span<char> into);
  // The number of bytes; 0 when there must be no response: to a response, or to less than a header.
  // Several addresses come in random order. FORMERR for bytes that are no message, NOTIMP for other
  // operations than a query, REFUSED for other classes than IN, BADVERS for an EDNS that is not 0.
  // By UDP no more than the client can take, and never more than `largest_udp`; there must be room
  // for that.

 private:
  const Zone& zone_;
  Random& chance_;
  Message message_;  // first the query, then the response
  Answer answer_;
};

inline constexpr std::uint16_t largest_udp = 1232;  // what passes everywhere without fragments

}  // namespace fairlead::dns
