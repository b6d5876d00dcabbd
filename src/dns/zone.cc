#include "dns/zone.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fairlead::dns {
namespace {

constexpr int longest_chain = 10;  // of aliases

// The labels of a name that nobody has looked at yet: they are taken away from the right.
class Labels {
 public:
  explicit Labels(std::string_view wire LIFETIMEBOUND) : wire_(wire) {
    for (std::size_t place = 0; wire[place] != '\0'; place += length_at(place) + 1U) {
      starts_[count_++] = static_cast<std::uint8_t>(place);
    }
  }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::string_view front() const { return at(0); }
  [[nodiscard]] std::string_view back() const { return at(count_ - 1); }
  void take(std::size_t count) { count_ -= count; }
  std::string_view take() { return at(--count_); }

 private:
  [[nodiscard]] std::size_t length_at(std::size_t place) const {
    return static_cast<std::uint8_t>(wire_[place]);
  }
  [[nodiscard]] std::string_view at(std::size_t which) const {
    return wire_.substr(starts_[which] + 1U, length_at(starts_[which]));
  }

  std::string_view wire_;
  std::array<std::uint8_t, longest_name / 2> starts_{};
  std::size_t count_ = 0;
};

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
  const std::string_view wire = name.wire();
  const Result<Name> part = Name::from_wire(wire.substr(wire.size() - zone.wire().size()));
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
  Answering(const Zone& zone, const Question& question, Answer& answer)
      : zone_(zone), type_(question.type), answer_(answer) {}

  void run(const Name& name) {
    if (!zone_.synced()) {
      refuse(Code::server_failure, Reason::not_synced);
    } else if (type_ == Type::axfr || type_ == Type::ixfr) {
      refuse(Code::refused, Reason::transfer);
    } else {
      look_up(name);
    }
  }

 private:
  void look_up(const Name& name) {
    if (name.within(in_addr_arpa())) return look_up_address(name, in_addr_arpa());
    if (name.within(ip6_arpa())) return look_up_address(name, ip6_arpa());
    if (name.within(zone_.domain())) return look_up_inside(name);
    if (const Host* host = zone_.host(name); host != nullptr) return give(name, *host);
    if (zone_.closed()) return deny(name, Reason::outside);
    // Behind an alias: nobody here knows where it leads, and that is all there is to say.
    if (!answer_.answers.empty()) return;
    refuse(Code::refused, Reason::outside);
  }

  void look_up_inside(const Name& name) {
    Labels labels(name.wire());
    labels.take(Labels(zone_.domain().wire()).size());
    if (labels.empty()) return give_apex(name);
    const std::string_view kind = labels.take();
    if (same_label(kind, "svc")) return look_up_service(name, labels);
    if (same_label(kind, "pod")) return look_up_pod(name, labels);
    if (same_label(kind, "dns")) return look_up_server(name, labels);
    if (same_label(kind, "dns-version") && labels.empty()) return give_version(name);
    deny_unless_host(name, Reason::no_such_name);
  }

  // ── services ──────────────────────────────────────────────────────────────────────────────────

  void look_up_service(const Name& name, Labels labels) {
    if (labels.empty()) return give_nothing(name);
    const std::string_view name_space = labels.take();
    const bool whole = !labels.empty();
    const Entry* entry = whole ? zone_.entry(name_space, labels.take()) : nullptr;
    if (entry == nullptr) {
      const bool known = zone_.has_namespace(name_space);
      if (known && !whole) return give_nothing(name);
      return deny_unless_host(name, known ? Reason::no_such_service : Reason::no_such_namespace);
    }
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
        if (type_ == Type::srv) {
          for (const Port& port : entry.ports) {
            add_target(name, name, port.port, entry.addresses, 1);
          }
        }
        return end_with_nothing(name);
      case Entry::Kind::endpoints:
        if (entry.endpoints.empty()) return deny(name, Reason::no_ready_endpoint);
        for (const Endpoint& endpoint : entry.endpoints) add_address(name, endpoint.address);
        if (type_ == Type::srv) {
          add_endpoint_targets(name, name, entry, [](const Port&) { return true; }, true);
        }
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

  void follow(const Name& name, const std::string& alias) {
    const Result<Name> parsed = Name::parse(alias);
    if (!parsed || parsed->is_root()) return deny(name, Reason::bad_alias);
    const Name& target = *parsed;
    add(name, Type::cname, target);
    if (was_asked(target)) return;  // a loop, of which each alias is told once
    if (type_ == Type::cname || type_ == Type::any || ++aliases_ > longest_chain) return;
    const Entry* first = answer_.entry;
    look_up(target);
    answer_.entry = first;
  }

  [[nodiscard]] bool was_asked(const Name& name) const {
    return std::any_of(answer_.answers.begin(), answer_.answers.end(), [&](const Record& record) {
      return record.type == Type::cname && record.owner == name;
    });
  }

  void look_up_endpoint(const Name& name, const Entry& entry, std::string_view label) {
    bool known = false;
    for (const Endpoint& endpoint : entry.endpoints) {
      if (!same_label(label_of(endpoint), label)) continue;
      known = true;
      add_address(name, endpoint.address);
      if (type_ != Type::srv) continue;
      for (const Port& port : endpoint.ports) {
        add_target(name, name, port.port, {endpoint.address}, 1);
      }
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
    const std::string_view wire = name.wire();
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
    const std::span<const Entry* const> owners =
        address ? zone_.owners(*address) : std::span<const Entry* const>{};
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
    static const Name server = name_from("ns.dns");
    const Result<Name> name = server.under(here ? apex : zone_.domain());
    return name ? *name : Name();
  }

  [[nodiscard]] Soa soa(const Name& apex) const {
    static const Name master = name_from("hostmaster");
    const Result<Name> mailbox = master.under(apex);
    return {.primary = server_name(apex),
            .mailbox = mailbox ? *mailbox : Name(),
            .serial = zone_.serial(),
            .refresh = 7200,
            .retry = 1800,
            .expire = 86400,
            .minimum = time_to_live};
  }

  // What is denied outside is denied in the name of the root.
  void add_authority(const Name& name) {
    const Name apex = answer_.reason == Reason::outside ? Name() : apex_of(name);
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
  Answer& answer_;
};

}  // namespace

// ── the zone ────────────────────────────────────────────────────────────────────────────────────

Zone::Zone(const Name& domain) : domain_(domain) {}

void Zone::set_namespaces(const std::vector<std::string>& namespaces) {
  namespaces_ = {namespaces.begin(), namespaces.end()};
}

void Zone::index(const Entry& entry, int by) {
  inhabitants_[entry.name_space] += by;
  const auto change = [&](const IpAddress& address) {
    if (by > 0) {
      std::vector<const Entry*>& owners = by_address_[address];
      if (std::find(owners.begin(), owners.end(), &entry) == owners.end()) owners.push_back(&entry);
      return;
    }
    const auto found = by_address_.find(address);
    if (found == by_address_.end()) return;
    std::erase(found->second, &entry);
    if (found->second.empty()) by_address_.erase(found);
  };
  for (const IpAddress& address : entry.addresses) change(address);
  for (const Endpoint& endpoint : entry.endpoints) change(endpoint.address);
}

void Zone::put(Entry entry) {
  remove(entry.name_space, entry.name);
  index(*entries_.insert(std::move(entry)).first, 1);
}

void Zone::remove(std::string_view name_space, std::string_view name) {
  const auto found = entries_.find(Key{name_space, name});
  if (found == entries_.end()) return;
  index(*found, -1);
  entries_.erase(found);
}

void Zone::put(Host host) {
  remove_host(host.name);
  hosts_.insert(std::move(host));
}

void Zone::remove_host(const Name& name) {
  if (const auto found = hosts_.find(name); found != hosts_.end()) hosts_.erase(found);
}

const Entry* Zone::entry(std::string_view name_space, std::string_view name) const LIFETIMEBOUND {
  const auto found = entries_.find(Key{name_space, name});
  return found == entries_.end() ? nullptr : &*found;
}

const Host* Zone::host(const Name& name) const LIFETIMEBOUND {
  const auto found = hosts_.find(name);
  return found == hosts_.end() ? nullptr : &*found;
}

std::span<const Entry* const> Zone::owners(const IpAddress& address) const LIFETIMEBOUND {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return {};
  return found->second;
}

bool Zone::has_namespace(std::string_view name) const {
  if (namespaces_.contains(name)) return true;
  const auto found = inhabitants_.find(name);
  return found != inhabitants_.end() && found->second > 0;
}

void answer(const Zone& zone LIFETIMEBOUND, const Question& question, Answer& into) {
  for (std::vector<Record>* records : {&into.answers, &into.authority, &into.additional}) {
    records->clear();
  }
  into.code = Code::no_error;
  into.reason = Reason::found;
  into.authoritative = true;
  into.entry = nullptr;
  into.host = nullptr;
  Answering(zone, question, into).run(question.name);
}

Answer answer(const Zone& zone LIFETIMEBOUND, const Question& question) {
  Answer said;
  answer(zone, question, said);
  return said;
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
