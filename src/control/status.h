// What control knows of itself and of each proxy, as a value, as JSON (/fairlead/status) and as
// text for people (`fairlead control status`). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mesh/world.h"
#include "xds/session.h"

namespace fairlead::control {

struct ProxyStatus {
  std::string node;  // its xDS node id; empty until it has said so
  std::string peer;  // the address that it connected from
  std::string name_space;
  std::array<xds::TypeStatus, 4> types;
  std::string acknowledged_world;  // empty: none in full yet
  bool current = false;            // speaks the newest world, and refused nothing
};

struct Status {
  std::string world;                // the newest; empty: none could be read yet
  std::vector<std::string> broken;  // files whose last good version is in force, and why
  std::vector<mesh::Ignored> ignored;
  std::vector<ProxyStatus> proxies;  // sorted by node
};

[[nodiscard]] std::string status_json(const Status& status);
// {"world":"42","current":true,"broken":[],"ignored":[{"object","field","reason"}],
//  "proxies":[{"node","peer","namespace","acknowledgedWorld","current",
//              "types":[{"type":"CDS","subscribed","sent","acknowledged","refusal"}]}]}

[[nodiscard]] Result<std::string> describe_status(std::string_view json);
// The same for people, some lines of text.

}  // namespace fairlead::control
