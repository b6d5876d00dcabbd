#include "explain/address_order.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

namespace fairlead::explain {
namespace {

struct Row {
  IpAddress prefix;
  int length;
  int precedence;
  int label;
};

IpAddress v6(std::uint8_t first, std::uint8_t second, std::uint8_t last = 0) {
  std::array<std::uint8_t, 16> bytes{};
  bytes[0] = first;
  bytes[1] = second;
  bytes[15] = last;
  return IpAddress::v6(bytes);
}

constexpr Row none{IpAddress(), 0, 40, 1};  // what no row holds, of both tables

// The longest prefixes first. IPv4 stands in ::ffff:0:0/96.
const std::vector<Row>& table_of(AddressPolicy policy) {
  static const std::vector<Row> glibc{{v6(0, 0, 1), 128, 50, 0},
                                      {v6(0x20, 0x01), 32, 40, 7},
                                      {v6(0x20, 0x02), 16, 30, 2},
                                      {v6(0xfe, 0xc0), 10, 40, 5},
                                      {v6(0xfc, 0x00), 7, 40, 6}};
  static const std::vector<Row> rfc6724{{v6(0, 0, 1), 128, 50, 0},
                                        {v6(0x20, 0x01), 32, 5, 5},
                                        {v6(0x20, 0x02), 16, 30, 2},
                                        {v6(0xfe, 0xc0), 10, 1, 11},
                                        {v6(0xfc, 0x00), 7, 3, 13}};
  return policy == AddressPolicy::glibc ? glibc : rfc6724;
}

Row row_of(AddressPolicy policy, const IpAddress& address) {
  if (address.is_v4()) return {address, 96, policy == AddressPolicy::glibc ? 10 : 35, 4};
  const std::vector<Row>& table = table_of(policy);
  const auto found = std::find_if(table.begin(), table.end(), [&](const Row& row) {
    return address.within(row.prefix, row.length);
  });
  return found == table.end() ? none : *found;
}

std::optional<IpAddress> source_for(const IpAddress& destination,
                                    const std::vector<IpAddress>& own) {
  if (destination.is_loopback()) return destination;
  const auto found = std::find_if(own.begin(), own.end(), [&](const IpAddress& address) {
    return address.family() == destination.family();
  });
  return found == own.end() ? std::nullopt : std::optional(*found);
}

// The greater one is tried first.
std::tuple<bool, bool, int> rank_of(AddressPolicy policy, const IpAddress& destination,
                                    const std::vector<IpAddress>& own) {
  const std::optional<IpAddress> source = source_for(destination, own);
  const Row row = row_of(policy, destination);
  const bool labels_match = source && row_of(policy, *source).label == row.label;
  return {source.has_value(), labels_match, row.precedence};
}

}  // namespace

std::vector<Family> families_in_order(AddressPolicy policy, const std::vector<IpAddress>& found,
                                      const std::vector<IpAddress>& own) {
  std::vector<IpAddress> firsts;  // of each family
  for (const IpAddress& address : found) {
    const bool known = std::any_of(firsts.begin(), firsts.end(), [&](const IpAddress& first) {
      return first.family() == address.family();
    });
    if (!known) firsts.push_back(address);
  }
  std::sort(firsts.begin(), firsts.end(), [&](const IpAddress& left, const IpAddress& right) {
    return rank_of(policy, left, own) > rank_of(policy, right, own);
  });
  std::vector<Family> families;
  families.reserve(firsts.size());
  for (const IpAddress& first : firsts) families.push_back(first.family());
  return families;
}

}  // namespace fairlead::explain
