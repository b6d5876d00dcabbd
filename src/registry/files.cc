#include "registry/files.h"

#include <fmt/format.h>

#include "registry/sources.h"

namespace fairlead::registry {

Result<mesh::WorldPointer> read_world(const Paths& paths) {
  Sources sources(paths);
  sources.refresh();
  if (!sources.broken().empty()) {
    Fault fault = invalid(sources.broken().front());
    const std::size_t more = sources.broken().size() - 1;
    if (more > 0) fault.message += fmt::format("; {} more are broken too", more);
    return fault;
  }
  return sources.world();
}

}  // namespace fairlead::registry
