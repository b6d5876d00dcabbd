// Any bytes are either refused or understood: what was understood is written and read back the
// same, and whatever a server says to them is a message itself.
#include <cstdlib>

#include "dns/message.h"
#include "dns/respond.h"

namespace {

using namespace fairlead;

void demand(bool holds) {
  if (!holds) std::abort();
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

dns::Zone make_zone() {
  dns::Zone zone(*dns::Name::parse("cluster.local"));
  zone.set_synced();
  zone.put(dns::Entry{.name_space = "default",
                      .name = "reviews",
                      .addresses = {IpAddress::v4({10, 96, 0, 12})},
                      .ports = {{"http", "tcp", 9080}}});
  dns::Entry db{.name_space = "default", .name = "db", .kind = dns::Entry::Kind::endpoints};
  for (std::uint8_t i = 0; i < 100; ++i) {
    db.endpoints.push_back({.address = IpAddress::v4({10, 244, 0, i}),
                            .hostname = i % 2 == 0 ? "" : "db-" + std::to_string(i),
                            .ports = {{"sql", "tcp", 5432}}});
  }
  zone.put(std::move(db));
  zone.put(dns::Entry{.name_space = "default",
                      .name = "near",
                      .kind = dns::Entry::Kind::alias,
                      .alias = "db.default.svc.cluster.local"});
  return zone;
}

void check_response(std::span<const std::uint8_t> query, dns::Carrier carrier) {
  static const dns::Zone zone = make_zone();
  static SeededRandom chance(1);
  static dns::Responder responder(zone, chance);
  static std::string room(dns::largest_message, '\0');
  const std::string response = room.substr(0, responder.respond(query, carrier, room));
  if (response.empty()) return;
  const Result<dns::Message> said = dns::parse(bytes_of(response));
  demand(said.ok() && said->header.response);
  demand(said->header.id == (query[0] << 8 | query[1]));
  if (carrier == dns::Carrier::udp) demand(response.size() <= 1232);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > dns::largest_message) return 0;
  const std::span<const std::uint8_t> bytes(data, size);
  check_response(bytes, dns::Carrier::udp);
  check_response(bytes, dns::Carrier::tcp);
  const Result<dns::Message> message = dns::parse(bytes);
  if (!message) return 0;
  const std::string written = dns::write(*message);
  const Result<dns::Message> again = dns::parse(bytes_of(written));
  demand(again.ok());
  // What was compressed better than we do may not fit when it is written again.
  if (!again->header.truncated || again->questions.size() == message->questions.size()) {
    demand(again->questions == message->questions);
  }
  if (!again->header.truncated && again->additional.size() == message->additional.size()) {
    demand(*again == *message);
  }
  return 0;
}
