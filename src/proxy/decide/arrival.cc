#include "proxy/decide/arrival.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "http/list.h"

namespace fairlead::proxy {
namespace {

using http::Field;
using http::FieldName;
using http::FieldNames;
using http::Fields;

// ── What only a proxy may say ────────────────────────────────────────────────────────────────────

constexpr std::string_view envoys = "x-envoy-";

// After `envoys`. Envoy takes these from whoever is not internal, and nobody is.
constexpr std::array<std::string_view, 16> never_trusted{"expected-rq-timeout-ms",
                                                         "force-trace",
                                                         "hedge-on-per-try-timeout",
                                                         "internal",
                                                         "ip-tags",
                                                         "max-retries",
                                                         "original-url",
                                                         "retriable-header-names",
                                                         "retriable-status-codes",
                                                         "retry-grpc-on",
                                                         "retry-on",
                                                         "upstream-alt-stat-name",
                                                         "upstream-rq-per-try-timeout-ms",
                                                         "upstream-rq-timeout-alt-response",
                                                         "upstream-rq-timeout-ms",
                                                         "upstream-stream-duration-ms"};
// And these from whoever is no proxy.
constexpr std::array<std::string_view, 6> not_trusted_at_the_edge{
    "decorator-operation",     "downstream-service-cluster",
    "downstream-service-node", "external-address",
    "original-host",           "original-path"};

template <std::size_t Size>
bool lists(const std::array<std::string_view, Size>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view one) { return http::same_name(one, name); });
}

// Who the client is by its certificate (Envoy's default, SANITIZE, without TLS), what a proxy says
// of the workload beside it, and what only fairlead's proxies say to each other.
constexpr FieldNames identities = FieldName::x_forwarded_client_cert |
                                  FieldName::x_envoy_peer_metadata |
                                  FieldName::x_envoy_peer_metadata_id;
constexpr std::string_view ours = "x-fairlead-";

bool begins_with(std::string_view name, std::string_view start) {
  return http::same_name(name.substr(0, start.size()), start);
}

// Most fields are told from a proxy's at a glance, also x-forwarded-for from ours.
bool may_be_a_proxys(const Field& field) {
  if (field.name.size() <= envoys.size() || (field.name[0] | 0x20) != 'x') return false;
  const char third = static_cast<char>(field.name[2] | 0x20);
  return third == 'e' || (third == 'f' && (field.name[3] | 0x20) == 'a');
}

bool is_untrusted(const Field& field, bool edge) {
  if (!may_be_a_proxys(field)) return false;
  if (begins_with(field.name, ours)) return true;
  if (!begins_with(field.name, envoys)) return false;
  const std::string_view rest = field.name.substr(envoys.size());
  return lists(never_trusted, rest) || (edge && lists(not_trusted_at_the_edge, rest));
}

void drop_untrusted(Fields& fields, bool edge) {
  fields.remove(identities);
  if (std::none_of(fields.begin(), fields.end(), may_be_a_proxys)) return;
  fields.remove_if([&](const Field& field) { return is_untrusted(field, edge); });
}

// ── What belongs to the hop ──────────────────────────────────────────────────────────────────────

constexpr FieldNames of_the_hop = FieldName::connection | FieldName::keep_alive |
                                  FieldName::proxy_connection | FieldName::te |
                                  FieldName::transfer_encoding | FieldName::upgrade;

void drop_nominated(Fields& fields) {
  const auto nominated = [&](const Field& field) {
    return !FieldNames(FieldName::connection | FieldName::te | FieldName::upgrade)
                .meets(field.known) &&
           std::any_of(fields.begin(), fields.end(), [&](const Field& one) {
             return one.known == FieldName::connection && http::list_names(one.value, field.name);
           });
  };
  if (std::any_of(fields.begin(), fields.end(), nominated)) fields.remove_if(nominated);
}

bool may_pass(const std::vector<std::string>& upgrades, std::string_view protocol) {
  return !http::same_name(protocol, "h2c") &&
         std::any_of(upgrades.begin(), upgrades.end(),
                     [&](std::string_view one) { return http::same_name(one, protocol); });
}

// What of the list may pass, in its order. Whoever is asked for a protocol that it does not offer
// goes on as if it had not been asked (RFC 9110 §7.8). HTTP/2 in the place of HTTP/1 is never
// offered: it would be agreed on behind the proxy's back.
std::string_view passing_upgrade(http::RequestHead& head LIFETIMEBOUND,
                                 const std::vector<std::string>& upgrades) {
  if (head.is_connect()) return {};
  std::string passing;
  std::string_view asked = head.upgrade;
  for (std::string_view one = http::next_element(asked); !one.empty();
       one = http::next_element(asked)) {
    if (!may_pass(upgrades, one)) continue;
    if (!passing.empty()) passing += ", ";
    passing += one;
  }
  return passing == head.upgrade ? head.upgrade : head.fields.keep(passing);
}

// RFC 9110 §7.6.1. What is written upstream names its own.
void drop_hop_fields(http::RequestHead& head, const std::vector<std::string>& upgrades) {
  Fields& fields = head.fields;
  drop_nominated(fields);
  head.upgrade = passing_upgrade(head, upgrades);
  fields.remove(FieldName::keep_alive | FieldName::proxy_connection | FieldName::transfer_encoding);
  if (head.upgrade.empty()) {
    fields.remove(FieldName::connection | FieldName::upgrade);
  } else {
    fields.set({"upgrade", head.upgrade, FieldName::upgrade});
  }
  if (!fields.has(FieldName::te)) return;
  const bool trailers = http::list_names(fields, FieldName::te, "trailers");
  fields.remove(FieldName::te);
  if (trailers) fields.add({"te", "trailers", FieldName::te});
}

// ── Who asks ─────────────────────────────────────────────────────────────────────────────────────

void tell_peer(Fields& fields, std::string_view peer) {
  const std::string_view before = http::whole_list(fields, FieldName::x_forwarded_for);
  if (before.empty()) {
    fields.set({"x-forwarded-for", peer, FieldName::x_forwarded_for});
  } else {
    fields.set_copy("x-forwarded-for", fmt::format("{},{}", before, peer));
  }
}

}  // namespace

bool needs_id(const config::HttpConnectionManager& manager, const http::RequestHead& head) {
  if (!manager.generate_request_id) return false;
  const bool anew = manager.use_remote_address && !manager.preserve_external_request_id;
  return anew || !head.fields.has(FieldName::x_request_id);
}

void receive(http::RequestHead& head, const config::HttpConnectionManager& manager,
             const Arrival& arrival LIFETIMEBOUND) {
  const bool edge = manager.use_remote_address;
  if (head.fields.has(of_the_hop)) drop_hop_fields(head, manager.upgrades);
  const bool answered_here = head.expect_continue && manager.answer_expect;
  if (answered_here || head.version == http::Version::http10) {
    head.fields.remove(FieldName::expect);
  }
  drop_untrusted(head.fields, edge);
  if (edge) {
    head.scheme = {};
    tell_peer(head.fields, arrival.peer);
  }
  if (edge || !head.fields.has(FieldName::x_forwarded_proto)) {
    head.fields.set({"x-forwarded-proto", "http", FieldName::x_forwarded_proto});
  }
  if (!arrival.id.empty()) {
    head.fields.set({"x-request-id", arrival.id, FieldName::x_request_id});
  }
}

std::string_view host_of(std::string_view address LIFETIMEBOUND) {
  const std::string_view host = address.substr(0, address.rfind(':'));
  if (host.size() > 2 && host.front() == '[') return host.substr(1, host.size() - 2);
  return host;
}

std::string_view scheme_of(const http::RequestHead& head) {
  if (!head.scheme.empty()) return head.scheme;
  const std::string_view forwarded = head.fields.value(FieldName::x_forwarded_proto);
  return http::same_name(forwarded, "https") ? "https" : "http";
}

}  // namespace fairlead::proxy
