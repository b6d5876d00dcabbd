#include "lab/manifests.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include "base/lines.h"
#include "document/document.h"
#include "lab/paths.h"
#include "registry/edit.h"
#include "registry/files.h"
#include "registry/manifest_files.h"

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;

// Hidden files are editors' own.
bool is_manifest(const fs::path& path) {
  const std::string extension = path.extension();
  if (path.filename().string().starts_with('.')) return false;
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

// A folder, or what never ends or waits for a writer. A link that leads nowhere is a broken file.
bool is_no_file(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return fs::exists(status) && !fs::is_regular_file(status);
}

// Or nobody can tell: then reading it says why.
bool holds_manifests(const fs::path& folder) {
  std::error_code error;
  const fs::directory_iterator inside(folder, error);
  if (error == std::errc::permission_denied) return true;
  return std::any_of(fs::begin(inside), fs::end(inside),
                     [](const fs::directory_entry& entry) { return is_manifest(entry.path()); });
}

// The folder itself and all those inside it that hold manifests.
std::vector<std::string> folders_with_manifests(const std::string& folder) {
  std::vector<std::string> found = registry::directories_within(folder);
  std::erase_if(found, [](const std::string& each) { return !holds_manifests(each); });
  return found;
}

// In its order, without what is named again.
std::vector<std::string> each_once(std::vector<std::string> paths) {
  std::set<std::string> known;
  std::erase_if(paths,
                [&known](const std::string& path) { return !known.insert(place_of(path)).second; });
  return paths;
}

std::size_t folders_in(const std::string& folder) {
  std::error_code error;
  const fs::directory_iterator inside(folder, error);
  return static_cast<std::size_t>(
      std::count_if(fs::begin(inside), fs::end(inside), [](const fs::directory_entry& entry) {
        return entry.is_directory() && !entry.path().filename().string().starts_with('.');
      }));
}

}  // namespace

std::string place_of(const std::string& path) {
  std::error_code error;
  std::string place = fs::weakly_canonical(path, error);
  return error ? path : place;
}

Result<std::vector<std::string>> files_of(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) return missing(fmt::format("there is no file {}", path));
    if (!fs::is_directory(status) && !fs::is_regular_file(status)) {
      return invalid(
          fmt::format("{}: expected a file or a folder, not a pipe, socket or device", path));
    }
    if (!fs::is_directory(status)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
      if (is_manifest(entry.path()) && !is_no_file(entry.path())) inside.push_back(entry.path());
    }
    if (error) return from_errno(error.value(), "reading the folder " + path);
    if (inside.empty()) {
      return missing(fmt::format("the folder {} holds no *.yaml, *.yml or *.json", path));
    }
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return each_once(std::move(files));
}

std::vector<std::string> with_inner_folders(const std::vector<std::string>& paths) {
  std::vector<std::string> all;
  for (const std::string& path : paths) {
    const std::vector<std::string> inside = folders_with_manifests(path);
    all.insert(all.end(), inside.begin(), inside.end());
    if (inside.empty()) all.push_back(path);
  }
  return all;
}

std::string describe_inner_folders(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) {
    const std::size_t count = folders_in(path);
    if (count == 0) continue;
    text += fmt::format("{}{} inside {}", text.empty() ? "" : ", ", counted(count, "folder"), path);
  }
  return text.empty() ? "" : text + ": not read; -R reads what is inside folders, too";
}

Result<kube::Reading> read_manifests(const std::vector<std::string>& paths) {
  Result<std::vector<std::string>> files = files_of(paths);
  if (!files) return std::move(files).fault();
  std::vector<document::Document> documents;
  std::vector<kube::Ignored> empty;
  for (const std::string& file : *files) {
    const Result<std::string> text = read_file(file);
    if (!text) return text.fault();
    Result<std::vector<document::Document>> parsed = document::parse(*text, file);
    if (!parsed) return std::move(parsed).fault();
    if (std::all_of(parsed->begin(), parsed->end(), registry::says_nothing))
      empty.push_back(registry::without_objects(file));
    std::move(parsed->begin(), parsed->end(), std::back_inserter(documents));
  }
  Result<kube::Reading> reading = kube::read(documents);
  if (reading) std::move(empty.begin(), empty.end(), std::back_inserter(reading->ignored));
  return reading;
}

Result<> check_holds_any(const kube::Reading& manifests) {
  if (manifests.objects != kube::Objects()) return done();
  std::vector<std::string> empty;
  for (const kube::Ignored& one : manifests.ignored) {
    if (one.origin.kind != registry::whole_file) return done();
    empty.push_back(one.origin.name);
  }
  return missing(fmt::format("there is no object in {}", fmt::join(empty, ", ")));
}

}  // namespace fairlead::lab
