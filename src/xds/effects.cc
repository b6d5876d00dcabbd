#include "xds/effects.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <array>

#include "base/split.h"
#include "xds/decode_parts.h"
#include "xds/envoy_fields.h"
#include "xds/proto/effect.pb.h"

namespace fairlead::xds {
namespace {

using document::Kind;
using document::Node;
using google::protobuf::Descriptor;
using google::protobuf::UnknownField;

// ── Fields ───────────────────────────────────────────────────────────────────────────────────────

// "NAME", "NAME=NUMBER", "NAME=NUMBER unless VALUE"
FieldEffect field_from(std::string_view item, Effect effect) {
  FieldEffect field{.effect = effect};
  constexpr std::string_view mark = " unless ";
  const std::size_t unless = item.find(mark);
  if (unless != std::string_view::npos) {
    field.unless = item.substr(unless + mark.size());
    item = item.substr(0, unless);
  }
  const std::size_t number = item.find('=');
  field.name = item.substr(0, number);
  if (number != std::string_view::npos) {
    field.number = std::atoi(std::string(item.substr(number + 1)).c_str());
  }
  return field;
}

// The fields that one option lists.
std::vector<FieldEffect> fields_in(std::string_view option, Effect effect) {
  std::vector<FieldEffect> fields;
  while (!option.empty()) {
    const std::string_view item = option.substr(0, option.find(','));
    fields.push_back(field_from(item, effect));
    option.remove_prefix(std::min(option.size(), item.size() + 2));  // and ", "
  }
  return fields;
}

// All fields of the message that somebody has judged.
std::vector<FieldEffect> fields_of(const Descriptor& type) {
  const auto& options = type.options();
  std::vector<FieldEffect> all;
  const auto add = [&all](std::string_view option, Effect effect) {
    for (FieldEffect& field : fields_in(option, effect)) all.push_back(field);
  };
  add(options.GetExtension(wire::protects), Effect::protects);
  add(options.GetExtension(wire::decides), Effect::decides);
  add(options.GetExtension(wire::observes), Effect::observes);
  add(options.GetExtension(wire::tunes), Effect::tunes);
  return all;
}

template <class Is>
std::optional<FieldEffect> find(const Descriptor& type, Is is) {
  const std::vector<FieldEffect> fields = fields_of(type);
  const auto found = std::find_if(fields.begin(), fields.end(), is);
  return found == fields.end() ? std::nullopt : std::optional(*found);
}

// ── Values that do nothing ───────────────────────────────────────────────────────────────────────

bool is_one_of(std::string_view unless, std::string_view value) {
  if (unless == "any") return true;
  if (unless.empty()) return false;
  constexpr std::string_view between = " or ";
  for (;;) {
    const std::size_t end = unless.find(between);
    if (lower(unless.substr(0, end)) == lower(value)) return true;
    if (end == std::string_view::npos) return false;
    unless.remove_prefix(end + between.size());
  }
}

bool is_zero(const Node& value) {
  const std::string& text = value.text();
  if (value.kind() == Kind::boolean) return !value.as_boolean().value();
  return text.empty() || text == "0" || text == "false" || text == "0s";
}

// Whether everything in it is as if it were not there.
bool is_empty(const Node& value) {
  if (!value.given()) return true;
  if (value.is_list()) return value.size() == 0;
  if (!value.is_object()) return is_zero(value);
  const std::vector<Node> children = value.children();
  return std::all_of(children.begin(), children.end(), is_empty);
}

bool is_scalar(const EnvoyField& field) {
  return field.type.empty() && !field.repeated;
}

// The value of a wrapper (google.protobuf.UInt32Value), as text writes it.
std::string wrapped(std::string_view type, const std::string& bytes) {
  google::protobuf::UnknownFieldSet inside;
  std::uint64_t value = 0;
  if (inside.ParseFromString(bytes) && inside.field_count() == 1 &&
      inside.field(0).type() == UnknownField::TYPE_VARINT) {
    value = inside.field(0).varint();
  }
  if (type == "google.protobuf.BoolValue") return value != 0 ? "true" : "false";
  return std::to_string(value);
}

bool is_inert_on_the_wire(const EnvoyField& envoys, std::string_view unless,
                          const UnknownField& value) {
  switch (value.type()) {
    case UnknownField::TYPE_VARINT:
      if (value.varint() == 0 && is_scalar(envoys)) return true;
      return is_one_of(unless, std::to_string(value.varint())) ||
             (value.varint() == 1 && is_one_of(unless, "true"));
    case UnknownField::TYPE_FIXED32:
      return value.fixed32() == 0 && is_scalar(envoys);
    case UnknownField::TYPE_FIXED64:
      return value.fixed64() == 0 && is_scalar(envoys);
    case UnknownField::TYPE_LENGTH_DELIMITED: {
      const std::string& bytes = value.length_delimited();
      if (bytes.empty() && (is_scalar(envoys) || is_one_of(unless, "{}"))) return true;
      return envoys.type.ends_with("Value") && is_one_of(unless, wrapped(envoys.type, bytes));
    }
    case UnknownField::TYPE_GROUP:
      break;
  }
  return false;
}

// ── Types ────────────────────────────────────────────────────────────────────────────────────────

struct TypeEffect {
  std::string_view type;  // a full name, or the start of some: "envoy.config.trace."
  Effect effect;
};

// The longest that fits holds. Whatever is not here protects: filters that deny or limit, and all
// that changes what such filters see.
constexpr std::array types{
    // Loggers, tracers, sinks of statistics.
    TypeEffect{"envoy.extensions.access_loggers.", Effect::observes},
    TypeEffect{"envoy.extensions.stat_sinks.", Effect::observes},
    TypeEffect{"envoy.extensions.tracers.", Effect::observes},
    TypeEffect{"envoy.extensions.formatter.", Effect::observes},
    TypeEffect{"envoy.extensions.request_id.", Effect::observes},
    TypeEffect{"envoy.config.trace.", Effect::observes},
    TypeEffect{"envoy.config.metrics.", Effect::observes},
    TypeEffect{"envoy.extensions.filters.http.grpc_stats.", Effect::observes},
    TypeEffect{"envoy.extensions.filters.http.tap.", Effect::observes},
    TypeEffect{"envoy.extensions.filters.http.connect_grpc_bridge.", Effect::decides},
    TypeEffect{"stats.PluginConfig", Effect::observes},  // of Istio
    TypeEffect{"envoy.tcp.metadataexchange.config.MetadataExchange", Effect::observes},
    TypeEffect{"io.istio.http.peer_metadata.Config", Effect::observes},
    // Balancing, names, kinds of clusters. The extension for internal listeners only sizes buffers:
    // such a listener, and an address of one, are told by themselves.
    TypeEffect{"envoy.extensions.load_balancing_policies.", Effect::decides},
    TypeEffect{"envoy.extensions.clusters.", Effect::decides},
    TypeEffect{"envoy.extensions.network.dns_resolver.", Effect::decides},
    TypeEffect{"envoy.extensions.retry.", Effect::decides},
    TypeEffect{"envoy.extensions.router.", Effect::decides},
    TypeEffect{"envoy.extensions.path.", Effect::decides},
    TypeEffect{"envoy.extensions.health_checkers.", Effect::decides},
    TypeEffect{"envoy.extensions.health_check.", Effect::decides},
    TypeEffect{"envoy.extensions.bootstrap.internal_listener.", Effect::tunes},
    // Filters that make, change or send on, and let everything through.
    TypeEffect{"envoy.extensions.filters.http.cors.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.fault.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.health_check.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.cache.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.cache_v2.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.grpc_web.", Effect::decides},
    // Too many answers instead of 429: told and counted, but no reason to give none.
    TypeEffect{"envoy.extensions.filters.http.local_ratelimit.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.grpc_http1_bridge.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.grpc_http1_reverse_bridge.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.grpc_json_transcoder.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.grpc_json_reverse_transcoder.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.dynamic_forward_proxy.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.on_demand.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.stateful_session.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.decompressor.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.http.alternate_protocols_cache.", Effect::decides},
    TypeEffect{"istio.envoy.config.filter.http.alpn.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.network.direct_response.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.network.echo.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.network.sni_cluster.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.network.redis_proxy.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.network.thrift_proxy.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.network.dubbo_proxy.", Effect::decides},
    TypeEffect{"envoy.extensions.filters.network.zookeeper_proxy.", Effect::observes},
    // What is sent is the same, in more bytes.
    TypeEffect{"envoy.extensions.filters.http.compressor.", Effect::tunes},
    TypeEffect{"envoy.extensions.compression.", Effect::tunes},
};

}  // namespace

std::optional<FieldEffect> effect_of(const Descriptor& type, std::string_view field) {
  return find(type, [&](const FieldEffect& each) { return each.name == field; });
}

std::optional<FieldEffect> effect_of(const Descriptor& type, int number) {
  return find(type, [&](const FieldEffect& each) { return each.number == number; });
}

std::vector<std::string> field_names(const Descriptor& type) {
  std::vector<std::string> names;
  for (const FieldEffect& field : fields_of(type)) names.emplace_back(field.name);
  return names;
}

bool is_inert(const Descriptor& type, const FieldEffect& field, const Node& value) {
  if (field.unless == "any" || !value.given()) return true;
  if (is_one_of(field.unless, "{}") && is_empty(value)) return true;
  if (value.is_object()) return false;
  if (value.is_list()) return value.size() == 0;
  if (is_one_of(field.unless, value.text())) return true;
  const std::optional<EnvoyField> envoys = envoy_field(type.full_name(), field.name);
  if (!envoys || !is_scalar(*envoys)) return false;
  return is_zero(value) || (!envoys->zero.empty() && lower(envoys->zero) == lower(value.text()));
}

bool is_inert(const Descriptor& type, const FieldEffect& field, const UnknownField& value) {
  if (field.unless == "any") return true;
  const std::optional<EnvoyField> envoys = envoy_field(type.full_name(), field.number);
  return envoys && is_inert_on_the_wire(*envoys, field.unless, value);
}

Effect effect_of_type(std::string_view type) {
  type = type.substr(type.rfind('/') + 1);
  const TypeEffect* best = nullptr;
  for (const TypeEffect& each : types) {
    const bool fits =
        each.type == type || (each.type.ends_with('.') && type.starts_with(each.type));
    if (fits && (best == nullptr || each.type.size() > best->type.size())) best = &each;
  }
  return best == nullptr ? Effect::protects : best->effect;
}

Effect effect_of_any(const wire::Any& any) {
  return effect_of_type(type_in(any));
}

}  // namespace fairlead::xds
