// Documents one after the other: those of a large file together take ten times its size.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "document/document.h"

namespace fairlead::document {

using Take = std::function<bool(Document document)>;  // false: no more of them

[[nodiscard]] Result<> parse_each(std::string_view text, const std::string& file, const Take& take,
                                  Format format = Format::automatic, const Limits& limits = {});
// As parse(), but each document may go before the next is read. A fault may follow documents that
// were taken; it is `cancelled` when `take` wanted no more.

}  // namespace fairlead::document
