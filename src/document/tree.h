// The nodes of one document, and how a reader adds them. Inside this room only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/result.h"
#include "document/document.h"
#include "document/each.h"

namespace fairlead::document {

struct Place {
  int line = 1;  // both 1-based
  int column = 1;
};

class Tree {
 public:
  struct Entry {
    Kind kind = Kind::null;
    bool merge = false;  // an object's plain "<<": its fields become the object's own
    Place place;
    int key_line = 0;
    std::uint32_t parent = UINT32_MAX;
    std::string key;
    std::string text;
    std::vector<std::uint32_t> children;
  };

  std::string file;
  std::vector<Entry> entries;  // the root first

  [[nodiscard]] const Entry& at(std::uint32_t index) const LIFETIMEBOUND { return entries[index]; }
  [[nodiscard]] Node node(std::uint32_t index) const { return {this, index}; }
};

[[nodiscard]] Kind kind_of_plain(std::string_view text);
// What an unquoted YAML scalar is.
[[nodiscard]] std::optional<bool> boolean_of(std::string_view text);
[[nodiscard]] std::optional<std::int64_t> integer_of(std::string_view text);
// Also 0644, 0o644, 0x1f, 0b11, 1_000; nothing when it does not fit.
[[nodiscard]] std::optional<double> number_of(std::string_view text);
// Integers too; .inf, -.inf and .nan.

// Takes what a reader meets, in order, and keeps the limits. Once a call has returned false, the
// fault says why, and nothing more may be added.
class Builder {
 public:
  Builder(const std::string& file, const Limits& limits) : file_(file), limits_(limits) {}

  void begin_document();
  [[nodiscard]] bool end_document();
  // A document that is empty or null is left out.

  [[nodiscard]] bool key(std::string_view text, Place place, bool merge);
  // The next value's name; only where wants_key().
  [[nodiscard]] bool scalar(Kind kind, std::string text, Place place, std::uint64_t anchor = 0);
  [[nodiscard]] bool open(Kind kind, Place place, std::uint64_t anchor = 0);  // list or object
  [[nodiscard]] bool close();
  [[nodiscard]] bool alias(std::uint64_t anchor, Place place);
  // A copy of what `anchor` named; as a name, its text.

  [[nodiscard]] bool wants_key() const;
  // Whether the next thing is the name of a field.
  bool refuse(Place place, const std::string& why);  // returns false

  [[nodiscard]] const Fault& fault() const LIFETIMEBOUND { return fault_; }
  [[nodiscard]] Place place_of_fault() const { return place_of_fault_; }
  [[nodiscard]] std::vector<Document> take() { return std::exchange(documents_, {}); }
  // Those that have ended since the last call.

 private:
  struct Frame {
    std::uint32_t index = 0;
    bool has_key = false;
    bool merge = false;
    std::string key;
    int key_line = 0;
    std::unordered_set<std::string> names;  // once there are many
  };

  bool add(Kind kind, std::string text, Place place, std::uint64_t anchor, std::uint32_t* index);
  bool copy(std::uint32_t from, std::uint32_t parent, int depth);
  bool seen(Frame& frame, std::string_view name);
  bool merge_fields(std::uint32_t object);
  bool merge_from(std::uint32_t object, std::uint32_t source);
  [[nodiscard]] bool has_field(std::uint32_t object, const std::string& name) const;

  const std::string& file_;
  const Limits& limits_;
  Place place_of_fault_;
  std::shared_ptr<Tree> tree_;
  std::vector<Frame> open_;
  std::map<std::uint64_t, std::uint32_t> anchors_;
  std::map<std::uint64_t, std::string> key_anchors_;
  std::size_t nodes_ = 0;
  std::size_t aliased_ = 0;
  Fault fault_;
  std::vector<Document> documents_;
};

[[nodiscard]] Result<> parse_yaml(std::string_view text, const std::string& file,
                                  const Limits& limits, const Take& take);
// Each document is taken before the next is read.
[[nodiscard]] Result<std::vector<Document>> parse_json(std::string_view text,
                                                       const std::string& file,
                                                       const Limits& limits);

}  // namespace fairlead::document
