#include "explain/capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/capture_words.h"
#include "intercept/settings.h"

namespace fairlead::explain {
namespace {

const intercept::Option* option_named(std::string_view name) {
  const auto options = intercept::options();
  const auto found =
      std::find_if(options.begin(), options.end(),
                   [&](const intercept::Option& option) { return option.name == name; });
  return found == options.end() ? nullptr : &*found;
}

}  // namespace

Result<intercept::Settings> capture_settings(const mesh::Workload& workload) {
  intercept::Settings settings;
  for (const CaptureWord& word : capture_words) {
    const auto given = workload.capture.find(std::string(word.annotation));
    if (given == workload.capture.end()) continue;
    const intercept::Option* option = option_named(word.flag);
    if (!option) continue;
    Result<> set = option->set(settings, word.flag_value(given->second));
    if (!set) {
      return std::move(set).fault().during(fmt::format("reading {}{} of {}",
                                                       capture_annotation_prefix, word.annotation,
                                                       workload.origin.describe()));
    }
  }
  return settings;
}

}  // namespace fairlead::explain
