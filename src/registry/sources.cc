#include "registry/sources.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

#include "base/release.h"
#include "document/document.h"
#include "registry/facts.h"

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

std::string digest_of(const std::vector<std::string_view>& texts) {
  XXH64_hash_t hash = 0;
  for (const std::string_view text : texts) hash = XXH64(text.data(), text.size(), hash + 1);
  return fmt::format("{:012x}", hash >> 16U);
}

namespace {

mesh::WorldPointer complete(mesh::World world, const std::vector<kube::Ignored>& ignored,
                            std::string version) {
  world.version = std::move(version);
  std::vector<mesh::Ignored> all;
  all.reserve(ignored.size() + world.ignored.size());
  for (const kube::Ignored& each : ignored) {
    all.push_back({.origin = each.origin, .field = each.field, .reason = each.reason});
  }
  std::move(world.ignored.begin(), world.ignored.end(), std::back_inserter(all));
  world.ignored = std::move(all);
  return std::make_shared<const mesh::World>(std::move(world));
}

}  // namespace

mesh::WorldPointer world_from(const kube::Objects& objects,
                              const std::vector<kube::Ignored>& ignored, std::string version) {
  return complete(world_of(objects), ignored, std::move(version));
}

Result<> Sources::whole() const {
  if (broken_.empty()) return done();
  const std::size_t more = broken_.size() - 1;
  return invalid(more == 0 ? broken_.front()
                           : fmt::format("{}; {} more are broken too", broken_.front(), more));
}

bool Sources::was_a_file(const std::string& path) const {
  return std::any_of(files_.begin(), files_.end(),
                     [&](const File& file) { return file.path == path && file.ever_good; });
}

// Of a directory that is gone, as far as is known.
std::vector<std::string> Sources::files_once_in(const std::string& directory) const {
  std::vector<std::string> paths;
  for (const File& file : files_) {
    if (file.path.starts_with(directory + '/')) paths.push_back(file.path);
  }
  return paths;
}

// None of what is a file, and of what was one when it was read.
std::vector<std::string> Sources::directories_of(const std::string& path) const {
  if (!is_directory(path) || was_a_file(path)) return {};
  return paths_.inner_directories ? directories_within(path) : std::vector<std::string>{path};
}

std::vector<std::string> Sources::to_watch() const {
  std::vector<std::string> all = paths_.named;
  if (!paths_.inner_directories) return all;
  for (const std::string& path : paths_.named) {
    const std::vector<std::string> inside = directories_of(path);
    all.insert(all.end(), inside.begin(), inside.end());
  }
  return all;
}

// What was in a directory that cannot be looked into now is still there, for all that is known.
void Sources::list_directory(const std::string& directory, std::vector<std::string>& paths,
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

// Keeps what is known of files that are still there. One that was named itself stays when it is
// gone: that is a broken file, not a smaller world.
void Sources::list_files(std::vector<std::string>& problems) {
  std::vector<std::string> paths;
  for (const std::string& path : paths_.named) {
    const std::vector<std::string> directories = directories_of(path);
    const std::vector<std::string> once =
        directories.empty() ? files_once_in(path) : std::vector<std::string>();
    if (directories.empty() && once.empty()) paths.push_back(path);
    if (!once.empty()) list_directory(path, paths, problems);  // says why
    for (const std::string& each : directories) list_directory(each, paths, problems);
  }
  for (const File& file : files_) {
    const bool stays = std::find(paths.begin(), paths.end(), file.path) != paths.end();
    if (!stays) changes_.add(file.reading.objects, {});
  }
  std::vector<File> files;
  for (std::string& path : paths) {
    const auto known = std::find_if(files_.begin(), files_.end(),
                                    [&](const File& file) { return file.path == path; });
    files.push_back(known == files_.end() ? File{.path = std::move(path)} : std::move(*known));
  }
  files_ = std::move(files);
}

void Sources::read_file(File& file) {
  const Result<> readable = use_ == Use::again ? check_readable_again(file.path) : done();
  Result<std::string> text = readable ? text_of(file.path) : Result<std::string>(readable.fault());
  if (!text) {
    file.tried = false;
    file.error = text.fault().describe();
    to_be_tried_again_ = to_be_tried_again_ || text.fault().kind != FaultKind::missing;
    return;
  }
  if (file.tried && *text == file.text) return;
  file.tried = true;
  if (file.text_is_good) file.last_good = std::move(file.text);
  file.text = std::move(*text);
  file.text_is_good = false;
  Result<std::vector<document::Document>> documents = document::parse(file.text, file.path);
  if (!documents) {
    file.error = documents.fault().describe();
    return;
  }
  std::vector<Fault> faults;
  kube::Reading reading = kube::read(*documents, faults);
  if (!faults.empty()) {
    file.error = faults.front().describe();
    if (faults.size() > 1) file.error += fmt::format(" (and {} more)", faults.size() - 1);
    return;
  }
  file.error.clear();
  file.text_is_good = file.ever_good = true;
  release(file.last_good);
  changes_.add(file.reading.objects, reading.objects);
  file.reading = std::move(reading);
}

std::string Sources::version(const kube::Objects& objects) const {
  if (files_.size() == 1 && !objects.resource_version.empty()) return objects.resource_version;
  std::vector<std::string_view> texts;
  texts.reserve(files_.size());
  for (const File& file : files_) texts.emplace_back(file.good());
  return digest_of(texts);
}

// Which objects of several files have one name: only their documents know the places.
Fault Sources::named_twice() const {
  std::vector<document::Document> documents;
  for (const File& file : files_) {
    Result<std::vector<document::Document>> more = document::parse(file.good(), file.path);
    if (!more) return std::move(more).fault();
    std::move(more->begin(), more->end(), std::back_inserter(documents));
  }
  Result<kube::Reading> reading = kube::read(documents);
  return reading ? invalid("an object is given twice") : std::move(reading).fault();
}

void Sources::make_world(std::vector<std::string>& problems) {
  std::vector<kube::Reading*> readings;
  readings.reserve(files_.size());
  for (File& file : files_) readings.push_back(&file.reading);
  const kube::Joined all(std::move(readings));
  if (!all.unique()) {
    problems.push_back(named_twice().describe());
    return;
  }
  mesh::World world = world_ ? world_of(all.objects(), *world_, changes_) : world_of(all.objects());
  changes_ = {};
  mesh::WorldPointer made = complete(std::move(world), ignored(), version(all.objects()));
  if (world_ && *made == *world_) return;
  world_ = std::move(made);
}

kube::Objects Sources::objects() const {
  std::vector<kube::Reading> copies;
  copies.reserve(files_.size());
  for (const File& file : files_) copies.push_back(file.reading);
  std::vector<kube::Reading*> readings;
  readings.reserve(copies.size());
  for (kube::Reading& copy : copies) readings.push_back(&copy);
  return kube::Joined(std::move(readings)).objects();
}

std::vector<kube::Ignored> Sources::ignored() const {
  std::vector<kube::Ignored> all;
  for (const File& file : files_) {
    all.insert(all.end(), file.reading.ignored.begin(), file.reading.ignored.end());
  }
  return all;
}

bool Sources::refresh(const BeingWritten& being_written) {
  const mesh::WorldPointer before = world_;
  std::vector<std::string> problems;
  to_be_tried_again_ = false;
  list_files(problems);
  for (File& file : files_) {
    if (!being_written || !being_written(file.path)) read_file(file);
    if (!file.error.empty()) problems.push_back(file.error);
  }
  const bool whole =
      std::all_of(files_.begin(), files_.end(), [](const File& file) { return file.ever_good; });
  // Until everything could be read once, half of the files would be a mesh that lost the other
  // half. Later, a new file that is broken is one that is not there yet.
  if (world_ || (whole && problems.empty())) make_world(problems);
  const bool changed = world_ != before || problems != broken_;
  broken_ = std::move(problems);
  return changed;
}

}  // namespace fairlead::registry
