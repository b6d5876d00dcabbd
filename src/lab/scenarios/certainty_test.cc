// `fairlead path` beside real packets where it is easily too sure: who listens, whose port it is,
// which family is taken, what a record that is late tells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/scenarios/lab_under_test.h"

namespace fairlead::lab {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string one_pod(const std::string& name_space, const std::string& name,
                    const std::string& command, const std::string& ports,
                    const std::string& spec = "") {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: " + name_space +
         ", labels: {app: " + name + "}}\nspec:\n  terminationGracePeriodSeconds: 1\n" + spec +
         "  containers:\n  - name: app\n    image: fairlead/sample-app\n    command: [fairlead, "
         "sample-app, " +
         command + "]\n    ports: [" + ports +
         "]\n    readinessProbe: {exec: {command: [\"true\"]}}\n";
}

std::string one_service(const std::string& name_space, const std::string& name,
                        const std::string& app, const std::string& port,
                        const std::string& more = "") {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         ", namespace: " + name_space + "}\nspec:\n  selector: {app: " + app + "}\n  ports: [{" +
         port + "}]\n" + more;
}

std::string manifest() {
  const std::string usual = "--port, \"8080\"";
  const std::string port = "{containerPort: 8080}";
  const std::string both = "  ipFamilies: [IPv4, IPv6]\n  ipFamilyPolicy: RequireDualStack\n";
  return "apiVersion: v1\nkind: Namespace\nmetadata: {name: mesh, labels: {istio-injection: "
         "enabled}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: plain}\n" +
         one_pod("mesh", "a", usual, port) + one_pod("mesh", "b", usual, port) +
         one_pod("mesh", "u", usual, port, "  securityContext: {runAsUser: 1337}\n") +
         one_service("mesh", "b", "b", "port: 8080, name: tcp-x") +
         one_service("mesh", "c", "a", "port: 8080, name: http") +
         one_service("mesh", "s", "a", "port: 7070, targetPort: 8080, name: tcp-x") +
         one_pod("plain", "a", usual, port) + one_pod("plain", "d", usual, port) +
         one_service("plain", "d", "d", "port: 80, targetPort: 8080, name: http", both) +
         one_pod("plain", "other", usual, "{containerPort: 9090}") +
         one_service("plain", "other", "other", "port: 80, targetPort: 9090, name: http") +
         one_pod("plain", "none", usual, "") +
         one_service("plain", "none", "none", "port: 80, targetPort: 4446, name: http") +
         one_service("plain", "served", "none", "port: 80, targetPort: 8080, name: http") +
         one_pod("plain", "echo", "--tcp-port, \"9090\", --port, \"1\"", "{containerPort: 9090}") +
         one_service("plain", "echo", "echo", "port: 80, targetPort: 9090, name: http") +
         one_pod("plain", "h1", "--port, \"23001\"", "{containerPort: 23001}",
                 "  hostNetwork: true\n  nodeName: node1\n") +
         one_pod("plain", "h2", "--port, \"23002\"", "{containerPort: 23002}",
                 "  hostNetwork: true\n  nodeName: node1\n") +
         one_service("plain", "h2", "h2", "port: 80, targetPort: 23002") +
         one_pod("plain", "far", usual, port, "  nodeName: node3\n") +
         one_service("plain", "far", "far", "port: 80, targetPort: 8080") +
         R"(---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: vm
  namespace: plain
  annotations: {fairlead/vm: "true", fairlead/command: fairlead sample-app --pod vm --port 8080}
spec: {address: 10.200.0.2, labels: {app: vm}}
)" + one_service("plain", "v", "vm", "port: 80, targetPort: 8080, name: http", both) +
         one_service("plain", "six", "vm", "port: 80, targetPort: 8080, name: http",
                     "  ipFamilies: [IPv6]\n  ipFamilyPolicy: SingleStack\n");
}

struct Case {
  const char* from;
  std::string url;
  int status;
  std::string first_line;
};

TEST(CertaintyInALab, EachCallEndsAsItIsForetold) {
  LabUnderTest lab(everyone().front());
  ASSERT_TRUE(lab.up(manifest())) << lab.said();
  const auto address_of = [&](const std::string& name_space, const std::string& name) {
    for (const nlohmann::json& pod : lab.status().value("pods", nlohmann::json::array())) {
      if (pod.value("name", "") == name && pod.value("namespace", "") == name_space) {
        return pod.at("addresses").at(0).get<std::string>();
      }
    }
    return std::string("none");
  };
  const std::string of_b = address_of("mesh", "b");
  const std::vector<Case> cases{
      // A record is there while its connection is open.
      {"mesh/a", "http://" + of_b + ":8080/", 0, "arrived at mesh/b, as predicted"},
      {"mesh/a", "http://s:7070/", 0, "arrived at mesh/a, as predicted"},
      {"mesh/a", "tcp://s:7070", 0, "arrived at mesh/a, as predicted"},
      // A port of the caller's own proxy.
      {"mesh/a", "http://" + of_b + ":15021/healthz/ready", 0, "arrived at mesh/a, as predicted"},
      {"mesh/a", "http://" + of_b + ":15021/", 3, "did not arrive, as predicted: 404 NR"},
      {"plain/a", "http://" + of_b + ":15021/healthz/ready", 0, "arrived at mesh/b, as predicted"},
      // Its app runs as the proxy's user.
      {"mesh/u", "http://c:8080/", 0, "arrived at mesh/a, as predicted"},
      // Who listens.
      {"plain/a", "http://other/", 3,
       "did not arrive, as predicted: nothing listens on port 9090 of plain/other"},
      {"plain/a", "http://none/", 3,
       "did not arrive, as predicted: nothing listens on port 4446 of plain/none"},
      {"mesh/a", "http://none.plain/", 3,
       "did not arrive, as predicted: nothing listens on port 4446 of plain/none"},
      {"plain/a", "http://served/", 0, "arrived at plain/none, as predicted"},
      {"plain/a", "http://echo/", 0,
       "arrived at plain/echo, as predicted: the app does not speak HTTP"},
      {"mesh/a", "http://echo.plain/", 0,
       "arrived at plain/echo, as predicted: the app does not speak HTTP"},
      // Two pods on one node's network.
      {"plain/a", "http://h2/", 0, "arrived at plain/h2, as predicted"},
      {"plain/h1", "http://localhost:23002/", 0, "arrived at plain/h2, as predicted"},
      {"plain/a", "http://172.30.0.1:23003/", 3,
       "did not arrive, as predicted: nothing listens on port 23003 of node1"},
      // Whom a node asks.
      {"node1", "http://d.plain.svc.cluster.local/", 3,
       "did not arrive, as predicted: a process on node1 asks "},
      // Both families.
      {"plain/a", "http://d/", 0, "arrived at plain/d, as predicted"},
      {"mesh/a", "http://d.plain/", 0, "arrived at plain/d, as predicted"},
      {"plain/a", "http://v/", 0, "arrived at plain/vm, as predicted"},
      {"plain/a", "http://six/", 3,
       "did not arrive, as predicted: Service plain/six has no endpoint that is ready: plain/vm "
       "has no"},
      // A node that only a pod names.
      {"plain/a", "http://far/", 0, "arrived at plain/far, as predicted"},
  };
  for (const Case& each : cases) {
    const Ran ran = lab.path(each.from, each.url, {"--live"});
    EXPECT_EQ(ran.status, each.status) << each.from << " to " << each.url << "\n"
                                       << ran.out << ran.error;
    EXPECT_THAT(ran.out, StartsWith(each.first_line)) << each.from << " to " << each.url;
    EXPECT_THAT(ran.out, Not(HasSubstr("✗"))) << each.from << " to " << each.url;
  }
  // Without a request, the same is known.
  EXPECT_EQ(lab.path("plain/a", "http://none/").status, 3);
  EXPECT_THAT(lab.path("plain/a", "http://served/").out, StartsWith("arrives at plain/none\n"));
}

}  // namespace
}  // namespace fairlead::lab
