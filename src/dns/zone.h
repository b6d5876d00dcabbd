// What this node's DNS knows and what it says to a question: Kubernetes' DNS schema 1.1.0 over a
// set of entries. Pure: no socket, no clock. The server answers with it and `fairlead path`
// explains with it.
//
//   reviews.default.svc.cluster.local          the service's addresses, or its endpoints' own
//   web-0.db.default.svc.cluster.local         an endpoint with a hostname, under a headless
//   service 10-244-1-5.db.default.svc.cluster.local    the same for one without
//   _http._tcp.reviews.default.svc...          SRV: number and target of a named port
//   reviews.default.svc..., web-0.db...        SRV: those of every port
//   12.0.96.10.in-addr.arpa                    PTR: whose address this is
//   10-244-1-5.default.pod.cluster.local       the address that it spells
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "base/origin.h"
#include "dns/message.h"
#include "dns/name.h"

namespace fairlead::dns {

struct Port {
  std::string name;       // empty: no SRV record
  std::string transport;  // "tcp"
  std::uint16_t port = 0;
  bool operator==(const Port&) const = default;
};

struct Endpoint {
  IpAddress address;
  std::string hostname;  // empty: the address with dashes stands for it
  std::vector<Port> ports;
  bool operator==(const Endpoint&) const = default;
};

// One service's name.
struct Entry {
  enum class Kind : std::uint8_t { addresses, endpoints, alias };
  std::string name_space;
  std::string name;
  Kind kind = Kind::addresses;
  std::vector<IpAddress> addresses;  // Kind::addresses: cluster IPs
  std::vector<Port> ports;
  std::vector<Endpoint> endpoints;  // Kind::endpoints: those that may be told, ready ones
  std::string alias;  // Kind::alias: another name; empty when what was given can be none
  Origin origin;
  bool operator==(const Entry&) const = default;
};

// A name outside the services' scheme that the mesh knows: a host of a ServiceEntry.
struct Host {
  Name name;
  std::vector<IpAddress> addresses;
  Origin origin;
  bool operator==(const Host&) const = default;
};

class Zone {
 public:
  explicit Zone(const Name& domain);  // "cluster.local"
  Zone(Zone&&) = default;
  Zone& operator=(Zone&&) = default;
  ~Zone() = default;

  // Until the first world is known nothing can be denied: every question fails (SERVFAIL).
  void set_synced() { synced_ = true; }
  [[nodiscard]] bool synced() const { return synced_; }

  void set_namespaces(const std::vector<std::string>& namespaces);
  // Those of entries exist without being said.
  void put(Entry entry);  // replaces the one of that namespace and name
  void remove(std::string_view name_space, std::string_view name);
  void put(Host host);
  void remove_host(const Name& name);
  void set_serial(std::uint32_t serial) { serial_ = serial; }
  void set_servers(std::vector<IpAddress> servers) { servers_ = std::move(servers); }
  // Where this DNS answers: the addresses of ns.dns.DOMAIN.
  void set_closed(bool closed) { closed_ = closed; }
  [[nodiscard]] bool closed() const { return closed_; }
  // Nothing leads out of here: then names outside do not exist (NXDOMAIN), which resolvers take for
  // an answer. Else they are REFUSED, which sends a resolver to its next server: musl waits for
  // five seconds, and glibc says that it may be tried again.

  // Null when there is none; good until the zone is changed.
  [[nodiscard]] const Entry* entry(std::string_view name_space,
                                   std::string_view name) const LIFETIMEBOUND;
  [[nodiscard]] const Host* host(const Name& name) const LIFETIMEBOUND;
  [[nodiscard]] std::span<const Entry* const> owners(const IpAddress& address) const LIFETIMEBOUND;
  // Whose cluster IP or headless endpoint it is.
  [[nodiscard]] bool has_namespace(std::string_view name) const;
  [[nodiscard]] const Name& domain() const LIFETIMEBOUND { return domain_; }
  [[nodiscard]] std::uint32_t serial() const { return serial_; }
  [[nodiscard]] const std::vector<IpAddress>& servers() const LIFETIMEBOUND { return servers_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  // Tables of what holds its own key, which is looked up without being copied.
  struct Key {
    std::string_view name_space;
    std::string_view name;
  };
  struct ByKey {
    using is_transparent = void;
    static Key key(const Entry& entry) { return {entry.name_space, entry.name}; }
    static Key key(const Key& key) { return key; }
    template <class Keyed>
    std::size_t operator()(const Keyed& one) const {
      return Folding()(key(one).name) * 31 + Folding()(key(one).name_space);
    }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return same_label(key(a).name, key(b).name) &&
             same_label(key(a).name_space, key(b).name_space);
    }
  };
  struct ByName {
    using is_transparent = void;
    static std::string_view key(const Host& host LIFETIMEBOUND) { return host.name.wire(); }
    static std::string_view key(const Name& name LIFETIMEBOUND) { return name.wire(); }
    template <class Keyed>
    std::size_t operator()(const Keyed& one) const {
      return Folding()(key(one));
    }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return same_label(key(a), key(b));
    }
  };

  void index(const Entry& entry, int by);

  Name domain_;
  bool synced_ = false;
  bool closed_ = false;
  std::uint32_t serial_ = 1;
  std::vector<IpAddress> servers_;
  std::unordered_set<Entry, ByKey, ByKey> entries_;
  std::unordered_set<Host, ByName, ByName> hosts_;
  // How many entries are in a namespace, and which are there without any.
  std::unordered_map<std::string, int, Folding, Folding> inhabitants_;
  std::unordered_set<std::string, Folding, Folding> namespaces_;
  std::unordered_map<IpAddress, std::vector<const Entry*>> by_address_;
};

// Why an answer is what it is.
enum class Reason : std::uint8_t {
  found,
  no_such_type,       // the name is there, nothing of that type is: NODATA
  no_such_namespace,  // from here on: NXDOMAIN
  no_such_service,
  no_ready_endpoint,  // of a headless service
  no_such_endpoint,
  no_such_port,
  no_such_name,
  bad_alias,  // an ExternalName that holds an address
  outside,    // not of this cluster, and nobody is asked for it: REFUSED, of a closed zone NXDOMAIN
  transfer,   // REFUSED: zone transfers
  not_synced,  // SERVFAIL
};

struct Answer {
  Code code = Code::no_error;
  Reason reason = Reason::found;
  bool authoritative = true;
  std::vector<Record> answers;  // a CNAME comes before what it leads to
  std::vector<Record> authority;
  std::vector<Record> additional;
  const Entry* entry = nullptr;  // the service behind it, or null; good until the zone is changed
  const Host* host = nullptr;
};

[[nodiscard]] Answer answer(const Zone& zone LIFETIMEBOUND, const Question& question);
// Names in the answer keep the case that they were asked in.
void answer(const Zone& zone LIFETIMEBOUND, const Question& question, Answer& into);
// The same into one that was used before, whose memory serves again.

[[nodiscard]] std::string describe(const Answer& answer, const Question& question);
// A sentence's worth: "there is no service 'review' in namespace default".

inline constexpr std::uint32_t time_to_live = 5;  // seconds, of each record; as CoreDNS' default

}  // namespace fairlead::dns
