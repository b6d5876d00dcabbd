// JSON by nlohmann's events, with the place of each value: the parser reads one character at a
// time, so an iterator that counts lines knows where the last word began.
#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "document/tree.h"

#include "base/json_text.h"

namespace fairlead::document {
namespace {

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] Place word() const { return word_; }    // where the last string or word began
  [[nodiscard]] Place brace() const { return brace_; }  // where the last of {}[],: stands
  [[nodiscard]] Place here() const { return here_; }

  void pass(char c) {
    note(c);
    if (c == '\n') {
      here_ = {here_.line + 1, 1};
    } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) {
      ++here_.column;
    }
  }

 private:
  enum class In : std::uint8_t { nothing, word, string, escape };

  void note(char c) {
    if (in_ == In::escape) {
      in_ = In::string;
    } else if (in_ == In::string) {
      if (c == '\\') in_ = In::escape;
      if (c == '"') in_ = In::nothing;
    } else if (c == '"') {
      in_ = In::string;
      word_ = here_;
    } else if (std::string_view("{}[],:").find(c) != std::string_view::npos) {
      in_ = In::nothing;
      brace_ = here_;
    } else if (std::string_view(" \t\r\n").find(c) != std::string_view::npos) {
      in_ = In::nothing;
    } else if (in_ != In::word) {
      in_ = In::word;
      word_ = here_;
    }
  }

  std::string_view text_;
  In in_ = In::nothing;
  Place here_;
  Place word_;
  Place brace_;
};

class Counting {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Counting(Cursor* cursor, std::size_t at) : cursor_(cursor), at_(at) {}
  reference operator*() const { return cursor_->text()[at_]; }
  Counting& operator++() {
    cursor_->pass(cursor_->text()[at_++]);
    return *this;
  }
  Counting operator++(int) {
    Counting before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Counting& other) const { return at_ == other.at_; }
  bool operator!=(const Counting& other) const { return at_ != other.at_; }

 private:
  Cursor* cursor_;
  std::size_t at_;
};

class Events final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Events(Builder& builder, const Cursor& cursor) : builder_(builder), cursor_(cursor) {}

  bool null() override { return builder_.scalar(Kind::null, "null", cursor_.word()); }
  bool boolean(bool value) override {
    return builder_.scalar(Kind::boolean, value ? "true" : "false", cursor_.word());
  }
  bool number_integer(number_integer_t value) override {
    return builder_.scalar(Kind::integer, std::to_string(value), cursor_.word());
  }
  bool number_unsigned(number_unsigned_t value) override {
    return builder_.scalar(Kind::integer, std::to_string(value), cursor_.word());
  }
  bool number_float(number_float_t /*value*/, const string_t& text) override {
    return builder_.scalar(Kind::number, text, cursor_.word());
  }
  bool string(string_t& value) override {
    return builder_.scalar(Kind::text, std::move(value), cursor_.word());
  }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*elements*/) override {
    return builder_.open(Kind::object, cursor_.brace());
  }
  bool key(string_t& value) override { return builder_.key(value, cursor_.word(), false); }
  bool end_object() override { return builder_.close(); }
  bool start_array(std::size_t /*elements*/) override {
    return builder_.open(Kind::list, cursor_.brace());
  }
  bool end_array() override { return builder_.close(); }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: REASON": ours counts too.
    std::string_view reason = error.what();
    if (const std::size_t id = reason.find("] "); id != std::string_view::npos) {
      reason.remove_prefix(id + 2);
    }
    if (reason.substr(0, 11) == "parse error") {
      const std::size_t colon = reason.find(": ");
      if (colon != std::string_view::npos) reason.remove_prefix(colon + 2);
    }
    return builder_.refuse(cursor_.here(), fmt::format("this is no JSON: {}", reason));
  }

 private:
  Builder& builder_;
  const Cursor& cursor_;
};

nlohmann::json value_of(const Node& node);

nlohmann::json number_value(const Node& node) {
  if (const auto integer = integer_of(node.text()); integer && node.kind() == Kind::integer) {
    return *integer;
  }
  const double value = number_of(node.text()).value_or(0);
  if (!std::isfinite(value)) return node.text();
  return value;
}

nlohmann::json object_value(const Node& node) {
  nlohmann::json object = nlohmann::json::object();
  for (const Node& child : node.children()) object[child.key()] = value_of(child);
  return object;
}

nlohmann::json list_value(const Node& node) {
  nlohmann::json list = nlohmann::json::array();
  for (const Node& child : node.children()) list.push_back(value_of(child));
  return list;
}

nlohmann::json value_of(const Node& node) {
  switch (node.kind()) {
    case Kind::null:
      return nullptr;
    case Kind::boolean:
      return boolean_of(node.text()).value_or(false);
    case Kind::integer:
    case Kind::number:
      return number_value(node);
    case Kind::text:
      return node.text();
    case Kind::list:
      return list_value(node);
    case Kind::object:
      return object_value(node);
  }
  return nullptr;
}

}  // namespace

Result<std::vector<Document>> parse_json(std::string_view text, const std::string& file,
                                         const Limits& limits) {
  Builder builder(file, limits);
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return builder.take();
  builder.begin_document();
  Cursor cursor(text);
  Events events(builder, cursor);
  const bool read = nlohmann::json::sax_parse(Counting(&cursor, 0), Counting(&cursor, text.size()),
                                              &events, nlohmann::json::input_format_t::json);
  if (!read) return builder.fault();
  if (!builder.end_document()) return builder.fault();
  return builder.take();
}

std::string write_json(const Node& node) {
  return json_text(value_of(node));
}

}  // namespace fairlead::document
