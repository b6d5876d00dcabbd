// The files behind a world: read when told, each with its last good content.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "kube/objects.h"
#include "kube/read.h"
#include "mesh/world.h"
#include "registry/facts.h"
#include "registry/files.h"

namespace fairlead::registry {

class Sources {
 public:
  explicit Sources(Paths paths) : paths_(std::move(paths)) {}

  bool refresh();
  // Reads what changed since the last time. True when world() or broken() became another one.

  [[nodiscard]] const mesh::WorldPointer& world() const LIFETIMEBOUND { return world_; }
  [[nodiscard]] const std::vector<std::string>& broken() const LIFETIMEBOUND { return broken_; }
  [[nodiscard]] Result<> whole() const;
  // A fault when something is broken, naming it.
  [[nodiscard]] kube::Objects objects() const;
  [[nodiscard]] std::vector<kube::Ignored> ignored() const;
  // Those of the files' last good contents, and what of them is not honoured.

 private:
  struct File {
    std::string path;
    bool tried = false;
    std::string text;   // as last tried, good or not
    std::string error;  // why `text` is not good, or cannot be read; empty when all is well
    bool text_is_good = false;
    bool ever_good = false;
    std::string last_good;  // when `text` is not
    kube::Reading reading;  // of good()

    [[nodiscard]] const std::string& good() const LIFETIMEBOUND {
      return text_is_good ? text : last_good;
    }
  };

  void list_files(std::vector<std::string>& problems);
  void read_file(File& file);
  void make_world(std::vector<std::string>& problems);
  [[nodiscard]] Fault named_twice() const;
  [[nodiscard]] std::string version(const kube::Objects& objects) const;

  Paths paths_;
  std::vector<File> files_;
  Changes changes_;  // since world_ was made
  mesh::WorldPointer world_;
  std::vector<std::string> broken_;
};

[[nodiscard]] mesh::WorldPointer world_from(const kube::Objects& objects,
                                            const std::vector<kube::Ignored>& ignored,
                                            std::string version);

[[nodiscard]] std::string digest_of(const std::vector<std::string_view>& texts);
// Twelve hexadecimal digits.

}  // namespace fairlead::registry
