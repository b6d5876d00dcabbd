#include "dns/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::dns {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

Name name(std::string_view text) {
  return *Name::parse(text);
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Result<Message> parsed(const std::string& text) {
  return parse(bytes_of(text));
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ') continue;
    digits.push_back(c);
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<char>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return bytes;
}

std::string wrong_with(const std::string& hex) {
  const Result<Message> message = parsed(from_hex(hex));
  return message ? "nothing" : message.fault().message;
}

Record address(std::string_view owner, const char* ip) {
  const IpAddress parsed_ip = *IpAddress::parse(ip);
  return {.owner = name(owner),
          .type = parsed_ip.is_v4() ? Type::a : Type::aaaa,
          .ttl = 5,
          .data = parsed_ip};
}

Message full_message() {
  Message message{.header = {.id = 0x1234,
                             .response = true,
                             .authoritative = true,
                             .recursion_desired = true,
                             .code = Code::no_such_name}};
  message.questions = {{name("Web.default.svc.cluster.local"), Type::any}};
  message.answers = {
      {.owner = name("web.default.svc.cluster.local"),
       .type = Type::cname,
       .ttl = 5,
       .data = name("a.a.a.default.svc.cluster.local")},
      address("a.a.a.default.svc.cluster.local", "10.96.0.12"),
      address("a.a.a.default.svc.cluster.local", "fd00:10:96::c"),
      {.owner = name("t"), .type = Type::txt, .data = Text{{"1.1.0", ""}}},
      {.owner = name("s"),
       .type = Type::srv,
       .data = Srv{.priority = 1, .weight = 2, .port = 80, .target = name("web.default")}},
      {.owner = name("o"), .type = static_cast<Type>(99), .data = Opaque{"xyz"}}};
  message.authority = {{.owner = name("cluster.local"),
                        .type = Type::soa,
                        .ttl = 5,
                        .data = Soa{.primary = name("ns.dns.cluster.local"),
                                    .mailbox = name("hostmaster.cluster.local"),
                                    .serial = 7,
                                    .refresh = 1,
                                    .retry = 2,
                                    .expire = 3,
                                    .minimum = 4}}};
  message.additional = {address("ns.dns.cluster.local", "10.96.0.10")};
  message.edns = Edns{.size = 1400, .dnssec_ok = true};
  return message;
}

TEST(Message, ComesBackAsItWasWritten) {
  const Message message = full_message();
  const Result<Message> back = parsed(write(message));
  ASSERT_TRUE(back.ok()) << back.fault().describe();
  EXPECT_EQ(*back, message);
  EXPECT_EQ(back->questions[0].name.text(), "Web.default.svc.cluster.local");
}

TEST(Message, CarriesTheUpperBitsOfItsCodeInTheOptRecord) {
  Message message{.header = {.response = true, .code = Code::bad_version}, .edns = Edns{}};
  EXPECT_EQ(parsed(write(message))->header.code, Code::bad_version);
}

TEST(Message, WritesANameOnceAndPointsToIt) {
  Message message;
  message.questions = {{name("reviews.default.svc.cluster.local"), Type::a}};
  const std::size_t before = write(message).size();
  message.answers = {address("REVIEWS.default.svc.cluster.local", "10.96.0.12")};
  // A pointer, type, class, ttl, length and the address.
  EXPECT_EQ(write(message).size(), before + 2 + 2 + 2 + 4 + 2 + 4);
  // The answer's name is the question's, letter by letter.
  EXPECT_EQ(parsed(write(message))->answers[0].owner.text(), "reviews.default.svc.cluster.local");
}

TEST(Message, ReadsWhatAnotherServerWrote) {
  // kdig's query for web.example. AAAA, and an answer made by hand from RFC 1035, 4.1.4.
  const std::string query = from_hex(
      "beef 0120 0001 0000 0000 0001  03 776562 07 6578616d706c65 00 001c 0001"
      " 00 0029 04d0 0000 8000 000c 000a 0008 0102030405060708");
  const Result<Message> message = parsed(query);
  ASSERT_TRUE(message.ok()) << message.fault().describe();
  EXPECT_EQ(message->questions[0].type, Type::aaaa);
  EXPECT_EQ(message->edns, (Edns{.size = 1232, .dnssec_ok = true}));
  const Result<Message> answer = parsed(from_hex(
      "beef 8580 0001 0002 0000 0000  03 776562 07 6578616d706c65 00 0001 0001"
      " c00c 0005 0001 0000003c 0006 03 617070 c010   c029 0001 0001 0000003c 0004 c0000201"));
  ASSERT_TRUE(answer.ok()) << answer.fault().describe();
  EXPECT_EQ(std::get<Name>(answer->answers[0].data), name("app.example"));
  EXPECT_EQ(answer->answers[1].owner, name("app.example"));
  EXPECT_EQ(std::get<IpAddress>(answer->answers[1].data).text(), "192.0.2.1");
}

TEST(Message, RefusesWhatIsBrokenAndSaysWhere) {
  const std::string head = "0001 0100 0001 0000 0000 0000 ";
  const std::string answer = "0001 8000 0000 0001 0000 0000 ";
  const std::pair<std::string, const char*> cases[] = {
      {"0001 0100 0001", "ends too early"},
      {head + "c00c 0001 0001", "a pointer does not go back"},
      {head + "c00e 0001 0001", "a pointer does not go back"},
      {head + "01 61 c00c 0001 0001", "a pointer does not go back"},
      {head + "c0", "a pointer runs over the end"},
      {head + "05 6161", "a label runs over the end"},
      {head + "01 61", "a name runs over the end"},
      {head + "41 61 00 0001 0001", "a label of unknown kind"},
      {head + "81 61 00 0001 0001", "a label of unknown kind"},
      {head + "00 0001", "ends too early"},
      {head + "00 0001 0001 ff", "more bytes than records"},
      {answer + "00 0001 0001 00000000 0003 010203", "ends too early"},
      {answer + "00 0001 0001 00000000 0005 0102030405", "longer than its data"},
      {answer + "00 0001 0001 00000000 0004 0102", "ends too early"},
      {answer + "00 0010 0001 00000000 0002 0261", "ends too early"},
      {answer + "00 0005 0001 00000000 0001 00 00", "more bytes than records"},
      {"0001 0100 0000 0000 0000 0002 00 0029 04d0 00000000 0000 00 0029 04d0 00000000 0000",
       "a second OPT"},
      {"0001 0100 0000 0000 0000 0001 0161 00 0029 04d0 00000000 0000", "not the root's"},
      {"0001 0100 0000 0000 0000 0001 00 0029 04d0 00000000 0005 000a000801", "do not add up"},
  };
  for (const auto& [hex, why] : cases) EXPECT_THAT(wrong_with(hex), HasSubstr(why)) << hex;
}

TEST(Message, RefusesANameThatPointersMakeTooLong) {
  // Four names of 63 bytes, each pointing to the one before: 4 * 64 + 1 bytes.
  std::string bytes = from_hex("0001 0100 0004 0000 0000 0000");
  std::size_t before = 0;
  for (int i = 0; i < 4; ++i) {
    const std::size_t here = bytes.size();
    bytes += '\x3f' + std::string(63, 'x');
    if (before == 0) {
      bytes += '\0';
    } else {
      bytes += {'\xc0', static_cast<char>(before)};
    }
    bytes += std::string("\0\1\0\1", 4);
    before = here;
  }
  const Result<Message> message = parsed(bytes);
  ASSERT_FALSE(message.ok());
  EXPECT_THAT(message.fault().message, HasSubstr("longer than 255 bytes"));
}

TEST(Message, KeepsAMappedAddressWhole) {
  const std::string bytes = from_hex(
      "0001 8000 0000 0001 0000 0000  00 001c 0001 00000005 0010"
      " 00000000 00000000 0000ffff 0a000001");
  const Result<Message> message = parsed(bytes);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(write(*message), bytes);
}

Message many_addresses(int count) {
  Message message{.header = {.response = true}, .edns = Edns{}};
  message.questions = {{name("db.default.svc.cluster.local"), Type::a}};
  for (int i = 0; i < count; ++i) {
    message.answers.push_back(address("db.default.svc.cluster.local", "10.244.1.1"));
  }
  message.additional = {address("ns.dns.cluster.local", "10.96.0.10")};
  return message;
}

TEST(Message, DropsAdditionalRecordsBeforeItIsTruncated) {
  const Message message = many_addresses(20);
  const std::size_t whole = write(message).size();
  const Result<Message> cut = parsed(write(message, whole - 1));
  ASSERT_TRUE(cut.ok());
  EXPECT_FALSE(cut->header.truncated);
  EXPECT_THAT(cut->answers, SizeIs(20));
  EXPECT_THAT(cut->additional, SizeIs(0));
  EXPECT_TRUE(cut->edns.has_value());
}

TEST(Message, IsTruncatedAtWholeRecords) {
  const Message message = many_addresses(200);
  for (std::size_t limit = 100; limit < 140; ++limit) {
    const std::string bytes = write(message, limit);
    EXPECT_LE(bytes.size(), limit);
    const Result<Message> cut = parsed(bytes);
    ASSERT_TRUE(cut.ok()) << limit;
    EXPECT_TRUE(cut->header.truncated);
    EXPECT_LT(cut->answers.size(), 200U);
    EXPECT_GT(bytes.size() + 16, limit) << "room for one more was left";
  }
}

TEST(Message, NamesTypesAndCodesAsOthersDo) {
  EXPECT_EQ(name_of(Type::aaaa), "AAAA");
  EXPECT_EQ(name_of(static_cast<Type>(64)), "TYPE64");
  EXPECT_EQ(*type_from("srv"), Type::srv);
  EXPECT_FALSE(type_from("nothing").ok());
  EXPECT_EQ(name_of(Code::no_such_name), "NXDOMAIN");
}

}  // namespace
}  // namespace fairlead::dns
