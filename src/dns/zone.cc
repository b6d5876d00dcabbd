#include "dns/zone.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fairlead::dns {
namespace {

constexpr int longest_chain = 10;  // of aliases

using Labels = std::vector<std::string_view>;

std::string lowered(std::string_view text) {
  std::string low(text);
  for (char& c : low) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return low;
}

std::string key_of(std::string_view name_space, std::string_view name) {
  std::string key = lowered(name_space);
  key.push_back('/');
  return key += lowered(name);
}

Name name_from(std::string_view text) {
  Result<Name> name = Name::parse(text);
  return name ? *name : Name();
}

const Name& in_addr_arpa() {
  static const Name zone = name_from("in-addr.arpa");
  return zone;
}

const Name& ip6_arpa() {
  static const Name zone = name_from("ip6.arpa");
  return zone;
}

// The last labels of `name`, as many as `zone` has, in the case of `name`, which is within it.
Name tail(const Name& name, const Name& zone) {
  const std::string& wire = name.wire();
  Result<Name> part = Name::from_wire(wire.substr(wire.size() - zone.wire().size()));
  return part ? *part : zone;
}

// The label that stands for an endpoint without a hostname.
std::string dashed(const IpAddress& address) {
  std::string text = address.text();
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '.' || c == ':'; }, '-');
  return text;
}

std::string label_of(const Endpoint& endpoint) {
  return endpoint.hostname.empty() ? dashed(endpoint.address) : endpoint.hostname;
}

Result<IpAddress> undashed(std::string_view label) {
  std::string text(label);
  std::replace(text.begin(), text.end(), '-', '.');
  if (Result<IpAddress> v4 = IpAddress::parse(text); v4) return v4;
  std::replace(text.begin(), text.end(), '.', ':');
  return IpAddress::parse(text);
}

// ── one question ────────────────────────────────────────────────────────────────────────────────

class Answering {
 public:
  Answering(const Zone& zone, const Question& question) : zone_(zone), type_(question.type) {}

  Answer run(const Name& name) {
    if (!zone_.synced()) {
      refuse(Code::server_failure, Reason::not_synced);
    } else if (type_ == Type::axfr || type_ == Type::ixfr) {
      refuse(Code::refused, Reason::transfer);
    } else {
      look_up(name);
    }
    return std::move(answer_);
  }

 private:
  void look_up(const Name& name) {
    if (name.within(in_addr_arpa())) return look_up_address(name, in_addr_arpa());
    if (name.within(ip6_arpa())) return look_up_address(name, ip6_arpa());
    if (name.within(zone_.domain())) return look_up_inside(name);
    if (const Host* host = zone_.host(name); host != nullptr) return give(name, *host);
    // Behind an alias: nobody here knows where it leads, and that is all there is to say.
    if (!answer_.answers.empty()) return;
    refuse(Code::refused, Reason::outside);
  }

  void look_up_inside(const Name& name) {
    Labels labels = name.labels();
    labels.resize(labels.size() - zone_.domain().labels().size());
    if (labels.empty()) return give_apex(name);
    const std::string_view kind = labels.back();
    labels.pop_back();
    if (same_label(kind, "svc")) return look_up_service(name, labels);
    if (same_label(kind, "pod")) return look_up_pod(name, labels);
    if (same_label(kind, "dns")) return look_up_server(name, labels);
    if (same_label(kind, "dns-version") && labels.empty()) return give_version(name);
    deny_unless_host(name, Reason::no_such_name);
  }

  // ── services ──────────────────────────────────────────────────────────────────────────────────

  void look_up_service(const Name& name, Labels labels) {
    if (labels.empty()) return give_nothing(name);
    const std::string_view name_space = labels.back();
    labels.pop_back();
    if (!zone_.has_namespace(name_space)) return deny_unless_host(name, Reason::no_such_namespace);
    if (labels.empty()) return give_nothing(name);
    const Entry* entry = zone_.entry(name_space, labels.back());
    labels.pop_back();
    if (entry == nullptr) return deny_unless_host(name, Reason::no_such_service);
    answer_.entry = entry;
    if (labels.empty()) return give(name, *entry);
    if (entry->kind == Entry::Kind::alias) return deny(name, Reason::no_such_name);
    const std::string_view transport = labels.back();
    if (transport.starts_with('_')) return look_up_port(name, *entry, labels);
    if (labels.size() > 1) return deny(name, Reason::no_such_name);
    look_up_endpoint(name, *entry, labels.front());
  }

  void give(const Name& name, const Entry& entry) {
    switch (entry.kind) {
      case Entry::Kind::addresses:
        for (const IpAddress& address : entry.addresses) add_address(name, address);
        return end_with_nothing(name);
      case Entry::Kind::endpoints:
        if (entry.endpoints.empty()) return deny(name, Reason::no_ready_endpoint);
        for (const Endpoint& endpoint : entry.endpoints) add_address(name, endpoint.address);
        return end_with_nothing(name);
      case Entry::Kind::alias:
        return follow(name, entry.alias);
    }
  }

  void give(const Name& name, const Host& host) {
    answer_.host = &host;
    for (const IpAddress& address : host.addresses) add_address(name, address);
    end_with_nothing(name);
  }

  void follow(const Name& name, const Name& target) {
    if (target.is_root()) return deny(name, Reason::bad_alias);
    add(name, Type::cname, target);
    if (type_ == Type::cname || type_ == Type::any || ++aliases_ > longest_chain) return;
    const Entry* first = answer_.entry;
    look_up(target);
    answer_.entry = first;
  }

  void look_up_endpoint(const Name& name, const Entry& entry, std::string_view label) {
    bool known = false;
    for (const Endpoint& endpoint : entry.endpoints) {
      if (!same_label(label_of(endpoint), label)) continue;
      known = true;
      add_address(name, endpoint.address);
    }
    if (!known) return deny(name, Reason::no_such_endpoint);
    end_with_nothing(name);
  }

  // "_http._tcp" above the service's name; "_tcp" alone is there when a port is below it.
  void look_up_port(const Name& name, const Entry& entry, const Labels& labels) {
    if (labels.size() > 2) return deny(name, Reason::no_such_port);
    const std::string_view transport = labels.back().substr(1);
    const bool whole = labels.size() == 2;
    if (whole && !labels.front().starts_with('_')) return deny(name, Reason::no_such_port);
    const auto wanted = [&](const Port& port) {
      return !port.name.empty() && same_label(port.transport, transport) &&
             (!whole || same_label(port.name, labels.front().substr(1)));
    };
    const Name service = above_labels(name, labels.size());
    bool known = false;
    if (entry.kind == Entry::Kind::addresses) {
      for (const Port& port : entry.ports) {
        if (!wanted(port)) continue;
        known = true;
        if (whole) add_target(name, service, port.port, entry.addresses, 1);
      }
    } else {
      known = add_endpoint_targets(name, service, entry, wanted, whole);
    }
    if (!known) return deny(name, Reason::no_such_port);
    end_with_nothing(name);
  }

  template <class Wanted>
  bool add_endpoint_targets(const Name& name, const Name& service, const Entry& entry,
                            const Wanted& wanted, bool whole) {
    bool known = false;
    for (const Endpoint& endpoint : entry.endpoints) {
      for (const Port& port : endpoint.ports) {
        if (!wanted(port)) continue;
        known = true;
        Result<Name> target = name_from(label_of(endpoint)).under(service);
        if (!whole || !target) continue;
        add_target(name, *target, port.port, {endpoint.address}, entry.endpoints.size());
      }
    }
    return known;
  }

  void add_target(const Name& name, const Name& target, std::uint16_t port,
                  const std::vector<IpAddress>& addresses, std::size_t share) {
    if (!wants(Type::srv)) return;
    const auto weight = static_cast<std::uint16_t>(std::max<std::size_t>(1, 100 / share));
    const Srv srv{.weight = weight, .port = port, .target = target};
    const auto told = [&](const Record& record) {
      const auto* one = std::get_if<Srv>(&record.data);
      return one != nullptr && *one == srv;
    };
    // A pod with addresses of both families is two endpoints and one target.
    if (!std::any_of(answer_.answers.begin(), answer_.answers.end(), told)) {
      add(name, Type::srv, srv);
    }
    for (const IpAddress& address : addresses) {
      answer_.additional.push_back(record(target, address.is_v4() ? Type::a : Type::aaaa, address));
    }
  }

  // `name` without its first `count` labels.
  static Name above_labels(const Name& name, std::size_t count) {
    std::size_t place = 0;
    const std::string& wire = name.wire();
    for (std::size_t i = 0; i < count; ++i) place += static_cast<std::uint8_t>(wire[place]) + 1U;
    Result<Name> rest = Name::from_wire(wire.substr(place));
    return rest ? *rest : Name();
  }

  // ── the rest of the domain ────────────────────────────────────────────────────────────────────

  void look_up_pod(const Name& name, const Labels& labels) {
    if (labels.empty()) return give_nothing(name);
    if (!zone_.has_namespace(labels.back())) return deny(name, Reason::no_such_namespace);
    if (labels.size() == 1) return give_nothing(name);
    const Result<IpAddress> address = undashed(labels.front());
    if (labels.size() > 2 || !address) return deny(name, Reason::no_such_name);
    add_address(name, *address);
    end_with_nothing(name);
  }

  void look_up_server(const Name& name, const Labels& labels) {
    if (labels.empty()) return give_nothing(name);
    if (labels.size() > 1 || !same_label(labels.front(), "ns")) {
      return deny(name, Reason::no_such_name);
    }
    for (const IpAddress& address : zone_.servers()) add_address(name, address);
    end_with_nothing(name);
  }

  void give_version(const Name& name) {
    if (wants(Type::txt)) add(name, Type::txt, Text{{"1.1.0"}});
    end_with_nothing(name);
  }

  void give_apex(const Name& name) {
    if (wants(Type::soa)) add(name, Type::soa, soa(name));
    if (wants(Type::ns)) {
      add(name, Type::ns, server_name(name));
      for (const IpAddress& address : zone_.servers()) {
        answer_.additional.push_back(
            record(server_name(name), address.is_v4() ? Type::a : Type::aaaa, address));
      }
    }
    end_with_nothing(name);
  }

  void look_up_address(const Name& name, const Name& apex) {
    if (name == apex) {
      if (wants(Type::soa)) add(name, Type::soa, soa(name));
      return end_with_nothing(name);
    }
    const Result<IpAddress> address = address_behind(name);
    const std::vector<const Entry*> owners =
        address ? zone_.owners(*address) : std::vector<const Entry*>{};
    if (owners.empty()) return deny(name, Reason::no_such_name);
    answer_.entry = owners.front();
    for (const Entry* owner : owners) {
      if (wants(Type::ptr)) add_pointers(name, *owner, *address);
    }
    end_with_nothing(name);
  }

  void add_pointers(const Name& name, const Entry& owner, const IpAddress& address) {
    const Result<Name> scheme = name_from("svc").under(zone_.domain());
    const Result<Name> service =
        name_from(fmt::format("{}.{}", owner.name, owner.name_space)).under(*scheme);
    if (!service) return;
    if (owner.kind == Entry::Kind::addresses) return add(name, Type::ptr, *service);
    for (const Endpoint& endpoint : owner.endpoints) {
      if (endpoint.address != address) continue;
      Result<Name> target = name_from(label_of(endpoint)).under(*service);
      if (target) add(name, Type::ptr, std::move(*target));
    }
  }

  // ── how it ends ───────────────────────────────────────────────────────────────────────────────

  [[nodiscard]] bool wants(Type type) const { return type_ == type || type_ == Type::any; }

  template <class Data>
  static Record record(const Name& owner, Type type, Data&& data) {
    return {.owner = owner, .type = type, .ttl = time_to_live, .data = std::forward<Data>(data)};
  }

  template <class Data>
  void add(const Name& owner, Type type, Data&& data) {
    answer_.answers.push_back(record(owner, type, std::forward<Data>(data)));
  }

  void add_address(const Name& name, const IpAddress& address) {
    const Type type = address.is_v4() ? Type::a : Type::aaaa;
    if (wants(type)) add(name, type, address);
  }

  [[nodiscard]] Name apex_of(const Name& name) const {
    for (const Name* zone : {&zone_.domain(), &in_addr_arpa(), &ip6_arpa()}) {
      if (name.within(*zone)) return tail(name, *zone);
    }
    return zone_.domain();
  }

  [[nodiscard]] Name server_name(const Name& apex) const {
    const bool here = apex == zone_.domain();
    const Result<Name> name = name_from("ns.dns").under(here ? apex : zone_.domain());
    return name ? *name : Name();
  }

  [[nodiscard]] Soa soa(const Name& apex) const {
    const Result<Name> mailbox = name_from("hostmaster").under(apex);
    return {.primary = server_name(apex),
            .mailbox = mailbox ? *mailbox : Name(),
            .serial = zone_.serial(),
            .refresh = 7200,
            .retry = 1800,
            .expire = 86400,
            .minimum = time_to_live};
  }

  void add_authority(const Name& name) {
    const Name apex = apex_of(name);
    answer_.authority.push_back(record(apex, Type::soa, soa(apex)));
  }

  // The name is there; whether something of the type was, is what the answer shows.
  void end_with_nothing(const Name& name) {
    const auto is_alias = [](const Record& record) { return record.type == Type::cname; };
    if (!std::all_of(answer_.answers.begin(), answer_.answers.end(), is_alias)) return;
    give_nothing(name);
  }

  void give_nothing(const Name& name) {
    answer_.reason = Reason::no_such_type;
    add_authority(name);
  }

  void deny(const Name& name, Reason reason) {
    answer_.code = Code::no_such_name;
    answer_.reason = reason;
    add_authority(name);
  }

  void deny_unless_host(const Name& name, Reason reason) {
    const Host* host = zone_.host(name);
    if (host != nullptr) return give(name, *host);
    deny(name, reason);
  }

  void refuse(Code code, Reason reason) {
    answer_.code = code;
    answer_.reason = reason;
    answer_.authoritative = false;
  }

  const Zone& zone_;
  Type type_;
  int aliases_ = 0;
  Answer answer_;
};

}  // namespace

// ── the zone ────────────────────────────────────────────────────────────────────────────────────

Zone::Zone(const Name& domain) : domain_(domain) {}

void Zone::set_namespaces(const std::vector<std::string>& namespaces) {
  namespaces_.clear();
  for (const std::string& one : namespaces) namespaces_.insert(lowered(one));
}

void Zone::index(const Entry& entry, int by) {
  inhabitants_[lowered(entry.name_space)] += by;
  const std::string key = key_of(entry.name_space, entry.name);
  const auto change = [&](const IpAddress& address) {
    if (by > 0) {
      std::vector<std::string>& owners = by_address_[address];
      if (std::find(owners.begin(), owners.end(), key) == owners.end()) owners.push_back(key);
      return;
    }
    const auto found = by_address_.find(address);
    if (found == by_address_.end()) return;
    std::erase(found->second, key);
    if (found->second.empty()) by_address_.erase(found);
  };
  for (const IpAddress& address : entry.addresses) change(address);
  for (const Endpoint& endpoint : entry.endpoints) change(endpoint.address);
}

void Zone::put(Entry entry) {
  remove(entry.name_space, entry.name);
  index(entry, 1);
  const std::string key = key_of(entry.name_space, entry.name);
  entries_.insert_or_assign(key, std::move(entry));
}

void Zone::remove(std::string_view name_space, std::string_view name) {
  const auto found = entries_.find(key_of(name_space, name));
  if (found == entries_.end()) return;
  index(found->second, -1);
  entries_.erase(found);
}

void Zone::put(Host host) {
  const std::string key = host.name.key();
  hosts_.insert_or_assign(key, std::move(host));
}

void Zone::remove_host(const Name& name) {
  hosts_.erase(name.key());
}

const Entry* Zone::entry(std::string_view name_space, std::string_view name) const LIFETIMEBOUND {
  const auto found = entries_.find(key_of(name_space, name));
  return found == entries_.end() ? nullptr : &found->second;
}

const Host* Zone::host(const Name& name) const LIFETIMEBOUND {
  if (hosts_.empty()) return nullptr;
  const auto found = hosts_.find(name.key());
  return found == hosts_.end() ? nullptr : &found->second;
}

std::vector<const Entry*> Zone::owners(const IpAddress& address) const LIFETIMEBOUND {
  std::vector<const Entry*> owners;
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return owners;
  for (const std::string& key : found->second) {
    const auto entry = entries_.find(key);
    if (entry != entries_.end()) owners.push_back(&entry->second);
  }
  return owners;
}

bool Zone::has_namespace(std::string_view name) const {
  const std::string key = lowered(name);
  if (namespaces_.contains(key)) return true;
  const auto found = inhabitants_.find(key);
  return found != inhabitants_.end() && found->second > 0;
}

Answer answer(const Zone& zone LIFETIMEBOUND, const Question& question) {
  return Answering(zone, question).run(question.name);
}

std::string describe(const Answer& answer, const Question& question) {
  const std::string name = question.name.text();
  const std::string type = name_of(question.type);
  switch (answer.reason) {
    case Reason::found:
      return fmt::format("{} has {} {} record{}", name, answer.answers.size(), type,
                         answer.answers.size() == 1 ? "" : "s");
    case Reason::no_such_type:
      return fmt::format("{} exists and has no {} record", name, type);
    case Reason::no_such_namespace:
      return fmt::format("{}: there is no such namespace", name);
    case Reason::no_such_service:
      return fmt::format("{}: there is no such service in its namespace", name);
    case Reason::no_ready_endpoint:
      return fmt::format("{} is a headless service without a ready endpoint", name);
    case Reason::no_such_endpoint:
      return fmt::format("{}: the service has no ready endpoint of that name", name);
    case Reason::no_such_port:
      return fmt::format("{}: the service has no port of that name", name);
    case Reason::no_such_name:
      return fmt::format("there is nothing of the name {}", name);
    case Reason::bad_alias:
      return fmt::format("{} stands for another name, and what is given is none", name);
    case Reason::outside:
      return fmt::format("{} is no name of this cluster, and nobody outside is asked", name);
    case Reason::transfer:
      return "zones are not transferred";
    case Reason::not_synced:
      return "the services are not known yet";
  }
  return "";
}

}  // namespace fairlead::dns
