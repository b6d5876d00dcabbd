// What a witness is told to do in one network namespace: whom to ask for names, what to send, and
// where to look afterwards. Travels as JSON, because the witness is started in there by others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace fairlead::witness {

struct Request {
  bool http = true;  // else a TCP connection that sends nothing
  std::string host;  // as written
  std::vector<std::string> addresses;
  // What it stands for, in order, when nobody is to be asked; empty: `host` itself.
  std::uint16_t port = 80;
  std::vector<std::string> names;    // to ask for in turn; empty: nobody is asked
  std::vector<std::string> servers;  // name servers; empty: those of /etc/resolv.conf
  bool prefer_v6 = false;
  std::string text;   // the HTTP request, whole
  bool head = false;  // its method is HEAD: no body follows
  std::string id;     // its x-request-id
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t patience_milliseconds = 20000;
  bool operator==(const Request&) const = default;
};

struct Order {
  std::string where;                   // what this namespace is called in the evidence
  std::optional<Request> request;      // to be sent from here
  bool proxy = false;                  // ask the proxy's records
  std::string id;                      // whose records; of TCP, those of these sources
  std::vector<SocketAddress> sources;  // of connections to look for: their client's end
  std::uint64_t since = 0;  // microseconds of the wall clock since 1970: older records are others'
  bool listening = false;   // look at the sockets that listen for TCP connections
  std::vector<std::string> tables;  // of nft (family inet, else ip), whose counters are told
  bool operator==(const Order&) const = default;
};

[[nodiscard]] std::string order_json(const Order& order);
[[nodiscard]] Result<Order> order_from_json(std::string_view json);

}  // namespace fairlead::witness
