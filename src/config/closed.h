// Parts of a configuration that take nothing, since a protection that came with them is not
// enforced here. They are matched and chosen as if they were open; what falls to them is refused.
#pragma once

#include <string>

namespace fairlead::config {

// What is not enforced, as a field of the resource that came:
// "filter_chains[0].filters[0]: envoy.filters.network.rbac". Empty: the part is open.
using Closed = std::string;

// An HTTP filter that could refuse a request and is not enforced. It closes every route of its
// connection manager that does not disable it.
struct ClosedFilter {
  std::string name;  // "envoy.filters.http.rbac"
  Closed why;
  bool operator==(const ClosedFilter&) const = default;
};

}  // namespace fairlead::config
