// Shared values by their names, in the order of names. Copies share everything: a copy costs one
// pointer, a change what lies around it. So thousands of proxies that are told nearly the same have
// nearly the same table, and two tables that came of each other are compared in a few steps.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/lifetime.h"

namespace fairlead::config {

template <class T>
class Named {
 public:
  using Value = std::shared_ptr<const T>;
  using Entry = std::pair<std::string, Value>;

 private:
  // A piece is never empty. Neither pieces nor entries change: what a change touches is made anew.
  using Item = std::shared_ptr<const Entry>;
  using Items = std::vector<Item>;
  using Piece = std::shared_ptr<const Items>;
  using Pieces = std::vector<Piece>;
  static constexpr std::size_t usual_piece = 32;
  static constexpr std::size_t largest_piece = 2 * usual_piece;

 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using pointer = const Entry*;
    using reference = const Entry&;

    Iterator() = default;
    const Entry& operator*() const { return *(**piece_)[at_]; }
    const Entry* operator->() const { return (**piece_)[at_].get(); }
    Iterator& operator++() {
      if (++at_ == (*piece_)->size()) skip();
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    friend class Named;
    Iterator(const Piece* piece, std::size_t at) : piece_(piece), at_(at) {}
    [[nodiscard]] bool begins_piece() const { return at_ == 0; }
    void skip() {  // to the next piece
      ++piece_;
      at_ = 0;
    }

    const Piece* piece_ = nullptr;
    std::size_t at_ = 0;
  };
  using const_iterator = Iterator;
  using iterator = Iterator;
  using value_type = Entry;
  using size_type = std::size_t;

  Named() = default;
  Named(std::initializer_list<Entry> entries) {
    for (const Entry& entry : entries) put(entry.first, entry.second);
  }
  explicit Named(const std::map<std::string, Value>& values) { become(values); }

  [[nodiscard]] Iterator begin() const LIFETIMEBOUND { return {pieces().data(), 0}; }
  [[nodiscard]] Iterator end() const LIFETIMEBOUND {
    return {pieces().data() + pieces().size(), 0};
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  [[nodiscard]] Iterator find(std::string_view name) const LIFETIMEBOUND {
    const Iterator place = place_of(name);
    return place != end() && place->first == name ? place : end();
  }
  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != end(); }
  [[nodiscard]] Value get(std::string_view name) const {
    // Null when there is none.
    const Iterator found = find(name);
    return found == end() ? nullptr : found->second;
  }
  [[nodiscard]] const Value& at(std::string_view name) const LIFETIMEBOUND {
    // Of a name that is there; else the program ends.
    const Iterator found = find(name);
    if (found == end()) std::abort();
    return found->second;
  }

  void put(std::string name, Value value) {
    // In place of what has the name.
    const Iterator place = place_of(name);
    const bool replaces = place != end() && place->first == name;
    if (replaces && place->second == value) return;
    auto item = std::make_shared<const Entry>(std::move(name), std::move(value));
    if (empty()) return append(Items{std::move(item)});
    // What comes behind everything belongs to the last piece.
    const bool last = place == end();
    const std::size_t piece =
        last ? pieces().size() - 1 : static_cast<std::size_t>(place.piece_ - pieces().data());
    Items items = *pieces()[piece];
    const auto at = items.begin() + (last ? std::ssize(items) : std::ptrdiff_t(place.at_));
    if (replaces) {
      *at = std::move(item);
    } else {
      items.insert(at, std::move(item));
      ++size_;
    }
    set_piece(piece, std::move(items));
  }
  void add(std::string name, Value value) {
    // Unless something has the name.
    if (!contains(name)) put(std::move(name), std::move(value));
  }
  void remove(std::string_view name) {
    const Iterator place = find(name);
    if (place == end()) return;
    const auto piece = static_cast<std::size_t>(place.piece_ - pieces().data());
    Items items = *pieces()[piece];
    items.erase(items.begin() + std::ptrdiff_t(place.at_));
    --size_;
    set_piece(piece, std::move(items));
  }
  template <class Leaves>  // bool(const Entry&)
  void remove_if(Leaves leaves) {
    const Named all = *this;
    for (const Entry& entry : all) {
      if (leaves(entry)) remove(entry.first);
    }
  }

  void become(const std::map<std::string, Value>& values) {
    // Holds these from now on, and shares with what it held before whatever is the same.
    std::vector<const Entry*> gone;
    std::vector<const std::pair<const std::string, Value>*> news;
    Iterator old = begin();
    for (const auto& value : values) {
      for (; old != end() && old->first < value.first; ++old) gone.push_back(&*old);
      const bool known = old != end() && old->first == value.first;
      if (!known || old->second != value.second) news.push_back(&value);
      if (known) ++old;
    }
    for (; old != end(); ++old) gone.push_back(&*old);
    if (4 * (gone.size() + news.size()) > values.size()) return make_anew(values);
    const Named before = *this;  // what `gone` points into
    for (const Entry* entry : gone) remove(entry->first);
    for (const auto* value : news) put(value->first, value->second);
  }

  bool operator==(const Named& other) const {
    // The same names with the very same values.
    if (pieces_ == other.pieces_) return true;
    return size_ == other.size_ &&
           !any_difference(*this, other, [](const Entry*, const Entry*) { return true; });
  }

  template <class Act>
  static bool any_difference(const Named& left, const Named& right, Act act) {
    // Calls act(entry or null, entry or null) for each name that does not have the very same value
    // in both, in order, until it gives true; whether it did. Null: no such name there.
    const Entry* const nobody = nullptr;
    if (left.pieces_ == right.pieces_) return false;
    Iterator old = left.begin();
    Iterator now = right.begin();
    while (old != left.end() && now != right.end()) {
      if (old.begins_piece() && now.begins_piece() && *old.piece_ == *now.piece_) {
        old.skip();
        now.skip();
        continue;
      }
      const int order = old->first.compare(now->first);
      const bool same = order == 0 && old->second == now->second;
      if (!same && act(order <= 0 ? &*old : nobody, order >= 0 ? &*now : nobody)) return true;
      if (order <= 0) ++old;
      if (order >= 0) ++now;
    }
    for (; old != left.end(); ++old) {
      if (act(&*old, nobody)) return true;
    }
    for (; now != right.end(); ++now) {
      if (act(nobody, &*now)) return true;
    }
    return false;
  }

  [[nodiscard]] std::size_t entries_of_its_own(const Named& other) const {
    // How many of its entries are in no piece that `other` has too: what holding it beside `other`
    // costs.
    if (pieces_ == other.pieces_) return 0;
    std::size_t count = 0;
    for (const Piece& piece : pieces()) {
      const Pieces& theirs = other.pieces();
      if (std::find(theirs.begin(), theirs.end(), piece) == theirs.end()) count += piece->size();
    }
    return count;
  }

 private:
  [[nodiscard]] const Pieces& pieces() const {
    static const Pieces none;
    return pieces_ ? *pieces_ : none;
  }

  [[nodiscard]] Iterator place_of(std::string_view name) const {
    // Of the first whose name is not before `name`.
    const Pieces& all = pieces();
    const auto piece = std::partition_point(all.begin(), all.end(), [&](const Piece& candidate) {
      return candidate->back()->first < name;
    });
    if (piece == all.end()) return end();
    const auto item =
        std::partition_point((*piece)->begin(), (*piece)->end(),
                             [&](const Item& candidate) { return candidate->first < name; });
    return {&*piece, static_cast<std::size_t>(item - (*piece)->begin())};
  }

  void append(Items items) {
    Pieces all = pieces();
    size_ += items.size();
    all.push_back(std::make_shared<const Items>(std::move(items)));
    pieces_ = std::make_shared<const Pieces>(std::move(all));
  }

  void set_piece(std::size_t place, Items items) {
    Pieces all = pieces();
    const auto at = all.begin() + std::ptrdiff_t(place);
    if (items.empty()) {
      all.erase(at);
    } else if (items.size() > largest_piece) {
      Items second(items.begin() + usual_piece, items.end());
      items.resize(usual_piece);
      *at = std::make_shared<const Items>(std::move(items));
      all.insert(at + 1, std::make_shared<const Items>(std::move(second)));
    } else {
      *at = std::make_shared<const Items>(std::move(items));
    }
    pieces_ = all.empty() ? nullptr : std::make_shared<const Pieces>(std::move(all));
  }

  void make_anew(const std::map<std::string, Value>& values) {
    Pieces all;
    Items items;
    const auto flush = [&] {
      if (!items.empty()) all.push_back(std::make_shared<const Items>(std::exchange(items, {})));
    };
    for (const auto& [name, value] : values) {
      items.push_back(std::make_shared<const Entry>(name, value));
      if (items.size() == usual_piece) flush();
    }
    flush();
    size_ = values.size();
    pieces_ = all.empty() ? nullptr : std::make_shared<const Pieces>(std::move(all));
  }

  std::shared_ptr<const Pieces> pieces_;
  std::size_t size_ = 0;
};

}  // namespace fairlead::config
