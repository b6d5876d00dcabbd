// docs/manifests.md says what known_kinds() and known_fields() say. With FAIRLEAD_WRITE_DOCS set,
// its tables are written anew instead.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "kube/fields.h"

namespace fairlead::kube {
namespace {

constexpr const char* doc_path = FAIRLEAD_SOURCE "/docs/manifests.md";
constexpr const char* first_heading = "## Kinds\n";  // everything from here on is made here

struct IgnoredForOneReason {
  std::string reason;
  std::string fields;
};

struct Section {
  std::string type;
  std::string honoured;
  std::vector<IgnoredForOneReason> ignored;
};

void append(std::string& list, const std::string& item) {
  list += (list.empty() ? "" : ", ") + item;
}

void add_ignored(Section& section, const KnownField& field) {
  std::string shown = "`" + std::string(field.name) + "`";
  if (field.harmless != nullptr)
    shown += " (but `" + std::string(field.harmless) + "` is as asked)";
  for (IgnoredForOneReason& one : section.ignored) {
    if (one.reason == field.ignored) return append(one.fields, shown);
  }
  section.ignored.push_back({field.ignored, shown});
}

std::vector<Section> sections() {
  std::vector<Section> all;
  for (const KnownField& field : known_fields()) {
    if (all.empty() || all.back().type != field.type) all.push_back({.type = field.type});
    if (field.ignored == nullptr) {
      append(all.back().honoured, "`" + std::string(field.name) + "`");
    } else {
      add_ignored(all.back(), field);
    }
  }
  return all;
}

std::string printed_kinds() {
  std::string text =
      std::string(first_heading) + "\n| kind | versions | in a namespace | |\n|---|---|---|---|\n";
  for (const KnownKind& kind : known_kinds()) {
    std::string versions = kind.api_version;
    std::istringstream others(kind.also);
    for (std::string other; others >> other;) versions += ", " + other;
    text += "| " + std::string(kind.kind) + " | " + versions + " | " +
            (kind.namespaced ? "yes" : "no") + " | " + (kind.remark ? kind.remark : "") + " |\n";
  }
  return text;
}

std::string printed_fields() {
  std::string text = "\n## Fields\n";
  for (const Section& section : sections()) {
    text += "\n### " + section.type +
            "\n\nHonoured: " + (section.honoured.empty() ? "none" : section.honoured) + ".\n";
    if (section.ignored.empty()) continue;
    text += "\nListed as ignored:\n\n";
    for (const IgnoredForOneReason& one : section.ignored) {
      text += "- " + one.fields + ": " + one.reason + ".\n";
    }
  }
  return text;
}

std::string doc() {
  std::ifstream file(doc_path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ManifestsDoc, SaysWhatTheTablesSay) {
  const std::string text = doc();
  const std::size_t begins = text.find(first_heading);
  ASSERT_NE(begins, std::string::npos) << doc_path << " has no heading " << first_heading;
  const std::string wanted = printed_kinds() + printed_fields();
  if (std::getenv("FAIRLEAD_WRITE_DOCS") != nullptr) {
    std::ofstream(doc_path, std::ios::trunc) << text.substr(0, begins) << wanted;
    return;
  }
  EXPECT_EQ(text.substr(begins), wanted)
      << "write it anew: FAIRLEAD_WRITE_DOCS=1 kube_test --gtest_filter=ManifestsDoc.*";
}

TEST(ManifestsDoc, EachTypeIsInOnePlaceAndEachFieldOnce) {
  std::vector<std::string> seen;
  for (const Section& section : sections()) {
    EXPECT_EQ(std::count(seen.begin(), seen.end(), section.type), 0)
        << section.type << " is in two places of the table";
    seen.push_back(section.type);
  }
  for (const KnownField& field : known_fields()) {
    EXPECT_EQ(find_field(field.type, field.name)->ignored, field.ignored)
        << field.type << "." << field.name << " is there twice";
  }
}

}  // namespace
}  // namespace fairlead::kube
