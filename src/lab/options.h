// What `fairlead lab up` was asked for, and its way into the lab as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lab/container.h"
#include "lab/paths.h"

namespace fairlead::lab {

struct Options {
  std::string name = usual_name;
  int nodes = 2;
  std::vector<std::string> manifests;  // files and folders, as written
  std::vector<std::string> trees;      // folders with all that are inside, as written
  std::vector<std::string> images;     // "IMAGE=COMMAND"
  std::string image_file;
  std::string envoy;                // the program; empty: fairlead's own proxy
  bool inject_all = false;          // --inject all
  std::vector<std::string> inject;  // --inject NAMESPACE...
  bool mesh = true;                 // with control and nodes' agents
  std::string log_level = "info";
  bool operator==(const Options&) const = default;
};

[[nodiscard]] std::string to_json(const Options& options);
[[nodiscard]] Result<Options> read_options(std::string_view json);

[[nodiscard]] Result<Images> images_of(const Options& options);
// What --image and the file of --images say. Fault: which line, and what was expected there.

}  // namespace fairlead::lab
