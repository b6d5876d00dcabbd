#include "lab/manifests.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "document/document.h"
#include "lab/places.h"

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;

bool is_manifest(const fs::path& path) {
  const std::string extension = path.extension();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

}  // namespace

Result<std::vector<std::string>> files_of(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) return missing(fmt::format("there is no file {}", path));
    if (!fs::is_directory(status)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
      if (is_manifest(entry.path())) inside.push_back(entry.path());
    }
    if (error) return from_errno(error.value(), "reading the folder " + path);
    if (inside.empty()) {
      return missing(fmt::format("the folder {} holds no *.yaml, *.yml or *.json", path));
    }
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

Result<kube::Reading> read_manifests(const std::vector<std::string>& paths) {
  Result<std::vector<std::string>> files = files_of(paths);
  if (!files) return std::move(files).fault();
  std::vector<document::Document> documents;
  for (const std::string& file : *files) {
    const Result<std::string> text = read_file(file);
    if (!text) return text.fault();
    Result<std::vector<document::Document>> parsed = document::parse(*text, file);
    if (!parsed) return std::move(parsed).fault();
    std::move(parsed->begin(), parsed->end(), std::back_inserter(documents));
  }
  return kube::read(documents);
}

}  // namespace fairlead::lab
