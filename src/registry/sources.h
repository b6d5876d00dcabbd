// The world that manifests make: read when told, so that whoever calls chooses thread and time.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "kube/objects.h"
#include "kube/read.h"
#include "mesh/world.h"
#include "registry/files.h"
#include "registry/manifest_files.h"

namespace fairlead::registry {

class Sources {
 public:
  using Use = ManifestFiles::Use;

  explicit Sources(Paths paths, Use use = Use::again)
      : paths_(paths), files_(std::move(paths), use) {}

  bool refresh(const Look& look = {});
  // As ManifestFiles::refresh(). True when world() or broken() became another one.

  [[nodiscard]] Duration until_due(Instant now) const { return files_.until_due(now); }
  [[nodiscard]] bool to_be_tried_again() const { return files_.to_be_tried_again(); }
  [[nodiscard]] std::vector<std::string> to_watch() const { return files_.to_watch(); }
  [[nodiscard]] std::vector<Origin> take_removed() { return files_.take_removed(); }
  // All as ManifestFiles has them.

  [[nodiscard]] const mesh::WorldPointer& world() const LIFETIMEBOUND { return world_; }
  [[nodiscard]] const std::vector<std::string>& broken() const LIFETIMEBOUND { return broken_; }
  [[nodiscard]] Result<> whole() const;
  // A fault when something is broken, naming it.
  [[nodiscard]] kube::Objects objects() const { return files_.objects(); }
  [[nodiscard]] std::vector<kube::Ignored> ignored() const { return files_.ignored(); }
  // Those of the files' last good contents, and what of them is not honoured.

 private:
  [[nodiscard]] bool may_make_world(std::vector<std::string>& problems) const;
  void make_world();

  Paths paths_;
  ManifestFiles files_;
  mesh::WorldPointer world_;
  std::vector<std::string> broken_;
};

[[nodiscard]] mesh::WorldPointer world_from(const kube::Objects& objects,
                                            const std::vector<kube::Ignored>& ignored,
                                            std::string version);

}  // namespace fairlead::registry
