// Random worlds for the lab: apps of every kind, services before them, and calls between them. The
// same seed makes the same world. Nothing of this asks the code that is tested.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"

namespace fairlead::lab::worlds {

enum class AppKind : std::uint8_t { pod, deployment, stateful_set, virtual_machine, host_network };

struct App {
  std::string name;
  std::string name_space;  // "mesh", whose pods have a sidecar, or "plain"
  AppKind kind = AppKind::pod;
  int replicas = 1;
  bool sidecar = false;
  std::uint16_t listens = 8080;
  bool speaks_http = true;     // else it sends back what comes
  std::uint16_t declares = 0;  // a port of its container; 0: none
  std::string port_name;       // of that port
  bool as_proxy_user = false;  // runAsUser 1337: capture leaves it alone
  std::string annotation;      // of capture: "excludeOutboundPorts: \"80\""
};

enum class ServiceKind : std::uint8_t { cluster_ip, headless, external_name };

struct Service {
  std::string name;
  std::string name_space;
  ServiceKind kind = ServiceKind::cluster_ip;
  std::string app;  // whose pods it selects
  bool v4 = true;
  bool v6 = false;
  std::uint16_t port = 80;
  std::string port_name;  // "http", "tcp-x" or none
  std::string target;     // a number, a name, or empty: the same as `port`
  std::string alias;      // of external_name
};

struct World {
  std::uint64_t seed = 0;
  std::vector<App> apps;
  std::vector<Service> services;
};

[[nodiscard]] World make_world(std::uint64_t seed);
[[nodiscard]] std::string manifest_of(const World& world);

// A pod or a VM that runs.
struct Place {
  std::string name;  // "namespace/name"
  std::string app;
  std::string node;
  std::string v4;
  std::string v6;
};

struct Call {
  std::string from;  // "namespace/name" of a place, or a node's name
  std::string host;
  std::uint16_t port = 80;
  std::string path = "/";
  bool tcp = false;
  [[nodiscard]] std::string url() const;
};

[[nodiscard]] std::vector<Call> make_calls(const World& world, const std::vector<Place>& places,
                                           std::size_t count);
// By names of every form, by addresses, to ports that are served and others.

}  // namespace fairlead::lab::worlds
