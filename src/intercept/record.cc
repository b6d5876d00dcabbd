#include "intercept/record.h"

#include <fmt/format.h>

#include <algorithm>

#include "intercept/settings.h"
#include "nft/read.h"
#include "nft/render.h"

namespace fairlead::intercept {
namespace {

using nft::Chain;
using nft::Rule;

// ── the settings ────────────────────────────────────────────────────────────────────────────────

// At most what a comment holds, cut after a word or a part of a list where there is one to cut at:
// what check(settings) passes has nothing longer.
std::vector<std::string> pieces_of(std::string words) {
  constexpr std::size_t most = 128;
  std::vector<std::string> pieces;
  while (words.size() > most) {
    const std::size_t end = words.find_last_of(" ,", most - 1);
    const std::size_t length = end == std::string::npos ? most : end + 1;
    pieces.push_back(words.substr(0, length));
    words.erase(0, length);
  }
  if (!words.empty()) pieces.push_back(std::move(words));
  return pieces;
}

Fault of_another_version(const std::string& sign) {
  return unsupported(
      fmt::format("the table was made by another version of fairlead, or by hand: {}", sign));
}

// ── rules beside rules ──────────────────────────────────────────────────────────────────────────

// As the kernel keeps it: of several values each once, in order; its comment means nothing.
Rule bare(const Rule& rule) {
  Rule plain = nft::as_listed(rule);
  plain.comment.clear();
  for (nft::Expression& expression : plain.expressions) {
    auto* match = std::get_if<nft::Match>(&expression);
    if (match == nullptr) continue;
    std::sort(match->values.begin(), match->values.end());
    match->values.erase(std::unique(match->values.begin(), match->values.end()),
                        match->values.end());
  }
  return plain;
}

std::vector<Rule> bare(const std::vector<Rule>& rules) {
  std::vector<Rule> all;
  all.reserve(rules.size());
  for (const Rule& rule : rules) all.push_back(bare(rule));
  return all;
}

// How many rules stand in both lists in the same order, from each pair of places to the ends.
class Kept {
 public:
  Kept(const std::vector<Rule>& meant, const std::vector<Rule>& found)
      : from_(meant.size() + 1, std::vector<std::size_t>(found.size() + 1)) {
    for (std::size_t i = meant.size(); i-- > 0;) {
      for (std::size_t j = found.size(); j-- > 0;) {
        from_[i][j] = meant[i] == found[j] ? from_[i + 1][j + 1] + 1
                                           : std::max(from_[i + 1][j], from_[i][j + 1]);
      }
    }
  }
  [[nodiscard]] std::size_t from(std::size_t i, std::size_t j) const { return from_[i][j]; }

 private:
  std::vector<std::vector<std::size_t>> from_;
};

// The rules that were put into a chain beside those that are there.
class Comparison {
 public:
  Comparison(const Chain& meant, const Chain& found, std::vector<std::string>& told)
      : meant_(meant), found_(found), told_(told) {}

  void run() {
    std::vector<Rule> meant = bare(meant_.rules);
    std::vector<Rule> found = bare(found_.rules);
    if (meant == found) return;
    const Kept kept(meant, found);
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < meant.size() || j < found.size()) {
      const bool both = i < meant.size() && j < found.size();
      if (both && meant[i] == found[j]) {
        ++i;
        ++j;
      } else if (both && kept.from(i, j) == kept.from(i + 1, j + 1)) {
        tell_changed(i++, j++);
      } else if (i < meant.size() && kept.from(i, j) == kept.from(i + 1, j)) {
        tell_missing(i++);
      } else {
        tell_added(j++);
      }
    }
  }

 private:
  void tell_missing(std::size_t i) {
    told_.push_back(fmt::format("chain {}: of the rules put in, number {} is missing: {}",
                                meant_.name, i + 1, nft::render(meant_.rules[i])));
  }

  void tell_added(std::size_t j) {
    told_.push_back(fmt::format("chain {}: rule {} was added: {}", meant_.name, j + 1,
                                nft::render(found_.rules[j])));
  }

  void tell_changed(std::size_t i, std::size_t j) {
    told_.push_back(fmt::format("chain {}: rule {} was changed: it is {}, and was {}", meant_.name,
                                j + 1, nft::render(found_.rules[j]), nft::render(meant_.rules[i])));
  }

  const Chain& meant_;
  const Chain& found_;
  std::vector<std::string>& told_;
};

void compare(const Chain& meant, const Chain* found, std::vector<std::string>& told) {
  if (found == nullptr) {
    told.push_back(fmt::format("chain {} is missing", meant.name));
    return;
  }
  if (!(found->base == meant.base)) {
    told.push_back(
        fmt::format("chain {} was made anew: the kernel calls it otherwise", meant.name));
  }
  if (found->rules.empty() && meant.rules.size() > 1) {
    told.push_back(fmt::format("chain {} lost all its {} rules", meant.name, meant.rules.size()));
    return;
  }
  Comparison(meant, *found, told).run();
}

template <class Named>
void tell_strangers(const char* kind, const std::vector<Named>& meant,
                    const std::vector<Named>& found, std::vector<std::string>& told) {
  for (const Named& one : found) {
    const bool known = std::any_of(meant.begin(), meant.end(),
                                   [&](const Named& ours) { return ours.name == one.name; });
    if (!known) told.push_back(fmt::format("{} {} was added", kind, one.name));
  }
}

}  // namespace

nft::Set record_of(const Settings& settings) {
  nft::Set record{.name = record_name,
                  .key = {nft::Field::mark},
                  .comment = "what differs from the defaults; no rule looks here, check does"};
  std::uint32_t number = 0;
  for (const std::string& piece : pieces_of(words_of(settings))) {
    record.elements.insert({{++number}, piece});
  }
  return record;
}

Result<Settings> recorded(const nft::Set* record) {
  if (record == nullptr) {
    return of_another_version("it does not say which settings it was made with");
  }
  std::string words;
  for (const auto& [number, piece] : record->elements) words += piece;
  Result<Settings> settings = settings_from_words(words);
  if (!settings) return of_another_version(settings.fault().message);
  return settings;
}

std::string remedy(const nft::Set* record) {
  const Result<Settings> settings = recorded(record);
  if (settings) return command_of(*settings);
  return command_of({}) + ", with the flags that the table was made with";
}

std::vector<std::string> changes(const nft::Table& table, const Settings& settings) {
  std::vector<std::string> told;
  const nft::Ruleset made = capture_rules(settings);
  const nft::Table& meant = made.tables.front();
  for (const Chain& chain : meant.chains) compare(chain, table.chain(chain.name), told);
  tell_strangers("chain", meant.chains, table.chains, told);
  tell_strangers("set", meant.sets, table.sets, told);
  tell_strangers("map", meant.maps, table.maps, told);
  tell_strangers("counter", meant.counters, table.counters, told);
  return told;
}

}  // namespace fairlead::intercept
