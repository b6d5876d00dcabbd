// The files behind a world: read when told, each with its last good content.
#pragma once

#include <cstdint>
#include <functional>
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
  using BeingWritten = std::function<bool(const std::string& path)>;

  enum class Use : std::uint8_t { once, again };  // what is read again can be no pipe

  explicit Sources(Paths paths, Use use = Use::again) : paths_(std::move(paths)), use_(use) {}

  bool refresh(const BeingWritten& being_written = {});
  // Reads what changed since the last time, but for files that somebody is writing: what they hold
  // may be half of what they will. True when world() or broken() became another one.

  [[nodiscard]] bool to_be_tried_again() const { return to_be_tried_again_; }
  // Something could not be read, for a reason that may go without any of the files changing.

  [[nodiscard]] std::vector<std::string> to_watch() const;
  // The paths, and inner directories that are read too.

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
  void list_directory(const std::string& directory, std::vector<std::string>& paths,
                      std::vector<std::string>& problems);
  [[nodiscard]] bool was_a_file(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> files_once_in(const std::string& directory) const;
  [[nodiscard]] std::vector<std::string> directories_of(const std::string& path) const;
  void read_file(File& file);
  void make_world(std::vector<std::string>& problems);
  [[nodiscard]] Fault named_twice() const;
  [[nodiscard]] std::string version(const kube::Objects& objects) const;

  Paths paths_;
  Use use_;
  std::vector<File> files_;
  Changes changes_;  // since world_ was made
  mesh::WorldPointer world_;
  std::vector<std::string> broken_;
  bool to_be_tried_again_ = false;
};

[[nodiscard]] mesh::WorldPointer world_from(const kube::Objects& objects,
                                            const std::vector<kube::Ignored>& ignored,
                                            std::string version);

[[nodiscard]] std::string digest_of(const std::vector<std::string_view>& texts);
// Twelve hexadecimal digits.

}  // namespace fairlead::registry
