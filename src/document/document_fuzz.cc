// Whatever comes in: a tree or a fault, and a tree's JSON reads back as the same JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "document/document.h"

namespace {

void walk(const fairlead::document::Node& node) {
  (void)node.where();
  (void)node.as_integer();
  (void)node.as_number();
  (void)node.as_boolean();
  for (const fairlead::document::Node& child : node.children()) walk(child);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fairlead::document;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Format format = data[0] == 'j' ? Format::json : Format::yaml;
  Limits limits;
  limits.bytes = 1U << 16U;
  limits.aliased = 1000;
  const auto read = parse(text, "fuzz", format, limits);
  if (!read.ok()) return 0;
  for (const Document& document : read.value()) {
    walk(document.root());
    const std::string json = write_json(document.root());
    const auto again = parse(json, "fuzz", Format::json, Limits{});
    if (!again.ok() || again->size() != 1) abort();
    if (write_json(again->front().root()) != json) abort();
  }
  return 0;
}
