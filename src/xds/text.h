// Protobuf's JSON mapping, in JSON or YAML, read through document/ so that every complaint has a
// line. For this room alone.
#pragma once

#include "base/result.h"
#include "document/document.h"
#include "xds/place.h"
#include "xds/wire.h"

namespace fairlead::xds {

[[nodiscard]] Result<> read_message(const document::Node& node, wire::Message& message,
                                    const Place& place);
// Fields by their proto name or their JSON name, as leniently as Envoy takes them: enums in any
// case, one value where a list is, numbers and booleans in quotes. A field that `message` does not
// have is noted by its name, and told from one that Envoy does not have. An Any of a type that we
// do not have keeps its type alone. Everything that is wrong is kept in the report; the fault is
// the first.

[[nodiscard]] Result<std::string> type_of_resource(const document::Node& node);
// The "@type" of an object.

void read_struct_text(const std::string& json, wire::Struct& into);
// A JSON object; anything else leaves `into` empty.

[[nodiscard]] std::string write_message(const wire::Message& message);
// As JSON, with proto names and the same order every time.

}  // namespace fairlead::xds
