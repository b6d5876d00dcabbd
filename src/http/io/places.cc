#include "http/io/places.h"

#include <algorithm>

namespace fairlead::http {
namespace {

// Whoever has one IPv6 address has, as a rule, the 2^64 of its network.
IpAddress client_of(const IpAddress& address) {
  if (address.is_v4()) return address;
  std::array<std::uint8_t, 16> bytes = address.bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return IpAddress::v6(bytes);
}

}  // namespace

Places::Place::Place(Places& places, const IpAddress& client)
    : places_(places), client_(places.clients_.try_emplace(client_of(client)).first) {
  admitted_ = places_.admit(*this);
  if (admitted_) places_.add(*this);
  if (!admitted_ && client_->second.count == 0) places_.clients_.erase(client_);
}

Places::Place::~Place() {
  if (holds_) places_.remove(*this);
}

std::size_t Places::held_by(const IpAddress& client) const {
  const auto found = clients_.find(client_of(client));
  return found == clients_.end() ? 0 : found->second.count;
}

Places::Place* Places::oldest_idle(const Client& client) {
  Place* place = client.first;
  while (place != nullptr && !place->idle_) place = place->next_;
  return place;
}

bool Places::admit(Place& place) {
  const Client& own = place.client_->second;
  Place* victim = nullptr;
  bool is_free = true;
  if (own.count >= limits_.per_client) {
    victim = oldest_idle(own);
    is_free = false;
  } else if (counts_.held >= limits_.total) {
    victim = victim_for(&own);
    is_free = false;
  }
  if (victim != nullptr) evict(*victim, place.client_);
  if (is_free || victim != nullptr) return true;
  ++counts_.refused;
  return false;
}

Places::Place* Places::victim_for(const Client* newcomer) {
  std::size_t most = 0;
  for (const auto& [address, client] : clients_) most = std::max(most, client.count);
  Place* idle = nullptr;
  Place* busy = nullptr;
  const auto keep_older = [](Place*& oldest, Place* other) {
    if (other != nullptr && (oldest == nullptr || other->number_ < oldest->number_)) oldest = other;
  };
  for (const auto& [address, client] : clients_) {
    if (client.count != most) continue;
    keep_older(idle, oldest_idle(client));
    keep_older(busy, client.first);
  }
  if (idle != nullptr) return idle;
  return most > newcomer->count + 1 ? busy : nullptr;
}

void Places::add(Place& place) {
  Client& client = place.client_->second;
  place.number_ = ++last_;
  place.previous_ = client.last;
  (client.last != nullptr ? client.last->next_ : client.first) = &place;
  client.last = &place;
  ++client.count;
  ++counts_.held;
  place.holds_ = true;
}

void Places::remove(Place& place) {
  Client& client = place.client_->second;
  (place.previous_ != nullptr ? place.previous_->next_ : client.first) = place.next_;
  (place.next_ != nullptr ? place.next_->previous_ : client.last) = place.previous_;
  place.holds_ = false;
  --counts_.held;
  if (--client.count == 0) clients_.erase(place.client_);
}

void Places::evict(Place& place, const Clients::iterator& newcomer) {
  ++counts_.evicted;
  // The newcomer's entry stays, though it may be empty for a moment.
  ++newcomer->second.count;
  remove(place);
  --newcomer->second.count;
  place.ended_.cancel();
}

}  // namespace fairlead::http
