// DNS messages: bytes to values and back (RFC 1035, EDNS0 of RFC 6891). Strict, bounded, pure: what
// comes from the network is refused whole or understood whole.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "dns/name.h"

namespace fairlead::dns {

// Numbers of IANA. A type or class that has no name here is carried as its number.
enum class Type : std::uint16_t {
  a = 1,
  ns = 2,
  cname = 5,
  soa = 6,
  ptr = 12,
  txt = 16,
  aaaa = 28,
  srv = 33,
  opt = 41,
  ixfr = 251,
  axfr = 252,
  any = 255,
};
enum class Class : std::uint16_t { internet = 1, chaos = 3, any = 255 };
enum class Opcode : std::uint8_t { query = 0, status = 2, notify = 4, update = 5 };
enum class Code : std::uint16_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  no_such_name = 3,  // NXDOMAIN
  not_implemented = 4,
  refused = 5,
  bad_version = 16,  // of EDNS; its upper bits travel in the OPT record
};

[[nodiscard]] std::string name_of(Type type);  // "AAAA", "TYPE64"
[[nodiscard]] std::string name_of(Code code);  // "NXDOMAIN", as other tools write it
[[nodiscard]] Result<Type> type_from(std::string_view name);

struct Question {
  Name name;
  Type type = Type::a;
  Class klass = Class::internet;
  bool operator==(const Question&) const = default;
};

struct Soa {
  Name primary;
  Name mailbox;
  std::uint32_t serial = 0;
  std::uint32_t refresh = 0;
  std::uint32_t retry = 0;
  std::uint32_t expire = 0;
  std::uint32_t minimum = 0;  // how long a negative answer may be kept
  bool operator==(const Soa&) const = default;
};

struct Srv {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  Name target;
  bool operator==(const Srv&) const = default;
};

struct Text {
  std::vector<std::string> strings;  // at most 255 bytes each
  bool operator==(const Text&) const = default;
};

struct Opaque {
  std::string bytes;  // data of a type that we have no words for
  bool operator==(const Opaque&) const = default;
};

struct Record {
  Name owner;
  Type type = Type::a;
  Class klass = Class::internet;
  std::uint32_t ttl = 0;
  std::variant<Opaque, IpAddress, Name, Soa, Srv, Text> data;
  // IpAddress for A and AAAA; Name for NS, CNAME and PTR.
  bool operator==(const Record&) const = default;
};

// What the OPT record says. Options are not kept: none is answered.
struct Edns {
  std::uint16_t size = 1232;  // the largest UDP message that its sender takes
  std::uint8_t version = 0;
  bool dnssec_ok = false;
  bool operator==(const Edns&) const = default;
};

struct Header {
  std::uint16_t id = 0;
  bool response = false;
  Opcode opcode = Opcode::query;
  bool authoritative = false;
  bool truncated = false;
  bool recursion_desired = false;
  bool recursion_available = false;
  bool checking_disabled = false;
  Code code = Code::no_error;
  bool operator==(const Header&) const = default;
};

struct Message {
  Header header;
  std::vector<Question> questions;
  std::vector<Record> answers;
  std::vector<Record> authority;
  std::vector<Record> additional;  // without the OPT record
  std::optional<Edns> edns;
  bool operator==(const Message&) const = default;
};

inline constexpr std::size_t plain_udp_size = 512;  // what a query without EDNS can take
inline constexpr std::size_t largest_message = 65535;

[[nodiscard]] std::optional<Header> read_header(std::span<const std::uint8_t> bytes);
// Of any twelve bytes: enough to answer a message that is broken further on.

[[nodiscard]] Result<Message> parse(std::span<const std::uint8_t> bytes);
// Fault: invalid, with what is wrong and at which byte. Compression pointers go strictly back;
// bytes after the last record, two OPT records and records of a wrong length are refused.

[[nodiscard]] Result<> parse(std::span<const std::uint8_t> bytes, Message& into);
// The same into a message that was used before, whose memory serves again. With a fault, what is in
// it means nothing.

[[nodiscard]] std::size_t write(const Message& message, std::span<char> into);
// With names compressed; returns the number of bytes. What does not fit goes: first additional
// records, then, with the TC bit set, all of authority and as many answers as it takes (whole
// records, the last first). Header, question and OPT always stay: there must be room for them.
[[nodiscard]] std::string write(const Message& message, std::size_t limit = largest_message);

}  // namespace fairlead::dns
