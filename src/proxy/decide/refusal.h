// Why something was not chosen. The data path does not ask; explain does.
#pragma once

#include <string>
#include <vector>

#include "base/origin.h"

namespace fairlead::proxy {

struct Refusal {
  std::string what;  // "route allow_any", "endpoint 10.244.2.12:9080", "filter chain http"
  std::string why;   // "the path /x does not begin with /api"
  Origin origin;     // of what was refused
  bool operator==(const Refusal&) const = default;
};

using Refusals = std::vector<Refusal>;  // in the order in which things were looked at

}  // namespace fairlead::proxy
