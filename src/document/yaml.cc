// YAML by yaml-cpp's events: its own tree knows no field paths and would unfold aliases without a
// bound. Its exceptions end here.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "document/tree.h"

namespace fairlead::document {
namespace {

struct Stop {};  // the builder refused: leaves yaml-cpp's loops, never this file

Place place_of(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

constexpr std::string_view core = "tag:yaml.org,2002:";

class YamlEvents final : public YAML::EventHandler {
 public:
  YamlEvents(Builder& builder, std::string_view text, bool ignore_tag)
      : builder_(builder), text_(text), ignore_tag_(ignore_tag) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    // What follows a document without "---" between them is no second document but a mistake.
    if (documents_++ > 0 && !separated(previous_line_, mark.line)) {
      refuse(mark, "expected the end of the document, or a line of ---");
    }
    previous_line_ = mark.line;
    builder_.begin_document();
  }
  void OnDocumentEnd() override { must(builder_.end_document()); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (builder_.wants_key()) refuse(mark, "expected the name of a field, found nothing");
    must(builder_.scalar(Kind::null, "", place_of(mark), anchor));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    must(builder_.alias(anchor, place_of(mark)));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool plain = tag == "?" || tag.empty();
    if (builder_.wants_key() && plain && value == "<<") {
      must(builder_.key(value, place_of(mark), true));
      return;
    }
    if (builder_.wants_key() && ignore_tag_ && tag == "!ignore") {
      must(builder_.key("!ignore " + value, place_of(mark), false));
      return;
    }
    must(builder_.scalar(kind_of(mark, tag, value), value, place_of(mark), anchor));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    check_tag(mark, tag, "seq");
    must(builder_.open(Kind::list, place_of(mark), anchor));
  }
  void OnSequenceEnd() override { must(builder_.close()); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    check_tag(mark, tag, "map");
    must(builder_.open(Kind::object, place_of(mark), anchor));
  }
  void OnMapEnd() override { must(builder_.close()); }

 private:
  static void must(bool taken) {
    if (!taken) throw Stop{};
  }

  void refuse(const YAML::Mark& mark, const std::string& why) {
    builder_.refuse(place_of(mark), why);
    throw Stop{};
  }

  Kind kind_of(const YAML::Mark& mark, const std::string& tag, const std::string& value) {
    if (tag == "?" || tag.empty()) return kind_of_plain(value);
    if (tag == "!" || tag == std::string(core) + "str") return Kind::text;
    const Kind plain = kind_of_plain(value);
    const std::string_view name = std::string_view(tag).substr(0, core.size()) == core
                                      ? std::string_view(tag).substr(core.size())
                                      : std::string_view{};
    if (name == "int" && plain == Kind::integer) return plain;
    if (name == "float" && (plain == Kind::number || plain == Kind::integer)) return Kind::number;
    if (name == "bool" && plain == Kind::boolean) return plain;
    if (name == "null" && plain == Kind::null) return plain;
    refuse(mark, fmt::format("the tag {} on \"{}\" is not understood", tag, value));
    return plain;
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag, const char* usual) {
    if (tag.empty() || tag == "?" || tag == "!" || tag == std::string(core) + usual) return;
    refuse(mark, fmt::format("the tag {} is not understood", tag));
  }

  // Whether a line after `from`, up to `to` (both 0-based), starts with "---" or "...".
  [[nodiscard]] bool separated(int from, int to) {
    for (; line_ <= to; ++line_) {
      const std::string_view mark = text_.substr(cursor_, 3);
      if (line_ > from && (mark == "---" || mark == "...")) return true;
      const std::size_t end = text_.find('\n', cursor_);
      if (end == std::string_view::npos) return false;
      cursor_ = end + 1;
    }
    return false;
  }

  Builder& builder_;
  std::string_view text_;
  bool ignore_tag_;
  int documents_ = 0;
  int previous_line_ = 0;
  int line_ = 0;  // that starts at cursor_
  std::size_t cursor_ = 0;
};

// The length of the UTF-8 character that starts `text`; 0 when there is none.
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  const unsigned char second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return length;
}

// yaml-cpp takes a byte of 4 for the end, and mends broken UTF-8: both would change the meaning.
bool check_characters(std::string_view text, Builder& builder) {
  Place place;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const std::size_t length = character(text.substr(at));
    if (length == 0) return builder.refuse(place, "not UTF-8");
    const bool control =
        static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
    if (control || c == 0x7F) {
      return builder.refuse(
          place, fmt::format("the control character 0x{:02x}", static_cast<unsigned char>(c)));
    }
    at += length;
    ++place.column;
    if (c == '\n') place = {place.line + 1, 1};
  }
  return true;
}

// What people do to a line (counted from 0) that is no YAML.
std::string_view likely_reason(std::string_view text, int line) {
  for (; line > 0; --line) {
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    if (text.empty()) return "";
  }
  text = text.substr(0, text.find('\n'));
  const std::size_t start = text.find_first_not_of(" \t");
  if (text.substr(0, start).find('\t') != std::string_view::npos) {
    return "; a tab stands at the beginning of the line: spaces belong there";
  }
  if (text.find("{{") != std::string_view::npos) {
    return "; this looks like a template: render it first, as helm template does";
  }
  return "";
}

// `{{ .Values.name }}` is YAML, though an object as a field's name is none that means anything.
Fault with_likely_reason(Fault fault, std::string_view text, int line) {
  const std::string_view reason = likely_reason(text, line);
  if (fault.message.find(reason) == std::string::npos) fault.message += reason;
  return fault;
}

}  // namespace

Result<std::vector<Document>> parse_yaml(std::string_view text, const std::string& file,
                                         const Limits& limits) {
  Builder builder(file, limits);
  if (!check_characters(text, builder)) return builder.fault();
  // At the end of its input yaml-cpp takes an open quote for closed; at the end of a document not.
  std::string closed(text);
  closed += text.empty() || text.back() == '\n' ? "...\n" : "\n...\n";
  try {
    std::istringstream stream(closed);
    YAML::Parser parser(stream);
    YamlEvents events(builder, closed, limits.ignore_tag);
    while (parser.HandleNextDocument(events)) {
    }
  } catch (const Stop&) {
    return with_likely_reason(builder.fault(), text, builder.place_of_fault().line - 1);
  } catch (const YAML::Exception& error) {
    builder.refuse(place_of(error.mark), fmt::format("this is no YAML: {}{}", error.msg,
                                                     likely_reason(text, error.mark.line)));
    return builder.fault();
  } catch (const std::exception& error) {
    return invalid(fmt::format("{}: this is no YAML: {}", file, error.what()));
  }
  return builder.take();
}

}  // namespace fairlead::document
