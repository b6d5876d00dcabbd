// Who speaks which world: every proxy's discovery stream, without its socket. Requests and worlds
// in, responses out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/status.h"
#include "mesh/world.h"
#include "xds/encodings.h"

namespace fairlead::control {

class Publisher {
 public:
  using Proxy = std::uint64_t;  // one stream; never used again

  struct Push {
    Proxy proxy = 0;
    xds::Messages messages;  // to send, in order
  };

  Publisher();
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  [[nodiscard]] Proxy opened(std::string peer);
  // A stream from the address `peer`.
  [[nodiscard]] Result<xds::Messages> received(Proxy proxy, std::string_view message);
  // A DiscoveryRequest, and the messages to send to this proxy. Until the first world is there a
  // proxy waits. A fault: end the stream with it.
  void closed(Proxy proxy);

  [[nodiscard]] std::vector<Push> use(mesh::WorldPointer world);
  // From now on this is the newest. Only proxies that have something to hear are in the answer, and
  // they hear only what changed for them.

  [[nodiscard]] const mesh::WorldPointer& world() const;  // null before the first use()
  [[nodiscard]] Status status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::control
