#include "xds/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/near.h"
#include "xds/decode_parts.h"
#include "xds/effects.h"
#include "xds/envoy_fields.h"

namespace fairlead::xds {
namespace {

using document::Kind;
using document::Node;
using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::Reflection;

constexpr std::string_view type_prefix = "type.googleapis.com/";

// ── The library's own types have shapes of their own ─────────────────────────────────────────────

Result<> read_struct(const Node& node, wire::Struct& into);

Result<> read_value(const Node& node, google::protobuf::Value& into) {
  switch (node.kind()) {
    case Kind::null:
      into.set_null_value(google::protobuf::NULL_VALUE);
      return done();
    case Kind::boolean: {
      const Result<bool> value = node.as_boolean();
      if (!value.ok()) return value.fault();
      into.set_bool_value(*value);
      return done();
    }
    case Kind::integer:
    case Kind::number: {
      const Result<double> value = node.as_number();
      if (!value.ok()) return value.fault();
      into.set_number_value(*value);
      return done();
    }
    case Kind::text:
      into.set_string_value(node.text());
      return done();
    case Kind::list:
      into.mutable_list_value();
      for (const Node& child : node.children()) {
        Result<> read = read_value(child, *into.mutable_list_value()->add_values());
        if (!read.ok()) return read;
      }
      return done();
    case Kind::object:
      return read_struct(node, *into.mutable_struct_value());
  }
  return done();
}

Result<> read_struct(const Node& node, wire::Struct& into) {
  Result<> object = node.as_object();
  if (!object.ok()) return object;
  for (const Node& child : node.children()) {
    Result<> read = read_value(child, (*into.mutable_fields())[child.key()]);
    if (!read.ok()) return read;
  }
  return done();
}

// Protobuf takes the names of enums in any case.
const google::protobuf::EnumValueDescriptor* value_named(const EnumDescriptor& type,
                                                         std::string_view name) {
  for (int i = 0; i < type.value_count(); ++i) {
    if (lower(type.value(i)->name()) == lower(name)) return type.value(i);
  }
  return nullptr;
}

std::optional<std::int64_t> digits_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Protobuf writes 64-bit numbers as strings, and reads any number from one.
Result<std::int64_t> integer_in(const Node& node, std::int64_t least, std::int64_t most) {
  if (node.kind() != Kind::text) return node.as_integer(least, most);
  const std::optional<std::int64_t> value = digits_of(node.text());
  if (!value || *value < least || *value > most) {
    return node.expected(fmt::format("an integer from {} to {}", least, most));
  }
  return *value;
}

Result<bool> boolean_in(const Node& node) {
  const bool in_quotes = node.kind() == Kind::text;
  if (in_quotes && (node.text() == "true" || node.text() == "false")) return node.text() == "true";
  return node.as_boolean();
}

// {seconds: 60, nanos: 5}, which Envoy takes too.
Result<> read_duration_object(const Node& node, google::protobuf::Duration& into) {
  for (const Node& child : node.children()) {
    const bool seconds = child.key() == "seconds";
    if (!seconds && child.key() != "nanos")
      return child.refused("a duration has seconds and nanos");
    const Result<std::int64_t> value =
        integer_in(child, 0, seconds ? std::numeric_limits<std::int64_t>::max() : 999'999'999);
    if (!value.ok()) return value.fault();
    if (seconds) {
      into.set_seconds(*value);
    } else {
      into.set_nanos(static_cast<std::int32_t>(*value));
    }
  }
  return done();
}

// "1.5s"
Result<> read_duration_text(const Node& node, google::protobuf::Duration& into) {
  if (node.is_object()) return read_duration_object(node, into);
  const std::string& text = node.text();
  if (node.kind() != Kind::text || !text.ends_with('s'))
    return node.expected("a duration like 1.5s");
  std::string_view number = std::string_view(text).substr(0, text.size() - 1);
  const bool negative = number.starts_with('-');
  if (negative) number.remove_prefix(1);
  const std::size_t dot = number.find('.');
  std::string fraction(dot == std::string_view::npos ? "" : number.substr(dot + 1));
  const std::optional<std::int64_t> seconds = digits_of(number.substr(0, dot));
  fraction.resize(std::max<std::size_t>(fraction.size(), 9), '0');
  const std::optional<std::int64_t> nanos = digits_of(fraction);
  if (!seconds || !nanos || fraction.size() > 9 || *seconds < 0 || *nanos < 0) {
    return node.expected("a duration like 1.5s");
  }
  into.set_seconds(negative ? -*seconds : *seconds);
  into.set_nanos(static_cast<std::int32_t>(negative ? -*nanos : *nanos));
  return done();
}

Result<> read_any(const Node& node, wire::Any& into, const Place& place);
Result<> read_part(const Node& node, Message& message, const Place& place);

// ── Fields ───────────────────────────────────────────────────────────────────────────────────────

// One value into a field: set, or added when the field is repeated.
class Setter {
 public:
  Setter(Message& message, const FieldDescriptor& field)
      : message_(message), field_(field), reflection_(*message.GetReflection()) {}

  [[nodiscard]] Result<> read(const Node& node, const Place& place);

 private:
  Message& message_;
  const FieldDescriptor& field_;
  const Reflection& reflection_;

  [[nodiscard]] Result<> read_integer(const Node& node);
  [[nodiscard]] Result<> read_enum(const Node& node);
  [[nodiscard]] Result<> read_string(const Node& node);
  void set_integer(std::int64_t value);
  void set_enum(int number);
};

void Setter::set_integer(std::int64_t value) {
  const bool repeated = field_.is_repeated();
  switch (field_.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      const auto narrow = static_cast<std::int32_t>(value);
      if (repeated) return reflection_.AddInt32(&message_, &field_, narrow);
      return reflection_.SetInt32(&message_, &field_, narrow);
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      const auto narrow = static_cast<std::uint32_t>(value);
      if (repeated) return reflection_.AddUInt32(&message_, &field_, narrow);
      return reflection_.SetUInt32(&message_, &field_, narrow);
    }
    default:
      if (repeated) return reflection_.AddInt64(&message_, &field_, value);
      return reflection_.SetInt64(&message_, &field_, value);
  }
}

Result<> Setter::read_integer(const Node& node) {
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  if (field_.cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
    least = std::numeric_limits<std::int32_t>::min();
    most = std::numeric_limits<std::int32_t>::max();
  } else if (field_.cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
    least = 0;
    most = std::numeric_limits<std::uint32_t>::max();
  }
  const Result<std::int64_t> value = integer_in(node, least, most);
  if (!value.ok()) return value.fault();
  set_integer(*value);
  return done();
}

void Setter::set_enum(int number) {
  if (field_.is_repeated()) return reflection_.AddEnumValue(&message_, &field_, number);
  reflection_.SetEnumValue(&message_, &field_, number);
}

std::string names_of(const EnumDescriptor& type) {
  std::string names;
  for (int i = 0; i < type.value_count(); ++i) {
    names += (i == 0 ? "" : ", ") + type.value(i)->name();
  }
  return names;
}

Result<> Setter::read_enum(const Node& node) {
  const EnumDescriptor& type = *field_.enum_type();
  if (node.kind() == Kind::integer) {
    const Result<std::int64_t> number =
        node.as_integer(0, std::numeric_limits<std::int32_t>::max());
    if (!number.ok()) return number.fault();
    set_enum(static_cast<int>(*number));
    return done();
  }
  const auto* value = node.kind() == Kind::text ? value_named(type, node.text()) : nullptr;
  if (value == nullptr) return node.expected("one of " + names_of(type));
  set_enum(value->number());
  return done();
}

std::optional<std::string> base64_decoded(std::string_view text) {
  std::string made;
  std::uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char standard = c == '-' ? '+' : (c == '_' ? '/' : c);
    const std::size_t digit = digits.find(standard);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6U) | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    made += static_cast<char>((bits >> static_cast<unsigned>(count)) & 0xFFU);
  }
  return made;
}

Result<> Setter::read_string(const Node& node) {
  Result<std::string> text = node.as_text();
  if (!text.ok()) return std::move(text).fault();
  if (field_.type() == FieldDescriptor::TYPE_BYTES) {
    std::optional<std::string> bytes = base64_decoded(*text);
    if (!bytes) return node.expected("bytes in base64");
    text = std::move(*bytes);
  }
  if (field_.is_repeated()) {
    reflection_.AddString(&message_, &field_, std::move(text).value());
  } else {
    reflection_.SetString(&message_, &field_, std::move(text).value());
  }
  return done();
}

Result<> Setter::read(const Node& node, const Place& place) {
  switch (field_.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return read_part(node,
                       *(field_.is_repeated() ? reflection_.AddMessage(&message_, &field_)
                                              : reflection_.MutableMessage(&message_, &field_)),
                       place);
    case FieldDescriptor::CPPTYPE_ENUM:
      return read_enum(node);
    case FieldDescriptor::CPPTYPE_STRING:
      return read_string(node);
    case FieldDescriptor::CPPTYPE_BOOL: {
      const Result<bool> value = boolean_in(node);
      if (!value.ok()) return value.fault();
      reflection_.SetBool(&message_, &field_, *value);
      return done();
    }
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_INT64:
      return read_integer(node);
    default:
      break;  // our subset has no other
  }
  return node.refused("is of a kind that we do not read");
}

// Our maps are from strings to Any and to Struct.
Result<> read_map(const Node& node, Message& message, const FieldDescriptor& field,
                  const Place& place) {
  Result<> object = node.as_object();
  if (!object.ok()) return object;
  const FieldDescriptor* key = field.message_type()->map_key();
  const FieldDescriptor* value = field.message_type()->map_value();
  for (const Node& child : node.children()) {
    Message& entry = *message.GetReflection()->AddMessage(&message, &field);
    entry.GetReflection()->SetString(&entry, key, child.key());
    const Result<> read = read_part(child, *entry.GetReflection()->MutableMessage(&entry, value),
                                    place.in(child.key()));
    if (!read.ok()) place.report().keep(child, read.fault());
  }
  return done();
}

Result<> read_list(const Node& node, Message& message, const FieldDescriptor& field,
                   const Place& place) {
  // One value where a list stands in the schema is a list of it: protobuf's JSON reader is lenient.
  const std::vector<Node> values = node.is_list() ? node.children() : std::vector<Node>{node};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Place here = place.in(field.name(), static_cast<int>(i));
    const Result<> read = Setter(message, field).read(values[i], here);
    if (!read.ok()) here.report().keep(values[i], read.fault());
  }
  return done();
}

const FieldDescriptor* field_named(const Descriptor& type, const std::string& name) {
  const FieldDescriptor* field = type.FindFieldByName(name);
  if (field != nullptr) return field;
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->json_name() == name) return type.field(i);
  }
  return nullptr;
}

// "static_resources" of "staticResources".
std::string snake_case(std::string_view name) {
  std::string made;
  for (const char letter : name) {
    if (letter >= 'A' && letter <= 'Z') made += '_';
    made += letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter;
  }
  return made;
}

bool is_field(const Node& child) {
  return child.key() != "@type" && !child.key().starts_with("!ignore ");
}

std::string nobodys(const std::string& name, std::vector<std::string> names) {
  const std::vector<std::string> near = near_names(name, std::move(names), 2);
  return near.empty() ? "Envoy has no such field"
                      : fmt::format("Envoy has no such field; near it: {}", fmt::join(near, ", "));
}

// Notes the fields in `node` that Envoy does not have, where a message of the type is.
void note_nobodys_below(const Node& node, std::string_view type, const Place& place);

void note_nobodys_in(const Node& node, const EnvoyField& field, const Place& place) {
  if (!node.is_list()) return note_nobodys_below(node, field.type, place);
  for (std::size_t i = 0; i < node.size(); ++i) {
    note_nobodys_below(node.at(i), field.type, place.in(field.name, static_cast<int>(i)));
  }
}

void note_nobodys_below(const Node& node, std::string_view type, const Place& place) {
  if (!node.is_object() || !is_envoys_message(type)) return;
  for (const Node& child : node.children()) {
    if (!is_field(child)) continue;
    const std::string name = snake_case(child.key());
    const std::optional<EnvoyField> field = envoy_field(type, name);
    if (!field) {
      place.in(child.key()).note_nobodys(nobodys(name, envoy_field_names(type)));
    } else if (child.is_list() || !field->repeated) {  // not into maps
      child.is_list() ? note_nobodys_in(child, *field, place)
                      : note_nobodys_in(child, *field, place.in(field->name));
    }
  }
}

// A field that our subset of the message does not have.
void note_beyond_our_subset(const Node& node, const Descriptor& type, const Place& place) {
  const std::string name = snake_case(node.key());
  const std::optional<FieldEffect> field = effect_of(type, name);
  if (!field) {
    place.in(node.key()).note_nobodys(nobodys(name, field_names(type)));
    return;
  }
  if (!is_inert(type, *field, node)) place.in(field->name).note({}, field->effect);
  const std::optional<EnvoyField> envoys = envoy_field(type.full_name(), name);
  if (!envoys) return;
  node.is_list() ? note_nobodys_in(node, *envoys, place)
                 : note_nobodys_in(node, *envoys, place.in(field->name));
}

Result<> read_field(const Node& node, Message& message, const Place& place) {
  const FieldDescriptor* field = field_named(*message.GetDescriptor(), node.key());
  if (field == nullptr) {
    note_beyond_our_subset(node, *message.GetDescriptor(), place);
    return done();
  }
  const Reflection& reflection = *message.GetReflection();
  const auto* choice = field->containing_oneof();
  if (choice != nullptr && reflection.HasOneof(message, choice)) {
    return node.refused("only one of " + choice->name() + " can be given");
  }
  if (field->is_map()) return read_map(node, message, *field, place.in(field->name()));
  if (field->is_repeated()) return read_list(node, message, *field, place);
  return Setter(message, *field).read(node, place.in(field->name()));
}

Result<> read_fields(const Node& node, Message& message, const Place& place) {
  Result<> object = node.as_object();
  if (!object.ok()) return object;
  for (const Node& child : node.children()) {
    if (!child.given() || !is_field(child)) continue;
    const Result<> read = read_field(child, message, place);
    if (!read.ok()) place.report().keep(child, read.fault());
  }
  return done();
}

Result<> read_any(const Node& node, wire::Any& into, const Place& place) {
  Result<std::string> type = type_of_resource(node);
  if (!type.ok()) return std::move(type).fault();
  into.set_type_url(*type);
  const Descriptor* known =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
          type->substr(type->rfind('/') + 1));
  if (known == nullptr) {
    note_nobodys_below(node, type->substr(type->rfind('/') + 1), place);
    return done();
  }
  const Message* prototype = MessageFactory::generated_factory()->GetPrototype(known);
  const std::unique_ptr<Message> message(prototype->New());
  Result<> read = read_fields(node, *message, place);
  if (!read.ok()) return read;
  into.set_value(message->SerializeAsString());
  return done();
}

bool is_wrapper(const Descriptor& type) {
  return type.full_name() == "google.protobuf.BoolValue" ||
         type.full_name() == "google.protobuf.UInt32Value";
}

Result<> read_part(const Node& node, Message& message, const Place& place) {
  const Descriptor& type = *message.GetDescriptor();
  if (type.file()->package() != "google.protobuf") return read_fields(node, message, place);
  if (is_wrapper(type)) return Setter(message, *type.field(0)).read(node, place);
  if (auto* any = dynamic_cast<wire::Any*>(&message)) return read_any(node, *any, place);
  if (auto* object = dynamic_cast<wire::Struct*>(&message)) return read_struct(node, *object);
  if (auto* duration = dynamic_cast<google::protobuf::Duration*>(&message)) {
    return read_duration_text(node, *duration);
  }
  return read_fields(node, message, place);
}

}  // namespace

Result<> read_message(const Node& node, Message& message, const Place& place) {
  const std::vector<Diagnostic>& faults = place.report().faults();
  const std::size_t before = faults.size();
  const Result<> read = read_part(node, message, place);
  if (!read.ok()) {
    place.report().keep(node, read.fault());
    return read;
  }
  if (faults.size() == before) return done();
  const Diagnostic& first = faults[before];
  return invalid(fmt::format("{}:{}: {}: {}", first.origin.file, first.origin.line, first.field,
                             first.reason));
}

Result<std::string> type_of_resource(const Node& node) {
  Result<> object = node.as_object();
  if (!object.ok()) return std::move(object).fault();
  Result<std::string> type = node.get("@type").as_text();
  if (type.ok() && !type->starts_with(type_prefix)) {
    return node.get("@type").expected("a type that starts with type.googleapis.com/");
  }
  return type;
}

void read_struct_text(const std::string& json, wire::Struct& into) {
  const auto documents = document::parse(json, "metadata", document::Format::json);
  if (!documents.ok() || documents->empty()) return;
  if (!read_struct(documents->front().root(), into).ok()) into.Clear();
}

std::string write_message(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  // Fails for an Any alone that holds what is not of its type; ours hold what we put there.
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return "{}";
  return text;
}

}  // namespace fairlead::xds
