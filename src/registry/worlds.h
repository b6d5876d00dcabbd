// Watches files and makes worlds of them: the newest, the last good of what is broken, and why.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/lifetime.h"
#include "base/origin.h"
#include "base/result.h"
#include "mesh/world.h"
#include "registry/files.h"

namespace fairlead::net {
class Background;
class Loop;
}  // namespace fairlead::net

namespace fairlead::registry {

// Lives on one loop and is used on its thread alone. Must go before the loop does.
class Worlds {
 public:
  using Changed = std::function<void()>;

  enum class First : std::uint8_t { at_once, soon };

  static Result<std::unique_ptr<Worlds>> watch(net::Loop& loop, Paths paths, Changed changed,
                                               First first = First::at_once);
  // Reads at once, so world() may be there before the first turn of the loop; or soon. After that
  // files are read on a thread of its own, and `changed` is called, from the loop, whenever world()
  // or broken() became another one. Edits in place, by
  // rename, links that lead elsewhere, new and deleted files of a directory are all seen; what
  // comes in one burst (20 ms) is read once, and a file that is being written when it is closed.
  // What a file loses, and its absence, count when they last: see judge() in edit.h.
  // Fault: nothing can be watched here (inotify). A path that does not exist yet is no fault: it is
  // broken until it does.

  Worlds(const Worlds&) = delete;
  Worlds& operator=(const Worlds&) = delete;
  ~Worlds();

  [[nodiscard]] const mesh::WorldPointer& world() const LIFETIMEBOUND;
  // The newest. Null until everything could be read once: with half of the files a mesh would lose
  // the services of the other half.

  [[nodiscard]] const std::vector<std::string>& broken() const LIFETIMEBOUND;
  // A sentence for each file whose last good version is in force (or that never had one): which
  // file, line, field, and what was expected. Empty when all is well.

  [[nodiscard]] std::vector<Origin> take_removed();
  // Objects of the files that left the world since the last call. What a program wrote down (a List
  // with a resourceVersion) is not among them.

 private:
  struct State;
  Worlds(std::shared_ptr<State> state, std::unique_ptr<net::Background> background);
  std::shared_ptr<State> state_;
  std::unique_ptr<net::Background> background_;  // where files are read
};

}  // namespace fairlead::registry
