// Places for connections: so many in all, so many a client, and a fair share for each when they are
// all taken. Decides; knows no sockets and no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>

#include "base/address.h"
#include "base/cancel.h"
#include "base/lifetime.h"

namespace fairlead::http {

struct PlaceLimits {
  std::size_t total = SIZE_MAX;
  std::size_t per_client = SIZE_MAX;
  // A client is an IPv4 address, or 64 bits of an IPv6 address. All that come by unix sockets are
  // one client.
};

struct PlaceCounts {
  std::size_t held = 0;
  std::uint64_t refused = 0;  // found no place
  std::uint64_t evicted = 0;  // gave theirs up to others
};

class Places {
 public:
  class Place;

  explicit Places(const PlaceLimits& limits) : limits_(limits) {}
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  [[nodiscard]] const PlaceLimits& limits() const LIFETIMEBOUND { return limits_; }
  [[nodiscard]] const PlaceCounts& counts() const LIFETIMEBOUND { return counts_; }
  [[nodiscard]] std::size_t held_by(const IpAddress& client) const;

 private:
  // Places of one client, those that came first first.
  struct Client {
    Place* first = nullptr;
    Place* last = nullptr;
    std::size_t count = 0;
  };
  using Clients = std::map<IpAddress, Client>;

  [[nodiscard]] bool admit(Place& place);
  [[nodiscard]] Place* victim_for(const Client* newcomer);
  static Place* oldest_idle(const Client& client);
  void add(Place& place);
  void remove(Place& place);
  void evict(Place& place, const Clients::iterator& newcomer);

  PlaceLimits limits_;
  PlaceCounts counts_;
  Clients clients_;
  std::uint64_t last_ = 0;
};

// A connection's claim to a place, for as long as it lives. Dies before its Places.
class Places::Place {
 public:
  Place(Places& places, const IpAddress& client);
  // When none is free, the oldest idle connection of who holds most gives up its own; where nobody
  // of them is idle, the oldest, as long as that client still has more than the newcomer.
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  [[nodiscard]] bool is_admitted() const { return admitted_; }
  void set_idle(bool idle) { idle_ = idle; }
  // Nothing is promised to an idle connection: it may end at any time. A new one is not idle.
  [[nodiscard]] Cancel& ended() LIFETIMEBOUND { return ended_; }
  // Cancelled when the place went to somebody else.

 private:
  friend class Places;
  Places& places_;
  Clients::iterator client_;
  std::uint64_t number_ = 0;  // in the order in which they came
  Place* previous_ = nullptr;
  Place* next_ = nullptr;
  Cancel ended_;
  bool admitted_ = false;
  bool holds_ = false;
  bool idle_ = false;
};

}  // namespace fairlead::http
