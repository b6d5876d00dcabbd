#include "registry/edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace fairlead::registry {
namespace {

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string_view without_blanks(std::string_view line) {
  const std::size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

bool says_something(std::string_view line) {
  const std::string_view text = without_blanks(line);
  return !text.empty() && text.front() != '#';
}

bool is_separator(std::string_view line) {
  return line.starts_with("---") || line.starts_with("...");
}

// The first line that says something; empty when none does.
std::string_view first_of(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (says_something(line)) return line;
  }
  return {};
}

std::string_view last_of(std::string_view text) {
  std::string_view last;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (says_something(line)) last = line;
  }
  return last;
}

// Whether `text` is the beginning of `whole` and ends within one of its documents.
bool is_cut(std::string_view text, std::string_view whole) {
  if (text.size() >= whole.size() || !whole.starts_with(text)) return false;
  const std::string_view next = first_of(whole.substr(text.size()));
  return !next.empty() && !is_separator(next) && !is_separator(last_of(text));
}

// Brackets say themselves where they end, so JSON needs no end of its last line.
bool ends_within_a_line(std::string_view text) {
  return !text.empty() && text.back() != '\n' && text.back() != '}' && text.back() != ']';
}

std::string last_line_of(const std::string& file, std::string_view text) {
  const auto ends = std::count(text.begin(), text.end(), '\n');
  return fmt::format("{}:{}", file, ends + (text.ends_with('\n') ? 0 : 1));
}

using Name = std::tuple<std::string_view, std::string_view, std::string_view>;

}  // namespace

std::vector<Origin> lost(const kube::Objects& before, const kube::Objects& now) {
  std::set<Name> left;
  kube::for_each_object(now, [&](std::string_view kind, const kube::Metadata& object) {
    left.emplace(kind, object.name_space, object.name);
  });
  std::vector<Origin> lost;
  kube::for_each_object(before, [&](std::string_view kind, const kube::Metadata& object) {
    if (left.contains({kind, object.name_space, object.name})) return;
    lost.push_back({std::string(kind), object.name_space, object.name, object.origin.file,
                    object.origin.line});
  });
  return lost;
}

std::string describe_removed(const std::vector<Origin>& removed) {
  constexpr std::size_t kMost = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(removed.size(), kMost); ++i) {
    text += (i == 0 ? "" : ", ") + removed[i].describe();
  }
  if (removed.size() > kMost) text += fmt::format(" and {} more", removed.size() - kMost);
  return fmt::format("no file has {} any more: {}",
                     removed.size() == 1 ? "this object" : "these objects", text);
}

bool says_nothing(const document::Document& document) {
  const document::Node root = document.root();
  return root.get("kind").text() == "List" && !root.get("items").given();
}

Edit judge(const std::string& file, const Version& in_force, const Version& now) {
  if (!now.reading.objects.resource_version.empty()) return {};
  if (now.says_nothing && !in_force.says_nothing) {
    return {Edit::Fate::refuse, {}, fmt::format("{}: it holds no object", file)};
  }
  const bool cut = is_cut(now.text, in_force.text);
  if (ends_within_a_line(now.text) && (cut || in_force.text.ends_with('\n'))) {
    return {Edit::Fate::refuse,
            {},
            fmt::format("{}: it ends within a line, as a file does that was cut off: expected a "
                        "line end",
                        last_line_of(file, now.text))};
  }
  if (cut) {
    return {Edit::Fate::hold, cut_wait,
            fmt::format("{}: it ends within a document, as a file does that was cut off; when "
                        "nothing changes for {} s it counts as whole",
                        last_line_of(file, now.text),
                        std::chrono::duration_cast<std::chrono::seconds>(cut_wait).count())};
  }
  if (!lost(in_force.reading.objects, now.reading.objects).empty()) {
    return {Edit::Fate::hold, loss_wait, ""};
  }
  return {};
}

}  // namespace fairlead::registry
