// What outbound and inbound configuration are both made of. Pure, and of this room alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "config/snapshot.h"
#include "mesh/service.h"

namespace fairlead::control {

template <class T>
using Resources = config::Named<T>;

template <class T>
using Gathered = std::map<std::string, std::shared_ptr<const T>>;  // on the way to Resources

template <class T>
[[nodiscard]] std::shared_ptr<const T> shared_with(const Resources<T>* previous,
                                                   const std::string& name, T value) {
  // The pointer of `previous` when the value is the same there.
  if (previous) {
    const auto same = previous->find(name);
    if (same != previous->end() && *same->second == value) return same->second;
  }
  return std::make_shared<const T>(std::move(value));
}

// Puts `value` under its name; the pointer is that of `previous` when the value is the same there.
// The first with a name keeps it: worlds are sorted, so the winner does not depend on luck.
template <class T>
void place(Gathered<T>& gathered, const Resources<T>* previous, std::string name, T value) {
  if (gathered.contains(name)) return;
  std::shared_ptr<const T> shared = shared_with(previous, name, std::move(value));
  gathered.try_emplace(std::move(name), std::move(shared));
}

template <class T>
[[nodiscard]] Resources<T> resources_of(const Gathered<T>& gathered, const Resources<T>* previous) {
  Resources<T> made;
  if (previous) made = *previous;
  made.become(gathered);
  return made;
}

// How a port's bytes are looked at.
enum class Treatment : std::uint8_t {
  http,     // declared HTTP/1.1
  guessed,  // nothing declared: HTTP/1.1 when the first bytes are, else TCP
  tcp,      // declared something else, or a port whose servers are known to speak first
};

[[nodiscard]] Treatment treatment_of(const mesh::ServicePort& port);
// HTTP/2 and gRPC are carried as TCP: balanced by connection, not by request.

inline constexpr std::chrono::milliseconds first_bytes_wait{1000};
// How long a client may be silent on a guessed port before its connection is taken for TCP.

[[nodiscard]] config::HttpConnectionManager http_filter(std::string stat_prefix);
[[nodiscard]] config::TcpProxy tcp_filter(std::string cluster);
[[nodiscard]] config::FilterChain chain(std::string name, config::FilterChainMatch match,
                                        config::HttpConnectionManager filter, Origin origin);
[[nodiscard]] config::FilterChain chain(std::string name, config::FilterChainMatch match,
                                        config::TcpProxy filter, Origin origin);
[[nodiscard]] config::FilterChainMatch http1_bytes();
// Matches what an HTTP inspector found to be HTTP/1.0 or 1.1.

[[nodiscard]] config::Cluster cluster_named(std::string name, config::ClusterType type,
                                            Origin origin);
[[nodiscard]] config::Route forward_all(std::string cluster, Origin origin);
// One route for every path, without a time limit.

[[nodiscard]] Origin built_in();

}  // namespace fairlead::control
