#include "lab/volumes.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>

#include "lab/container.h"
#include "lab/paths.h"

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;
using kube::KeyReference;

constexpr mode_t everyone = 0777;
constexpr int usual_mode = 0644;

struct File {
  std::string path;
  std::string content;
  int mode = usual_mode;
};

constexpr const char* current = "..data";  // as in Kubernetes: a link to the version in force

std::string first_part(const std::string& path) {
  return path.substr(0, path.find('/'));
}

Result<> write_version(const std::string& folder, const std::vector<File>& files) {
  std::error_code error;
  fs::remove_all(folder, error);
  for (const File& file : files) {
    const fs::path path = fs::path(folder) / file.path;
    fs::create_directories(path.parent_path(), error);
    if (Result<> written = write_file(path, file.content); !written) return written;
    ::chmod(path.c_str(), static_cast<mode_t>(file.mode));
  }
  fs::create_directories(folder, error);
  return done();
}

bool holds_exactly(const fs::path& folder, const std::vector<File>& files) {
  std::error_code error;
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (!entry.is_directory()) ++count;
  }
  if (error || count != files.size()) return false;
  return std::all_of(files.begin(), files.end(), [&](const File& file) {
    const Result<std::string> text = read_file(folder / file.path);
    return text && *text == file.content;
  });
}

Result<> put_link(const std::string& target, const std::string& path) {
  const std::string next = path + ".next";
  ::unlink(next.c_str());
  if (::symlink(target.c_str(), next.c_str()) != 0) return from_errno(errno, "making " + next);
  if (::rename(next.c_str(), path.c_str()) != 0) return from_errno(errno, "making " + path);
  return done();
}

// The files as a version of their own, and in one step in the place of the one before: whoever
// reads them by ..data sees all of one version. The names beside it lead there too.
Result<> put_version(const std::string& folder, const std::vector<File>& files) {
  std::error_code error;
  const std::string link = folder + "/" + current;
  const std::string before = fs::read_symlink(link, error).string();
  if (!before.empty() && holds_exactly(fs::path(folder) / before, files)) return done();
  const int number = before.empty() ? 1 : std::atoi(before.c_str() + 2) + 1;
  const std::string version = fmt::format("..{}", number);
  if (Result<> written = write_version(folder + "/" + version, files); !written) return written;
  if (Result<> linked = put_link(version, link); !linked) return linked;
  std::set<std::string> names;
  for (const File& file : files) names.insert(first_part(file.path));
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    if (fs::is_symlink(path, error)) continue;
    if (Result<> linked = put_link(fmt::format("{}/{}", current, name), path); !linked) {
      return linked;
    }
  }
  std::vector<fs::path> gone;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    const bool kept = names.contains(name) || name == current || name == version;
    if (!kept) gone.push_back(entry.path());
  }
  for (const fs::path& path : gone) fs::remove_all(path, error);
  return done();
}

void add_entries(kube::StringMap& all, const kube::StringMap& more) {
  all.insert(more.begin(), more.end());
}

std::optional<kube::StringMap> content_of(const kube::KeyedVolume& volume, const kube::Pod& pod,
                                          const kube::Objects& objects) {
  kube::StringMap all;
  if (volume.source == KeyReference::Source::config_map) {
    const auto* map = kube::find(objects.config_maps, pod.metadata.name_space, volume.name);
    if (map == nullptr) return std::nullopt;
    add_entries(all, map->data);
    add_entries(all, map->binary_data);
  } else {
    const auto* secret = kube::find(objects.secrets, pod.metadata.name_space, volume.name);
    if (secret == nullptr) return std::nullopt;
    add_entries(all, secret->data);
  }
  return all;
}

Result<std::vector<File>> files_of(const kube::KeyedVolume& volume, const kube::Pod& pod,
                                   const kube::Objects& objects) {
  std::vector<File> files;
  const std::optional<kube::StringMap> content = content_of(volume, pod, objects);
  const char* kind = volume.source == KeyReference::Source::config_map ? "ConfigMap" : "Secret";
  if (!content) {
    if (volume.optional) return files;
    return missing(fmt::format("there is no {} {}/{} for a volume", kind, pod.metadata.name_space,
                               volume.name));
  }
  const int mode = volume.default_mode.value_or(usual_mode);
  if (volume.items.empty()) {
    for (const auto& [key, value] : *content) files.push_back({key, value, mode});
    return files;
  }
  for (const kube::KeyToPath& item : volume.items) {
    const auto found = content->find(item.key);
    if (found != content->end()) {
      files.push_back({item.path, found->second, item.mode.value_or(mode)});
    } else if (!volume.optional) {
      return missing(fmt::format("{} {}/{} has no key {}", kind, pod.metadata.name_space,
                                 volume.name, item.key));
    }
  }
  return files;
}

// Labels and annotations as Kubernetes writes them: one a line, the value in quotes.
std::string lines_of(const kube::StringMap& map) {
  std::string text;
  for (const auto& [key, value] : map) {
    text += key + "=\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      c == '\n' ? text += "\\n" : text += c;
    }
    text += "\"\n";
  }
  return text;
}

Result<std::vector<File>> files_of(const kube::DownwardVolume& volume, const kube::Pod& pod) {
  std::vector<File> files;
  for (const kube::KeyToPath& item : volume.items) {
    std::optional<std::string> content = field_of(pod, item.key);
    if (item.key == "metadata.labels") content = lines_of(pod.metadata.labels);
    if (item.key == "metadata.annotations") content = lines_of(pod.metadata.annotations);
    if (!content) {
      return unsupported(fmt::format("the field {} is not known to the downward API", item.key));
    }
    files.push_back(
        {item.path, *content, item.mode.value_or(volume.default_mode.value_or(usual_mode))});
  }
  return files;
}

Result<std::vector<File>> files_of(const kube::Volume& volume, const kube::Pod& pod,
                                   const kube::Objects& objects) {
  if (const auto* keyed = std::get_if<kube::KeyedVolume>(&volume.source)) {
    return files_of(*keyed, pod, objects);
  }
  if (const auto* downward = std::get_if<kube::DownwardVolume>(&volume.source)) {
    return files_of(*downward, pod);
  }
  return std::vector<File>{};
}

bool is_made_of_files(const kube::Volume& volume) {
  return std::holds_alternative<kube::KeyedVolume>(volume.source) ||
         std::holds_alternative<kube::DownwardVolume>(volume.source);
}

Result<> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), everyone) != 0 && errno != EEXIST) {
    return from_errno(errno, "making " + path);
  }
  ::chmod(path.c_str(), everyone);
  return done();
}

// Whoever may write into the volume may write into what is made in it.
void make_inside(const std::string& volume, const std::string& sub_path) {
  fs::path here = volume;
  for (const fs::path& part : fs::path(sub_path)) {
    here /= part;
    std::error_code error;
    if (!fs::exists(here, error)) static_cast<void>(make_folder(here).ok());
  }
}

}  // namespace

Result<> write_volumes(const std::string& folder, const kube::Pod& pod,
                       const kube::Objects& objects) {
  if (Result<> made = make_folder(folder); !made) return made;
  for (const kube::Volume& volume : pod.spec.volumes) {
    const std::string path = folder + "/" + volume.name;
    if (Result<> made = make_folder(path); !made) return made;
    if (!is_made_of_files(volume)) continue;
    const Result<std::vector<File>> files = files_of(volume, pod, objects);
    if (!files) return Fault(files.fault()).during("filling the volume " + volume.name);
    if (Result<> put = put_version(path, *files); !put) return put;
  }
  return done();
}

std::vector<Bind> binds_of(const std::string& folder, const kube::Pod& pod,
                           const kube::Container& container) {
  std::vector<Bind> binds;
  for (const kube::VolumeMount& mount : container.volume_mounts) {
    std::string source = folder + "/" + mount.name;
    if (!mount.sub_path.empty()) {
      make_inside(source, mount.sub_path);
      source += "/" + mount.sub_path;
    }
    bool fixed = mount.read_only;
    for (const kube::Volume& volume : pod.spec.volumes) {
      if (volume.name == mount.name && is_made_of_files(volume)) fixed = true;
    }
    binds.push_back({.source = source, .target = mount.path, .read_only = fixed});
  }
  return binds;
}

}  // namespace fairlead::lab
