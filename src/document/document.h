// YAML and JSON as one tree in which each value knows its file, line, column and field path, so
// that whoever refuses one can say where it stands. Pure: text in, values out.
//
// Scalars mean what they mean to Kubernetes (YAML 1.1 as Go's yaml.v2 reads it): a plain yes, no,
// on, off, y or n is a boolean, 0644 is octal, a plain date is a string, and what stands in quotes
// is a string always. The key of a field is its text as written, whatever it looks like. "<<"
// merges, fields written out winning. A tag other than YAML's own !!str, !!int and so on is
// refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"

namespace fairlead::document {

enum class Kind : std::uint8_t { null, boolean, integer, number, text, list, object };

[[nodiscard]] const char* name_of(Kind kind);
// As in a sentence: "null", "a boolean", "a list".

enum class Format : std::uint8_t {
  automatic,  // JSON when the name ends in .json; also when it begins as JSON and is JSON
  yaml,
  json,
};

struct Limits {
  std::size_t bytes = std::size_t{64} << 20U;
  std::size_t nodes = 4'000'000;  // of all documents, what aliases repeat counted anew
  std::size_t aliased = 100'000;  // nodes that aliases may add
  int depth = 64;                 // lists and objects inside each other
  bool ignore_tag = false;  // a field whose name has Envoy's tag !ignore is kept as "!ignore NAME",
                            // for whoever reads to pass over; else the tag is refused
  bool operator==(const Limits&) const = default;
};

class Tree;  // owns the nodes of one document

// A place in a document: a value, or the absence of one that was asked for, which still knows
// where it would have been. A handle: cheap to copy, good as long as its Document.
class Node {
 public:
  Node() = default;  // absent, of no document

  [[nodiscard]] bool present() const { return index_ != absent; }
  explicit operator bool() const { return present(); }
  [[nodiscard]] bool given() const { return present() && kind() != Kind::null; }
  // There, and not null: Kubernetes takes null for "not given".

  [[nodiscard]] Kind kind() const;  // null when absent
  [[nodiscard]] bool is_object() const { return kind() == Kind::object; }
  [[nodiscard]] bool is_list() const { return kind() == Kind::list; }

  [[nodiscard]] const std::string& file() const;
  [[nodiscard]] int line() const;    // 1-based; of the parent when absent
  [[nodiscard]] int column() const;  // 1-based
  [[nodiscard]] std::string field() const;
  // "spec.ports[0].port"; keys that are no plain words in quotes: metadata.labels["a/b"]. The root
  // is "".
  [[nodiscard]] std::string where() const;
  // "shop.yaml:12: spec.ports[0].port"

  // Children of a list or an object, in the order written; none otherwise.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] Node at(std::size_t position) const;
  [[nodiscard]] std::vector<Node> children() const;
  [[nodiscard]] const std::string& key() const;  // its name in the object above it, else ""
  [[nodiscard]] int key_line() const;            // where that name stands
  [[nodiscard]] Node get(std::string_view name) const;
  // The field of an object; absent when there is none, or when this is no object.

  [[nodiscard]] const std::string& text() const;
  // A scalar's text: a string's content, else as written ("0644", "yes"). Empty for the others.

  // Each refuses what is not of its kind, or is absent, with expected()'s fault.
  [[nodiscard]] Result<std::string> as_text() const;
  [[nodiscard]] Result<bool> as_boolean() const;
  [[nodiscard]] Result<std::int64_t> as_integer() const;
  [[nodiscard]] Result<std::int64_t> as_integer(std::int64_t least, std::int64_t most) const;
  [[nodiscard]] Result<double> as_number() const;  // integers too
  [[nodiscard]] Result<> as_object() const;
  [[nodiscard]] Result<> as_list() const;

  [[nodiscard]] Fault expected(std::string_view what) const;
  // "shop.yaml:12: spec.ports[0].port: expected WHAT, found the string "http""
  [[nodiscard]] Fault refused(std::string_view why) const;
  // "shop.yaml:12: spec.ports[0].port: WHY"
  [[nodiscard]] std::string found() const;
  // What is here, for a person: `the boolean yes`, `a list of 3`, `nothing`.

  [[nodiscard]] bool same_place(const Node& other) const {
    return tree_ == other.tree_ && index_ == other.index_ && missing_ == other.missing_;
  }

 private:
  friend class Document;
  friend class Tree;
  static constexpr std::uint32_t absent = UINT32_MAX;
  Node(const Tree* tree, std::uint32_t index) : tree_(tree), index_(index) {}

  const Tree* tree_ = nullptr;
  std::uint32_t index_ = absent;
  std::uint32_t parent_ = absent;  // of an absent node
  std::string missing_;            // of an absent node: its name in the parent
};

// One document of a file. Copies share the tree, which never changes.
class Document {
 public:
  Document() = default;
  explicit Document(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}

  [[nodiscard]] Node root() const LIFETIMEBOUND;
  [[nodiscard]] const std::string& file() const LIFETIMEBOUND;

 private:
  std::shared_ptr<const Tree> tree_;
};

[[nodiscard]] Result<std::vector<Document>> parse(std::string_view text, const std::string& file,
                                                  Format format = Format::automatic,
                                                  const Limits& limits = {});
// All documents of `text`, empty ones left out. `file` is for messages alone; nothing is opened.
// Refused with line and column: what is no YAML or JSON, an object that names a field twice, a key
// that is no scalar, an alias to nothing or to itself, anything beyond `limits`.

// Walks an object field by field and knows which fields nobody asked for.
class Fields {
 public:
  explicit Fields(Node object) : object_(std::move(object)), taken_(object_.size()) {}

  [[nodiscard]] const Node& object() const LIFETIMEBOUND { return object_; }
  Node take(std::string_view name);
  // As get(); the field counts as read.
  [[nodiscard]] std::vector<Node> rest() const;
  // The fields that were never taken.

 private:
  Node object_;
  std::vector<bool> taken_;
};

[[nodiscard]] std::string write_json(const Node& node);
// One line of JSON with the same values; infinities and NaN, which JSON does not know, as strings.

}  // namespace fairlead::document
