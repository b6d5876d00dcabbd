// Fields whose value is a list. It is one list, on however many lines it comes (RFC 9110 §5.3).
// Elements are told apart by commas; those that hold quoted text are not for these functions.
#pragma once

#include <string_view>

#include "base/lifetime.h"
#include "http/fields.h"

namespace fairlead::http {

[[nodiscard]] std::string_view next_element(std::string_view& list);
// Takes the first element that is not empty off `list`, without white space around it. Empty: there
// is none.

[[nodiscard]] bool list_names(std::string_view list, std::string_view token);
// Whether `token` is an element of the list, without regard to case.

[[nodiscard]] bool list_names(const Fields& fields, FieldName name, std::string_view token);
// The same, of a list that may stand on several lines.

[[nodiscard]] std::string_view whole_list(Fields& fields LIFETIMEBOUND, FieldName name);
// All lines of this name as one value: as it came when there is one, else joined by commas and kept
// by `fields`, without empty lines. Empty when there is none.

}  // namespace fairlead::http
