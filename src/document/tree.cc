#include "document/tree.h"

#include <fmt/format.h>

#include <algorithm>

namespace fairlead::document {

void Builder::begin_document() {
  tree_ = std::make_shared<Tree>();
  tree_->file = file_;
  open_.clear();
  anchors_.clear();
  key_anchors_.clear();
}

bool Builder::end_document() {
  const std::vector<Tree::Entry>& entries = tree_->entries;
  if (!entries.empty() && entries[0].kind != Kind::null) documents_.emplace_back(tree_);
  tree_.reset();
  return true;
}

bool Builder::refuse(Place place, const std::string& why) {
  place_of_fault_ = place;
  fault_ = invalid(fmt::format("{}:{}:{}: {}", file_, place.line, place.column, why));
  return false;
}

bool Builder::wants_key() const {
  if (open_.empty()) return false;
  const Frame& frame = open_.back();
  return tree_->at(frame.index).kind == Kind::object && !frame.has_key;
}

bool Builder::seen(Frame& frame, std::string_view name) {
  constexpr std::size_t many = 16;
  const std::vector<std::uint32_t>& children = tree_->at(frame.index).children;
  if (children.size() < many) {
    return std::any_of(children.begin(), children.end(),
                       [&](std::uint32_t child) { return tree_->at(child).key == name; });
  }
  if (frame.names.empty()) {
    for (const std::uint32_t child : children) frame.names.insert(tree_->at(child).key);
  }
  return !frame.names.insert(std::string(name)).second;
}

bool Builder::key(std::string_view text, Place place, bool merge) {
  Frame& frame = open_.back();
  if (seen(frame, text)) {
    int first = 0;
    for (const std::uint32_t child : tree_->at(frame.index).children) {
      if (tree_->at(child).key == text) first = tree_->at(child).key_line;
    }
    const std::string above = tree_->node(frame.index).field();
    const std::string in = above.empty() ? "" : fmt::format(" in {}", above);
    return refuse(
        place, fmt::format("the field \"{}\" is given twice{}, first in line {}", text, in, first));
  }
  frame.has_key = true;
  frame.merge = merge;
  frame.key = std::string(text);
  frame.key_line = place.line;
  return true;
}

bool Builder::add(Kind kind, std::string text, Place place, std::uint64_t anchor,
                  std::uint32_t* index) {
  if (++nodes_ > limits_.nodes) {
    return refuse(place, fmt::format("more than {} values", limits_.nodes));
  }
  *index = static_cast<std::uint32_t>(tree_->entries.size());
  Tree::Entry entry;
  entry.kind = kind;
  entry.text = std::move(text);
  entry.place = place;
  if (!open_.empty()) {
    Frame& frame = open_.back();
    entry.parent = frame.index;
    if (frame.has_key) {
      entry.key = std::move(frame.key);
      entry.key_line = frame.key_line;
      entry.merge = frame.merge;
      frame.has_key = false;
    }
    tree_->entries[frame.index].children.push_back(*index);
  }
  tree_->entries.push_back(std::move(entry));
  if (anchor != 0) anchors_[anchor] = *index;
  return true;
}

bool Builder::scalar(Kind kind, std::string text, Place place, std::uint64_t anchor) {
  if (wants_key()) {
    if (anchor != 0) key_anchors_[anchor] = text;
    return key(text, place, false);
  }
  std::uint32_t index = 0;
  return add(kind, std::move(text), place, anchor, &index);
}

bool Builder::open(Kind kind, Place place, std::uint64_t anchor) {
  if (wants_key()) {
    return refuse(place, fmt::format("expected the name of a field, found {}", name_of(kind)));
  }
  if (static_cast<int>(open_.size()) >= limits_.depth) {
    return refuse(place, fmt::format("lists and objects more than {} levels deep", limits_.depth));
  }
  Frame frame;
  if (!add(kind, {}, place, anchor, &frame.index)) return false;
  open_.push_back(std::move(frame));
  return true;
}

bool Builder::close() {
  const std::uint32_t index = open_.back().index;
  open_.pop_back();
  return tree_->at(index).kind != Kind::object || merge_fields(index);
}

bool Builder::alias(std::uint64_t anchor, Place place) {
  const auto found = anchors_.find(anchor);
  const auto as_key = key_anchors_.find(anchor);
  if (found == anchors_.end() && as_key == key_anchors_.end()) {
    return refuse(place, "an alias to nothing");
  }
  if (wants_key()) {
    if (as_key != key_anchors_.end()) return key(as_key->second, place, false);
    const Tree::Entry& entry = tree_->at(found->second);
    if (entry.kind == Kind::list || entry.kind == Kind::object) {
      return refuse(place,
                    fmt::format("expected the name of a field, found {}", name_of(entry.kind)));
    }
    const std::string name = entry.text;
    return key(name, place, false);
  }
  std::uint32_t index = 0;
  if (found == anchors_.end()) {
    return add(kind_of_plain(as_key->second), as_key->second, place, 0, &index);
  }
  const std::uint32_t source = found->second;
  for (const Frame& frame : open_) {
    if (frame.index == source) return refuse(place, "an alias to what it stands in");
  }
  const Kind kind = tree_->at(source).kind;
  if (!add(kind, tree_->at(source).text, tree_->at(source).place, 0, &index)) return false;
  const std::vector<std::uint32_t> children = tree_->at(source).children;
  const auto depth = static_cast<int>(open_.size()) + 1;
  for (const std::uint32_t child : children) {
    if (!copy(child, index, depth)) return refuse(place, fault_.message);
  }
  return true;
}

bool Builder::copy(std::uint32_t from, std::uint32_t parent, int depth) {
  // The caller says where: a copy keeps the place of what it copies.
  if (++aliased_ > limits_.aliased || ++nodes_ > limits_.nodes) {
    fault_.message = fmt::format("aliases repeat more than {} values", limits_.aliased);
    return false;
  }
  const bool container = tree_->at(from).kind == Kind::list || tree_->at(from).kind == Kind::object;
  if (container && depth >= limits_.depth) {
    fault_.message = fmt::format("lists and objects more than {} levels deep", limits_.depth);
    return false;
  }
  const auto index = static_cast<std::uint32_t>(tree_->entries.size());
  Tree::Entry entry = tree_->at(from);
  const std::vector<std::uint32_t> children = std::move(entry.children);
  entry.children.clear();
  entry.parent = parent;
  tree_->entries.push_back(std::move(entry));
  tree_->entries[parent].children.push_back(index);
  return std::all_of(children.begin(), children.end(),
                     [&](std::uint32_t child) { return copy(child, index, depth + 1); });
}

bool Builder::has_field(std::uint32_t object, const std::string& name) const {
  const std::vector<std::uint32_t>& children = tree_->at(object).children;
  return std::any_of(children.begin(), children.end(), [&](std::uint32_t child) {
    return tree_->at(child).key == name && !tree_->at(child).merge;
  });
}

bool Builder::merge_fields(std::uint32_t object) {
  const std::vector<std::uint32_t> children = tree_->at(object).children;
  const auto merged = std::find_if(children.begin(), children.end(),
                                   [&](std::uint32_t child) { return tree_->at(child).merge; });
  if (merged == children.end()) return true;
  std::vector<std::uint32_t>& kept = tree_->entries[object].children;
  kept.erase(std::remove(kept.begin(), kept.end(), *merged), kept.end());
  if (tree_->at(*merged).kind != Kind::list) return merge_from(object, *merged);
  const std::vector<std::uint32_t> sources = tree_->at(*merged).children;
  return std::all_of(sources.begin(), sources.end(),
                     [&](std::uint32_t source) { return merge_from(object, source); });
}

bool Builder::merge_from(std::uint32_t object, std::uint32_t source) {
  const Tree::Entry& from = tree_->at(source);
  if (from.kind != Kind::object) {
    return refuse(from.place, fmt::format("expected an object to merge, found {}",
                                          tree_->node(source).found()));
  }
  const std::vector<std::uint32_t> fields = from.children;
  for (const std::uint32_t field : fields) {
    if (has_field(object, tree_->at(field).key)) continue;
    tree_->entries[field].parent = object;
    tree_->entries[object].children.push_back(field);
  }
  return true;
}

}  // namespace fairlead::document
