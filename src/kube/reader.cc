#include "kube/reader.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "kube/fields.h"

namespace fairlead::kube {

using document::Kind;

std::string Ignored::describe() const {
  std::string text = origin.describe() + ": ";
  if (!field.empty()) text += field + ": ";
  return text + reason;
}

void Reader::ignore(const document::Node& node, std::string reason) {
  Origin place = origin_;
  if (!ours_) {
    place.file = node.file();
    place.line = node.key_line();
  }
  ignored_.push_back({std::move(place), node.field(), std::move(reason)});
}

void Reader::ignore_whole(std::string reason) {
  if (!ours_) ignored_.push_back({origin_, "", std::move(reason)});
}

namespace {

bool asks_for_nothing(const document::Node& node, const KnownField* known) {
  if (!node.given()) return true;
  if ((node.is_list() || node.is_object()) && node.size() == 0) return true;
  return known != nullptr && known->harmless != nullptr && node.text() == known->harmless;
}

}  // namespace

Scope::Scope(Reader& reader, const document::Node& node, const char* type)
    : reader_(reader), fields_(node), type_(type) {
  if (node.given() && !node.is_object()) reader_.fail(node.expected("an object"));
}

Scope::~Scope() {
  if (reader_.failed() || !fields_.object().is_object()) return;
  for (const document::Node& left : fields_.rest()) {
    const KnownField* known = find_field(type_, left.key());
    if (known == nullptr) known = find_field(type_, "(any other)");
    if (asks_for_nothing(left, known)) continue;
    reader_.ignore(left, known != nullptr && known->ignored != nullptr
                             ? known->ignored
                             : fmt::format("no field of {} that fairlead knows", type_));
  }
}

document::Node Scope::take(const char* name) {
  const KnownField* known = find_field(type_, name);
  if (known == nullptr || known->ignored != nullptr) {
    reader_.fail({FaultKind::internal, fmt::format("{}.{} is not in the table", type_, name)});
  }
  return fields_.take(name);
}

void Scope::text(const char* name, std::string& into) {
  const document::Node node = take(name);
  if (!node.given()) return;
  Result<std::string> value = node.as_text();
  if (!value.ok()) return reader_.fail(std::move(value).fault());
  into = std::move(value).value();
}

void Scope::text(const char* name, std::string& into, const Rule& rule) {
  const document::Node node = take(name);
  if (!node.given()) return;
  Result<std::string> value = node.as_text();
  if (!value.ok()) return reader_.fail(std::move(value).fault());
  if (!rule.holds(*value)) return reader_.fail(node.expected(rule.expected));
  into = std::move(value).value();
}

void Scope::required(const char* name, std::string& into, const Rule& rule) {
  if (!node().get(name).given()) {
    return reader_.fail(node().get(name).expected(rule.expected));
  }
  text(name, into, rule);
}

void Scope::boolean(const char* name, bool& into) {
  std::optional<bool> value;
  boolean(name, value);
  if (value) into = *value;
}

void Scope::boolean(const char* name, std::optional<bool>& into) {
  const document::Node node = take(name);
  if (!node.given()) return;
  const Result<bool> value = node.as_boolean();
  if (!value.ok()) return reader_.fail(value.fault());
  into = *value;
}

void Scope::integer(const char* name, std::optional<std::int64_t>& into, std::int64_t least,
                    std::int64_t most) {
  const document::Node node = take(name);
  if (!node.given()) return;
  const Result<std::int64_t> value = node.as_integer(least, most);
  if (!value.ok()) return reader_.fail(value.fault());
  into = *value;
}

void Scope::integer(const char* name, std::optional<int>& into, std::int64_t least,
                    std::int64_t most) {
  std::optional<std::int64_t> value;
  integer(name, value, least, most);
  if (value) into = static_cast<int>(*value);
}

void Scope::integer(const char* name, int& into, std::int64_t least, std::int64_t most) {
  std::optional<std::int64_t> value;
  integer(name, value, least, most);
  if (value) into = static_cast<int>(*value);
}

void Scope::port(const char* name, std::uint16_t& into) {
  const document::Node node = take(name);
  if (!node.given()) return;
  const Result<std::int64_t> value = node.as_integer();
  if (!value.ok() || *value < 1 || *value > UINT16_MAX) {
    return reader_.fail(node.expected("a port from 1 to 65535"));
  }
  into = static_cast<std::uint16_t>(*value);
}

void Scope::required_port(const char* name, std::uint16_t& into) {
  if (!node().get(name).given()) {
    return reader_.fail(node().get(name).expected("a port from 1 to 65535"));
  }
  port(name, into);
}

void Scope::port_reference(const char* name, PortReference& into, const Rule& rule) {
  const document::Node node = take(name);
  if (!node.given()) return;
  if (node.kind() == Kind::text) {
    if (!rule.holds(node.text())) {
      return reader_.fail(
          node.expected(fmt::format("a port from 1 to 65535, or {}", rule.expected)));
    }
    into.name = node.text();
    return;
  }
  const Result<std::int64_t> value = node.as_integer();
  if (!value.ok() || *value < 1 || *value > UINT16_MAX) {
    return reader_.fail(node.expected("a port from 1 to 65535, or a port's name"));
  }
  into.number = static_cast<std::uint16_t>(*value);
}

void Scope::target_port(const char* name, PortReference& into, const Rule& rule) {
  const document::Node node = fields_.object().get(name);
  const Result<std::int64_t> value = node.as_integer();
  if (node.given() && node.kind() != Kind::text && value && *value == 0) {
    (void)take(name);
    return;
  }
  port_reference(name, into, rule);
}

void Scope::share(const char* name, Share& into) {
  const document::Node node = take(name);
  if (!node.given()) return;
  const std::string& text = node.text();
  Share value;
  if (node.kind() == Kind::text && !text.empty() && text.back() == '%') {
    const char* const end = text.data() + text.size() - 1;
    const auto [stop, error] = std::from_chars(text.data(), end, value.amount);
    value.percent = true;
    if (error != std::errc{} || stop != end || value.amount < 0) value.amount = -1;
  } else {
    const Result<std::int64_t> number = node.as_integer(0, INT32_MAX);
    value.amount = number.ok() ? static_cast<int>(*number) : -1;
  }
  if (value.amount < 0) return reader_.fail(node.expected("a count, or a share like 25%"));
  into = value;
}

void Scope::strings(const char* name, std::vector<std::string>& into) {
  each(name, [&](const document::Node& item) {
    Result<std::string> value = item.as_text();
    if (!value.ok()) return reader_.fail(std::move(value).fault());
    into.push_back(std::move(value).value());
  });
}

void Scope::string_map(const char* name, StringMap& into, const Rule& key, const Rule* value) {
  const document::Node node = take(name);
  if (!node.given()) return;
  if (!node.is_object()) return reader_.fail(node.expected("an object of strings"));
  for (const document::Node& item : node.children()) {
    if (!key.holds(item.key())) {
      return reader_.fail(
          item.refused(fmt::format("expected {}, found \"{}\"", key.expected, item.key())));
    }
    if (!item.given()) {  // null is the empty string, as for Kubernetes
      into[item.key()] = "";
      continue;
    }
    Result<std::string> text = item.as_text();
    if (!text.ok()) return reader_.fail(std::move(text).fault());
    if (value != nullptr && !value->holds(*text)) {
      return reader_.fail(item.expected(value->expected));
    }
    into[item.key()] = std::move(text).value();
  }
}

// ── the parts that objects share ────────────────────────────────────────────────────────────────

namespace {

void read_owner(Reader& reader, const document::Node& node, std::vector<OwnerReference>& into) {
  Scope scope(reader, node, "OwnerReference");
  OwnerReference owner;
  scope.text("apiVersion", owner.api_version);
  scope.required("kind", owner.kind, not_empty);
  scope.required("name", owner.name, not_empty);
  scope.text("uid", owner.uid);
  scope.boolean("controller", owner.controller);
  into.push_back(std::move(owner));
}

}  // namespace

void read_metadata(Reader& reader, const document::Node& node, bool namespaced, const Rule& name,
                   Metadata& into) {
  if (!node.given()) return reader.fail(node.expected("an object with a name"));
  Scope scope(reader, node, "ObjectMeta");
  scope.required("name", into.name, name);
  if (namespaced) {
    scope.text("namespace", into.name_space, dns_label);
    if (into.name_space.empty()) into.name_space = "default";
  } else if (const document::Node given = scope.take("namespace"); given.given()) {
    if (!given.text().empty()) {
      reader.fail(given.refused("this kind of object belongs to no namespace"));
    }
  }
  scope.string_map("labels", into.labels, label_key, &label_value);
  scope.string_map("annotations", into.annotations, label_key, nullptr);
  scope.each("ownerReferences",
             [&](const document::Node& owner) { read_owner(reader, owner, into.owners); });
  scope.text("uid", into.uid);
  scope.text("resourceVersion", into.resource_version);
  scope.text("creationTimestamp", into.creation_time);
  scope.text("deletionTimestamp", into.deletion_time);
}

void read_ip(Reader& reader, const document::Node& node, IpAddress& into) {
  const Result<IpAddress> ip = IpAddress::parse(node.text());
  if (node.kind() != Kind::text || !ip.ok()) return reader.fail(node.expected("an IP address"));
  into = *ip;
}

namespace {

void read_requirement(Reader& reader, const document::Node& node, LabelSelector& into) {
  using Operator = SelectorRequirement::Operator;
  Scope scope(reader, node, "LabelSelectorRequirement");
  SelectorRequirement requirement;
  scope.required("key", requirement.key, label_key);
  scope.choice<Operator>("operator", requirement.operation,
                         {{"In", Operator::in},
                          {"NotIn", Operator::not_in},
                          {"Exists", Operator::exists},
                          {"DoesNotExist", Operator::does_not_exist}});
  scope.strings("values", requirement.values);
  const bool lists =
      requirement.operation == Operator::in || requirement.operation == Operator::not_in;
  if (!node.get("operator").given()) {
    reader.fail(node.get("operator").expected("In or NotIn or Exists or DoesNotExist"));
  }
  if (lists && requirement.values.empty()) {
    reader.fail(node.get("values").expected("a list of label values"));
  }
  if (!lists && !requirement.values.empty()) {
    reader.fail(node.get("values").expected("no values beside this operator"));
  }
  into.match_expressions.push_back(std::move(requirement));
}

}  // namespace

void read_selector(Reader& reader, const document::Node& node, LabelSelector& into) {
  Scope scope(reader, node, "LabelSelector");
  scope.string_map("matchLabels", into.match_labels, label_key, &label_value);
  scope.each("matchExpressions",
             [&](const document::Node& item) { read_requirement(reader, item, into); });
}

void read_protocol(Scope& scope, Protocol& into) {
  scope.choice<Protocol>(
      "protocol", into, {{"TCP", Protocol::tcp}, {"UDP", Protocol::udp}, {"SCTP", Protocol::sctp}});
}

void read_conditions(Scope& scope, std::vector<Condition>& into) {
  scope.each("conditions", [&](const document::Node& node) {
    Scope one(scope.reader(), node, "Condition");
    Condition condition;
    one.required("type", condition.type, not_empty);
    one.required("status", condition.status, not_empty);
    one.text("reason", condition.reason);
    one.text("message", condition.message);
    into.push_back(std::move(condition));
  });
}

void read_bytes(Reader& reader, const document::Node& node, std::string& into) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (const char c : node.text()) {
    if (c != '\n' && c != '\r') text += c;
  }
  const auto bad = [&] { reader.fail(node.expected("base64")); };
  if (node.kind() != Kind::text || text.size() % 4 != 0) return bad();
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::uint32_t bits = 0;
  int count = 0;
  for (std::size_t i = 0; i < text.size() - padding; ++i) {
    const std::size_t value = alphabet.find(text[i]);
    if (value == std::string_view::npos) return bad();
    bits = (bits << 6U) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      into += static_cast<char>((bits >> static_cast<unsigned>(count)) & 0xFFU);
    }
  }
}

}  // namespace fairlead::kube
