#include "lab/app/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "base/latest.h"

namespace fairlead::lab::app {
namespace {

using Addresses = std::vector<SocketAddress>;
using Outcome = Result<Addresses>;

void add(Addresses& addresses, const addrinfo& found, std::uint16_t port) {
  if (found.ai_family == AF_INET) {
    sockaddr_in address{};
    std::memcpy(&address, found.ai_addr, sizeof address);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &address.sin_addr, bytes.size());
    addresses.push_back({IpAddress::v4(bytes), port});
  } else if (found.ai_family == AF_INET6) {
    sockaddr_in6 address{};
    std::memcpy(&address, found.ai_addr, sizeof address);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &address.sin6_addr, bytes.size());
    addresses.push_back({IpAddress::v6(bytes), port});
  }
}

Outcome look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return missing("the name '" + host + "' is not resolved: " + ::gai_strerror(error));
  }
  Addresses addresses;
  for (const addrinfo* one = found; one; one = one->ai_next) add(addresses, *one, port);
  ::freeaddrinfo(found);
  if (addresses.empty()) return missing("the name '" + host + "' has no address");
  return addresses;
}

}  // namespace

// Where answers go, as long as there is somebody at home.
struct Resolver::Home {
  std::mutex mutex;
  net::Loop* loop = nullptr;
};

Resolver::Resolver(net::Loop& loop) : home_(std::make_shared<Home>()) {
  home_->loop = &loop;
}

Resolver::~Resolver() {
  const std::lock_guard lock(home_->mutex);
  home_->loop = nullptr;
}

Task<Result<std::vector<SocketAddress>>> Resolver::resolve(std::string host, std::uint16_t port) {
  if (const Result<IpAddress> literal = IpAddress::parse(host)) {
    co_return Addresses{{*literal, port}};
  }
  auto answer = std::make_shared<Latest<std::shared_ptr<Outcome>>>();
  std::thread([home = home_, answer, host, port]() mutable {
    const auto outcome = std::make_shared<Outcome>(look_up(host, port));
    const std::lock_guard lock(home->mutex);
    if (!home->loop) return;
    home->loop->post([answer = std::move(answer), outcome] { answer->set(outcome); });
  }).detach();
  if (Result<> waited = co_await answer->after(0); !waited) co_return std::move(waited).fault();
  co_return std::move(*answer->get());
}

}  // namespace fairlead::lab::app
