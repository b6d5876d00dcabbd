#include "witness/order.h"

#include <nlohmann/json.hpp>

#include "base/json_text.h"

namespace fairlead::witness {
namespace {

using Json = nlohmann::json;

template <class T>
T at(const Json& json, const char* key, T otherwise) {
  const auto found = json.find(key);
  if (found == json.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) {
    return found->is_string() ? found->get<T>() : otherwise;
  } else if constexpr (std::is_same_v<T, bool>) {
    return found->is_boolean() ? found->get<T>() : otherwise;
  } else {
    return found->is_number_unsigned() ? found->get<T>() : otherwise;
  }
}

std::vector<std::string> texts_at(const Json& json, const char* key) {
  std::vector<std::string> texts;
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array()) return texts;
  for (const Json& each : *found) {
    if (each.is_string()) texts.push_back(each.get<std::string>());
  }
  return texts;
}

Json json_of(const Request& request) {
  return {{"http", request.http},
          {"host", request.host},
          {"addresses", request.addresses},
          {"port", request.port},
          {"names", request.names},
          {"servers", request.servers},
          {"preferV6", request.prefer_v6},
          {"text", request.text},
          {"head", request.head},
          {"id", request.id},
          {"uid", request.uid},
          {"gid", request.gid},
          {"patienceMilliseconds", request.patience_milliseconds}};
}

Request request_from(const Json& json) {
  return {.http = at(json, "http", true),
          .host = at(json, "host", std::string()),
          .addresses = texts_at(json, "addresses"),
          .port = at(json, "port", std::uint16_t{80}),
          .names = texts_at(json, "names"),
          .servers = texts_at(json, "servers"),
          .prefer_v6 = at(json, "preferV6", false),
          .text = at(json, "text", std::string()),
          .head = at(json, "head", false),
          .id = at(json, "id", std::string()),
          .uid = at(json, "uid", std::uint32_t{0}),
          .gid = at(json, "gid", std::uint32_t{0}),
          .patience_milliseconds = at(json, "patienceMilliseconds", std::uint32_t{20000})};
}

}  // namespace

std::string order_json(const Order& order) {
  Json sources = Json::array();
  for (const SocketAddress& source : order.sources) sources.push_back(source.text());
  Json json{{"where", order.where},  {"proxy", order.proxy}, {"id", order.id},
            {"sources", sources},    {"since", order.since}, {"listening", order.listening},
            {"tables", order.tables}};
  if (order.request) json["request"] = json_of(*order.request);
  return json_text(json);
}

Result<Order> order_from_json(std::string_view text) {
  const Json json = parse_json(text);
  if (!json.is_object()) return invalid("the order is no JSON object");
  Order order{.where = at(json, "where", std::string()),
              .proxy = at(json, "proxy", false),
              .id = at(json, "id", std::string()),
              .since = at(json, "since", std::uint64_t{0}),
              .listening = at(json, "listening", false),
              .tables = texts_at(json, "tables")};
  for (const std::string& each : texts_at(json, "sources")) {
    const Result<SocketAddress> source = SocketAddress::parse(each);
    if (!source) return source.fault();
    order.sources.push_back(*source);
  }
  const auto request = json.find("request");
  if (request != json.end() && request->is_object()) order.request = request_from(*request);
  return order;
}

}  // namespace fairlead::witness
