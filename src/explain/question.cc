#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>
#include <utility>

#include "base/near.h"
#include "explain/endpoints.h"
#include "explain/path.h"
#include "http/fields.h"

namespace fairlead::explain {
namespace {

// ── where to ────────────────────────────────────────────────────────────────────────────────────

Result<std::uint16_t> port_from(std::string_view text, std::string_view whole) {
  std::uint16_t port = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || stop != text.data() + text.size() || port == 0) {
    return invalid(fmt::format("'{}': '{}' is no port from 1 to 65535", whole, text));
  }
  return port;
}

// "127.1", "010.0.0.1", "0x7f.1", "2130706433": what inet_aton takes for an address.
bool looks_like_an_address(const std::string& host) {
  in_addr ignored{};
  return ::inet_aton(host.c_str(), &ignored) != 0;
}

// "host", "host:port", "[v6]", "[v6]:port", or, where no scheme stands before it, a bare v6
// address.
Result<> read_authority(std::string_view authority, std::string_view whole, Target& target,
                        bool& has_port) {
  if (authority.find('@') != std::string_view::npos) {
    return invalid(
        fmt::format("'{}': a user and a password are not taken from the URL; -H 'Authorization: "
                    "...' sends them",
                    whole));
  }
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) {
      return invalid(fmt::format("'{}': the bracket of the address is never closed", whole));
    }
    target.host = authority.substr(1, end - 1);
    if (!IpAddress::parse(target.host)) {
      return invalid(fmt::format("'{}': '{}' is no IPv6 address", whole, target.host));
    }
    const std::string_view rest = authority.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) {
      return invalid(fmt::format("'{}': a colon and a port are expected after ']'", whole));
    }
    has_port = !rest.empty();
    port = rest.empty() ? rest : rest.substr(1);
  } else if (std::count(authority.begin(), authority.end(), ':') > 1) {
    if (target.scheme != Scheme::declared || !IpAddress::parse(authority)) {
      return invalid(fmt::format(
          "'{}': there is more than one colon in '{}'; an IPv6 address stands in brackets, as in "
          "[fd00::1]:80",
          whole, authority));
    }
    target.host = authority;  // all colons are its own
  } else {
    const std::size_t colon = authority.rfind(':');
    has_port = colon != std::string_view::npos;
    target.host = authority.substr(0, colon);
    if (has_port) port = authority.substr(colon + 1);
  }
  if (target.host.empty()) return invalid(fmt::format("'{}' names no host", whole));
  if (looks_like_an_address(target.host) && !IpAddress::parse(target.host)) {
    return invalid(fmt::format(
        "'{}': '{}' is an address in an old form, which programs read in different ways; four "
        "numbers from 0 to 255 are clear",
        whole, target.host));
  }
  has_port = has_port && !port.empty();
  if (!has_port) return done();
  Result<std::uint16_t> number = port_from(port, whole);
  if (!number) return std::move(number).fault();
  target.port = *number;
  return done();
}

// ── from where ──────────────────────────────────────────────────────────────────────────────────

using Workloads = std::vector<const mesh::Workload*>;

// Those that run; without any, those that have ended.
template <class Means>
Workloads workloads_where(const mesh::World& world, std::string_view name_space, Means means) {
  Workloads found;
  for (const auto* workloads : {&world.workloads, &world.ended}) {
    for (const mesh::Workload& workload : *workloads) {
      if ((name_space.empty() || workload.name_space == name_space) && means(workload)) {
        found.push_back(&workload);
      }
    }
    if (!found.empty()) break;
  }
  return found;
}

bool labelled(const mesh::Workload& workload, std::string_view name) {
  return std::any_of(workload.labels.begin(), workload.labels.end(), [&](const auto& label) {
    return (label.first == "app" || label.first == "app.kubernetes.io/name") &&
           label.second == name;
  });
}

bool behind_service(const mesh::World& world, const mesh::Workload& workload,
                    std::string_view name) {
  const mesh::Service* service = mesh::find_service(world, workload.name_space, name);
  if (!service) return false;
  const std::string full_name = workload.name_space + '/' + workload.name;
  return std::any_of(
      service->endpoints.begin(), service->endpoints.end(),
      [&](const mesh::Endpoint& endpoint) { return endpoint.workload == full_name; });
}

const char* kind_of(const mesh::Workload& workload) {
  return workload.kind == mesh::WorkloadKind::vm ? "VM" : "Pod";
}

// An empty kind is any.
bool is_kind(std::string_view wanted, std::string_view kind) {
  return wanted.empty() || wanted == kind;
}

// Whom a person asks for.
struct Wanted {
  std::string_view kind;
  std::string_view name_space;
  std::string_view name;
};

bool owned(const mesh::Workload& workload, const Wanted& wanted) {
  return std::any_of(workload.owners.begin(), workload.owners.end(), [&](const auto& owner) {
    return is_kind(wanted.kind, owner.kind) && owner.name == wanted.name;
  });
}

// What a word may mean, the most exact reading first.
Workloads meant_by(const mesh::World& world, const Wanted& wanted) {
  const auto [kind, name_space, name] = wanted;
  Workloads found = workloads_where(world, name_space, [&](const mesh::Workload& workload) {
    return is_kind(kind, kind_of(workload)) && workload.name == name;
  });
  if (found.empty()) {
    found = workloads_where(
        world, name_space, [&](const mesh::Workload& workload) { return owned(workload, wanted); });
  }
  if (found.empty() && kind.empty()) {
    found = workloads_where(world, name_space, [&](const mesh::Workload& workload) {
      return labelled(workload, name);
    });
  }
  if (found.empty() && is_kind(kind, "Service")) {
    found = workloads_where(world, name_space, [&](const mesh::Workload& workload) {
      return behind_service(world, workload, name);
    });
  }
  return found;
}

bool runs(const mesh::Workload& workload) {
  return workload.ready && !workload.terminating && !workload.addresses.empty();
}

std::string pod_name(const mesh::Workload& workload) {
  return workload.name_space + '/' + workload.name;
}

// Those of the kind that is wanted, with their namespaces if one is given.
std::vector<std::string> all_names(const mesh::World& world, const Wanted& wanted) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name_space, const std::string& name) {
    names.push_back(wanted.name_space.empty() ? name : name_space + '/' + name);
  };
  const auto add_all = [&](const mesh::Workload& workload) {
    for (const mesh::Owner& owner : workload.owners) {
      // A ReplicaSet's name comes to mind only to those who ask for one.
      const bool told =
          wanted.kind.empty() ? owner == workload.owners.back() : wanted.kind == owner.kind;
      if (told) add(workload.name_space, owner.name);
    }
    if (is_kind(wanted.kind, kind_of(workload))) add(workload.name_space, workload.name);
    const auto app = workload.labels.find("app");
    if (wanted.kind.empty() && app != workload.labels.end()) {
      add(workload.name_space, app->second);
    }
  };
  for (const mesh::Workload& workload : world.workloads) add_all(workload);
  for (const mesh::Workload& workload : world.ended) add_all(workload);
  if (wanted.kind == "Service") {
    for (const mesh::Service& service : world.services) add(service.name_space, service.name);
  }
  if (wanted.name_space.empty() && is_kind(wanted.kind, "Node")) {
    for (const mesh::Node& node : world.nodes) names.push_back(node.name);
  }
  return names;
}

// "pod, workload, VM or node": what there is none of.
std::string sort_of(std::string_view kind) {
  if (kind.empty()) return "pod, workload, VM or node";
  const bool itself = kind == "Pod" || kind == "VM" || kind == "Node";
  return itself ? std::string(kind) : fmt::format("pod or VM of a {}", kind);
}

Fault nobody(const mesh::World& world, const Wanted& wanted, std::string_view text) {
  const Workloads elsewhere =
      wanted.name_space.empty()
          ? Workloads()
          : meant_by(world, {.kind = wanted.kind, .name_space = "", .name = wanted.name});
  return missing(fmt::format("there is no {} '{}'{}", sort_of(wanted.kind), text,
                             elsewhere.empty() ? did_you_mean(text, all_names(world, wanted))
                                               : fmt::format("; in another namespace there is {}",
                                                             pod_name(*elsewhere.front()))));
}

Result<Caller> one_of(const Workloads& found, std::string_view text) {
  std::set<std::string> namespaces;
  for (const mesh::Workload* workload : found) namespaces.insert(workload->name_space);
  const bool in_default = namespaces.contains("default");
  if (namespaces.size() > 1 && !in_default) {
    std::string choices;
    for (const std::string& name_space : namespaces) {
      choices += fmt::format("{}{}/{}", choices.empty() ? "" : ", ", name_space, text);
    }
    return invalid(fmt::format("'{}' is there in several namespaces: say {}", text, choices));
  }
  Workloads candidates;
  for (const mesh::Workload* workload : found) {
    const bool here = namespaces.size() == 1 || workload->name_space == "default";
    if (here) candidates.push_back(workload);
  }
  const auto running = std::find_if(candidates.begin(), candidates.end(),
                                    [](const mesh::Workload* each) { return runs(*each); });
  return Caller{.workload = running == candidates.end() ? candidates.front() : *running,
                .siblings = candidates.size() - 1};
}

bool is_scheme(std::string_view word) {
  return http::same_name(word, "http") || http::same_name(word, "tcp") ||
         http::same_name(word, "https");
}

bool starts_with_digit(std::string_view text) {
  return !text.empty() && text.front() >= '0' && text.front() <= '9';
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  Target target;
  std::string_view rest = text;
  for (const char each : text) {
    if (static_cast<unsigned char>(each) > ' ' && each != '\x7f') continue;
    return invalid(fmt::format("'{}': a URL has no spaces; %20 stands for one", text));
  }
  const std::size_t scheme_end = text.find("://");
  if (scheme_end != std::string_view::npos) {
    const std::string_view scheme = text.substr(0, scheme_end);
    if (http::same_name(scheme, "http")) {
      target.scheme = Scheme::http;
    } else if (http::same_name(scheme, "tcp")) {
      target.scheme = Scheme::tcp;
    } else if (http::same_name(scheme, "https")) {
      return unsupported(fmt::format(
          "'{}': TLS is not spoken; tcp://HOST:443 shows the way of the connection that "
          "carries it",
          text));
    } else {
      return unsupported(
          fmt::format("'{}': only http:// and tcp:// are known, not {}://", text, scheme));
    }
    rest.remove_prefix(scheme_end + 3);
  } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos &&
                                                       is_scheme(text.substr(0, colon)) &&
                                                       !starts_with_digit(text.substr(colon + 1))) {
    return invalid(fmt::format("'{}': two slashes follow a scheme, as in {}://reviews:9080", text,
                               text.substr(0, colon)));
  }
  const std::size_t path = rest.find_first_of("/?#");
  bool has_port = false;
  if (Result<> read = read_authority(rest.substr(0, path), text, target, has_port); !read) {
    return std::move(read).fault();
  }
  if (target.scheme == Scheme::tcp && !has_port) {
    return invalid(
        fmt::format("'{}': tcp:// takes a port, as in tcp://{}:9080", text, target.host));
  }
  if (path == std::string_view::npos) return target;
  if (target.scheme == Scheme::tcp && rest.substr(path) != "/") {
    return invalid(fmt::format("'{}': tcp:// has no path", text));
  }
  const std::string_view with_query = rest.substr(path, rest.find('#') - path);
  target.path = with_query.starts_with('/') ? with_query : "/" + std::string(with_query);
  return target;
}

std::string Caller::name() const {
  return workload ? workload->name_space + '/' + workload->name : node ? node->name : "";
}

std::string Caller::name_space() const {
  return workload ? workload->name_space : "default";
}

std::vector<IpAddress> in_hosts_file(const Caller& from, std::string_view host) {
  if (http::same_name(host, "localhost")) {
    return {IpAddress::v4({127, 0, 0, 1}),
            IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})};
  }
  if (!from.workload) return {};
  const std::string& own =
      from.workload->host_name.empty() ? from.workload->name : from.workload->host_name;
  return http::same_name(host, own) ? from.workload->addresses : std::vector<IpAddress>();
}

Result<Caller> find_caller(const mesh::World& world LIFETIMEBOUND, std::string_view text,
                           std::string_view kind) {
  const std::size_t slash = text.find('/');
  const bool with_namespace = slash != std::string_view::npos;
  const std::string_view name_space = with_namespace ? text.substr(0, slash) : "";
  const std::string_view name = with_namespace ? text.substr(slash + 1) : text;
  if (with_namespace && (name_space.empty() || name.empty())) {
    return invalid(fmt::format("'{}': NAMESPACE/NAME is expected, or a name alone", text));
  }
  if (!with_namespace && is_kind(kind, "Node")) {
    if (const mesh::Node* node = mesh::find_node(world, name)) return Caller{.node = node};
  }
  const Wanted wanted{.kind = kind, .name_space = name_space, .name = name};
  const Workloads found = meant_by(world, wanted);
  return found.empty() ? nobody(world, wanted, text) : one_of(found, name);
}

ResolverSettings read_resolver_settings(std::string_view resolv_conf) {
  ResolverSettings settings;
  std::istringstream lines{std::string(resolv_conf)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "search" || key == "domain") settings.search.clear();
    for (std::string word; words >> word;) {
      if (word.starts_with('#') || word.starts_with(';')) break;
      if (key == "search" || key == "domain") settings.search.push_back(word);
      if (const auto address = IpAddress::parse(word); key == "nameserver" && address) {
        settings.servers.push_back(*address);
      }
      constexpr std::string_view ndots = "ndots:";
      if (key == "options" && word.starts_with(ndots)) {
        std::from_chars(word.data() + ndots.size(), word.data() + word.size(), settings.ndots);
      }
    }
  }
  if (settings.servers.empty()) settings.servers = {IpAddress::v4({127, 0, 0, 1})};
  return settings;
}

std::string request_text(const Call& call, std::string_view id) {
  std::string host = host_and_port(call.to.host, call.to.port);
  if (call.to.port == 80) host.resize(host.size() - 3);
  std::string fields;
  bool agent = false;
  for (const auto& [name, value] : call.headers) {
    if (http::same_name(name, "host")) {
      host = value;
      continue;
    }
    agent = agent || http::same_name(name, "user-agent");
    fields += fmt::format("{}: {}\r\n", name, value);
  }
  if (!agent) fields += "user-agent: fairlead-path\r\n";
  return fmt::format("{} {} HTTP/1.1\r\nhost: {}\r\n{}x-request-id: {}\r\n\r\n", call.method,
                     call.to.path, host, fields, id);
}

}  // namespace fairlead::explain
