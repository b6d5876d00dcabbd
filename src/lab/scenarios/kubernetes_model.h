// What Kubernetes says of a call: who may answer it. Small, written from the documentation of
// Services, DNS and kube-proxy, and independent of the code that is tested: it knows a world as it
// was made, never as it was read. Of sidecars it knows that they change who answers in three ways
// alone: ports of their own, a choice of endpoints of either family, and that a connection which a
// proxy has taken is not tried again at another address.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "lab/scenarios/world_maker.h"

namespace fairlead::lab::worlds {

struct Expectation {
  std::set<std::string> answerers;  // places, by name; a node by its own; empty: nobody
  bool may_fail = false;            // some of the endpoints that may be chosen do not listen
};

[[nodiscard]] Expectation expect(const World& world, const std::vector<Place>& places,
                                 const Call& call);

}  // namespace fairlead::lab::worlds
