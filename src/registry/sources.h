// The files behind a world: read when told, each with its last good content.
#pragma once

#include <string>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "document/document.h"
#include "kube/objects.h"
#include "kube/read.h"
#include "mesh/world.h"
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
  [[nodiscard]] const kube::Objects& objects() const LIFETIMEBOUND { return objects_; }
  [[nodiscard]] const std::vector<kube::Ignored>& ignored() const LIFETIMEBOUND { return ignored_; }
  // Those of which world() was made, and what of them is not honoured.

 private:
  struct File {
    std::string path;
    bool tried = false;
    std::string text;   // as last tried, good or not
    std::string error;  // why `text` is not good; empty when it is
    bool ever_good = false;
    std::string good;  // the last good text
    std::vector<document::Document> documents;
  };

  void list_files(std::vector<std::string>& problems);
  void read_file(File& file);
  void make_world(std::vector<std::string>& problems);
  [[nodiscard]] std::string version(const kube::Objects& objects) const;

  Paths paths_;
  std::vector<File> files_;
  kube::Objects objects_;
  std::vector<kube::Ignored> ignored_;
  mesh::WorldPointer world_;
  std::vector<std::string> broken_;
};

[[nodiscard]] mesh::WorldPointer world_from(const kube::Objects& objects,
                                            const std::vector<kube::Ignored>& ignored,
                                            std::string version,
                                            const mesh::World* previous = nullptr);
// Shares with `previous` what is the same.

[[nodiscard]] std::string digest_of(const std::vector<std::string>& texts);
// Twelve hexadecimal digits.

}  // namespace fairlead::registry
