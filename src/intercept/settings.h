// The settings of capture under the names that istio-iptables gave them, as flags and as
// environment variables. Pure: text in, Settings out.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "intercept/rules.h"

namespace fairlead::intercept {

struct Option {
  const char* name;         // "istio-inbound-ports": the long flag, without dashes
  char letter;              // 'b'; 0 when it has no short flag
  const char* environment;  // "ISTIO_INBOUND_PORTS"
  const char* help;
  bool is_switch;  // takes no value as a flag; as a variable "true" or "false"
  Result<> (*set)(Settings& settings, const std::string& value);
  // Fault: invalid, saying what was expected; unsupported for what this program does not do.
};

[[nodiscard]] std::span<const Option> options();
// In the order of the help text; static. Apply proxy-uid before proxy-gid: without one of its own,
// the group list is the user list.

}  // namespace fairlead::intercept
