#include "registry/manifest_files.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "base/release.h"
#include "document/document.h"
#include "document/each.h"
#include "kube/gathering.h"

namespace fairlead::registry {
namespace {

constexpr std::array<std::string_view, 3> endings{".yaml", ".yml", ".json"};

bool is_manifest(std::string_view name) {
  return !name.starts_with('.') &&
         std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

bool is_directory(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// A directory, or what never ends or waits for a writer: a pipe, a socket, a device. A link that
// leads nowhere is a file that is broken.
bool is_no_file(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
}

Result<std::vector<std::string>> manifests_in(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(directory.c_str()), &::closedir);
  if (!open) return from_errno(errno, directory);
  std::vector<std::string> paths;
  while (const dirent* entry = ::readdir(open.get())) {  // NOLINT(concurrency-mt-unsafe): our own
    const std::string path = directory + '/' + static_cast<const char*>(entry->d_name);
    if (is_manifest(static_cast<const char*>(entry->d_name)) && !is_no_file(path)) {
      paths.push_back(path);
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Opening a pipe would wait for a writer, and what is in it is gone when it has been read.
Result<> check_readable_again(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return from_errno(errno, path);
  if (S_ISREG(status.st_mode)) return done();
  if (S_ISDIR(status.st_mode)) return invalid(path + ": a file was expected here, not a directory");
  return invalid(path + ": expected a file or a directory, not a pipe, socket or device");
}

// A file may be named and be in a folder that is named.
void leave_out_the_same(std::vector<std::string>& paths) {
  std::set<std::string> known;
  std::erase_if(paths, [&known](const std::string& path) {
    std::error_code error;
    const std::string place = std::filesystem::weakly_canonical(path, error);
    return !known.insert(error ? path : place).second;
  });
}

Result<std::string> text_of(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (!file) return from_errno(errno, path);
  std::string text;
  std::array<char, 65536> piece{};
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get())) {
    text.append(piece.data(), got);
  }
  if (std::ferror(file.get()) != 0) return from_errno(errno, path);
  return text;
}

}  // namespace

kube::Ignored without_objects(const std::string& file) {
  return {{.kind = whole_file, .name = file}, "", "it holds no object"};
}

std::string digest_of(const std::vector<std::string_view>& texts) {
  XXH64_hash_t hash = 0;
  for (const std::string_view text : texts) hash = XXH64(text.data(), text.size(), hash + 1);
  return fmt::format("{:012x}", hash >> 16U);
}

bool ManifestFiles::is_tree(const std::string& path) const {
  return paths_.inner_directories ||
         std::find(paths_.trees.begin(), paths_.trees.end(), path) != paths_.trees.end();
}

bool ManifestFiles::was_a_file(const std::string& path) const {
  return std::any_of(files_.begin(), files_.end(),
                     [&](const File& file) { return file.path == path && file.ever_good; });
}

// Of a directory that is gone, as far as is known.
std::vector<std::string> ManifestFiles::files_once_in(const std::string& directory) const {
  std::vector<std::string> paths;
  for (const File& file : files_) {
    if (file.path.starts_with(directory + '/')) paths.push_back(file.path);
  }
  return paths;
}

// None of what is a file, and of what was one when it was read.
std::vector<std::string> ManifestFiles::directories_of(const std::string& path) const {
  if (!is_directory(path) || was_a_file(path)) return {};
  return is_tree(path) ? directories_within(path) : std::vector<std::string>{path};
}

std::vector<std::string> ManifestFiles::to_watch() const {
  std::vector<std::string> all = paths_.named;
  for (const std::string& path : paths_.named) {
    if (!is_tree(path)) continue;
    const std::vector<std::string> inside = directories_of(path);
    all.insert(all.end(), inside.begin(), inside.end());
  }
  return all;
}

// What was in a directory that cannot be looked into now is still there, for all that is known.
void ManifestFiles::list_directory(const std::string& directory, std::vector<std::string>& paths,
                                   std::vector<std::string>& problems) {
  Result<std::vector<std::string>> inside = manifests_in(directory);
  if (inside) {
    std::move(inside->begin(), inside->end(), std::back_inserter(paths));
    return;
  }
  problems.push_back(inside.fault().describe());
  to_be_tried_again_ = true;
  const std::vector<std::string> once = files_once_in(directory);
  paths.insert(paths.end(), once.begin(), once.end());
}

// Of what was read and is no longer listed: what is named no more goes at once; what is there in
// another shape is told when it is read; what is not there at all may come back in a moment.
bool ManifestFiles::stays_for_now(File& file, const Look& look) {
  if (!file.ever_good || !is_named(file.path)) return false;
  struct stat status{};
  if (::lstat(file.path.c_str(), &status) == 0) {
    file.gone_since.reset();
    return true;
  }
  if (!file.gone_since) file.gone_since = look.now;
  return look.now - *file.gone_since < loss_wait;
}

bool ManifestFiles::is_named(const std::string& path) const {
  return std::any_of(paths_.named.begin(), paths_.named.end(), [&](const std::string& named) {
    return path == named || path.starts_with(named.ends_with('/') ? named : named + '/');
  });
}

// Each behind the file that it stood behind: the order of the files is part of their version.
void ManifestFiles::keep_what_went(const Look& look, std::vector<std::string>& paths) {
  std::size_t at = 0;
  for (File& file : files_) {
    const auto listed = std::find(paths.begin(), paths.end(), file.path);
    if (listed != paths.end()) {
      file.gone_since.reset();
      at = static_cast<std::size_t>(listed - paths.begin()) + 1;
    } else if (stays_for_now(file, look)) {
      paths.insert(paths.begin() + static_cast<std::ptrdiff_t>(at++), file.path);
    } else {
      note_lost(file.reading.objects, {});
    }
  }
}

// Keeps what is known of files that are still there. One that was named itself stays when it is
// gone: that is a broken file, not a smaller world.
void ManifestFiles::list_files(const Look& look, std::vector<std::string>& problems) {
  std::vector<std::string> paths;
  for (const std::string& path : paths_.named) {
    const std::vector<std::string> directories = directories_of(path);
    const std::vector<std::string> once =
        directories.empty() ? files_once_in(path) : std::vector<std::string>();
    if (directories.empty() && once.empty()) paths.push_back(path);
    if (!once.empty()) list_directory(path, paths, problems);  // says why
    for (const std::string& each : directories) list_directory(each, paths, problems);
  }
  if (paths_.named.size() > 1) leave_out_the_same(paths);
  keep_what_went(look, paths);
  std::vector<File> files;
  for (std::string& path : paths) {
    const auto known = std::find_if(files_.begin(), files_.end(),
                                    [&](const File& file) { return file.path == path; });
    files.push_back(known == files_.end() ? File{.path = std::move(path)} : std::move(*known));
  }
  files_ = std::move(files);
}

void ManifestFiles::note_lost(const kube::Objects& before, const kube::Objects& now) {
  changes_.add(before, now);
  std::vector<Origin> gone = lost(before, now);
  std::move(gone.begin(), gone.end(), std::back_inserter(removed_));
}

void ManifestFiles::put_in_force(File& file, kube::Reading reading, bool says_nothing) {
  file.error.clear();
  file.held.reset();
  file.text_is_good = file.ever_good = true;
  file.says_nothing = says_nothing;
  release(file.last_good);
  // What a program accounts for changes all the time, and tells itself of it.
  if (reading.objects.resource_version.empty()) {
    note_lost(file.reading.objects, reading.objects);
  } else {
    changes_.add(file.reading.objects, reading.objects);
  }
  file.reading = std::move(reading);
}

// `text` is new.
void ManifestFiles::read_text(File& file, Instant now) {
  // One document at a time: those of a large file take ten times its size.
  kube::Gathering gathering;
  bool nothing = true;
  const Result<> parsed =
      document::parse_each(file.text, file.path, [&](const document::Document& document) {
        nothing = nothing && registry::says_nothing(document);
        gathering.add(document);
        return true;
      });
  if (!parsed) {
    file.error = parsed.fault().describe();
    return;
  }
  const std::vector<Fault>& faults = gathering.faults();
  if (!faults.empty()) {
    file.error = faults.front().describe();
    if (faults.size() > 1) file.error += fmt::format(" (and {} more)", faults.size() - 1);
    return;
  }
  kube::Reading reading = gathering.take();
  Edit edit;
  if (file.ever_good) {
    edit = judge(file.path, {file.last_good, file.reading, file.says_nothing},
                 {file.text, reading, nothing});
  }
  if (edit.fate == Edit::Fate::take) return put_in_force(file, std::move(reading), nothing);
  file.error = std::move(edit.why);
  if (edit.fate == Edit::Fate::hold) file.held = Held{std::move(reading), nothing, now, edit.wait};
}

void ManifestFiles::read_file(File& file, Instant now) {
  const Result<> readable = use_ == Use::again ? check_readable_again(file.path) : done();
  Result<std::string> text = readable ? text_of(file.path) : Result<std::string>(readable.fault());
  if (!text) {
    file.tried = false;
    file.held.reset();
    file.error = text.fault().describe();
    to_be_tried_again_ = to_be_tried_again_ || text.fault().kind != FaultKind::missing;
    return;
  }
  if (file.tried && *text == file.text) {
    if (!file.held || now - file.held->since < file.held->wait) return;
    Held held = *std::move(file.held);
    return put_in_force(file, std::move(held.reading), held.says_nothing);
  }
  file.tried = true;
  if (file.text_is_good) file.last_good = std::move(file.text);
  file.text = std::move(*text);
  file.text_is_good = false;
  file.held.reset();
  file.error.clear();
  read_text(file, now);
}

void ManifestFiles::look_at(File& file, const Look& look) {
  if (file.gone_since) return;
  if (!look.being_written || !look.being_written(file.path)) return read_file(file, look.now);
  if (file.held) file.held->since = look.now;
}

std::string ManifestFiles::version(const kube::Objects& objects) const {
  if (files_.size() == 1 && !objects.resource_version.empty()) return objects.resource_version;
  std::vector<std::string_view> texts;
  texts.reserve(files_.size());
  for (const File& file : files_) texts.emplace_back(file.good());
  return digest_of(texts);
}

// Which objects of several files have one name: only their documents know the places.
Fault ManifestFiles::named_twice() const {
  std::vector<document::Document> documents;
  for (const File& file : files_) {
    Result<std::vector<document::Document>> more = document::parse(file.good(), file.path);
    if (!more) return std::move(more).fault();
    std::move(more->begin(), more->end(), std::back_inserter(documents));
  }
  Result<kube::Reading> reading = kube::read(documents);
  return reading ? invalid("an object is given twice") : std::move(reading).fault();
}

// An object that goes from one file to another is in both until the loss of the first counts.
void ManifestFiles::find_duplicates() {
  unique_ = joined().unique();
  if (!unique_ && !holds_back()) broken_.push_back(named_twice().describe());
}

// It went from one file to another.
void ManifestFiles::forget_what_is_elsewhere() {
  if (removed_.empty()) return;
  const kube::Joined all = joined();
  std::set<std::tuple<std::string_view, std::string_view, std::string_view>> there;
  kube::for_each_object(all.objects(), [&](std::string_view kind, const kube::Metadata& object) {
    there.emplace(kind, object.name_space, object.name);
  });
  std::erase_if(removed_, [&](const Origin& each) {
    return there.contains({each.kind, each.name_space, each.name});
  });
}

kube::Joined ManifestFiles::joined() {
  std::vector<kube::Reading*> readings;
  readings.reserve(files_.size());
  for (File& file : files_) readings.push_back(&file.reading);
  return kube::Joined(std::move(readings));
}

kube::Objects ManifestFiles::objects() const {
  std::vector<kube::Reading> copies;
  copies.reserve(files_.size());
  for (const File& file : files_) copies.push_back(file.reading);
  std::vector<kube::Reading*> readings;
  readings.reserve(copies.size());
  for (kube::Reading& copy : copies) readings.push_back(&copy);
  return kube::Joined(std::move(readings)).objects();
}

std::vector<kube::Ignored> ManifestFiles::ignored() const {
  std::vector<kube::Ignored> all;
  for (const File& file : files_) {
    all.insert(all.end(), file.reading.ignored.begin(), file.reading.ignored.end());
    if (file.ever_good && file.says_nothing) all.push_back(without_objects(file.path));
  }
  return all;
}

bool ManifestFiles::whole() const {
  return std::all_of(files_.begin(), files_.end(), [](const File& file) { return file.ever_good; });
}

bool ManifestFiles::says_nothing() const {
  return std::all_of(files_.begin(), files_.end(),
                     [](const File& file) { return file.says_nothing; });
}

bool ManifestFiles::holds_back() const {
  return std::any_of(files_.begin(), files_.end(),
                     [](const File& file) { return file.held || file.gone_since; });
}

Duration ManifestFiles::until_due(Instant now) const {
  Duration wait = Duration::max();
  const auto consider = [&](Instant due) {
    wait = std::min(wait, std::max(due - now, Duration{}));
  };
  for (const File& file : files_) {
    if (file.held) consider(file.held->since + file.held->wait);
    if (file.gone_since) consider(*file.gone_since + loss_wait);
  }
  return wait;
}

Changes ManifestFiles::take_changes() {
  return std::exchange(changes_, {});
}

std::vector<Origin> ManifestFiles::take_removed() {
  return std::exchange(removed_, {});
}

void ManifestFiles::refresh(const Look& look) {
  broken_.clear();
  to_be_tried_again_ = false;
  list_files(look, broken_);
  for (File& file : files_) {
    look_at(file, look);
    if (!file.error.empty()) broken_.push_back(file.error);
  }
  find_duplicates();
  forget_what_is_elsewhere();
}

}  // namespace fairlead::registry
