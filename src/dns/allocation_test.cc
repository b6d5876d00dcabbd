// What is asked all the time is answered without an allocation. The sanitizers count them: builds
// without any have no such test.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#include <gtest/gtest.h>
#include <sanitizer/allocator_interface.h>

#include <array>

#include "dns/query.h"
#include "dns/respond.h"

namespace fairlead::dns {
namespace {

std::size_t allocations = 0;

Zone shop() {
  Zone zone(*Name::parse("cluster.local"));
  zone.set_synced();
  const auto ip = [](const char* text) { return *IpAddress::parse(text); };
  zone.put(Entry{.name_space = "default",
                 .name = "a-service-with-a-long-name",
                 .addresses = {ip("10.96.0.12"), ip("fd00:10:96::c")}});
  zone.put(Entry{.name_space = "default", .name = "only4", .addresses = {ip("10.96.0.13")}});
  Entry headless{.name_space = "default", .name = "db", .kind = Entry::Kind::endpoints};
  for (std::uint8_t i = 0; i < 20; ++i) {
    headless.endpoints.push_back({.address = IpAddress::v4({10, 244, 0, i})});
  }
  zone.put(std::move(headless));
  zone.put(Host{.name = *Name::parse("api.example.org"), .addresses = {ip("240.0.0.1")}});
  return zone;
}

TEST(Allocations, ThereAreNoneForAnAddressOrADenial) {
  const Zone zone = shop();
  SeededRandom chance(1);
  Responder responder(zone, chance);
  std::array<char, largest_udp> room{};
  __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, std::size_t) { ++allocations; }, [](const volatile void*) {});
  for (const auto& [text, type, code] :
       {std::tuple("a-service-with-a-long-name.default.svc.cluster.local", Type::a, Code::no_error),
        std::tuple("A-Service-With-A-Long-Name.Default.svc.cluster.local", Type::aaaa,
                   Code::no_error),
        std::tuple("only4.default.svc.cluster.local", Type::aaaa, Code::no_error),
        std::tuple("db.default.svc.cluster.local", Type::a, Code::no_error),
        std::tuple("no-service-here-at-all.default.svc.cluster.local", Type::a, Code::no_such_name),
        std::tuple("a-service.no-namespace-here-at-all.svc.cluster.local", Type::a,
                   Code::no_such_name),
        std::tuple("only4.default.svc.cluster.local.default.svc.cluster.local", Type::a,
                   Code::no_such_name),
        std::tuple("api.example.org", Type::a, Code::no_error),
        std::tuple("www.example.org", Type::a, Code::refused)}) {
    const std::string asked = query(7, *Name::parse(text), type);
    const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(asked.data()),
                                              asked.size());
    // The second time the memory of query and answer has changed places.
    static_cast<void>(responder.respond(bytes, Carrier::udp, room));
    const std::size_t first = responder.respond(bytes, Carrier::udp, room);
    const std::size_t before = allocations;
    EXPECT_EQ(responder.respond(bytes, Carrier::udp, room), first) << text;
    EXPECT_EQ(allocations, before) << text;
    const auto header = read_header({reinterpret_cast<const std::uint8_t*>(room.data()), first});
    EXPECT_EQ(header->code, code) << text;
  }
  EXPECT_GT(allocations, 0U) << "nothing is counted";
}

}  // namespace
}  // namespace fairlead::dns
#endif
