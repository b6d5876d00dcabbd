// How one object is read: field by field, the first fault kept, what nobody took listed. Inside
// this room only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "document/document.h"
#include "kube/names.h"
#include "kube/objects.h"
#include "kube/read.h"

namespace fairlead::kube {

// The state of reading one object.
class Reader {
 public:
  Reader(Origin origin, std::vector<Ignored>& ignored)
      : origin_(std::move(origin)), ignored_(ignored) {}

  [[nodiscard]] bool failed() const { return fault_.has_value(); }
  [[nodiscard]] const std::optional<Fault>& fault() const LIFETIMEBOUND { return fault_; }
  void fail(Fault fault) {
    if (!fault_) fault_ = std::move(fault);
  }
  void ignore(const document::Node& node, std::string reason);
  void ignore_whole(std::string reason);
  // The object, unless fairlead wrote it.

  [[nodiscard]] const Origin& origin() const LIFETIMEBOUND { return origin_; }
  void set_origin(Origin origin) { origin_ = std::move(origin); }
  [[nodiscard]] bool ours() const { return ours_; }
  void set_ours() { ours_ = true; }
  // Whether fairlead wrote it: what it could not honour was listed when it was read first.

 private:
  Origin origin_;
  std::vector<Ignored>& ignored_;
  std::optional<Fault> fault_;
  bool ours_ = false;
};

// An object of the API's type `type`. Fields not given, and null, leave the target as it is. When
// it goes, what was not taken is listed as ignored.
class Scope {
 public:
  Scope(Reader& reader, const document::Node& node, const char* type);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  [[nodiscard]] Reader& reader() const { return reader_; }
  [[nodiscard]] const document::Node& node() const LIFETIMEBOUND { return fields_.object(); }

  [[nodiscard]] document::Node take(const char* name);
  // One that known_fields() calls honoured.

  void text(const char* name, std::string& into);
  void text(const char* name, std::string& into, const Rule& rule);
  void required(const char* name, std::string& into, const Rule& rule);
  void boolean(const char* name, bool& into);
  void boolean(const char* name, std::optional<bool>& into);
  void integer(const char* name, int& into, std::int64_t least, std::int64_t most = INT32_MAX);
  void integer(const char* name, std::optional<int>& into, std::int64_t least, std::int64_t most);
  void integer(const char* name, std::optional<std::int64_t>& into, std::int64_t least,
               std::int64_t most);
  void port(const char* name, std::uint16_t& into);           // 1 to 65535
  void required_port(const char* name, std::uint16_t& into);  // the same, and given
  void port_reference(const char* name, PortReference& into, const Rule& rule);
  void target_port(const char* name, PortReference& into, const Rule& rule);
  // The same, and 0 stands for none, as Kubernetes has it.
  void share(const char* name, Share& into);
  void strings(const char* name, std::vector<std::string>& into);
  void string_map(const char* name, StringMap& into, const Rule& key, const Rule* value);
  template <class Value>
  void choice(const char* name, Value& into,
              std::initializer_list<std::pair<const char*, Value>> words) {
    const document::Node node = take(name);
    if (!node.given()) return;
    std::string expected;
    for (const auto& [word, value] : words) {
      if (node.kind() == document::Kind::text && node.text() == word) {
        into = value;
        return;
      }
      expected += (expected.empty() ? "" : " or ") + std::string(word);
    }
    reader_.fail(node.expected(expected));
  }
  template <class Function>
  void each(const char* name, Function&& function) {
    const document::Node list = take(name);
    if (!list.given()) return;
    if (!list.is_list()) return reader_.fail(list.expected("a list"));
    for (const document::Node& item : list.children()) function(item);
  }

 private:
  Reader& reader_;
  document::Fields fields_;
  const char* type_;
};

// ── the parts that objects share ────────────────────────────────────────────────────────────────

void read_metadata(Reader& reader, const document::Node& node, bool namespaced, const Rule& name,
                   Metadata& into);
void read_ip(Reader& reader, const document::Node& node, IpAddress& into);
void read_selector(Reader& reader, const document::Node& node, LabelSelector& into);
void read_protocol(Scope& scope, Protocol& into);
void read_conditions(Scope& scope, std::vector<Condition>& into);
void read_pod_template(Reader& reader, const document::Node& node, PodTemplate& into,
                       const std::vector<std::string>& claims = {});
void read_bytes(Reader& reader, const document::Node& node, std::string& into);  // base64

// ── the objects; metadata is read, the rest is theirs ───────────────────────────────────────────

void read_spec(Scope& scope, Namespace& into);
void read_spec(Scope& scope, Node& into);
void read_spec(Scope& scope, Pod& into);
void read_spec(Scope& scope, Deployment& into);
void read_spec(Scope& scope, ReplicaSet& into);
void read_spec(Scope& scope, StatefulSet& into);
void read_spec(Scope& scope, DaemonSet& into);
void read_spec(Scope& scope, Service& into);
void read_spec(Scope& scope, Endpoints& into);
void read_spec(Scope& scope, EndpointSlice& into);
void read_spec(Scope& scope, ServiceAccount& into);
void read_spec(Scope& scope, ConfigMap& into);
void read_spec(Scope& scope, Secret& into);
void read_spec(Scope& scope, ServiceEntry& into);
void read_spec(Scope& scope, WorkloadEntry& into);
void read_spec(Scope& scope, PeerAuthentication& into);
void read_spec(Scope& scope, AuthorizationPolicy& into);
void read_spec(Scope& scope, RequestAuthentication& into);
void read_spec(Scope& scope, NetworkPolicy& into);

}  // namespace fairlead::kube
