// Deployments and the other controllers of pods.
#include "kube/reader.h"

namespace fairlead::kube {
namespace {

// What all controllers have: a selector that is given and picks the template's own pods.
void read_selector_and_template(Scope& spec, LabelSelector& selector, PodTemplate& pods,
                                const std::vector<std::string>& claims = {}) {
  Reader& reader = spec.reader();
  const document::Node node = spec.take("selector");
  read_selector(reader, node, selector);
  read_pod_template(reader, spec.take("template"), pods, claims);
  if (reader.failed()) return;
  if (selector.empty()) {
    return reader.fail(node.expected("a selector (matchLabels) that picks the template's labels"));
  }
  if (!selector.matches(pods.labels)) {
    const document::Node labels = spec.node().get("template").get("metadata").get("labels");
    reader.fail(labels.refused("expected labels that spec.selector picks, found " +
                               (labels.given() ? document::write_json(labels) : "nothing")));
  }
}

void check_given(Reader& reader, const document::Node& spec) {
  if (!spec.given()) reader.fail(spec.expected("an object"));
}

void read_strategy(Scope& spec, Deployment& into) {
  Reader& reader = spec.reader();
  const document::Node node = spec.take("strategy");
  Scope strategy(reader, node, "DeploymentStrategy");
  strategy.choice<bool>("type", into.recreate, {{"RollingUpdate", false}, {"Recreate", true}});
  const document::Node rolling = strategy.take("rollingUpdate");
  if (into.recreate && rolling.given()) {
    reader.fail(rolling.refused("nothing rolls when the type is Recreate"));
  }
  Scope update(reader, rolling, "RollingUpdateDeployment");
  update.share("maxSurge", into.max_surge);
  update.share("maxUnavailable", into.max_unavailable);
  if (into.max_surge.amount == 0 && into.max_unavailable.amount == 0) {
    reader.fail(
        rolling.refused("maxSurge and maxUnavailable are both 0: nothing could ever change"));
  }
}

std::vector<std::string> read_claims(Reader& reader, const document::Node& node) {
  std::vector<std::string> names;
  for (const document::Node& claim : node.children()) {
    const document::Node name = claim.get("metadata").get("name");
    if (!dns_label.holds(name.text())) reader.fail(name.expected(dns_label.expected));
    names.push_back(name.text());
  }
  return names;
}

}  // namespace

void read_spec(Scope& scope, Deployment& into) {
  const document::Node node = scope.take("spec");
  check_given(scope.reader(), node);
  Scope spec(scope.reader(), node, "DeploymentSpec");
  spec.integer("replicas", into.replicas, 0);
  read_selector_and_template(spec, into.selector, into.pod_template);
  read_strategy(spec, into);
}

void read_spec(Scope& scope, ReplicaSet& into) {
  const document::Node node = scope.take("spec");
  check_given(scope.reader(), node);
  Scope spec(scope.reader(), node, "ReplicaSetSpec");
  spec.integer("replicas", into.replicas, 0);
  read_selector_and_template(spec, into.selector, into.pod_template);
}

void read_spec(Scope& scope, StatefulSet& into) {
  const document::Node node = scope.take("spec");
  check_given(scope.reader(), node);
  Scope spec(scope.reader(), node, "StatefulSetSpec");
  spec.integer("replicas", into.replicas, 0);
  read_selector_and_template(spec, into.selector, into.pod_template,
                             read_claims(scope.reader(), node.get("volumeClaimTemplates")));
  spec.text("serviceName", into.service_name);
  if (!into.service_name.empty() && !dns_label.holds(into.service_name)) {
    scope.reader().fail(node.get("serviceName").expected(dns_label.expected));
  }
  spec.choice<bool>("podManagementPolicy", into.parallel,
                    {{"OrderedReady", false}, {"Parallel", true}});
  Scope strategy(scope.reader(), spec.take("updateStrategy"), "StatefulSetUpdateStrategy");
  strategy.choice<bool>("type", into.on_delete, {{"RollingUpdate", false}, {"OnDelete", true}});
  Scope rolling(scope.reader(), strategy.take("rollingUpdate"), "RollingUpdateStatefulSet");
  rolling.integer("partition", into.partition, 0);
}

void read_spec(Scope& scope, DaemonSet& into) {
  const document::Node node = scope.take("spec");
  check_given(scope.reader(), node);
  Scope spec(scope.reader(), node, "DaemonSetSpec");
  read_selector_and_template(spec, into.selector, into.pod_template);
  Scope strategy(scope.reader(), spec.take("updateStrategy"), "DaemonSetUpdateStrategy");
  strategy.choice<bool>("type", into.on_delete, {{"RollingUpdate", false}, {"OnDelete", true}});
  Scope rolling(scope.reader(), strategy.take("rollingUpdate"), "RollingUpdateDaemonSet");
  rolling.share("maxUnavailable", into.max_unavailable);
}

}  // namespace fairlead::kube
