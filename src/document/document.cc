#include "document/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/cancel.h"
#include "document/tree.h"

namespace fairlead::document {

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return "a boolean";
    case Kind::integer:
      return "an integer";
    case Kind::number:
      return "a number";
    case Kind::text:
      return "a string";
    case Kind::list:
      return "a list";
    case Kind::object:
      return "an object";
  }
  return "?";
}

namespace {

const std::string& nothing() {
  static const std::string empty;
  return empty;
}

bool is_plain_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '$';
  });
}

void append_key(std::string& path, std::string_view key) {
  if (!is_plain_key(key)) {
    path += fmt::format("[\"{}\"]", key);
    return;
  }
  if (!path.empty()) path += '.';
  path += key;
}

std::string path_of(const Tree& tree, std::uint32_t index) {
  std::vector<std::uint32_t> way;
  for (std::uint32_t at = index; tree.at(at).parent != UINT32_MAX; at = tree.at(at).parent) {
    way.push_back(at);
  }
  std::string path;
  for (auto step = way.rbegin(); step != way.rend(); ++step) {
    const Tree::Entry& entry = tree.at(*step);
    const Tree::Entry& parent = tree.at(entry.parent);
    if (parent.kind == Kind::object) {
      append_key(path, entry.key);
    } else {
      const auto place = std::find(parent.children.begin(), parent.children.end(), *step);
      path += fmt::format("[{}]", place - parent.children.begin());
    }
  }
  return path;
}

// What a message shows of a value: one line, not too long.
std::string shown(std::string_view text) {
  constexpr std::size_t most = 60;
  std::string line;
  for (const char c : text.substr(0, most)) line += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  if (text.size() > most) {
    while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xC0U) == 0x80U) {
      line.pop_back();  // no half of a character
    }
    if (!line.empty() && static_cast<unsigned char>(line.back()) >= 0xC0U) line.pop_back();
    line += "…";
  }
  return line;
}

std::string counted(std::size_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace

Kind Node::kind() const {
  return present() ? tree_->at(index_).kind : Kind::null;
}

const std::string& Node::file() const {
  return tree_ == nullptr ? nothing() : tree_->file;
}

int Node::line() const {
  if (present()) return tree_->at(index_).place.line;
  return parent_ == absent ? 0 : tree_->at(parent_).place.line;
}

int Node::column() const {
  if (present()) return tree_->at(index_).place.column;
  return parent_ == absent ? 0 : tree_->at(parent_).place.column;
}

std::string Node::field() const {
  if (tree_ == nullptr) return missing_;
  if (present()) return path_of(*tree_, index_);
  std::string path = parent_ == absent ? "" : path_of(*tree_, parent_);
  if (!path.empty() && !missing_.empty() && missing_[0] != '[') path += '.';
  return path + missing_;
}

std::string Node::where() const {
  const std::string path = field();
  std::string text = file();
  if (const int at = line(); at > 0) text += fmt::format(":{}", at);
  if (!path.empty()) text += (text.empty() ? "" : ": ") + path;
  return text;
}

std::size_t Node::size() const {
  return present() ? tree_->at(index_).children.size() : 0;
}

Node Node::at(std::size_t position) const {
  return {tree_, tree_->at(index_).children.at(position)};
}

std::vector<Node> Node::children() const {
  std::vector<Node> all;
  all.reserve(size());
  for (std::size_t i = 0; i < size(); ++i) all.push_back(at(i));
  return all;
}

const std::string& Node::key() const {
  return present() ? tree_->at(index_).key : nothing();
}

int Node::key_line() const {
  if (!present()) return line();
  const Tree::Entry& entry = tree_->at(index_);
  return entry.key_line > 0 ? entry.key_line : entry.place.line;
}

Node Node::get(std::string_view name) const {
  if (is_object()) {
    for (const std::uint32_t child : tree_->at(index_).children) {
      if (tree_->at(child).key == name) return {tree_, child};
    }
  }
  Node missing = *this;
  if (present()) missing.parent_ = index_;
  missing.index_ = absent;
  append_key(missing.missing_, name);
  return missing;
}

const std::string& Node::text() const {
  return present() ? tree_->at(index_).text : nothing();
}

Result<std::string> Node::as_text() const {
  if (kind() == Kind::text) return text();
  Fault fault = expected("a string");
  if (kind() == Kind::boolean || kind() == Kind::integer || kind() == Kind::number) {
    fault.message += fmt::format(" (in quotes it is a string: \"{}\")", shown(text()));
  }
  return fault;
}

Result<bool> Node::as_boolean() const {
  if (kind() != Kind::boolean) return expected("true or false");
  return boolean_of(text()).value_or(false);
}

Result<std::int64_t> Node::as_integer() const {
  if (kind() == Kind::integer) {
    if (const auto value = integer_of(text())) return *value;
    return expected("an integer of 64 bits");
  }
  if (kind() == Kind::number) {  // 2.0 is a 2
    const double value = number_of(text()).value_or(0.5);
    constexpr double exact = 9007199254740992.0;  // 2^53
    if (value == std::trunc(value) && std::fabs(value) <= exact) {
      return static_cast<std::int64_t>(value);
    }
  }
  return expected("an integer");
}

Result<std::int64_t> Node::as_integer(std::int64_t least, std::int64_t most) const {
  Result<std::int64_t> value = as_integer();
  const bool integral = value.ok() || kind() == Kind::integer;
  if (!value.ok() && !integral) {
    return expected(fmt::format("an integer from {} to {}", least, most));
  }
  if (!value.ok() || *value < least || *value > most) {
    return expected(fmt::format("an integer from {} to {}", least, most));
  }
  return value;
}

Result<double> Node::as_number() const {
  if (kind() == Kind::integer || kind() == Kind::number) {
    if (const auto value = number_of(text())) return *value;
  }
  return expected("a number");
}

Result<> Node::as_object() const {
  if (!is_object()) return expected("an object");
  return done();
}

Result<> Node::as_list() const {
  if (!is_list()) return expected("a list");
  return done();
}

std::string Node::found() const {
  if (!present()) return "nothing";
  switch (kind()) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return "the boolean " + text();
    case Kind::integer:
      return "the integer " + shown(text());
    case Kind::number:
      return "the number " + shown(text());
    case Kind::text:
      return fmt::format("the string \"{}\"", shown(text()));
    case Kind::list:
      return size() == 0 ? "an empty list" : "a list of " + counted(size(), "item", "items");
    case Kind::object:
      return size() == 0 ? "an empty object" : "an object of " + counted(size(), "field", "fields");
  }
  return "?";
}

Fault Node::expected(std::string_view what) const {
  return refused(fmt::format("expected {}, found {}", what, found()));
}

Fault Node::refused(std::string_view why) const {
  const std::string place = where();
  return invalid(place.empty() ? std::string(why) : fmt::format("{}: {}", place, why));
}

Node Document::root() const LIFETIMEBOUND {
  return tree_ == nullptr ? Node{} : tree_->node(0);
}

const std::string& Document::file() const LIFETIMEBOUND {
  return tree_ == nullptr ? nothing() : tree_->file;
}

Node Fields::take(std::string_view name) {
  for (std::size_t i = 0; i < object_.size(); ++i) {
    Node child = object_.at(i);
    if (child.key() == name && object_.is_object()) {
      taken_[i] = true;
      return child;
    }
  }
  return object_.get(name);
}

std::vector<Node> Fields::rest() const {
  std::vector<Node> left;
  for (std::size_t i = 0; i < taken_.size(); ++i) {
    if (!taken_[i]) left.push_back(object_.at(i));
  }
  return left;
}

namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool begins_as_json(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  const bool template_action = start != std::string_view::npos && text.substr(start, 2) == "{{";
  return start != std::string_view::npos && !template_action &&
         (text[start] == '{' || text[start] == '[');
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

namespace {

Result<> give_each(Result<std::vector<Document>> documents, const Take& take) {
  if (!documents.ok()) return std::move(documents).fault();
  for (Document& document : *documents) {
    if (!take(std::move(document))) return cancelled_fault();
  }
  return done();
}

}  // namespace

Result<> parse_each(std::string_view text, const std::string& file, const Take& take, Format format,
                    const Limits& limits) {
  if (text.size() > limits.bytes) {
    return invalid(fmt::format("{}: {} bytes are more than the {} that are read", file, text.size(),
                               limits.bytes));
  }
  if (text.substr(0, byte_order_mark.size()) == byte_order_mark) {
    text.remove_prefix(byte_order_mark.size());
  }
  if (format == Format::automatic && ends_with(file, ".json")) format = Format::json;
  if (format == Format::json) return give_each(parse_json(text, file, limits), take);
  if (format == Format::automatic && begins_as_json(text)) {
    Result<std::vector<Document>> as_json = parse_json(text, file, limits);
    if (as_json.ok()) return give_each(std::move(as_json), take);
    std::vector<Document> as_yaml;
    const auto keep = [&as_yaml](Document document) {
      as_yaml.push_back(std::move(document));
      return true;
    };
    // What begins as JSON and is neither is told as JSON.
    if (!parse_yaml(text, file, limits, keep).ok()) return std::move(as_json).fault();
    return give_each(std::move(as_yaml), take);
  }
  return parse_yaml(text, file, limits, take);
}

Result<std::vector<Document>> parse(std::string_view text, const std::string& file, Format format,
                                    const Limits& limits) {
  std::vector<Document> documents;
  const Result<> parsed = parse_each(
      text, file,
      [&documents](Document document) {
        documents.push_back(std::move(document));
        return true;
      },
      format, limits);
  if (!parsed.ok()) return parsed.fault();
  return documents;
}

}  // namespace fairlead::document
