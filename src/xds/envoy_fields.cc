#include "xds/envoy_fields.h"

#include <algorithm>
#include <charconv>

#include "base/split.h"

namespace fairlead::xds {

extern const char* const envoy_fields_text;  // the file

namespace {

constexpr std::string_view library = "google.protobuf.";

std::string_view word_before(std::string_view text, char end) {
  return text.substr(0, text.find(end));
}

// The lines of the file that begin with a message's name, in their order.
std::vector<std::string_view> lines_of_the_file() {
  std::vector<std::string_view> lines = split(envoy_fields_text, '\n');
  std::erase_if(lines, [](std::string_view line) { return line.empty() || line.front() == '#'; });
  return lines;
}

// What follows the name of the message in its line.
std::optional<std::string_view> fields_of(std::string_view message) {
  static const std::vector<std::string_view> lines = lines_of_the_file();
  const auto line = std::lower_bound(
      lines.begin(), lines.end(), message,
      [](std::string_view a, std::string_view b) { return word_before(a, ' ') < b; });
  if (line == lines.end() || word_before(*line, ' ') != message) return std::nullopt;
  return line->substr(std::min(line->size(), message.size() + 1));
}

// The full name of a type as the file writes it.
std::string_view full_name(std::string_view type) {
  if (type.empty() || type.find('.') != std::string_view::npos) return type;
  static const std::vector<std::string> known{
      "google.protobuf.Any",         "google.protobuf.BoolValue",   "google.protobuf.BytesValue",
      "google.protobuf.DoubleValue", "google.protobuf.Duration",    "google.protobuf.Empty",
      "google.protobuf.FloatValue",  "google.protobuf.Int32Value",  "google.protobuf.Int64Value",
      "google.protobuf.ListValue",   "google.protobuf.StringValue", "google.protobuf.Struct",
      "google.protobuf.Timestamp",   "google.protobuf.UInt32Value", "google.protobuf.UInt64Value",
      "google.protobuf.Value"};
  const auto found = std::find_if(known.begin(), known.end(), [&](std::string_view name) {
    return name.substr(library.size()) == type;
  });
  return found == known.end() ? type : std::string_view(*found);
}

// "NAME=NUMBER:*TYPE"
EnvoyField field_from(std::string_view word) {
  EnvoyField field{.name = word_before(word, '=')};
  std::string_view rest = word.substr(std::min(word.size(), field.name.size() + 1));
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), field.number);
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  if (error != std::errc() || !rest.starts_with(':')) return field;
  rest.remove_prefix(1);
  field.repeated = rest.starts_with('*');
  if (field.repeated) rest.remove_prefix(1);
  if (rest.starts_with('~')) {
    field.zero = rest.substr(1);
  } else {
    field.type = full_name(rest);
  }
  return field;
}

template <class Is>
std::optional<EnvoyField> find(std::string_view message, Is is) {
  std::string_view rest = fields_of(message).value_or("");
  while (!rest.empty()) {
    const std::string_view word = word_before(rest, ' ');
    const EnvoyField field = field_from(word);
    if (is(field)) return field;
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  }
  return std::nullopt;
}

}  // namespace

bool is_envoys_message(std::string_view message) {
  return fields_of(message).has_value();
}

std::optional<EnvoyField> envoy_field(std::string_view message, std::string_view name) {
  return find(message, [&](const EnvoyField& field) { return field.name == name; });
}

std::optional<EnvoyField> envoy_field(std::string_view message, int number) {
  return find(message, [&](const EnvoyField& field) { return field.number == number; });
}

std::vector<std::string> envoy_field_names(std::string_view message) {
  std::vector<std::string> names;
  static_cast<void>(find(message, [&](const EnvoyField& field) {
    names.emplace_back(field.name);
    return false;
  }));
  return names;
}

}  // namespace fairlead::xds
