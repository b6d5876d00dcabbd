// The settings of capture under the names that istio-iptables gave them, as flags and as
// environment variables. Pure: text in, Settings out, and back.
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
  std::string (*value)(const Settings& settings) = nullptr;
  // What `set` would take to come to the same; null where it keeps nothing.
};

[[nodiscard]] std::span<const Option> options();
// In the order of the help text; static. Apply proxy-uid before proxy-gid: without one of its own,
// the group list is the user list.

[[nodiscard]] std::string words_of(const Settings& settings);
// As flags of `fairlead intercept apply`, a space after each: "--istio-inbound-ports=80,81 ". Empty
// for the defaults: only what differs from them is said.

[[nodiscard]] std::string command_of(const Settings& settings);
// What a shell takes to come to the same: "fairlead intercept apply --istio-inbound-ports=80,81".

[[nodiscard]] Result<Settings> settings_from_words(const std::string& words);
// The way back. Fault: invalid, naming the word.

}  // namespace fairlead::intercept
