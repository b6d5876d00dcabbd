// Policies of Istio and Kubernetes, as far as it takes to say whom they would judge.
#include "kube/reader.h"

namespace fairlead::kube {
namespace {

constexpr const char* not_enforced = "it is not enforced";

// Istio's selector, or its targets. A target that is no Service is a gateway, of which there is
// none.
void read_target(Reader& reader, const document::Node& node, Policy& into) {
  if (!node.given()) return;
  into.by_target = true;
  Scope scope(reader, node, "PolicyTargetReference");
  std::string group;
  std::string kind;
  std::string name;
  scope.text("group", group);
  scope.required("kind", kind, not_empty);
  scope.required("name", name, not_empty);
  if (kind == "Service" && (group.empty() || group == "core")) into.services.push_back(name);
}

void read_whom(Scope& spec, Policy& into) {
  Reader& reader = spec.reader();
  {
    Scope selector(reader, spec.take("selector"), "WorkloadSelector.matchLabels");
    selector.string_map("matchLabels", into.selector.match_labels, label_key, &label_value);
  }
  read_target(reader, spec.take("targetRef"), into);
  spec.each("targetRefs", [&](const document::Node& item) { read_target(reader, item, into); });
}

void read_mode(Reader& reader, const document::Node& node, MutualTls& into) {
  Scope scope(reader, node, "MutualTLS");
  scope.choice<MutualTls>("mode", into,
                          {{"UNSET", MutualTls::unset},
                           {"DISABLE", MutualTls::optional},
                           {"PERMISSIVE", MutualTls::optional},
                           {"STRICT", MutualTls::required}});
}

bool has_items(Reader& reader, const document::Node& node) {
  if (!node.given()) return false;
  if (!node.is_list()) reader.fail(node.expected("a list"));
  return node.size() > 0;
}

}  // namespace

void read_spec(Scope& scope, PeerAuthentication& into) {
  Reader& reader = scope.reader();
  Scope spec(reader, scope.take("spec"), "PeerAuthenticationSpec");
  {
    Scope selector(reader, spec.take("selector"), "WorkloadSelector.matchLabels");
    selector.string_map("matchLabels", into.selector.match_labels, label_key, &label_value);
  }
  read_mode(reader, spec.take("mtls"), into.mode);
  const document::Node ports = spec.take("portLevelMtls");
  if (ports.given() && !ports.is_object()) reader.fail(ports.expected("an object of ports"));
  bool required = into.mode == MutualTls::required;
  for (const document::Node& port : ports.children()) {
    const std::string& text = port.key();
    const bool number = !text.empty() && text.size() <= 5 &&
                        text.find_first_not_of("0123456789") == std::string::npos;
    const int value = number ? std::stoi(text) : 0;
    if (value < 1 || value > UINT16_MAX) {
      return reader.fail(port.refused("a port from 1 to 65535 is expected as its name"));
    }
    MutualTls& mode = into.ports[static_cast<std::uint16_t>(value)];
    read_mode(reader, port, mode);
    required = required || mode == MutualTls::required;
  }
  if (required) reader.ignore_whole(not_enforced);
}

void read_spec(Scope& scope, AuthorizationPolicy& into) {
  Reader& reader = scope.reader();
  Scope spec(reader, scope.take("spec"), "AuthorizationPolicySpec");
  read_whom(spec, into);
  const char* action = "ALLOW";
  spec.choice<const char*>(
      "action", action,
      {{"ALLOW", "ALLOW"}, {"DENY", "DENY"}, {"AUDIT", "AUDIT"}, {"CUSTOM", "CUSTOM"}});
  into.action = action;
  into.has_rules = has_items(reader, spec.take("rules"));
  (void)spec.take("provider");
  if (into.can_refuse()) {
    reader.ignore_whole(not_enforced);
  } else if (into.action == "AUDIT") {
    reader.ignore_whole("nothing is audited");
  }
}

void read_spec(Scope& scope, RequestAuthentication& into) {
  Reader& reader = scope.reader();
  Scope spec(reader, scope.take("spec"), "RequestAuthenticationSpec");
  read_whom(spec, into);
  into.has_rules = has_items(reader, spec.take("jwtRules"));
  if (into.has_rules) reader.ignore_whole(not_enforced);
}

void read_spec(Scope& scope, NetworkPolicy& into) {
  Reader& reader = scope.reader();
  Scope spec(reader, scope.take("spec"), "NetworkPolicySpec");
  read_selector(reader, spec.take("podSelector"), into.selector);
  (void)spec.take("ingress");
  into.egress = spec.take("egress").given();
  std::vector<std::string> types;
  spec.strings("policyTypes", types);
  if (!types.empty()) into.ingress = into.egress = false;
  for (const std::string& type : types) {
    if (type == "Ingress") {
      into.ingress = true;
    } else if (type == "Egress") {
      into.egress = true;
    } else {
      reader.fail(spec.node().get("policyTypes").expected("Ingress or Egress"));
    }
  }
  reader.ignore_whole(not_enforced);
}

}  // namespace fairlead::kube
