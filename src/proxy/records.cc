#include "proxy/records.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_text.h"

namespace fairlead::proxy {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of(config::Direction direction) {
  switch (direction) {
    case config::Direction::inbound:
      return "inbound";
    case config::Direction::outbound:
      return "outbound";
    case config::Direction::unspecified:
      return "unspecified";
  }
  return "unspecified";
}

std::int64_t microseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

void set(Json& json, const char* key, std::string_view text) {
  if (!text.empty()) json[key] = std::string(text);
}

void set(Json& json, const char* key, const std::optional<SocketAddress>& address) {
  if (address) json[key] = address->text();
}

Json json_of(const Record& record) {
  Json json;
  set(json, "id", record.id.view());
  json["started"] = microseconds(record.started.time_since_epoch());
  json["direction"] = name_of(record.direction);
  set(json, "method", record.method.view());
  set(json, "path", record.path.view());
  json["downstreamRemote"] = record.downstream_remote.text();
  json["downstreamLocal"] = record.downstream_local.text();
  json["originalDestination"] = record.original_destination.text();
  set(json, "upstreamLocal", record.upstream_local);
  set(json, "upstreamRemote", record.upstream_remote);
  set(json, "listener", record.listener.view());
  set(json, "filterChain", record.filter_chain.view());
  set(json, "virtualHost", record.virtual_host.view());
  set(json, "route", record.route.view());
  set(json, "cluster", record.cluster.view());
  set(json, "endpoint", record.upstream_remote);
  set(json, "workload", record.workload.view());
  json["attempts"] = record.attempts;
  if (record.pooled) json["pooledMilliseconds"] = microseconds(*record.pooled) / 1000;
  json["status"] = record.status;
  std::string flags;
  append_short(flags, record.flags);
  json["flags"] = flags;
  if (record.open) json["open"] = true;
  set(json, "details", record.details.view());
  json["bytesReceived"] = record.bytes_received;
  json["bytesSent"] = record.bytes_sent;
  json["microseconds"] = microseconds(record.duration);
  set(json, "world", record.world.view());
  return json;
}

}  // namespace

void Record::clear() {
  id.clear();
  method.clear();
  path.clear();
  started = {};
  duration = {};
  direction = config::Direction::unspecified;
  downstream_remote = downstream_local = original_destination = {};
  upstream_local.reset();
  upstream_remote.reset();
  listener.clear();
  filter_chain.clear();
  virtual_host.clear();
  route.clear();
  cluster.clear();
  workload.clear();
  world.clear();
  pooled.reset();
  attempts = status = 0;
  flags = Flag::none;
  open = false;
  details.clear();
  bytes_received = bytes_sent = 0;
}

Record& Records::add() LIFETIMEBOUND {
  const std::size_t place = added_++ % limit_;
  if (records_.size() < limit_) return records_.emplace_back();
  records_[place].clear();
  return records_[place];
}

Record* Records::numbered(std::uint64_t number) LIFETIMEBOUND {
  const bool there = number < added_ && added_ - number <= records_.size();
  return there ? &records_[number % limit_] : nullptr;
}

std::vector<Record> Records::with_id(std::string_view id) const {
  std::vector<Record> found = last(records_.size());
  std::erase_if(found, [&](const Record& record) { return record.id.view() != id; });
  return found;
}

std::vector<Record> Records::last(std::size_t count) const {
  count = std::min(count, records_.size());
  std::vector<Record> found;
  found.reserve(count);
  for (std::uint64_t number = added_ - count; number < added_; ++number) {
    found.push_back(records_[number % limit_]);
  }
  return found;
}

std::string records_json(const std::vector<Record>& records) {
  Json all = Json::array();
  for (const Record& record : records) all.push_back(json_of(record));
  // A path may hold any bytes: what is not UTF-8 is replaced, never an error.
  return json_text(Json{{"records", std::move(all)}}, 1);
}

}  // namespace fairlead::proxy
