#include "net/resolve.h"

#include <netdb.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "net/readiness.h"
#include "net/socket.h"

namespace fairlead::net {
namespace {

// Shared by the one who waits and the thread that looks up.
struct LookUp {
  std::string name;
  std::mutex mutex;
  Loop* loop = nullptr;  // null: nobody waits any more
  Readiness ready;       // used on the loop's thread alone
  int error = 0;
  std::vector<IpAddress> addresses;
};

Fault fault_of(int error, const std::string& name) {
  switch (error) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
      return missing("there is no host \"" + name + "\"");
    default:
      return Fault{FaultKind::unreachable, "looking up \"" + name + "\": " + ::gai_strerror(error)};
  }
}

void look_up(const std::shared_ptr<LookUp>& shared) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(shared->name.c_str(), nullptr, &hints, &found);
  const std::lock_guard lock(shared->mutex);
  shared->error = error;
  for (const addrinfo* one = found; error == 0 && one != nullptr; one = one->ai_next) {
    RawAddress raw;
    std::copy_n(reinterpret_cast<const char*>(one->ai_addr), one->ai_addrlen,
                reinterpret_cast<char*>(&raw.storage));
    const IpAddress ip = from_raw(raw).ip;
    if (std::find(shared->addresses.begin(), shared->addresses.end(), ip) ==
        shared->addresses.end()) {
      shared->addresses.push_back(ip);
    }
  }
  if (error == 0) ::freeaddrinfo(found);
  if (shared->loop != nullptr) shared->loop->post([shared] { shared->ready.set_soon(); });
}

// Whoever waits has gone: its loop may be gone too.
struct Leave {
  const std::shared_ptr<LookUp>& shared;
  ~Leave() {
    const std::lock_guard lock(shared->mutex);
    shared->loop = nullptr;
  }
};

}  // namespace

Task<Result<std::vector<IpAddress>>> resolve(Loop& loop, std::string name) {
  if (const Result<IpAddress> itself = IpAddress::parse(name); itself.ok()) {
    co_return std::vector{*itself};
  }
  const auto shared = std::make_shared<LookUp>();
  shared->name = std::move(name);
  shared->loop = &loop;
  const Leave leave{shared};
  std::thread(look_up, shared).detach();
  if (Result<> woken = co_await shared->ready.wait(); !woken.ok()) co_return woken.fault();
  if (shared->error != 0) co_return fault_of(shared->error, shared->name);
  if (shared->addresses.empty()) co_return fault_of(EAI_NODATA, shared->name);
  co_return std::move(shared->addresses);
}

}  // namespace fairlead::net
