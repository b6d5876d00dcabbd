// The few things that a lab asks of the kernel's routing socket: wires, addresses, routes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/descriptor.h"
#include "base/result.h"

namespace fairlead::lab {

struct Route {
  IpAddress to;
  int prefix_length = 0;  // 0 is the default route
  std::string interface;
  std::optional<IpAddress> via;
  bool via_is_on_link = false;      // the gateway has no route of its own
  std::optional<IpAddress> source;  // preferred
};

// Belongs to the network namespace that the thread was in at open(), wherever it goes later.
class Netlink {
 public:
  [[nodiscard]] static Result<Netlink> open();

  [[nodiscard]] Result<> set_up(const std::string& interface);
  [[nodiscard]] Result<> add_wire(const std::string& here, const std::string& there,
                                  int there_namespace);
  // A veth pair: the end `here` in this namespace, the end `there` in that of the descriptor.
  [[nodiscard]] Result<> remove_link(const std::string& interface);
  [[nodiscard]] Result<> add_address(const std::string& interface, const IpAddress& address,
                                     int prefix_length);
  [[nodiscard]] Result<> add_route(const Route& route);

 private:
  explicit Netlink(Descriptor socket) : socket_(std::move(socket)) {}
  Result<int> ask(std::vector<std::uint8_t> message, const std::string& what);
  // Waits for the kernel's answer: the index of the link that it tells of, 0 if of none.
  Result<> tell(std::vector<std::uint8_t> message, const std::string& what);
  Result<int> index_of(const std::string& interface);

  Descriptor socket_;
  std::uint32_t sequence_ = 0;
  std::map<std::string, int> indexes_;
};

}  // namespace fairlead::lab
