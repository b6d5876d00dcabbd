#include "registry/files.h"

#include "registry/sources.h"

namespace fairlead::registry {

Result<mesh::WorldPointer> read_world(const Paths& paths) {
  Sources sources(paths);
  sources.refresh();
  if (Result<> whole = sources.whole(); !whole) return std::move(whole).fault();
  return sources.world();
}

}  // namespace fairlead::registry
