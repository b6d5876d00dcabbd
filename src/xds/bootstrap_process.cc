#include "xds/bootstrap_process.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <string>
#include <string_view>

#include "xds/decode_parts.h"
#include "xds/effects.h"

namespace fairlead::xds {
namespace {

using google::protobuf::Value;

// ── Runtime ──────────────────────────────────────────────────────────────────────────────────────

struct KeyEffect {
  std::string_view key;  // in full, or its start when it ends in a dot or a colon
  Effect effect;
};

// The longest that fits holds. A key of Envoy's own that is not here protects: it may switch a
// check. Any other key is one of the operator's own, and does what the field says that names it.
constexpr std::array keys{
    KeyEffect{"envoy.", Effect::protects},
    KeyEffect{"overload.", Effect::protects},
    KeyEffect{"ssl.", Effect::protects},
    KeyEffect{"ratelimit.", Effect::protects},
    KeyEffect{"envoy.deprecated_features:", Effect::tunes},  // lets a file be read
    KeyEffect{"envoy.deprecated_features.", Effect::tunes},
    KeyEffect{"envoy.reloadable_features.fixed_heap_use_allocated", Effect::tunes},
    // Without it Envoy takes a path with a fragment; here each is refused.
    KeyEffect{"envoy.reloadable_features.http_reject_path_with_fragment", Effect::tunes},
    KeyEffect{"re2.", Effect::tunes},
    KeyEffect{"http.max_requests_per_io_cycle", Effect::tunes},
    KeyEffect{"tracing.", Effect::observes},
    KeyEffect{"access_log.", Effect::observes},
};

Effect effect_of_key(std::string_view key) {
  const KeyEffect* best = nullptr;
  for (const KeyEffect& each : keys) {
    const bool is_start = each.key.ends_with('.') || each.key.ends_with(':');
    const bool fits = each.key == key || (is_start && key.starts_with(each.key));
    if (fits && (best == nullptr || each.key.size() > best->key.size())) best = &each;
  }
  return best == nullptr ? Effect::decides : best->effect;
}

double number_in(const Value& value) {
  if (value.has_number_value()) return value.number_value();
  return value.has_string_value() ? std::atof(value.string_value().c_str()) : 0;
}

// Whether the key changes nothing: a limit that is none, a default.
bool is_inert(std::string_view key, const Value& value) {
  constexpr double none = std::numeric_limits<std::int32_t>::max();
  if (key == "overload.global_downstream_max_connections") return number_in(value) >= none;
  const bool checks = key == "envoy.reloadable_features.http_reject_path_with_fragment";
  return checks && value.bool_value();
}

// {numerator: 50, denominator: HUNDRED} is a value; any other object is the dots in longer keys.
bool is_fraction(const Value& value) {
  return value.struct_value().fields().contains("numerator");
}

void judge_keys(const wire::Struct& layer, const std::string& above, const Place& place) {
  for (const auto& [name, value] : layer.fields()) {
    const std::string key = above.empty() ? name : above + "." + name;
    if (value.has_struct_value() && !is_fraction(value)) {
      judge_keys(value.struct_value(), key, place);
    } else if (!is_inert(key, value)) {
      place.in(key).note({}, effect_of_key(key));
    }
  }
}

void judge_runtime(const wire::boot::LayeredRuntime& runtime, const Place& place) {
  for (int i = 0; i < runtime.layers_size(); ++i) {
    judge_keys(runtime.layers(i).static_layer(), {}, place.in("layers", i).in("static_layer"));
  }
}

// ── Overload ─────────────────────────────────────────────────────────────────────────────────────

void judge_monitor(const wire::Any& any, const Place& place) {
  wire::DownstreamConnectionsConfig limit;
  if (any.UnpackTo(&limit)) {
    const std::int64_t most = limit.max_active_downstream_connections();
    if (most >= std::numeric_limits<std::int32_t>::max()) return;  // Istio's way to say none
    place.in("max_active_downstream_connections")
        .note(fmt::format("the limit of {} connections is not kept", most), Effect::protects);
    return;
  }
  // The other monitors only feed actions, which are noted by themselves.
  if (type_in(any).starts_with("envoy.extensions.resource_monitors.")) return;
  place.note(any.type_url(), Effect::protects);
}

void judge_overload(const wire::OverloadManager& overload, const Place& place) {
  for (int i = 0; i < overload.resource_monitors_size(); ++i) {
    judge_monitor(overload.resource_monitors(i).typed_config(),
                  place.in("resource_monitors", i).in("typed_config"));
  }
}

}  // namespace

void judge_process(const wire::boot::Bootstrap& message, const Place& place) {
  judge_runtime(message.layered_runtime(), place.in("layered_runtime"));
  judge_overload(message.overload_manager(), place.in("overload_manager"));
  for (int i = 0; i < message.bootstrap_extensions_size(); ++i) {
    const wire::Any& any = message.bootstrap_extensions(i).typed_config();
    place.in("bootstrap_extensions", i).note(type_in(any), effect_of_any(any));
  }
}

}  // namespace fairlead::xds
