#include "lab/scenarios/kubernetes_model.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace fairlead::lab::worlds {
namespace {

constexpr const char* domain = ".svc.cluster.local";

// An address of a service, or one of a place.
struct Address {
  const Service* service = nullptr;
  const Place* place = nullptr;
  bool v6 = false;
};

bool is_own_port_of_a_sidecar(std::uint16_t port) {
  return port == 15021 || port == 15090;
}

class Model {
 public:
  Model(const World& world, const std::vector<Place>& places, const Call& call)
      : world_(world), places_(places), call_(call), from_(place_named(call.from)) {}

  Expectation answer() {
    if (call_.host.find_first_not_of("0123456789.") == std::string::npos ||
        call_.host.find(':') != std::string::npos) {
      return by_address();
    }
    if (call_.host == "localhost" || (from_ != nullptr && call_.host == own_name()))
      return itself();
    if (from_ == nullptr) return {};  // a process on a node: its resolver knows no service
    // glibc, with addresses of both: IPv6 first.
    const std::vector<Address> found = resolve();
    std::vector<Address> sorted;
    for (const bool v6 : {true, false}) {
      std::copy_if(found.begin(), found.end(), std::back_inserter(sorted),
                   [&](const Address& one) { return one.v6 == v6; });
    }
    return first_that_takes(sorted);
  }

 private:
  const Place* place_named(const std::string& name) const {
    const auto found = std::find_if(places_.begin(), places_.end(),
                                    [&](const Place& place) { return place.name == name; });
    return found == places_.end() ? nullptr : &*found;
  }

  const App& app_of(const Place& place) const {
    return *std::find_if(world_.apps.begin(), world_.apps.end(),
                         [&](const App& app) { return app.name == place.app; });
  }

  std::string own_name() const { return from_->name.substr(from_->name.find('/') + 1); }
  std::string name_space() const { return from_->name.substr(0, from_->name.find('/')); }
  static bool shares_a_node(const App& app) { return app.kind == AppKind::host_network; }

  bool has_sidecar(const Place& place) const { return app_of(place).sidecar; }

  // Whether the caller's proxy takes what it dials.
  bool is_captured(bool to_a_service, bool to_itself) const {
    if (from_ == nullptr || to_itself) return false;
    const App& app = app_of(*from_);
    if (!app.sidecar || app.as_proxy_user) return false;
    if (app.annotation.starts_with("excludeOutboundPorts") && call_.port == 80) return false;
    if (app.annotation.starts_with("excludeOutboundIPRanges") && to_a_service) return false;
    if (app.annotation.starts_with("includeOutboundPorts")) return true;  // besides all ranges
    return true;
  }

  // ── whom a connection reaches ───────────────────────────────────────────────────────────────

  // Of a place, at its own address.
  Expectation at(const Place& place, std::uint16_t port, bool from_outside) const {
    const App& app = app_of(place);
    if (app.sidecar && is_own_port_of_a_sidecar(port)) return {.answerers = {place.name}};
    static_cast<void>(from_outside);
    if (port == app.listens || (!app.speaks_http && port == 1)) return {.answerers = {place.name}};
    return {};
  }

  // At a node's address: any of the pods that have it.
  Expectation at_node(std::uint16_t port) const {
    for (const Place& place : places_) {
      if (shares_a_node(app_of(place)) && app_of(place).listens == port) {
        return {.answerers = {place.name}};
      }
    }
    return {};
  }

  Expectation at_address(const Place& place, std::uint16_t port) const {
    const bool own = from_ == &place;
    if (is_own_port_of_a_sidecar(port) && is_captured(false, own)) {
      return {.answerers = {from_->name}};
    }
    return shares_a_node(app_of(place)) ? at_node(port) : at(place, port, !own);
  }

  Expectation itself() const {
    if (from_ == nullptr || shares_a_node(app_of(*from_))) return at_node(call_.port);
    return at(*from_, call_.port, false);
  }

  Expectation by_address() const {
    for (const Place& place : places_) {
      if (place.v4 != call_.host && place.v6 != call_.host) continue;
      return at_address(place, call_.port);
    }
    if (is_own_port_of_a_sidecar(call_.port) && is_captured(false, false)) {
      return {.answerers = {from_->name}};
    }
    return call_.host == "172.30.0.1" ? at_node(call_.port) : Expectation();
  }

  std::vector<const Place*> pods_behind(const Service& service, std::optional<bool> v6) const {
    std::vector<const Place*> pods;
    for (const Place& place : places_) {
      const bool in_it =
          place.app == service.app && place.name.starts_with(service.name_space + "/");
      // A VM is known by the address of its manifest alone.
      const bool has_v6 = app_of(place).kind != AppKind::virtual_machine;
      if (in_it && (!v6 || !*v6 || has_v6)) pods.push_back(&place);
    }
    return pods;
  }

  // The pod's port behind the service's; none when its containers have no port of that name.
  std::optional<std::uint16_t> target_port(const Service& service, const Place& place) const {
    if (service.target.empty()) return service.port;
    if (service.target.find_first_not_of("0123456789") == std::string::npos) {
      return static_cast<std::uint16_t>(std::stoi(service.target));
    }
    const App& app = app_of(place);
    if (app.declares == 0 || app.port_name != service.target) return std::nullopt;
    return app.declares;
  }

  Expectation at_service(const Address& address) const {
    const Service& service = *address.service;
    const bool captured = is_captured(true, false);
    if (captured && is_own_port_of_a_sidecar(call_.port)) return {.answerers = {from_->name}};
    if (call_.port != service.port) return {};
    Expectation all;
    const std::optional<bool> family = captured ? std::nullopt : std::optional(address.v6);
    for (const Place* place : pods_behind(service, family)) {
      const std::optional<std::uint16_t> port = target_port(service, *place);
      if (!port) continue;
      const bool node = shares_a_node(app_of(*place));
      const Expectation one = node ? at_node(*port) : at(*place, *port, true);
      all.may_fail = all.may_fail || one.answerers.empty();
      all.answerers.insert(one.answerers.begin(), one.answerers.end());
    }
    return all;
  }

  // ── names ───────────────────────────────────────────────────────────────────────────────────

  void add_services_addresses(const Service& service, std::vector<Address>& found) const {
    if (service.kind == ServiceKind::cluster_ip) {
      if (service.v4) found.push_back({.service = &service, .v6 = false});
      if (service.v6) found.push_back({.service = &service, .v6 = true});
      return;
    }
    for (const bool v6 : {false, true}) {
      if (v6 ? !service.v6 : !service.v4) continue;
      for (const Place* place : pods_behind(service, v6)) {
        if (target_port(service, *place)) found.push_back({.place = place, .v6 = v6});
      }
    }
  }

  void look_up(const std::string& name, std::vector<Address>& found) const {
    for (const Service& service : world_.services) {
      const std::string host = service.name + "." + service.name_space + domain;
      if (name == host) {
        if (service.kind == ServiceKind::external_name) return look_up(service.alias, found);
        return add_services_addresses(service, found);
      }
      if (service.kind != ServiceKind::headless || !name.ends_with("." + host)) continue;
      const std::string pod = name.substr(0, name.size() - host.size() - 1);
      std::vector<Address> all;
      add_services_addresses(service, all);
      for (const Address& one : all) {
        const App& app = app_of(*one.place);
        const bool has_a_name =
            app.kind == AppKind::stateful_set && service.name == app.name + "-own";
        if (has_a_name && one.place->name.ends_with("/" + pod)) found.push_back(one);
      }
      return;
    }
  }

  // With fewer than five dots the search path comes first.
  std::vector<Address> resolve() const {
    std::vector<std::string> names;
    if (call_.host.ends_with('.')) {
      names = {call_.host.substr(0, call_.host.size() - 1)};
    } else {
      names = {call_.host + "." + name_space() + domain, call_.host + domain,
               call_.host + ".cluster.local", call_.host};
    }
    std::vector<Address> found;
    for (const std::string& name : names) {
      look_up(name, found);
      if (!found.empty()) break;
    }
    return found;
  }

  // Whoever is refused goes on; whom a proxy has taken does not.
  Expectation first_that_takes(const std::vector<Address>& found) const {
    Expectation all;
    std::optional<bool> family;
    for (const Address& address : found) {
      if (family && *family != address.v6 && !all.answerers.empty()) break;
      family = address.v6;
      const Expectation one =
          address.service != nullptr ? at_service(address) : at_address(*address.place, call_.port);
      const bool taken = is_captured(address.service != nullptr, address.place == from_);
      all.answerers.insert(one.answerers.begin(), one.answerers.end());
      all.may_fail = all.may_fail || one.may_fail || (taken && one.answerers.empty());
      if (taken && one.answerers.empty()) break;
    }
    return all;
  }

  const World& world_;
  const std::vector<Place>& places_;
  const Call& call_;
  const Place* from_;
};

}  // namespace

Expectation expect(const World& world, const std::vector<Place>& places, const Call& call) {
  return Model(world, places, call).answer();
}

}  // namespace fairlead::lab::worlds
