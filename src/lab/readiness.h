// How far a pod is, in words, for whoever waits for it. From its status alone: pure.
#pragma once

#include <cstdint>
#include <string>

#include "kube/objects.h"

namespace fairlead::lab {

struct Readiness {
  enum class Kind : std::uint8_t {
    ready,
    over,      // its work is done
    waiting,   // for its containers, or they start again and again
    hopeless,  // it failed for good, or cannot begin as the manifests are
  };
  Kind kind = Kind::waiting;
  std::string why;        // after the pod's name: "has failed: its container app ended with 1"
  std::string container;  // whose log tells more; empty: none does
  bool operator==(const Readiness&) const = default;
};

[[nodiscard]] Readiness readiness_of(const kube::PodStatus& status);

inline constexpr const char* cannot_be_created = "CreateContainerError";
// The reason of a container that waits because its program could not even be started.

[[nodiscard]] std::string start_trouble(const kube::Terminated& ended);
// Why it could not be started; empty when it was.

[[nodiscard]] std::string describe_ending(const kube::Terminated& ended);
// "ended with 1", "was ended by signal 9", "cannot start: there is no program 'x'".

}  // namespace fairlead::lab
