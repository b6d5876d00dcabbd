#include "nft/diff.h"

#include <fmt/format.h>

#include <algorithm>

#include "nft/named.h"
#include "nft/render.h"

namespace fairlead::nft {
namespace {

// Long lists go in several commands, so that a refused transaction can be cut between them.
constexpr std::size_t elements_per_command = 500;

std::string place(const Table& table) {
  return fmt::format("{} {}", name_of(table.family), table.name);
}

// Collects the elements of one map or set that go and come.
class Elements {
 public:
  Elements(Transaction& transaction, const Table& table, const std::string& name)
      : transaction_(transaction), target_(fmt::format("{} {}", place(table), name)) {}

  void remove(std::string key) { removed_.push_back(std::move(key)); }
  void add(std::string element) { added_.push_back(std::move(element)); }

  void write() {
    write("delete", removed_);
    write("add", added_);
  }

 private:
  void write(const char* verb, const std::vector<std::string>& all) {
    for (std::size_t begin = 0; begin < all.size(); begin += elements_per_command) {
      const std::size_t end = std::min(all.size(), begin + elements_per_command);
      std::string list = all[begin];
      for (std::size_t i = begin + 1; i < end; ++i) list += ", " + all[i];
      transaction_.commands.push_back(fmt::format("{} element {} {{ {} }}", verb, target_, list));
    }
  }

  Transaction& transaction_;
  std::string target_;
  std::vector<std::string> removed_;
  std::vector<std::string> added_;
};

// Walks two sorted containers side by side; calls changed(key, before or null, after or null).
template <class Container, class Changed>
void compare(const Container& before, const Container& after, Changed changed) {
  using Value = typename Container::mapped_type;
  constexpr const Value* nothing = nullptr;
  auto old = before.begin();
  auto now = after.begin();
  while (old != before.end() && now != after.end()) {
    if (old->first < now->first) {
      changed(old->first, &old->second, nothing);
      ++old;
    } else if (now->first < old->first) {
      changed(now->first, nothing, &now->second);
      ++now;
    } else {
      if (!(old->second == now->second)) changed(now->first, &old->second, &now->second);
      ++old;
      ++now;
    }
  }
  for (; old != before.end(); ++old) changed(old->first, &old->second, nothing);
  for (; now != after.end(); ++now) changed(now->first, nothing, &now->second);
}

template <class Holder>  // Set or Map
void change_elements(Transaction& transaction, const Table& table, const Holder& before,
                     const Holder& after) {
  Elements elements(transaction, table, after.name);
  compare(before.elements, after.elements, [&](const Tuple& key, const auto* old, const auto* now) {
    if (old != nullptr) elements.remove(render(key, after.key));
    if (now != nullptr) elements.add(element(after, key, *now));
  });
  elements.write();
}

template <class Holder>
Holder emptied(const Holder& holder) {
  Holder empty = holder;
  empty.elements.clear();
  return empty;
}

bool same_shape(const Set& a, const Set& b) {
  return declaration(a) == declaration(b);
}

bool same_shape(const Map& a, const Map& b) {
  return declaration(a) == declaration(b);
}

bool same_shape(const Chain& a, const Chain& b) {
  return declaration(a) == declaration(b);
}

bool same_shape(const Counter& a, const Counter& b) {
  return a == b;
}

template <class Named>
bool keeps_shapes(const std::vector<Named>& before, const std::vector<Named>& after) {
  return std::all_of(after.begin(), after.end(), [&](const Named& now) {
    const Named* old = find_named(before, now.name);
    return old == nullptr || same_shape(*old, now);
  });
}

bool can_be_changed_in_place(const Table& before, const Table& after) {
  return before.comment == after.comment && keeps_shapes(before.counters, after.counters) &&
         keeps_shapes(before.sets, after.sets) && keeps_shapes(before.maps, after.maps) &&
         keeps_shapes(before.chains, after.chains);
}

std::string spaced(const std::string& text) {
  return text.empty() ? "" : " " + text;
}

// The order matters to the kernel, which checks each command as it comes: what is named must exist,
// what is deleted must not be named any more. And to a transaction that had to be cut: rules come
// after what they look up.
class TableChange {
 public:
  TableChange(Transaction& transaction, const Table& before, const Table& after)
      : transaction_(transaction), before_(before), after_(after) {}

  void write() {
    declare();
    for (const Set& set : after_.sets) change(before_.set(set.name), set);
    for (const Map& map : after_.maps) change(before_.map(map.name), map);
    for (const Chain& chain : after_.chains) {
      if (!std::holds_alternative<Base>(chain.base)) fill(chain);
    }
    for (const Chain& chain : after_.chains) {
      if (std::holds_alternative<Base>(chain.base)) fill(chain);
    }
    clear_away();
  }

 private:
  void say(std::string command) { transaction_.commands.push_back(std::move(command)); }

  void declare() {
    for (const Counter& counter : after_.counters) {
      if (find_named(before_.counters, counter.name) != nullptr) continue;
      const std::string comment =
          counter.comment.empty() ? "" : " { comment " + quoted(counter.comment) + "; }";
      say(fmt::format("add counter {} {}{}", place(after_), counter.name, comment));
    }
    for (const Set& set : after_.sets) {
      if (before_.set(set.name) != nullptr) continue;
      say(fmt::format("add set {} {} {}", place(after_), set.name, declaration(set)));
    }
    for (const Map& map : after_.maps) {
      if (before_.map(map.name) != nullptr) continue;
      say(fmt::format("add map {} {} {}", place(after_), map.name, declaration(map)));
    }
    for (const Chain& chain : after_.chains) {
      if (before_.chain(chain.name) != nullptr) continue;
      say(fmt::format("add chain {} {}{}", place(after_), chain.name, spaced(declaration(chain))));
    }
  }

  template <class Holder>
  void change(const Holder* before, const Holder& after) {
    change_elements(transaction_, after_, before == nullptr ? emptied(after) : *before, after);
  }

  void fill(const Chain& chain) {
    const Chain* before = before_.chain(chain.name);
    if (before != nullptr && before->rules == chain.rules) return;
    if (before != nullptr) say(fmt::format("flush chain {} {}", place(after_), chain.name));
    for (const Rule& rule : chain.rules) {
      say(fmt::format("add rule {} {} {}", place(after_), chain.name, render(rule)));
    }
  }

  void clear_away() {
    std::vector<std::string> gone;
    for (const Chain& chain : before_.chains) {
      if (after_.chain(chain.name) == nullptr) gone.push_back(chain.name);
    }
    for (const std::string& chain : gone) {
      say(fmt::format("flush chain {} {}", place(after_), chain));
    }
    // A map of verdicts that goes may still name such a chain: maps go first.
    for (const Map& map : before_.maps) {
      if (after_.map(map.name) != nullptr) continue;
      say(fmt::format("delete map {} {}", place(after_), map.name));
    }
    for (const std::string& chain : gone) {
      say(fmt::format("delete chain {} {}", place(after_), chain));
    }
    for (const Set& set : before_.sets) {
      if (after_.set(set.name) != nullptr) continue;
      say(fmt::format("delete set {} {}", place(after_), set.name));
    }
    for (const Counter& counter : before_.counters) {
      if (find_named(after_.counters, counter.name) != nullptr) continue;
      say(fmt::format("delete counter {} {}", place(after_), counter.name));
    }
  }

  Transaction& transaction_;
  const Table& before_;
  const Table& after_;
};

void remove(Transaction& transaction, const Table& table) {
  // `delete` fails on a table that is not there; `add` does nothing to one that is.
  transaction.commands.push_back(fmt::format("add table {}", place(table)));
  transaction.commands.push_back(fmt::format("delete table {}", place(table)));
}

void build(Transaction& transaction, const Table& table) {
  const std::string comment =
      table.comment.empty() ? "" : " { comment " + quoted(table.comment) + "; }";
  transaction.commands.push_back(fmt::format("add table {}{}", place(table), comment));
  const Table nothing{.family = table.family, .name = table.name};
  TableChange(transaction, nothing, table).write();
}

bool same_table(const Table& a, const Table& b) {
  return a.family == b.family && a.name == b.name;
}

const Table* counterpart(const Ruleset& ruleset LIFETIMEBOUND, const Table& table) {
  const auto found = std::find_if(ruleset.tables.begin(), ruleset.tables.end(),
                                  [&](const Table& one) { return same_table(one, table); });
  return found == ruleset.tables.end() ? nullptr : &*found;
}

}  // namespace

std::string Transaction::text() const {
  std::string all;
  for (const std::string& command : commands) all += command + "\n";
  return all;
}

Transaction difference(const Ruleset& before, const Ruleset& after) {
  Transaction transaction;
  for (const Table& table : before.tables) {
    if (counterpart(after, table) == nullptr) remove(transaction, table);
  }
  for (const Table& table : after.tables) {
    const Table* old = counterpart(before, table);
    if (old == nullptr) {
      build(transaction, table);
    } else if (can_be_changed_in_place(*old, table)) {
      TableChange(transaction, *old, table).write();
    } else {
      remove(transaction, table);
      build(transaction, table);
    }
  }
  return transaction;
}

Transaction replacement(const Ruleset& ruleset) {
  Transaction transaction;
  for (const Table& table : ruleset.tables) {
    remove(transaction, table);
    build(transaction, table);
  }
  return transaction;
}

Transaction removal(const Ruleset& ruleset) {
  Transaction transaction;
  for (const Table& table : ruleset.tables) remove(transaction, table);
  return transaction;
}

void change_element(Transaction& transaction, const Table& table, const Map& map, const Tuple& key,
                    const Mapped* before, const Mapped* after) {
  Elements elements(transaction, table, map.name);
  if (before != nullptr) elements.remove(render(key, map.key));
  if (after != nullptr) elements.add(element(map, key, *after));
  elements.write();
}

void change_element(Transaction& transaction, const Table& table, const Set& set, const Tuple& key,
                    const std::string* before, const std::string* after) {
  Elements elements(transaction, table, set.name);
  if (before != nullptr) elements.remove(render(key, set.key));
  if (after != nullptr) elements.add(element(set, key, *after));
  elements.write();
}

}  // namespace fairlead::nft
