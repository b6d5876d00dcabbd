#include "registry/sources.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <utility>

namespace fairlead::registry {
namespace {

mesh::WorldPointer complete(mesh::World world, const std::vector<kube::Ignored>& ignored,
                            std::string version) {
  world.version = std::move(version);
  std::vector<mesh::Ignored> all;
  all.reserve(ignored.size() + world.ignored.size());
  for (const kube::Ignored& each : ignored) {
    all.push_back({.origin = each.origin, .field = each.field, .reason = each.reason});
  }
  std::move(world.ignored.begin(), world.ignored.end(), std::back_inserter(all));
  world.ignored = std::move(all);
  return std::make_shared<const mesh::World>(std::move(world));
}

}  // namespace

mesh::WorldPointer world_from(const kube::Objects& objects,
                              const std::vector<kube::Ignored>& ignored, std::string version) {
  return complete(world_of(objects), ignored, std::move(version));
}

Result<> Sources::whole() const {
  if (broken_.empty()) return done();
  const std::size_t more = broken_.size() - 1;
  return invalid(more == 0 ? broken_.front()
                           : fmt::format("{}; {} more are broken too", broken_.front(), more));
}

// Until everything could be read once, half of the files would be a mesh that lost the other half,
// and a file that says nothing yet would be a mesh that lost all. Later, a new file that is broken
// is one that is not there yet.
bool Sources::may_make_world(std::vector<std::string>& problems) const {
  if (!files_.unique()) return false;
  if (world_) return true;
  if (!files_.whole() || !problems.empty()) return false;
  if (!files_.says_nothing() || paths_.named.empty()) return true;
  problems.push_back(fmt::format("there is no object in {}", fmt::join(paths_.named, ", ")));
  return false;
}

void Sources::make_world() {
  const kube::Joined all = files_.joined();
  const Changes changes = files_.take_changes();
  mesh::World world = world_ ? world_of(all.objects(), *world_, changes) : world_of(all.objects());
  mesh::WorldPointer made = complete(std::move(world), ignored(), files_.version(all.objects()));
  if (world_ && *made == *world_) return;
  world_ = std::move(made);
}

bool Sources::refresh(const Look& look) {
  const mesh::WorldPointer before = world_;
  files_.refresh(look);
  std::vector<std::string> problems = files_.broken();
  if (may_make_world(problems)) make_world();
  const bool changed = world_ != before || problems != broken_;
  broken_ = std::move(problems);
  return changed;
}

}  // namespace fairlead::registry
