// What each field and each type of message is for (base/diagnostic.h), as the protos of this room
// and one table say it. For this room alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "document/document.h"

namespace google::protobuf {
class Descriptor;
class UnknownField;
class Any;
}  // namespace google::protobuf

namespace fairlead::xds {

struct FieldEffect {
  std::string_view name;
  int number = 0;  // 0: a field of our subset
  Effect effect = Effect::protects;
  std::string_view unless;  // "VALUE or VALUE", "any": where Envoy itself does nothing
};
// Static.

[[nodiscard]] std::optional<FieldEffect> effect_of(const google::protobuf::Descriptor& type,
                                                   std::string_view field);
[[nodiscard]] std::optional<FieldEffect> effect_of(const google::protobuf::Descriptor& type,
                                                   int number);
// Absent when nobody has judged the field, that is, when it is not Envoy's. By its number: of the
// fields beyond our subset alone.

[[nodiscard]] std::vector<std::string> field_names(const google::protobuf::Descriptor& type);
// Of Envoy's message, not of our subset alone.

[[nodiscard]] bool is_inert(const google::protobuf::Descriptor& type, const FieldEffect& field,
                            const document::Node& value);
[[nodiscard]] bool is_inert(const google::protobuf::Descriptor& type, const FieldEffect& field,
                            const google::protobuf::UnknownField& value);
// Whether Envoy would do nothing for such a value that it would not do without the field.

[[nodiscard]] Effect effect_of_type(std::string_view type);
// What a message in an Any is for: a filter, a logger. By its full name, or as a type_url. What
// nobody has judged protects.
[[nodiscard]] Effect effect_of_any(const google::protobuf::Any& any);
// Of what it holds, also when that is wrapped into a TypedStruct.

}  // namespace fairlead::xds
