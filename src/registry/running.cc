#include "kube/controllers.h"
#include "registry/files.h"
#include "registry/sources.h"

namespace fairlead::registry {

Result<mesh::WorldPointer> read_world_as_if_running(const Paths& paths,
                                                    const kube::ClusterSettings& settings) {
  Sources sources(paths, Sources::Use::once);
  sources.refresh();
  if (Result<> whole = sources.whole(); !whole) return std::move(whole).fault();
  const kube::Objects given = sources.objects();
  if (!given.nodes.empty() && !given.resource_version.empty()) return sources.world();
  Result<kube::Objects> objects = kube::as_if_running(given, settings);
  if (!objects) return std::move(objects).fault();
  std::vector<kube::Ignored> ignored = kube::left_to_controllers(given);
  const std::vector<kube::Ignored> more = sources.ignored();
  ignored.insert(ignored.end(), more.begin(), more.end());
  return world_from(*objects, ignored, sources.world()->version);
}

}  // namespace fairlead::registry
