#include "lab/options.h"

#include <nlohmann/json.hpp>

#include "base/json_text.h"

namespace fairlead::lab {

using nlohmann::json;

std::string to_json(const Options& options) {
  return json_text(json{{"name", options.name},
                        {"nodes", options.nodes},
                        {"manifests", options.manifests},
                        {"trees", options.trees},
                        {"images", options.images},
                        {"imageFile", options.image_file},
                        {"envoy", options.envoy},
                        {"injectAll", options.inject_all},
                        {"inject", options.inject},
                        {"mesh", options.mesh},
                        {"logLevel", options.log_level}});
}

Result<Options> read_options(std::string_view text) {
  const json value = parse_json(text);
  if (!value.is_object()) return invalid("the lab's options are no JSON object");
  try {
    Options options;
    options.name = value.at("name");
    options.nodes = value.at("nodes");
    options.manifests = value.at("manifests");
    options.trees = value.at("trees");
    options.images = value.at("images");
    options.image_file = value.at("imageFile");
    options.envoy = value.at("envoy");
    options.inject_all = value.at("injectAll");
    options.inject = value.at("inject");
    options.mesh = value.at("mesh");
    options.log_level = value.at("logLevel");
    return options;
  } catch (const json::exception& error) {
    return invalid(std::string("the lab's options: ") + error.what());
  }
}

Result<Images> images_of(const Options& options) {
  Images images;
  for (const std::string& line : options.images) {
    if (Result<> added = images.add(line); !added) {
      return std::move(added).fault().during("reading --image");
    }
  }
  if (options.image_file.empty()) return images;
  const Result<std::string> text = read_file(options.image_file);
  if (!text) return text.fault();
  Result<> added = images.add_file(*text, options.image_file);
  return added ? Result<Images>(std::move(images)) : std::move(added).fault();
}

}  // namespace fairlead::lab
