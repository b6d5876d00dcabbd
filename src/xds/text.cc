#include "xds/text.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

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

std::optional<std::int64_t> digits_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "1.5s"
Result<> read_duration_text(const Node& node, google::protobuf::Duration& into) {
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

// Protobuf writes 64-bit numbers as strings, and reads any number from one.
Result<std::int64_t> integer_in(const Node& node, std::int64_t least, std::int64_t most) {
  if (node.kind() != Kind::text) return node.as_integer(least, most);
  const std::optional<std::int64_t> value = digits_of(node.text());
  if (!value || *value < least || *value > most) {
    return node.expected(fmt::format("an integer from {} to {}", least, most));
  }
  return *value;
}

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
  const auto* value = node.kind() == Kind::text ? type.FindValueByName(node.text()) : nullptr;
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
      return read_message(node,
                          *(field_.is_repeated() ? reflection_.AddMessage(&message_, &field_)
                                                 : reflection_.MutableMessage(&message_, &field_)),
                          place);
    case FieldDescriptor::CPPTYPE_ENUM:
      return read_enum(node);
    case FieldDescriptor::CPPTYPE_STRING:
      return read_string(node);
    case FieldDescriptor::CPPTYPE_BOOL: {
      const Result<bool> value = node.as_boolean();
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
    Result<> read = read_message(child, *entry.GetReflection()->MutableMessage(&entry, value),
                                 place.in(child.key()));
    if (!read.ok()) return read;
  }
  return done();
}

Result<> read_list(const Node& node, Message& message, const FieldDescriptor& field,
                   const Place& place) {
  Result<> list = node.as_list();
  if (!list.ok()) return list;
  for (std::size_t i = 0; i < node.size(); ++i) {
    Result<> read =
        Setter(message, field).read(node.at(i), place.in(field.name(), static_cast<int>(i)));
    if (!read.ok()) return read;
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

Result<> read_field(const Node& node, Message& message, const Place& place) {
  const FieldDescriptor* field = field_named(*message.GetDescriptor(), node.key());
  if (field == nullptr) {
    place.in(node.key()).note();
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
    if (!child.given() || child.key() == "@type") continue;
    Result<> read = read_field(child, message, place);
    if (!read.ok()) return read;
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
  if (known == nullptr) return done();
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

}  // namespace

Result<> read_message(const Node& node, Message& message, const Place& place) {
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
