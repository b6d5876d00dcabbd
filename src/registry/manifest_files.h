// The manifests behind a world: read when told, each with its last good content. Whoever calls says
// what time it is, so that this waits for nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "document/document.h"
#include "kube/objects.h"
#include "kube/read.h"
#include "registry/edit.h"
#include "registry/facts.h"
#include "registry/files.h"

namespace fairlead::registry {

// A look at the files: when, and what the watching of files knows.
struct Look {
  using BeingWritten = std::function<bool(const std::string& path)>;
  Instant now{};
  BeingWritten being_written;  // what it holds may be half of what it will; may be empty
};

class ManifestFiles {
 public:
  enum class Use : std::uint8_t { once, again };  // what is read again can be no pipe

  explicit ManifestFiles(Paths paths, Use use = Use::again) : paths_(std::move(paths)), use_(use) {}

  void set_paths(Paths paths) { paths_ = std::move(paths); }
  // From the next refresh() on. What is no longer among them is left out at once.

  void refresh(const Look& look);
  // Reads what changed since the last time, but for files that somebody is writing. An edit is
  // judged by judge() of edit.h: a version with fewer objects waits, and so does the absence of a
  // file.

  [[nodiscard]] Duration until_due(Instant now) const;
  // How long until refresh() has more to do though no file changes; Duration::max(): never.
  [[nodiscard]] bool holds_back() const;
  // Whether a version, or a file's absence, waits.

  [[nodiscard]] bool to_be_tried_again() const { return to_be_tried_again_; }
  // Something could not be read, for a reason that may go without any of the files changing.

  [[nodiscard]] std::vector<std::string> to_watch() const;
  // The paths, and inner directories that are read too.

  [[nodiscard]] const std::vector<std::string>& broken() const LIFETIMEBOUND { return broken_; }
  // A sentence for each file whose last good version is in force, or that never had one, and one
  // when two files have an object of the same name.
  [[nodiscard]] bool whole() const;
  // Whether each file was good once.
  [[nodiscard]] bool says_nothing() const;
  // There is no object, and no file says that there shall be none.
  [[nodiscard]] bool unique() const { return unique_; }
  // Whether no two files have an object of the same name.

  [[nodiscard]] kube::Joined joined();
  // The objects of the files' last good contents, which objects() has not got meanwhile.
  [[nodiscard]] kube::Objects objects() const;
  // A copy of them.
  [[nodiscard]] std::vector<kube::Ignored> ignored() const;
  // What of them is not honoured, and which files hold no object.
  [[nodiscard]] std::string version(const kube::Objects& objects) const;

  [[nodiscard]] Changes take_changes();
  // Since the last time.
  [[nodiscard]] std::vector<Origin> take_removed();
  // Objects that were in force and that no file has any more, since the last time.

 private:
  // A version that waits: `text` of its file.
  struct Held {
    kube::Reading reading;
    bool says_nothing = false;
    Instant since;
    Duration wait{};
  };
  struct File {
    std::string path;
    bool tried = false;
    std::string text;   // as last tried, good or not
    std::string error;  // why `text` is not in force, or cannot be read; empty when all is well
    bool text_is_good = false;
    bool ever_good = false;
    std::string last_good;  // when `text` is not
    kube::Reading reading;  // of good()
    bool says_nothing = false;
    std::optional<Held> held;
    std::optional<Instant> gone_since;

    [[nodiscard]] const std::string& good() const LIFETIMEBOUND {
      return text_is_good ? text : last_good;
    }
  };

  void list_files(const Look& look, std::vector<std::string>& problems);
  void keep_what_went(const Look& look, std::vector<std::string>& paths);
  [[nodiscard]] bool stays_for_now(File& file, const Look& look);
  [[nodiscard]] bool is_named(const std::string& path) const;
  void list_directory(const std::string& directory, std::vector<std::string>& paths,
                      std::vector<std::string>& problems);
  [[nodiscard]] bool is_tree(const std::string& path) const;
  [[nodiscard]] bool was_a_file(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> files_once_in(const std::string& directory) const;
  [[nodiscard]] std::vector<std::string> directories_of(const std::string& path) const;
  void look_at(File& file, const Look& look);
  void read_file(File& file, Instant now);
  void read_text(File& file, Instant now);
  void put_in_force(File& file, kube::Reading reading, bool says_nothing);
  void note_lost(const kube::Objects& before, const kube::Objects& now);
  void find_duplicates();
  [[nodiscard]] Fault named_twice() const;
  void forget_what_is_elsewhere();

  Paths paths_;
  Use use_;
  std::vector<File> files_;
  Changes changes_;  // since they were taken
  std::vector<Origin> removed_;
  std::vector<std::string> broken_;
  bool unique_ = true;
  bool to_be_tried_again_ = false;
};

inline constexpr const char* whole_file = "file";  // a kind of origin
[[nodiscard]] kube::Ignored without_objects(const std::string& file);

[[nodiscard]] std::string digest_of(const std::vector<std::string_view>& texts);
// Twelve hexadecimal digits.

}  // namespace fairlead::registry
