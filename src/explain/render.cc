#include "explain/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "base/lines.h"

namespace fairlead::explain {
namespace {

constexpr std::size_t stage_column = 2;
constexpr std::size_t text_column = 12;
constexpr std::size_t most_choices = 10;
constexpr std::size_t most_refusals = 5;

// ── text on a terminal ──────────────────────────────────────────────────────────────────────────

enum class Ink : std::uint8_t { plain, bold, dim, red, green, yellow, cyan };

std::string_view code_of(Ink ink) {
  switch (ink) {
    case Ink::plain:
      return "";
    case Ink::bold:
      return "\x1b[1m";
    case Ink::dim:
      return "\x1b[2m";
    case Ink::red:
      return "\x1b[31m";
    case Ink::green:
      return "\x1b[32m";
    case Ink::yellow:
      return "\x1b[33m";
    case Ink::cyan:
      return "\x1b[36m";
  }
  return "";
}

class Page {
 public:
  explicit Page(const Style& style) : style_(style) {}

  [[nodiscard]] std::string inked(std::string_view text, Ink ink) const {
    if (!style_.colour || ink == Ink::plain || text.empty()) return std::string(text);
    return fmt::format("{}{}\x1b[0m", code_of(ink), text);
  }

  // `text` from `column` on, wrapped; lines after the first two columns further in.
  void paragraph(std::size_t column, std::string_view text, Ink ink) {
    const std::size_t room = style_.width > column + 20 ? style_.width - column : 20;
    const bool fits = columns_of(text) <= room;
    bool first = true;
    for (const std::string& line : wrap(text, fits ? room : room - 2)) {
      text_ += std::string(column + (first ? 0 : 2), ' ') + inked(line, ink) + '\n';
      first = false;
    }
  }

  void blank() { text_ += '\n'; }
  void raw(std::string_view text) { text_ += text; }
  [[nodiscard]] std::size_t width() const { return style_.width; }
  [[nodiscard]] std::string take() && { return std::move(text_); }

 private:
  Style style_;
  std::string text_;
};

std::string padded(std::string_view text, std::size_t width) {
  const std::size_t taken = columns_of(text);
  return std::string(text) + std::string(width > taken ? width - taken : 0, ' ');
}

// ── a hop ───────────────────────────────────────────────────────────────────────────────────────

std::string describe(const Origin& origin) {
  return origin.kind == "built-in" ? "built into fairlead" : origin.describe();
}

std::string describe(const KernelRule& rule) {
  const std::string table = rule.table.substr(rule.table.find(' ') + 1);
  if (rule.rule == 0) return fmt::format("nft {} {}: no rule takes it", table, rule.chain);
  const std::string why = rule.comment.empty() ? "" : fmt::format(" ({})", rule.comment);
  return fmt::format("nft {} {} {}{}: {}", table, rule.chain, rule.rule, why, rule.text);
}

// The first line of a hop: stage, what happens, and at the right edge whose world it speaks.
void first_line(Page& page, const Hop& hop) {
  const std::size_t world = hop.world.empty() ? 0 : columns_of(hop.world) + 2;
  const std::size_t room =
      page.width() > text_column + world + 10 ? page.width() - text_column - world : page.width();
  const std::vector<std::string> lines = wrap(hop.says, room);
  const std::string lead =
      std::string(stage_column, ' ') +
      page.inked(padded(name_of(hop.stage), text_column - stage_column), Ink::cyan);
  page.raw(lead);
  page.raw(padded(lines.front(), room));
  if (!hop.world.empty()) page.raw("  " + page.inked(hop.world, Ink::dim));
  page.raw("\n");
  for (std::size_t i = 1; i < lines.size(); ++i) {
    page.raw(std::string(text_column + 2, ' ') + lines[i] + '\n');
  }
}

struct Row {
  std::vector<std::string> cells;
  Ink ink = Ink::plain;
};

// Rows in columns as wide as their widest cell; the last cell may wrap.
void table(Page& page, const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.cells.size()));
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      widths[i] = std::max(widths[i], columns_of(row.cells[i]));
    }
  }
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      if (widths[i] == 0) continue;
      const bool last = i + 1 == row.cells.size();
      line += last ? row.cells[i] : padded(row.cells[i], widths[i]) + "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    // A line of a table stays whole where it can: wrapping would take the columns apart.
    if (columns_of(line) + text_column <= page.width()) {
      page.raw(std::string(text_column, ' ') + page.inked(line, row.ink) + '\n');
    } else {
      page.paragraph(text_column, line, row.ink);
    }
  }
}

void choices(Page& page, const Hop& hop) {
  std::vector<Row> rows;
  const std::size_t shown =
      hop.choices.size() > most_choices + 1 ? most_choices : hop.choices.size();
  const bool said = hop.choices.size() == 1;  // in the first line
  for (std::size_t i = 0; i < shown && !said; ++i) {
    const Choice& choice = hop.choices[i];
    rows.push_back({{fraction(choice.share), choice.address, choice.name}, Ink::plain});
  }
  const bool endpoints = hop.stage == Stage::endpoint || hop.stage == Stage::kernel;
  const std::size_t refused = !endpoints                               ? 0
                              : hop.refused.size() > most_refusals + 1 ? most_refusals
                                                                       : hop.refused.size();
  for (std::size_t i = 0; i < refused; ++i) {
    const Refusal& refusal = hop.refused[i];
    const std::string name = refusal.name.empty() ? refusal.why : refusal.name + ": " + refusal.why;
    rows.push_back({{"not", refusal.address, name}, Ink::yellow});
  }
  table(page, rows);
  if (shown < hop.choices.size()) {
    page.paragraph(text_column, fmt::format("and {} more", hop.choices.size() - shown), Ink::plain);
  }
  if (endpoints && refused < hop.refused.size()) {
    page.paragraph(text_column, fmt::format("and {} more not", hop.refused.size() - refused),
                   Ink::yellow);
  }
}

void refused_names(Page& page, const Hop& hop) {
  if (hop.stage != Stage::name || hop.failure.empty()) return;
  for (const Refusal& refusal : hop.refused) {
    page.paragraph(text_column, refusal.why, Ink::dim);
  }
}

void seen_lines(Page& page, const Hop& hop) {
  for (const Seen& seen : hop.seen) {
    switch (seen.verdict) {
      case Seen::Verdict::agrees:
        page.paragraph(text_column, "✓ " + seen.text, Ink::green);
        break;
      case Seen::Verdict::differs:
        page.paragraph(text_column, "✗ " + seen.text, Ink::red);
        break;
      case Seen::Verdict::shown:
        page.paragraph(text_column, "· " + seen.text, Ink::dim);
        break;
      case Seen::Verdict::missing:
      case Seen::Verdict::unknown:
        page.paragraph(text_column, "? " + seen.text, Ink::yellow);
        break;
    }
  }
}

void hop_lines(Page& page, const Hop& hop, const std::string& cause) {
  first_line(page, hop);
  for (const std::string& detail : hop.details) page.paragraph(text_column, detail, Ink::plain);
  choices(page, hop);
  refused_names(page, hop);
  for (const KernelRule& rule : hop.rules) {
    page.paragraph(text_column, describe(rule), Ink::dim);
  }
  if (hop.origin.known()) page.paragraph(text_column, describe(hop.origin), Ink::dim);
  if (!hop.failure.empty()) {
    const bool in_headline = hop.failure == cause;
    page.paragraph(text_column, in_headline ? "ends here" : "ends here: " + hop.failure, Ink::red);
  }
  seen_lines(page, hop);
}

// A heading for each place; `share` stands beside the first.
void hops_by_place(Page& page, const std::vector<Hop>& hops, std::string place, std::string share,
                   const std::string& cause) {
  for (const Hop& hop : hops) {
    if (hop.place != place) {
      page.blank();
      page.raw(page.inked(hop.place, Ink::bold) + share + '\n');
      place = hop.place;
      share.clear();
    }
    hop_lines(page, hop, cause);
  }
}

// ── branches ────────────────────────────────────────────────────────────────────────────────────

std::string name_of_end(const Branch& branch) {
  return branch.workload.empty() ? branch.address : branch.workload;
}

// Two branches that go the same way, but for the names and addresses in it.
bool alike(const Branch& left, const Branch& right) {
  const auto same = [](const Hop& a, const Hop& b) {
    const bool rules = std::equal(a.rules.begin(), a.rules.end(), b.rules.begin(), b.rules.end(),
                                  [](const KernelRule& x, const KernelRule& y) {
                                    return x.chain == y.chain && x.rule == y.rule;
                                  });
    return a.stage == b.stage && rules && a.failure == b.failure && a.seen == b.seen &&
           a.details.size() == b.details.size();
  };
  return left.failure == right.failure && left.client == right.client &&
         std::equal(left.hops.begin(), left.hops.end(), right.hops.begin(), right.hops.end(), same);
}

void branches(Page& page, const Path& path) {
  std::vector<bool> told(path.branches.size());
  const std::string last_place = path.hops.empty() ? std::string() : path.hops.back().place;
  for (std::size_t i = 0; i < path.branches.size(); ++i) {
    if (told[i]) continue;
    const Branch& branch = path.branches[i];
    const bool certain = path.branches.size() == 1;
    const std::string share =
        fraction(branch.share) +
        (branch.client.empty() ? "" : " of clients that take " + branch.client);
    hops_by_place(page, branch.hops, certain ? last_place : "",
                  certain ? "" : "  " + page.inked(share, Ink::yellow), path.failure);
    std::string others;
    for (std::size_t j = i + 1; j < path.branches.size(); ++j) {
      if (told[j] || !alike(branch, path.branches[j])) continue;
      told[j] = true;
      others += fmt::format("{}{} ({})", others.empty() ? "" : ", ", name_of_end(path.branches[j]),
                            fraction(path.branches[j].share));
    }
    if (!others.empty()) {
      page.blank();
      page.paragraph(0, "and in the same way at " + others, Ink::plain);
    }
  }
}

// ── the first lines ─────────────────────────────────────────────────────────────────────────────

struct End {
  std::string name;
  double share = 1;
  bool operator==(const End&) const = default;
};

// Of each group of clients.
std::vector<std::vector<End>> ends_of_clients(const Path& path) {
  std::vector<std::vector<End>> groups;
  const std::string* client = nullptr;
  for (const Branch& branch : path.branches) {
    if (client == nullptr || *client != branch.client) {
      client = &branch.client;
      groups.emplace_back();
    }
    if (branch.arrives()) groups.back().push_back({name_of_end(branch), branch.share});
  }
  return groups;
}

std::string ends_of(const Path& path) {
  const std::vector<std::vector<End>> groups = ends_of_clients(path);
  std::vector<End> all = groups.empty() ? std::vector<End>() : groups.front();
  for (std::size_t i = 1; i < groups.size(); ++i) {
    if (groups[i] != groups.front()) all.insert(all.end(), groups[i].begin(), groups[i].end());
  }
  const bool certain =
      path.branches.size() == 1 || (all.size() == 1 && all.front().share > 1 - 1e-9);
  std::vector<std::string> ends;
  ends.reserve(all.size());
  for (const End& end : all) {
    ends.push_back(certain ? end.name : fmt::format("{} ({})", end.name, fraction(end.share)));
  }
  std::string text;
  const std::size_t shown = ends.size() > 5 ? 4 : ends.size();
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) text += i + 1 == shown && shown == ends.size() ? " or " : ", ";
    text += ends[i];
  }
  if (shown < ends.size()) text += fmt::format(" or {} more", ends.size() - shown);
  return text;
}

// ", if something listens on port 9999": where that is all that is not certain.
std::string condition_of(const Path& path) {
  const std::string condition = path.condition();
  return condition.empty() ? condition : ", if " + condition;
}

// ", but 2 policies that would judge this are not enforced: ..."; empty when all is enforced.
std::string reservation_of(const Path& path) {
  std::vector<std::string> names;
  names.reserve(path.not_enforced.size());
  for (const Origin& each : path.not_enforced) {
    names.push_back(fmt::format("{} {}/{}", each.kind, each.name_space, each.name));
  }
  const std::string text = mesh::describe_unenforced(names, " that would judge this");
  return text.empty() ? text : ", but " + text;
}

void live_headline(Page& page, const Path& path, const Judgement& judgement) {
  if (!judgement.arrived) {
    const std::string& why = judgement.cause.empty() ? path.failure : judgement.cause;
    const bool foreseen = judgement.predicted == Verdict::does_not_arrive;
    if (foreseen && judgement.verdict == Verdict::differs) {
      return page.paragraph(0, "did not arrive, as predicted, but " + judgement.difference,
                            Ink::red);
    }
    if (judgement.verdict == Verdict::cannot_be_known) {
      return page.paragraph(0, "cannot be known: " + judgement.unknown, Ink::yellow);
    }
    const std::string_view expected = foreseen ? ", as predicted"
                                      : judgement.verdict == Verdict::differs
                                          ? ", though predicted to"
                                          : "";
    return page.paragraph(0, fmt::format("did not arrive{}: {}", expected, why), Ink::red);
  }
  if (!judgement.difference.empty()) {
    return page.paragraph(0, "not as predicted: " + judgement.difference, Ink::red);
  }
  // One branch is left, with the share that it had among all.
  const double share = path.branches.size() == 1 ? path.branches.front().share : 1;
  const std::string chance = share < 1 ? fmt::format(" ({})", fraction(share)) : std::string();
  const std::string remark = judgement.remark.empty() ? "" : ": " + judgement.remark;
  const std::string ends = path.arrives() ? ends_of(path) : path.to;
  if (judgement.verdict == Verdict::cannot_be_known) {
    return page.paragraph(0,
                          fmt::format("arrived at {}; whether by the predicted way cannot be "
                                      "known: {}",
                                      ends, judgement.unknown),
                          Ink::yellow);
  }
  const char* as_predicted = path.arrives() ? ", as predicted" : "";
  const std::string reservation = reservation_of(path);
  page.paragraph(
      0, fmt::format("arrived at {}{}{}{}{}", ends, as_predicted, chance, remark, reservation),
      reservation.empty() ? Ink::green : Ink::yellow);
}

void headline(Page& page, const Path& path, const Judgement* judgement) {
  if (judgement) return live_headline(page, path, *judgement);
  if (!path.failure.empty()) return page.paragraph(0, "does not arrive: " + path.failure, Ink::red);
  const std::string reservation = reservation_of(path);
  const Ink well = reservation.empty() ? Ink::green : Ink::yellow;
  if (!path.unknown.empty()) {
    return page.paragraph(0, "cannot be known: " + path.unknown + reservation, Ink::yellow);
  }
  page.paragraph(0, "arrives at " + ends_of(path) + condition_of(path) + reservation, well);
}

void question_line(Page& page, const Path& path) {
  const std::string question = fmt::format("{} → {}", path.from, path.to);
  const std::string world = "world " + path.world;
  const std::size_t taken = columns_of(question) + columns_of(world) + 2;
  if (taken <= page.width()) {
    page.raw(page.inked(question, Ink::bold) + std::string(page.width() - taken + 2, ' ') +
             page.inked(world, Ink::dim) + '\n');
    return;
  }
  page.paragraph(0, question, Ink::bold);
  page.paragraph(0, world, Ink::dim);
}

}  // namespace

std::string fraction(double share) {
  if (share > 1 - 1e-9) return "all";
  for (int parts = 2; parts <= 60; ++parts) {
    const double count = share * parts;
    if (std::abs(count - std::round(count)) < 1e-6 && std::round(count) >= 1) {
      return fmt::format("{}/{}", static_cast<int>(std::round(count)), parts);
    }
  }
  return share < 0.01 ? fmt::format("{:.2f} %", share * 100)
                      : fmt::format("{} %", std::lround(share * 100));
}

std::string render(const Path& path, const Style& style, const Judgement* judgement) {
  Page page(style);
  headline(page, path, judgement);
  question_line(page, path);
  hops_by_place(page, path.hops, "", "", path.failure);
  branches(page, path);
  if (!path.notes.empty()) page.blank();
  for (const std::string& note : path.notes) page.paragraph(0, "note: " + note, Ink::yellow);
  return std::move(page).take();
}

}  // namespace fairlead::explain
