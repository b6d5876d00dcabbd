#include "lab/scenarios/world_maker.h"

#include <fmt/format.h>

#include <algorithm>

namespace fairlead::lab::worlds {
namespace {

// Of the chances, in percent.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  bool in_hundred(std::uint64_t chances) { return random_.below(100) < chances; }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_.below(bound)); }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

 private:
  SeededRandom random_;
};

// ── a world ─────────────────────────────────────────────────────────────────────────────────────

AppKind kind_of(Dice& dice, bool in_mesh) {
  const std::size_t roll = dice.below(100);
  if (roll < 40) return AppKind::pod;
  if (roll < 60) return AppKind::deployment;
  if (roll < 80 || in_mesh) return AppKind::stateful_set;
  return roll < 90 ? AppKind::virtual_machine : AppKind::host_network;
}

void choose_capture(Dice& dice, App& app) {
  if (app.name_space != "mesh") return;
  app.sidecar = !dice.in_hundred(10);
  app.as_proxy_user = dice.in_hundred(12);
  if (!app.sidecar || !dice.in_hundred(30)) return;
  app.annotation =
      dice.one_of<std::string>({"excludeOutboundPorts: \"80\"", "excludeInboundPorts: \"8080\"",
                                "excludeOutboundIPRanges: \"10.96.0.0/16,fd00:10:96::/112\"",
                                "includeOutboundPorts: \"7000\"", "includeInboundPorts: \"9090\""});
}

App make_app(Dice& dice, std::size_t number) {
  App app{.name = fmt::format("a{}", number)};
  app.name_space = dice.in_hundred(55) ? "mesh" : "plain";
  app.kind = kind_of(dice, app.name_space == "mesh");
  if (app.kind == AppKind::deployment || app.kind == AppKind::stateful_set) {
    app.replicas = static_cast<int>(1 + dice.below(2));
  }
  app.listens = dice.one_of<std::uint16_t>({8080, 9090, 80});
  if (app.kind == AppKind::host_network) {
    app.listens = static_cast<std::uint16_t>(23000 + number);
  }
  app.speaks_http = dice.in_hundred(85);
  const std::size_t roll = dice.below(100);
  app.declares = roll < 70 ? app.listens : roll < 85 ? std::uint16_t{0} : std::uint16_t{7070};
  if (app.declares != 0 && dice.in_hundred(50)) app.port_name = "web";
  choose_capture(dice, app);
  return app;
}

std::string target_of(Dice& dice, const App& app, std::uint16_t port) {
  const std::size_t roll = dice.below(100);
  const bool named = !app.port_name.empty() && app.kind != AppKind::virtual_machine;
  if (roll < 30 && named) return app.port_name;
  if (roll < 40) return "4446";
  if (roll < 50 || port == app.listens) return "";
  return std::to_string(app.listens);
}

Service make_service(Dice& dice, const App& app, std::size_t number) {
  Service service{
      .name = fmt::format("s{}", number), .name_space = app.name_space, .app = app.name};
  service.kind = dice.in_hundred(25) ? ServiceKind::headless : ServiceKind::cluster_ip;
  const bool machine = app.kind == AppKind::virtual_machine;
  const std::size_t families = dice.below(100);
  service.v6 = families >= 60;
  service.v4 = machine || families < 80;
  service.port = dice.one_of<std::uint16_t>({80, 8080, 7000});
  service.port_name = dice.one_of<std::string>({"http", "http", "tcp-x", ""});
  service.target = target_of(dice, app, service.port);
  return service;
}

// ── its manifest ────────────────────────────────────────────────────────────────────────────────

std::string pod_spec(const App& app, const std::string& indent) {
  std::string text;
  const auto line = [&](const std::string& words) { text += indent + words + "\n"; };
  line("terminationGracePeriodSeconds: 1");
  if (app.as_proxy_user) line("securityContext: {runAsUser: 1337, runAsGroup: 1337}");
  if (app.kind == AppKind::host_network) {
    line("hostNetwork: true");
    line("nodeName: node1");
  }
  line("containers:");
  line("- name: app");
  line("  image: fairlead/sample-app");
  line(fmt::format("  command: [fairlead, sample-app, --{}, \"{}\"{}]",
                   app.speaks_http ? "port" : "tcp-port", app.listens,
                   app.speaks_http ? "" : ", --port, \"1\""));
  if (app.declares != 0) {
    line(fmt::format("  ports: [{{containerPort: {}{}}}]", app.declares,
                     app.port_name.empty() ? "" : ", name: " + app.port_name));
  }
  line(fmt::format("  readinessProbe: {{tcpSocket: {{port: {}}}, periodSeconds: 1}}", app.listens));
  return text;
}

std::string metadata_of(const App& app, const std::string& indent) {
  std::string annotations;
  if (!app.annotation.empty()) annotations = "traffic.sidecar.istio.io/" + app.annotation;
  std::string text = fmt::format("{0}labels: {{app: {1}}}\n", indent, app.name);
  if (app.name_space == "mesh" && !app.sidecar) {
    annotations +=
        (annotations.empty() ? "" : ", ") + std::string("sidecar.istio.io/inject: \"false\"");
  }
  if (!annotations.empty()) text += fmt::format("{}annotations: {{{}}}\n", indent, annotations);
  return text;
}

std::string machine_of(const App& app, std::size_t number) {
  return fmt::format(R"(---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: {0}
  namespace: {1}
  annotations:
    fairlead/vm: "true"
    fairlead/command: fairlead sample-app --pod {0} --{2} {3}{4}
spec: {{address: 10.200.0.{5}, labels: {{app: {0}}}}}
)",
                     app.name, app.name_space, app.speaks_http ? "port" : "tcp-port", app.listens,
                     app.speaks_http ? "" : " --port 1", number + 2);
}

std::string owner_of(const App& app) {
  const bool stateful = app.kind == AppKind::stateful_set;
  return fmt::format(
      R"(---
apiVersion: apps/v1
kind: {0}
metadata: {{name: {1}, namespace: {2}}}
spec:
  replicas: {3}
  {4}selector: {{matchLabels: {{app: {1}}}}}
  template:
    metadata:
{5}    spec:
{6})",
      stateful ? "StatefulSet" : "Deployment", app.name, app.name_space, app.replicas,
      stateful ? fmt::format("serviceName: {}-own\n  podManagementPolicy: Parallel\n  ", app.name)
               : "",
      metadata_of(app, "      "), pod_spec(app, "      "));
}

std::string text_of(const App& app, std::size_t number) {
  switch (app.kind) {
    case AppKind::virtual_machine:
      return machine_of(app, number);
    case AppKind::deployment:
    case AppKind::stateful_set:
      return owner_of(app);
    case AppKind::pod:
    case AppKind::host_network:
      break;
  }
  return fmt::format(
      "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {}\n  namespace: {}\n{}spec:\n{}",
      app.name, app.name_space, metadata_of(app, "  "), pod_spec(app, "  "));
}

std::string families_of(const Service& service) {
  const bool both = service.v4 && service.v6;
  return fmt::format("ipFamilies: [{}]\n  ipFamilyPolicy: {}",
                     both         ? "IPv4, IPv6"
                     : service.v4 ? "IPv4"
                                  : "IPv6",
                     both ? "RequireDualStack" : "SingleStack");
}

std::string text_of(const Service& service) {
  std::string text = fmt::format(
      "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {}, namespace: {}}}\nspec:\n",
      service.name, service.name_space);
  if (service.kind == ServiceKind::external_name) {
    return text + fmt::format("  type: ExternalName\n  externalName: {}\n", service.alias);
  }
  if (service.kind == ServiceKind::headless) text += "  clusterIP: None\n";
  std::string port = fmt::format("port: {}", service.port);
  if (!service.port_name.empty()) port += ", name: " + service.port_name;
  if (!service.target.empty()) port += ", targetPort: " + service.target;
  return text + fmt::format("  selector: {{app: {}}}\n  ports: [{{{}}}]\n  {}\n", service.app, port,
                            families_of(service));
}

// ── calls ───────────────────────────────────────────────────────────────────────────────────────

const App& app_of(const World& world, const Place& place) {
  return *std::find_if(world.apps.begin(), world.apps.end(),
                       [&](const App& app) { return app.name == place.app; });
}

std::string name_of(Dice& dice, const std::string& name, const std::string& name_space) {
  return dice.one_of<std::string>({name, name + "." + name_space, name + "." + name_space,
                                   name + "." + name_space + ".svc",
                                   name + "." + name_space + ".svc.cluster.local",
                                   name + "." + name_space + ".svc.cluster.local."});
}

void to_service(Dice& dice, const World& world, const std::vector<Place>& places, Call& call) {
  const Service& service = dice.one_of(world.services);
  call.host = name_of(dice, service.name, service.name_space);
  call.port = dice.in_hundred(85) ? service.port : std::uint16_t{9999};
  if (service.kind != ServiceKind::headless) return;
  const App& app = *std::find_if(world.apps.begin(), world.apps.end(),
                                 [&](const App& each) { return each.name == service.app; });
  if (dice.in_hundred(50)) call.port = app.listens;  // nobody translates a headless one's
  if (service.name != app.name + "-own" || !dice.in_hundred(50)) return;
  std::vector<const Place*> pods;
  for (const Place& place : places) {
    if (place.app == app.name) pods.push_back(&place);
  }
  if (pods.empty()) return;
  const std::string& full = dice.one_of(pods)->name;
  call.host = full.substr(full.find('/') + 1) + "." + service.name + "." + service.name_space;
}

void to_place(Dice& dice, const World& world, const std::vector<Place>& places, Call& call) {
  const Place& place = dice.one_of(places);
  const App& app = app_of(world, place);
  call.host = app.kind != AppKind::virtual_machine && dice.in_hundred(35) ? place.v6 : place.v4;
  const std::size_t roll = dice.below(100);
  call.port = roll < 60                        ? app.listens
              : roll < 75 && app.declares != 0 ? app.declares
              : roll < 88                      ? std::uint16_t{15021}
                                               : std::uint16_t{9999};
  if (call.port == 15021) call.path = "/healthz/ready";
}

void to_itself(Dice& dice, const World& world, const std::vector<Place>& places, Call& call) {
  const auto own = std::find_if(places.begin(), places.end(),
                                [&](const Place& place) { return place.name == call.from; });
  call.host = "localhost";
  call.port = 9999;
  if (own == places.end()) return;
  if (dice.in_hundred(50)) call.host = own->name.substr(own->name.find('/') + 1);
  if (dice.in_hundred(70)) call.port = app_of(world, *own).listens;
}

}  // namespace

World make_world(std::uint64_t seed) {
  Dice dice(seed);
  World world{.seed = seed};
  const std::size_t apps = 4 + dice.below(3);
  for (std::size_t number = 0; number < apps; ++number) {
    world.apps.push_back(make_app(dice, number));
    const App& app = world.apps.back();
    if (app.kind == AppKind::stateful_set) {
      Service own = make_service(dice, app, 0);
      own.name = app.name + "-own";
      own.kind = ServiceKind::headless;
      world.services.push_back(std::move(own));
    }
    const std::size_t services = 1 + dice.below(2);
    for (std::size_t i = 0; i < services; ++i) {
      world.services.push_back(make_service(dice, app, number * 2 + i));
    }
  }
  const Service& meant = dice.one_of(world.services);
  world.services.push_back({.name = "alias",
                            .name_space = "plain",
                            .kind = ServiceKind::external_name,
                            .port = meant.port,
                            .alias = meant.name + "." + meant.name_space + ".svc.cluster.local"});
  return world;
}

std::string manifest_of(const World& world) {
  std::string text = fmt::format(
      "# seed {}\napiVersion: v1\nkind: Namespace\nmetadata: {{name: mesh, labels: "
      "{{istio-injection: enabled}}}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: "
      "plain}}\n",
      world.seed);
  for (std::size_t i = 0; i < world.apps.size(); ++i) text += text_of(world.apps[i], i);
  for (const Service& service : world.services) text += text_of(service);
  return text;
}

std::string Call::url() const {
  const std::string in_url = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return tcp ? fmt::format("tcp://{}:{}", in_url, port)
             : fmt::format("http://{}:{}{}", in_url, port, path);
}

std::vector<Call> make_calls(const World& world, const std::vector<Place>& places,
                             std::size_t count) {
  Dice dice(world.seed ^ 0x9e3779b97f4a7c15U);
  std::vector<Call> calls;
  while (calls.size() < count) {
    Call call;
    call.from = dice.in_hundred(8) ? "node1" : dice.one_of(places).name;
    const std::size_t roll = dice.below(100);
    if (roll < 62) {
      to_service(dice, world, places, call);
    } else if (roll < 87) {
      to_place(dice, world, places, call);
    } else if (roll < 94) {
      to_itself(dice, world, places, call);
    } else if (roll < 97) {
      call.host = dice.one_of<std::string>({"nobody", "s0.nowhere", "nobody.plain.svc"});
    } else {
      call.host = dice.one_of<std::string>({"172.30.0.1", "172.30.0.2"});
      call.port = 22;
    }
    call.tcp = call.path == "/" && dice.in_hundred(20);
    calls.push_back(std::move(call));
  }
  return calls;
}

}  // namespace fairlead::lab::worlds
