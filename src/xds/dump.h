// The admin port's /config_dump in Envoy's shape (envoy.admin.v3.ConfigDump), made from values.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "config/snapshot.h"
#include "xds/bootstrap.h"

namespace fairlead::xds {

[[nodiscard]] std::string config_dump(const Bootstrap& bootstrap, const config::Snapshot& snapshot,
                                      WallTime last_updated);
// Protobuf JSON with the proto's own field names, as Envoy writes it. Resources of `bootstrap` are
// in the static sections, others in the dynamic ones, with their type's version_info. Origins are
// in metadata.filter_metadata["fairlead"].

}  // namespace fairlead::xds
