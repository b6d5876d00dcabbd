// YAML by libyaml's events: one scan of the text, no tree of its own, no recursion.
#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>
#include <map>
#include <new>
#include <optional>

#include "base/cancel.h"
#include "document/tree.h"

namespace fairlead::document {
namespace {

Place place_of(const yaml_mark_t& mark) {
  return {static_cast<int>(mark.line) + 1, static_cast<int>(mark.column) + 1};
}

std::string_view view(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

constexpr std::string_view core = "tag:yaml.org,2002:";

// An event, which libyaml allocates.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { yaml_event_delete(&event_); }
  [[nodiscard]] bool next(yaml_parser_t& parser) {
    yaml_event_delete(&event_);
    return yaml_parser_parse(&parser, &event_) != 0;
  }
  [[nodiscard]] const yaml_event_t& get() const LIFETIMEBOUND { return event_; }

 private:
  yaml_event_t event_{};
};

class YamlEvents {
 public:
  YamlEvents(Builder& builder, bool ignore_tag) : builder_(builder), ignore_tag_(ignore_tag) {}

  // False: refused, and the builder says why.
  [[nodiscard]] bool take(const yaml_event_t& event) {
    const Place place = place_of(event.start_mark);
    switch (event.type) {
      case YAML_DOCUMENT_START_EVENT:
        builder_.begin_document();
        anchors_.clear();
        return true;
      case YAML_DOCUMENT_END_EVENT:
        return builder_.end_document();
      case YAML_ALIAS_EVENT:
        return alias(view(event.data.alias.anchor), place);
      case YAML_SCALAR_EVENT:
        return scalar(event, place);
      case YAML_SEQUENCE_START_EVENT:
        return check_tag(view(event.data.sequence_start.tag), "seq", place) &&
               builder_.open(Kind::list, place, anchor(view(event.data.sequence_start.anchor)));
      case YAML_MAPPING_START_EVENT:
        return check_tag(view(event.data.mapping_start.tag), "map", place) &&
               builder_.open(Kind::object, place, anchor(view(event.data.mapping_start.anchor)));
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        return builder_.close();
      default:
        return true;
    }
  }

 private:
  [[nodiscard]] bool scalar(const yaml_event_t& event, Place place) {
    const auto& scalar = event.data.scalar;
    const std::string_view tag = view(scalar.tag);
    const std::string_view value(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const bool plain = tag.empty() && scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const std::uint64_t number = anchor(view(scalar.anchor));
    if (builder_.wants_key() && plain && kind_of_plain(value) == Kind::null) {
      return builder_.refuse(place, "expected the name of a field, found nothing");
    }
    if (builder_.wants_key() && plain && value == "<<") return builder_.key(value, place, true);
    if (builder_.wants_key() && ignore_tag_ && tag == "!ignore") {
      return builder_.key("!ignore " + std::string(value), place, false);
    }
    if (tag.empty()) {
      return builder_.scalar(plain ? kind_of_plain(value) : Kind::text, std::string(value), place,
                             number);
    }
    const std::optional<Kind> kind = kind_of_tagged(tag, value);
    if (kind) return builder_.scalar(*kind, std::string(value), place, number);
    return builder_.refuse(place,
                           fmt::format("the tag {} on \"{}\" is not understood", tag, value));
  }

  // Absent when the tag does not fit the value, or is none of YAML's own.
  static std::optional<Kind> kind_of_tagged(std::string_view tag, std::string_view value) {
    if (tag == "!") return Kind::text;
    if (!tag.starts_with(core)) return {};
    const std::string_view name = tag.substr(core.size());
    if (name == "str") return Kind::text;
    const Kind plain = kind_of_plain(value);
    if (name == "int" && plain == Kind::integer) return plain;
    if (name == "float" && (plain == Kind::number || plain == Kind::integer)) return Kind::number;
    if (name == "bool" && plain == Kind::boolean) return plain;
    if (name == "null" && plain == Kind::null) return plain;
    return {};
  }

  [[nodiscard]] bool check_tag(std::string_view tag, std::string_view usual, Place place) {
    if (tag.empty() || tag == "!" || (tag.starts_with(core) && tag.substr(core.size()) == usual)) {
      return true;
    }
    return builder_.refuse(place, fmt::format("the tag {} is not understood", tag));
  }

  // A name may be given again: from then on it means the later one.
  std::uint64_t anchor(std::string_view name) {
    if (name.empty()) return 0;
    return anchors_[std::string(name)] = ++last_anchor_;
  }

  [[nodiscard]] bool alias(std::string_view name, Place place) {
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) return builder_.refuse(place, "an alias to nothing");
    return builder_.alias(found->second, place);
  }

  Builder& builder_;
  bool ignore_tag_;
  std::map<std::string, std::uint64_t, std::less<>> anchors_;
  std::uint64_t last_anchor_ = 0;
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

// Says where; libyaml would name an offset.
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

// A parser, set to read `text`.
class Parser {
 public:
  explicit Parser(std::string_view text) {
    if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser() { yaml_parser_delete(&parser_); }
  [[nodiscard]] yaml_parser_t& get() LIFETIMEBOUND { return parser_; }

 private:
  yaml_parser_t parser_{};
};

Fault no_yaml(const yaml_parser_t& parser, std::string_view text, Builder& builder) {
  const std::string_view problem = parser.problem == nullptr ? "out of memory" : parser.problem;
  std::string why = fmt::format("this is no YAML: {}", problem);
  // Where the mistake began says more than where it was noticed, when that is elsewhere.
  if (parser.context != nullptr && parser.context_mark.line != parser.problem_mark.line) {
    why += fmt::format(" {}, which began in line {}", parser.context, parser.context_mark.line + 1);
  }
  std::string_view reason = likely_reason(text, static_cast<int>(parser.problem_mark.line));
  if (reason.empty() && parser.context != nullptr) {
    reason = likely_reason(text, static_cast<int>(parser.context_mark.line));
  }
  why += reason;
  builder.refuse(place_of(parser.problem_mark), why);
  return builder.fault();
}

}  // namespace

Result<> parse_yaml(std::string_view text, const std::string& file, const Limits& limits,
                    const Take& take) {
  Builder builder(file, limits);
  if (!check_characters(text, builder)) return builder.fault();
  Parser parser(text);
  YamlEvents events(builder, limits.ignore_tag);
  Event event;
  do {
    if (!event.next(parser.get())) return no_yaml(parser.get(), text, builder);
    if (!events.take(event.get())) {
      return with_likely_reason(builder.fault(), text, builder.place_of_fault().line - 1);
    }
    if (event.get().type != YAML_DOCUMENT_END_EVENT) continue;
    for (Document& document : builder.take()) {
      if (!take(std::move(document))) return cancelled_fault();
    }
  } while (event.get().type != YAML_STREAM_END_EVENT);
  return done();
}

}  // namespace fairlead::document
