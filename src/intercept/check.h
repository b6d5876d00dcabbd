// Proves the capture rules in force by connecting, in the network namespace of the calling thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nft/ruleset.h"

namespace fairlead::intercept {

// One connection, what the rules said about it beforehand, and what became of it.
struct Probe {
  enum class Outcome : std::uint8_t {
    agrees,
    differs,
    untried,  // it could not be made, for no fault of the rules
    walked,   // not to be made from here: the rules in force were walked instead, and hang together
    altered,  // no connection: the table is not as it was put in (meaning.h, record.h)
  };
  std::string what;       // "the app connects to 192.0.2.1:15002"
  std::string predicted;  // "redirected to port 15001"
  std::string observed;   // "taken to port 15001, which learned 192.0.2.1:15002"
  Outcome outcome = Outcome::untried;
  std::string obstacle;  // untried: why
};

[[nodiscard]] std::vector<Probe> check(const nft::Table& table);
// Connects as the app and as the proxy, both families, and sees where the connections arrive. Where
// the proxy's port is free it listens there itself and asks for the original destination. Where a
// proxy runs, that proxy gets a connection which is closed before its first byte, and arriving at
// all is the proof: nobody else answers at a documentation address. Packets from outside cannot be
// made from inside: for prerouting the rules in force are walked instead, and the Probe says so.
// To connect as another user or group takes CAP_SETUID or CAP_SETGID, with a mark CAP_NET_ADMIN.

struct Judgement {
  bool proved = false;
  std::string text;  // "capture works"; "capture works as far as it could be tried: ..."
};

[[nodiscard]] Judgement judge(const std::vector<Probe>& probes, const nft::Table& table);
// Capture is proved when some probes agree, none differs and the table is as it was put in. Pure.

}  // namespace fairlead::intercept
