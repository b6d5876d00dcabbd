// What control knows of itself and of each proxy, as a value, as JSON (/fairlead/status) and as
// text for people (`fairlead control status`). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/io/places.h"
#include "mesh/world.h"
#include "net/descriptors.h"
#include "xds/session.h"

namespace fairlead::control {

struct ProxyStatus {
  std::string node;  // its xDS node id; empty until it has said so
  std::string peer;  // the address that it connected from
  std::string name_space;
  std::array<xds::TypeStatus, 4> types;
  std::string acknowledged_world;  // empty: none in full yet
  bool current = false;            // speaks the newest world, and refused nothing
  std::string mismatch;
  // "asks for the configuration of default/web, but connects from 10.9.9.9": said until identities
  // can be checked. Empty when its address is that of the workload that it names, or it names none.
};

// One of control's ports: its connections and limits.
struct PortStatus {
  http::PlaceLimits limits;
  http::PlaceCounts places;
};

struct Load {
  PortStatus discovery;
  PortStatus http;                     // registry and status
  std::uint64_t streams_given_up = 0;  // their proxies took nothing
  std::uint64_t answers_put_off = 0;   // 503: too many answers waited for their clients
  net::DescriptorState descriptors;
};

struct Status {
  std::string world;                // the newest; empty: none could be read yet
  std::vector<std::string> broken;  // files whose last good version is in force, and why
  std::vector<mesh::Ignored> ignored;
  std::vector<std::string> not_enforced;  // policies that would judge calls: "NetworkPolicy shop/a"
  std::vector<ProxyStatus> proxies;       // sorted by node
  Load load;
};

[[nodiscard]] std::string status_json(const Status& status);
// {"world":"42","current":true,"broken":[],"ignored":[{"object","field","reason"}],
//  "notEnforced":["NetworkPolicy shop/closed"],
//  "load":{"discovery":{"connections","most","mostOfOneClient","refused","evicted"},"http":{...},
//          "streamsGivenUp","answersPutOff","acceptingPaused","acceptingPauses"},
//  "proxies":[{"node","peer","namespace","acknowledgedWorld","current","mismatch",
//              "types":[{"type":"CDS","subscribed","sent","acknowledged","refusal"}]}]}

[[nodiscard]] Result<std::string> describe_status(std::string_view json);
// The same for people, some lines of text.

}  // namespace fairlead::control
