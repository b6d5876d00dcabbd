// What /config_dump?resource=...&mask=...&name_regex=... asks for, cut out of the whole dump. Pure.
#pragma once

#include <string>

#include "base/result.h"

namespace fairlead::proxy {

// Each as Envoy takes it; empty: not asked.
struct DumpQuery {
  std::string resource;    // a list: "static_listeners". Its members instead of the sections
  std::string mask;        // fields to keep, a protobuf FieldMask: "cluster.name,last_updated"
  std::string name_regex;  // matches the whole name of a resource
  bool operator==(const DumpQuery&) const = default;
};

[[nodiscard]] Result<std::string> part_of_dump(const std::string& dump, const DumpQuery& query);
// `dump` is JSON in Envoy's shape (envoy.admin.v3.ConfigDump). A fault is `missing` for a resource
// that is none, `invalid` for a pattern that RE2 refuses, or a mask with a path that leads nowhere.

}  // namespace fairlead::proxy
