// Objects as Kubernetes' own JSON: what the lab writes, and what control and node read.
#pragma once

#include <string>

#include "kube/objects.h"

namespace fairlead::kube {

[[nodiscard]] std::string write(const Objects& objects);
// {"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"42"},"items":[…]}, an item a
// line, each with its origin in the annotation fairlead/origin. read() gives back an equal value.

[[nodiscard]] std::string write(const PodTemplate& pods);
// One line of JSON; equal templates give equal text.

}  // namespace fairlead::kube
