#include "registry/files.h"

#include <algorithm>
#include <filesystem>

#include "registry/sources.h"

namespace fairlead::registry {

std::vector<std::string> directories_within(const std::string& directory) {
  std::vector<std::string> all{directory};
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    std::error_code none;
    if (!std::filesystem::is_directory(at->symlink_status(none))) continue;
    const std::vector<std::string> inside = directories_within(at->path());
    all.insert(all.end(), inside.begin(), inside.end());
  }
  std::sort(all.begin(), all.end());
  return all;
}

Result<mesh::WorldPointer> read_world(const Paths& paths) {
  Sources sources(paths, Sources::Use::once);
  sources.refresh();
  if (Result<> whole = sources.whole(); !whole) return std::move(whole).fault();
  return sources.world();
}

}  // namespace fairlead::registry
