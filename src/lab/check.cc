#include "lab/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "lab/container.h"
#include "lab/root.h"

namespace fairlead::lab {
namespace {

// A command that a volume brings, or that is put together later, is looked for when it starts.
bool can_be_looked_up(const kube::Container& container) {
  const std::string& word = container.command.front();
  if (word.find('$') != std::string::npos || word == "fairlead") return false;
  return std::none_of(container.volume_mounts.begin(), container.volume_mounts.end(),
                      [&](const kube::VolumeMount& mount) { return word.starts_with(mount.path); });
}

Result<> check_command(const kube::Container& container, const Origin& origin) {
  if (container.command.empty() || !can_be_looked_up(container)) return done();
  const Result<std::string> found = find_program(container.command.front(), usual_path, "/");
  if (found) return done();
  return unsupported(fmt::format(
      "{}: the container {} (image {}) runs '{}', which this machine does not have: images are not "
      "pulled; --image or the annotation {} says what to run instead",
      origin.describe(), container.name, container.image, container.command.front(),
      command_annotation));
}

Result<> check_commands(const kube::PodSpec& spec, const Origin& origin) {
  for (const auto* containers : {&spec.init_containers, &spec.containers}) {
    for (const kube::Container& container : *containers) {
      if (Result<> sound = check_command(container, origin); !sound) return sound;
    }
  }
  return done();
}

template <class Owners>
Result<> check_templates(const Owners& owners) {
  for (const auto& owner : owners) {
    if (Result<> sound = check_commands(owner.pod_template.spec, owner.metadata.origin); !sound) {
      return sound;
    }
  }
  return done();
}

}  // namespace

Result<Addresses> addresses_of_vm(const kube::WorkloadEntry& entry) {
  const Result<IpAddress> ip = IpAddress::parse(entry.spec.address);
  const IpAddress range = vm_addresses(0).v4;
  const int last = ip && ip->within(range, 24) ? ip->bytes()[3] : 0;
  if (last >= 2 && last <= 254) return vm_addresses(last);
  return invalid(fmt::format(
      "{}: spec.address: expected an address from 10.200.0.2 to 10.200.0.254 for a VM of the lab "
      "(annotation {}), found '{}'",
      entry.metadata.origin.describe(), vm_annotation, entry.spec.address));
}

Result<> check_manifests(const kube::Objects& manifests) {
  for (const kube::Pod& pod : manifests.pods) {
    if (Result<> sound = check_commands(pod.spec, pod.metadata.origin); !sound) return sound;
  }
  if (Result<> sound = check_templates(manifests.deployments); !sound) return sound;
  if (Result<> sound = check_templates(manifests.stateful_sets); !sound) return sound;
  if (Result<> sound = check_templates(manifests.daemon_sets); !sound) return sound;
  for (const kube::WorkloadEntry& entry : manifests.workload_entries) {
    if (!entry.metadata.annotations.contains(vm_annotation)) continue;
    if (Result<Addresses> addresses = addresses_of_vm(entry); !addresses) {
      return std::move(addresses).fault();
    }
  }
  return done();
}

}  // namespace fairlead::lab
