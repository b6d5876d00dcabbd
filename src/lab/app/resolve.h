// Names into addresses by the system's own way (resolv.conf, hosts), as any app does it: on a
// thread of its own, because it waits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/task.h"
#include "net/loop.h"

namespace fairlead::lab::app {

class Resolver {
 public:
  explicit Resolver(net::Loop& loop);
  ~Resolver();
  // Names that are still asked for are forgotten.
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  [[nodiscard]] Task<Result<std::vector<SocketAddress>>> resolve(std::string host,
                                                                 std::uint16_t port);
  // In the order in which they should be tried; never empty. A fault `missing`: there is no such
  // name, or no answer about it.

 private:
  struct Home;
  std::shared_ptr<Home> home_;
};

}  // namespace fairlead::lab::app
