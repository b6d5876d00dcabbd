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
// Fields by their proto name or their JSON name. A field that `message` does not have is noted by
// its name. An Any of a type that we do not have keeps its type alone.

[[nodiscard]] Result<std::string> type_of_resource(const document::Node& node);
// The "@type" of an object.

void read_struct_text(const std::string& json, wire::Struct& into);
// A JSON object; anything else leaves `into` empty.

[[nodiscard]] std::string write_message(const wire::Message& message);
// As JSON, with proto names and the same order every time.

}  // namespace fairlead::xds
