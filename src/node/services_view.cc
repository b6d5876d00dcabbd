#include "node/services_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "nft/render.h"
#include "node/plan/services.h"

namespace fairlead::node {
namespace {

struct Line {
  std::string service;
  std::string address;
  std::string connections;
  std::vector<std::pair<std::string, std::string>> endpoints;  // address, who
};

SocketAddress socket_address(const nft::Value& ip, const nft::Value& port) {
  const auto* address = std::get_if<IpAddress>(&ip);
  const auto* number = std::get_if<std::uint32_t>(&port);
  if (address == nullptr || number == nullptr) return {};
  return {*address, static_cast<std::uint16_t>(*number)};
}

// The counts of a set, by key as nft writes it.
std::map<std::string, std::uint64_t> counts_of(const std::vector<nft::Reading>& readings,
                                               const std::string& set) {
  std::map<std::string, std::uint64_t> counts;
  for (const nft::Reading& reading : readings) {
    if (reading.place == "set " + set) counts[reading.key] = reading.packets;
  }
  return counts;
}

void add_endpoints(Line& line, const nft::Map& endpoints, const nft::Tuple& key) {
  nft::Tuple first = key;
  first.emplace_back(std::uint32_t{0});
  for (auto at = endpoints.elements.lower_bound(first); at != endpoints.elements.end(); ++at) {
    const auto& [place, mapped] = *at;
    if (!std::equal(key.begin(), key.end(), place.begin(), place.end() - 1)) return;
    const auto* to = std::get_if<nft::Tuple>(&mapped.data);
    if (to == nullptr || to->size() != 2) continue;
    const std::size_t space = mapped.comment.find(' ');
    const bool named = space != std::string::npos;
    line.endpoints.emplace_back(socket_address((*to)[0], (*to)[1]).text(),
                                named ? mapped.comment.substr(space + 1) : "");
  }
}

void add_set(std::vector<Line>& lines, const nft::Table& table,
             const std::vector<nft::Reading>& readings, const std::string& name,
             const nft::Map* endpoints) {
  const nft::Set* set = table.set(name);
  if (set == nullptr) return;
  const auto counts = counts_of(readings, name);
  for (const auto& [key, comment] : set->elements) {
    if (key.size() != 3) continue;
    Line line{.service = comment, .address = socket_address(key[0], key[2]).text()};
    const auto count = counts.find(nft::render(key, set->key));
    line.connections = count == counts.end() ? "?" : std::to_string(count->second);
    if (endpoints != nullptr) add_endpoints(line, *endpoints, key);
    if (line.endpoints.empty()) line.endpoints.emplace_back("none: connections are refused", "");
    lines.push_back(std::move(line));
  }
}

std::string without_spaces_at_the_end(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

}  // namespace

std::string show_services(const nft::Table& table, const std::vector<nft::Reading>& readings) {
  std::vector<Line> lines;
  for (const char* digit : {"4", "6"}) {
    const auto named = [&](const char* name) { return std::string(name) + digit; };
    add_set(lines, table, readings, named("connections"), table.map(named("endpoints")));
    add_set(lines, table, readings, named("refused"), nullptr);
  }
  if (lines.empty()) return "this node translates no service address\n";
  std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return std::tie(a.service, a.address) < std::tie(b.service, b.address);
  });
  Line head{.service = "SERVICE", .address = "ADDRESS", .connections = "CONNECTIONS"};
  head.endpoints.emplace_back("ENDPOINTS", "");
  lines.insert(lines.begin(), std::move(head));
  std::size_t services = 0;
  std::size_t addresses = 0;
  std::size_t targets = 0;
  for (const Line& line : lines) {
    services = std::max(services, line.service.size());
    addresses = std::max(addresses, line.address.size());
    for (const auto& [address, who] : line.endpoints) {
      if (!who.empty()) targets = std::max(targets, address.size());
    }
  }
  std::string text;
  for (const Line& line : lines) {
    bool first = true;
    for (const auto& [address, who] : line.endpoints) {
      text += without_spaces_at_the_end(
          fmt::format("{:{}}  {:{}}  {:>11}  {:{}}  {}", first ? line.service : "", services,
                      first ? line.address : "", addresses, first ? line.connections : "", address,
                      targets, who));
      first = false;
    }
  }
  return text;
}

Result<std::string> show_services(nft::Kernel& kernel) {
  Result<bool> there = nft::exists(kernel, nft::TableFamily::inet, services_table);
  if (!there) return std::move(there).fault();
  if (!*there) return fmt::format("there is no table {} here: no agent runs\n", services_table);
  Result<nft::Table> table = nft::read(kernel, nft::TableFamily::inet, services_table);
  if (!table) return std::move(table).fault();
  auto readings = nft::counters(kernel, nft::TableFamily::inet, services_table);
  if (!readings) return std::move(readings).fault();
  return show_services(*table, *readings);
}

}  // namespace fairlead::node
