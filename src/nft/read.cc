#include "nft/read.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "nft/render.h"

namespace fairlead::nft {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string key_text(const Json& key) {
  if (key.is_string()) return key.get<std::string>();
  if (!key.is_object() || !key.contains("concat")) return key.dump();
  std::string text;
  for (const Json& part : key["concat"]) {
    if (!text.empty()) text += " . ";
    text += part.is_string() ? part.get<std::string>() : part.dump();
  }
  return text;
}

Reading reading(const Json& counter, std::string place) {
  return {.place = std::move(place),
          .packets = counter.value("packets", std::uint64_t{0}),
          .bytes = counter.value("bytes", std::uint64_t{0})};
}

void read_set(const Json& set, std::vector<Reading>& all) {
  for (const Json& wrapped : set.value("elem", Json::array())) {
    const Json* element =
        wrapped.is_object() && wrapped.contains("elem") ? &wrapped["elem"] : nullptr;
    if (element == nullptr || !element->contains("counter")) continue;
    Reading one = reading((*element)["counter"], "set " + text_of(set, "name"));
    one.key = key_text(element->value("val", Json()));
    one.comment = text_of(*element, "comment");
    all.push_back(std::move(one));
  }
}

void read_rule(const Json& rule, std::size_t place, std::vector<Reading>& all) {
  for (const Json& expression : rule.value("expr", Json::array())) {
    if (!expression.is_object() || !expression.contains("counter")) continue;
    if (!expression["counter"].is_object()) continue;  // a reference to a named counter
    Reading one = reading(expression["counter"], "chain " + text_of(rule, "chain"));
    one.rule = place;
    one.comment = text_of(rule, "comment");
    all.push_back(std::move(one));
  }
}

std::vector<Reading> read_counters(const Json& listing) {
  std::vector<Reading> all;
  std::map<std::string, std::size_t> rules;  // seen so far, by chain
  for (const Json& item : listing.at("nftables")) {
    if (item.contains("set")) read_set(item["set"], all);
    if (item.contains("rule")) {
      read_rule(item["rule"], ++rules[text_of(item["rule"], "chain")], all);
    }
    if (item.contains("counter")) {
      all.push_back(reading(item["counter"], "counter " + text_of(item["counter"], "name")));
      all.back().comment = text_of(item["counter"], "comment");
    }
  }
  return all;
}

std::string list_command(TableFamily family, const std::string& table) {
  return fmt::format("list table {} {}", name_of(family), table);
}

}  // namespace

Result<bool> exists(Kernel& kernel, TableFamily family, const std::string& table) {
  Result<std::string> tables = kernel.ask("list tables");
  if (!tables) return std::move(tables).fault();
  return ("\n" + *tables).find(fmt::format("\ntable {} {}\n", name_of(family), table)) !=
         std::string::npos;
}

Result<std::string> list(Kernel& kernel, TableFamily family, const std::string& table) {
  return kernel.ask(list_command(family, table));
}

Result<std::vector<Reading>> counters(Kernel& kernel, TableFamily family,
                                      const std::string& table) {
  Result<std::string> listing = kernel.ask(list_command(family, table), true);
  if (!listing) return std::move(listing).fault();
  try {
    return read_counters(Json::parse(*listing));
  } catch (const Json::exception& error) {
    return Fault{
        .kind = FaultKind::internal,
        .message = fmt::format("nftables' listing of {} cannot be read: {}", table, error.what())};
  }
}

}  // namespace fairlead::nft
