// A list of shared items that never change. Worlds that follow one another hold the very same item
// where nothing changed, so comparing them is comparing pointers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "base/lifetime.h"

namespace fairlead::mesh {

template <class T>
class List {
 public:
  using Item = std::shared_ptr<const T>;

  class Iterator {
   public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;

    Iterator() = default;
    explicit Iterator(const Item* at) : at_(at) {}

    const T& operator*() const { return **at_; }
    const T* operator->() const { return at_->get(); }
    const T& operator[](difference_type steps) const { return *at_[steps]; }
    Iterator& operator++() { return *this += 1; }
    Iterator& operator--() { return *this += -1; }
    Iterator operator++(int) { return Iterator(at_++); }
    Iterator operator--(int) { return Iterator(at_--); }
    Iterator& operator+=(difference_type steps) {
      at_ += steps;
      return *this;
    }
    Iterator& operator-=(difference_type steps) { return *this += -steps; }
    Iterator operator+(difference_type steps) const { return Iterator(at_ + steps); }
    Iterator operator-(difference_type steps) const { return Iterator(at_ - steps); }
    difference_type operator-(Iterator other) const { return at_ - other.at_; }
    auto operator<=>(const Iterator&) const = default;

   private:
    const Item* at_ = nullptr;
  };
  using const_iterator = Iterator;

  List() = default;
  List(std::initializer_list<T> values) : List(std::vector<T>(values)) {}
  List(std::vector<T> values) {  // NOLINT(google-explicit-constructor): a list is what it holds
    items_.reserve(values.size());
    for (T& value : values) push_back(std::move(value));
  }

  explicit List(std::vector<Item> items) : items_(std::move(items)) {}

  [[nodiscard]] Iterator begin() const LIFETIMEBOUND { return Iterator(items_.data()); }
  [[nodiscard]] Iterator end() const LIFETIMEBOUND { return begin() + std::ssize(items_); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  const T& operator[](std::size_t place) const LIFETIMEBOUND { return *items_[place]; }
  [[nodiscard]] const T& front() const LIFETIMEBOUND { return *items_.front(); }
  [[nodiscard]] const T& back() const LIFETIMEBOUND { return *items_.back(); }
  [[nodiscard]] const std::vector<Item>& items() const LIFETIMEBOUND { return items_; }

  void push_back(T value) { items_.push_back(std::make_shared<const T>(std::move(value))); }

  template <class Act>
  void edit(std::size_t place, Act act) {
    // act(T&) on a copy of that item, which stands in its place from then on.
    T copy = *items_[place];
    act(copy);
    items_[place] = std::make_shared<const T>(std::move(copy));
  }

  template <class Before>  // bool(const T&, const T&): the order of both lists
  void share(const List& previous, Before before) {
    // Items that are the same in `previous` become those of `previous`.
    auto old = previous.items_.begin();
    for (Item& item : items_) {
      while (old != previous.items_.end() && before(**old, *item)) ++old;
      if (old == previous.items_.end()) return;
      if (*old != item && **old == *item) item = *old;
    }
  }

  bool operator==(const List& other) const {
    return std::equal(
        items_.begin(), items_.end(), other.items_.begin(), other.items_.end(),
        [](const Item& left, const Item& right) { return left == right || *left == *right; });
  }

 private:
  std::vector<Item> items_;
};

template <class T, class Before, class Act>
void for_each_difference(const List<T>& left, const List<T>& right, Before before, Act act) {
  // Both in the order of `before`. Calls act(one or null, other or null) for the items that are not
  // the very same: where only one list has an item of that order, the other's is null.
  constexpr const T* nobody = nullptr;
  auto old = left.items().begin();
  auto now = right.items().begin();
  while (old != left.items().end() && now != right.items().end()) {
    if (*old == *now) {
      ++old;
      ++now;
    } else if (before(**old, **now)) {
      act((*old++).get(), nobody);
    } else if (before(**now, **old)) {
      act(nobody, (*now++).get());
    } else {
      act((*old++).get(), (*now++).get());
    }
  }
  for (; old != left.items().end(); ++old) act(old->get(), nobody);
  for (; now != right.items().end(); ++now) act(nobody, now->get());
}

}  // namespace fairlead::mesh
