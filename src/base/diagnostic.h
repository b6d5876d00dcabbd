// What is to be told about a part of somebody's configuration that is not honoured, and what
// becomes weaker without it. What may be done about it follows from its effect, never from its
// text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/origin.h"

namespace fairlead {

enum class Effect : std::uint8_t {
  protects,  // without it something is let through that should not be: TLS, a filter that can deny,
             // a limit, hardening of paths and headers, whatever feeds an authorization
  decides,   // without it another answer, or one from elsewhere: matches, rewrites, balancing
  observes,  // logs, statistics, tracing
  tunes,     // sizes of buffers, times whose default is safe
};
// What nobody has judged protects.

struct Diagnostic {
  std::string resource;  // "Listener virtualOutbound", "Bootstrap"
  std::string field;     // its path: "filter_chains[0].filters[1]"; empty: the whole resource
  std::string reason;    // "MAGLEV: balanced by least request"; empty: the field as such
  Effect effect = Effect::protects;
  bool unknown = false;  // no schema has it: misspelt, or newer than this program
  Origin origin = {};    // file and line of the field, when it was read from a text

  bool operator==(const Diagnostic&) const = default;

  [[nodiscard]] std::string describe() const;
  // "Listener a: filter_chains[0].filters[1]: REASON (envoy.yaml:24)"
};

[[nodiscard]] std::string_view name_of(Effect effect);
// "protects", "decides", "observes", "tunes"; static.
[[nodiscard]] std::optional<Effect> effect_from(std::string_view name);

}  // namespace fairlead
