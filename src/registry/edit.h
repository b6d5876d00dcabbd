// What becomes of a manifest that was edited: what it gains counts at once, what it loses when it
// stays away, and what was cut off never. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/origin.h"
#include "document/document.h"
#include "kube/read.h"

namespace fairlead::registry {

inline constexpr Duration loss_wait = std::chrono::seconds(1);
// For so long a file must be closed, unchanged and without an object before the object is gone.
inline constexpr Duration cut_wait = std::chrono::seconds(10);
// The same for a file that is the beginning of what it was, cut within a document: as long as a
// file that somebody writes and does not close.

// One version of a file that could be read.
struct Version {
  std::string_view text;
  const kube::Reading& reading;
  bool says_nothing = false;  // see says_nothing()
};

struct Edit {
  enum class Fate : std::uint8_t {
    take,    // it is in force now
    hold,    // it is in force when nothing changes for `wait`
    refuse,  // what was in force stays
  };
  Fate fate = Fate::take;
  Duration wait{};
  std::string why;  // of what is told meanwhile, "shop.yaml:31: ..."; empty: nothing is
};

[[nodiscard]] Edit judge(const std::string& file, const Version& in_force, const Version& now);
// A List with a resourceVersion is a program's whole account, and is taken as it is.

[[nodiscard]] bool says_nothing(const document::Document& document);
// Whether it is a List that does not say what is in it. So does a file without documents, one of
// comments alone, one that was cut early. A List with `items: []` says that there is nothing.

[[nodiscard]] std::vector<Origin> lost(const kube::Objects& before, const kube::Objects& now);
// The objects of `before` that `now` has none of the same kind, namespace and name for; in order.

[[nodiscard]] std::string describe_removed(const std::vector<Origin>& removed);
// "no file has these objects any more: Deployment shop/web (shop.yaml:31), ...", ten of them at
// most.

}  // namespace fairlead::registry
