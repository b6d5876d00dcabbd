#include "dns/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace fairlead::dns {
namespace {

constexpr std::size_t header_size = 12;
constexpr std::uint8_t pointer_bits = 0xc0;

constexpr std::array<std::pair<Type, const char*>, 12> type_names{{{Type::a, "A"},
                                                                   {Type::ns, "NS"},
                                                                   {Type::cname, "CNAME"},
                                                                   {Type::soa, "SOA"},
                                                                   {Type::ptr, "PTR"},
                                                                   {Type::txt, "TXT"},
                                                                   {Type::aaaa, "AAAA"},
                                                                   {Type::srv, "SRV"},
                                                                   {Type::opt, "OPT"},
                                                                   {Type::ixfr, "IXFR"},
                                                                   {Type::axfr, "AXFR"},
                                                                   {Type::any, "ANY"}}};

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

// Reads from the front; the first thing that is wrong sticks, and after it everything reads as
// nothing.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes), end_(bytes.size()) {}

  [[nodiscard]] bool ok() const { return wrong_ == nullptr; }
  [[nodiscard]] std::size_t place() const { return place_; }
  [[nodiscard]] bool at_end() const { return place_ == end_; }
  [[nodiscard]] Fault fault() const {
    return invalid(fmt::format("no DNS message: {} at byte {}", wrong_, place_));
  }
  void refuse(const char* why) {
    if (ok()) wrong_ = why;
  }

  std::uint8_t byte() {
    if (!have(1)) return 0;
    return bytes_[place_++];
  }
  std::uint16_t two() {
    if (!have(2)) return 0;
    const auto value = static_cast<std::uint16_t>(bytes_[place_] << 8 | bytes_[place_ + 1]);
    place_ += 2;
    return value;
  }
  std::uint32_t four() {
    const std::uint32_t high = two();
    return high << 16 | two();
  }
  std::string take(std::size_t count) {
    if (!have(count)) return {};
    const auto part = bytes_.subspan(place_, count);
    place_ += count;
    return {part.begin(), part.end()};
  }

  Name name() {
    Name name;
    std::size_t at = place_;       // where we read, possibly far back
    std::size_t segment = place_;  // where the present run of labels began: pointers go before it
    bool jumped = false;
    while (true) {
      if (at >= end_) return refuse_name("a name runs over the end");
      const std::uint8_t length = bytes_[at];
      if ((length & pointer_bits) == pointer_bits) {
        if (at + 1 >= end_) return refuse_name("a pointer runs over the end");
        const std::size_t target = (length & 0x3fU) << 8 | bytes_[at + 1];
        if (!jumped) place_ = at + 2;
        if (target >= segment) return refuse_name("a pointer does not go back");
        jumped = true;
        at = segment = target;
        continue;
      }
      if ((length & pointer_bits) != 0) return refuse_name("a label of unknown kind");
      if (at + 1 + length > end_) return refuse_name("a label runs over the end");
      if (length == 0) break;
      const std::string_view label(reinterpret_cast<const char*>(&bytes_[at + 1]), length);
      if (!name.append(label)) return refuse_name("a name is longer than 255 bytes");
      at += 1U + length;
    }
    if (!jumped) place_ = at + 1;
    return name;
  }

  // Reads no further than `size` bytes from here, until `widen`.
  std::size_t narrow(std::size_t size) {
    const std::size_t before = end_;
    if (have(size)) end_ = place_ + size;
    return before;
  }
  void widen(std::size_t before) { end_ = before; }

 private:
  bool have(std::size_t count) {
    if (ok() && count <= end_ - place_) return true;
    refuse("it ends too early");
    return false;
  }
  Name refuse_name(const char* why) {
    refuse(why);
    return {};
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t end_;
  std::size_t place_ = 0;
  const char* wrong_ = nullptr;
};

IpAddress read_v4(Reader& in) {
  std::array<std::uint8_t, 4> bytes{};
  for (auto& byte : bytes) byte = in.byte();
  return IpAddress::v4(bytes);
}

// A v4-mapped address would come out as four bytes: it stays what it is.
std::variant<Opaque, IpAddress> read_v6(Reader& in) {
  std::array<std::uint8_t, 16> bytes{};
  for (auto& byte : bytes) byte = in.byte();
  const IpAddress address = IpAddress::v6(bytes);
  if (address.is_v4()) return Opaque{{bytes.begin(), bytes.end()}};
  return address;
}

Soa read_soa(Reader& in) {
  Soa soa;
  soa.primary = in.name();
  soa.mailbox = in.name();
  for (std::uint32_t* number : {&soa.serial, &soa.refresh, &soa.retry, &soa.expire, &soa.minimum}) {
    *number = in.four();
  }
  return soa;
}

Srv read_srv(Reader& in) {
  Srv srv;
  for (std::uint16_t* number : {&srv.priority, &srv.weight, &srv.port}) *number = in.two();
  srv.target = in.name();
  return srv;
}

Text read_text(Reader& in) {
  Text text;
  do {
    text.strings.push_back(in.take(in.byte()));
  } while (in.ok() && !in.at_end());
  return text;
}

void read_data(Reader& in, Record& record, std::size_t size) {
  switch (record.type) {
    case Type::a:
      record.data = read_v4(in);
      return;
    case Type::aaaa:
      std::visit([&](auto data) { record.data = std::move(data); }, read_v6(in));
      return;
    case Type::ns:
    case Type::cname:
    case Type::ptr:
      record.data = in.name();
      return;
    case Type::soa:
      record.data = read_soa(in);
      return;
    case Type::srv:
      record.data = read_srv(in);
      return;
    case Type::txt:
      record.data = read_text(in);
      return;
    default:
      record.data = Opaque{in.take(size)};
  }
}

Record read_record(Reader& in) {
  Record record;
  record.owner = in.name();
  record.type = static_cast<Type>(in.two());
  record.klass = static_cast<Class>(in.two());
  record.ttl = in.four();
  const std::size_t size = in.two();
  const std::size_t before = in.narrow(size);
  if (!in.ok()) return record;
  // An empty one is what an UPDATE may hold in place of data (RFC 2136).
  if (size > 0) read_data(in, record, size);
  if (!in.at_end()) in.refuse("a record is longer than its data");
  in.widen(before);
  return record;
}

bool are_options(const Record& opt) {
  const auto* data = std::get_if<Opaque>(&opt.data);
  if (data == nullptr) return true;
  std::size_t place = 0;
  const std::string& bytes = data->bytes;
  while (place + 4 <= bytes.size()) {
    const auto high = static_cast<std::uint8_t>(bytes[place + 2]);
    const auto low = static_cast<std::uint8_t>(bytes[place + 3]);
    place += 4U + (static_cast<std::size_t>(high) << 8 | low);
  }
  return place == bytes.size();
}

void take_edns(Reader& in, const Record& opt, Message& message) {
  if (!are_options(opt)) in.refuse("options of an OPT record that do not add up");
  if (message.edns) in.refuse("a second OPT record");
  if (!opt.owner.is_root()) in.refuse("an OPT record that is not the root's");
  message.edns = Edns{.size = static_cast<std::uint16_t>(opt.klass),
                      .version = static_cast<std::uint8_t>(opt.ttl >> 16),
                      .dnssec_ok = (opt.ttl & 0x8000U) != 0};
  const auto upper = static_cast<std::uint16_t>(opt.ttl >> 24 << 4);
  message.header.code = static_cast<Code>(static_cast<std::uint16_t>(message.header.code) | upper);
}

void read_records(Reader& in, std::uint16_t count, std::vector<Record>& records) {
  for (std::uint16_t i = 0; i < count && in.ok(); ++i) records.push_back(read_record(in));
}

void read_additional(Reader& in, std::uint16_t count, Message& message) {
  for (std::uint16_t i = 0; i < count && in.ok(); ++i) {
    Record record = read_record(in);
    if (record.type == Type::opt) {
      take_edns(in, record, message);
    } else {
      message.additional.push_back(std::move(record));
    }
  }
}

Header header_from(std::uint16_t id, std::uint16_t flags) {
  return {.id = id,
          .response = (flags & 0x8000U) != 0,
          .opcode = static_cast<Opcode>(flags >> 11 & 0xfU),
          .authoritative = (flags & 0x0400U) != 0,
          .truncated = (flags & 0x0200U) != 0,
          .recursion_desired = (flags & 0x0100U) != 0,
          .recursion_available = (flags & 0x0080U) != 0,
          .checking_disabled = (flags & 0x0010U) != 0,
          .code = static_cast<Code>(flags & 0xfU)};
}

std::uint16_t flags_of(const Header& header) {
  const auto bit = [](bool set, unsigned value) { return set ? value : 0U; };
  return static_cast<std::uint16_t>(
      bit(header.response, 0x8000U) | (static_cast<unsigned>(header.opcode) & 0xfU) << 11 |
      bit(header.authoritative, 0x0400U) | bit(header.truncated, 0x0200U) |
      bit(header.recursion_desired, 0x0100U) | bit(header.recursion_available, 0x0080U) |
      bit(header.checking_disabled, 0x0010U) | (static_cast<unsigned>(header.code) & 0xfU));
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────

// Writes into the room it is given. What has none is counted and not written: whoever wrote it sees
// that the size is too large, and goes back.
class Writer {
 public:
  explicit Writer(std::span<char> room) : room_(room) {}

  void byte(std::uint8_t value) { big_endian(value, 1); }
  void two(std::uint16_t value) { big_endian(value, 2); }
  void four(std::uint32_t value) { big_endian(value, 4); }
  void bytes(std::string_view text) {
    if (fits(text.size())) std::memcpy(room_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }

  void name(const Name& name) {
    // What is being written is known only once it is whole: "a.a" must not point into itself.
    const std::string_view wire = name.wire();
    std::size_t fresh = known_count_;
    std::size_t place = 0;
    std::uint16_t known = 0;
    while (wire[place] != '\0') {
      known = find(wire.substr(place));
      if (known != 0) break;
      const std::size_t here = size_ + place;
      if (fresh < most_known && here <= farthest)
        known_[fresh++] = static_cast<std::uint16_t>(here);
      place += 1U + static_cast<std::uint8_t>(wire[place]);
    }
    bytes(wire.substr(0, place));
    if (known == 0) {
      byte(0);
    } else {
      two(static_cast<std::uint16_t>(0xc000U | known));
    }
    if (size_ <= room_.size()) known_count_ = fresh;
  }

  // Writes what `write` writes behind two bytes of its length.
  template <class Write>
  void sized(Write write) {
    const std::size_t start = size_;
    two(0);
    write();
    patch(start, static_cast<std::uint16_t>(size_ - start - 2));
  }

  void patch(std::size_t place, std::uint16_t value) {
    const std::size_t end = std::exchange(size_, place);
    two(value);
    size_ = end;
  }

  struct Mark {
    std::size_t size;
    std::size_t known;
  };
  [[nodiscard]] Mark mark() const { return {size_, known_count_}; }
  void go_back(const Mark& mark) {
    size_ = mark.size;
    known_count_ = mark.known;
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  // Enough for a service's answers; a bound on the work for very long ones.
  static constexpr std::size_t most_known = 32;
  static constexpr std::size_t farthest = 0x3fff;  // what a pointer can say

  [[nodiscard]] bool fits(std::size_t count) const { return size_ + count <= room_.size(); }

  void big_endian(std::uint32_t value, std::size_t count) {
    if (fits(count)) {
      for (std::size_t i = 0; i < count; ++i) {
        room_[size_ + i] = static_cast<char>(value >> 8 * (count - 1 - i) & 0xffU);
      }
    }
    size_ += count;
  }

  [[nodiscard]] std::uint8_t at(std::size_t place) const {
    return static_cast<std::uint8_t>(room_[place]);
  }

  // Where this rest of a name was written before; 0 when nowhere.
  [[nodiscard]] std::uint16_t find(std::string_view wire) const {
    for (std::size_t i = 0; i < known_count_; ++i) {
      const std::size_t place = known_[i];  // of a label, not of a pointer
      if (room_[place] != wire[0]) continue;
      if (written(place).starts_with(wire) || stands_at(place, wire)) return known_[i];
    }
    return 0;
  }

  [[nodiscard]] std::string_view written(std::size_t place) const {
    return {room_.data() + place, std::min(size_, room_.size()) - place};
  }

  [[nodiscard]] bool stands_at(std::size_t place, std::string_view wire) const {
    while (true) {
      std::uint8_t length = at(place);
      while ((length & pointer_bits) == pointer_bits) {
        place = (length & 0x3fU) << 8 | at(place + 1);
        length = at(place);
      }
      if (length != static_cast<std::uint8_t>(wire[0])) return false;
      if (length == 0) return true;
      if (!same_label(written(place + 1).substr(0, length), wire.substr(1, length))) return false;
      place += 1U + length;
      wire.remove_prefix(1U + length);
    }
  }

  std::span<char> room_;
  std::size_t size_ = 0;
  std::array<std::uint16_t, most_known> known_{};
  std::size_t known_count_ = 0;
};

void write_data(Writer& out, const Opaque& opaque) {
  out.bytes(opaque.bytes);
}

void write_data(Writer& out, const IpAddress& address) {
  const auto& bytes = address.bytes();
  out.bytes({reinterpret_cast<const char*>(bytes.data()), address.is_v4() ? 4U : 16U});
}

void write_data(Writer& out, const Name& name) {
  out.name(name);
}

void write_data(Writer& out, const Soa& soa) {
  out.name(soa.primary);
  out.name(soa.mailbox);
  for (const std::uint32_t number : {soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum}) {
    out.four(number);
  }
}

void write_data(Writer& out, const Srv& srv) {
  for (const std::uint16_t number : {srv.priority, srv.weight, srv.port}) out.two(number);
  out.bytes(srv.target.wire());  // never compressed (RFC 2782)
}

void write_data(Writer& out, const Text& text) {
  for (const std::string& string : text.strings) {
    const std::size_t size = std::min<std::size_t>(string.size(), 255);
    out.byte(static_cast<std::uint8_t>(size));
    out.bytes(std::string_view(string).substr(0, size));
  }
}

void write_record(Writer& out, const Record& record) {
  out.name(record.owner);
  out.two(static_cast<std::uint16_t>(record.type));
  out.two(static_cast<std::uint16_t>(record.klass));
  out.four(record.ttl);
  out.sized([&] { std::visit([&](const auto& data) { write_data(out, data); }, record.data); });
}

constexpr std::size_t opt_size = 11;

void write_edns(Writer& out, const Edns& edns, Code code) {
  out.byte(0);
  out.two(static_cast<std::uint16_t>(Type::opt));
  out.two(edns.size);
  const std::uint32_t upper = static_cast<std::uint32_t>(code) >> 4;
  out.four(upper << 24 | static_cast<std::uint32_t>(edns.version) << 16 |
           (edns.dnssec_ok ? 0x8000U : 0U));
  out.two(0);
}

void write_question(Writer& out, const Question& question) {
  out.name(question.name);
  out.two(static_cast<std::uint16_t>(question.type));
  out.two(static_cast<std::uint16_t>(question.klass));
}

// As many of them as fit, in order. Returns how many.
template <class What>
std::uint16_t write_while_fits(Writer& out, const std::vector<What>& all, std::size_t limit,
                               void (*write)(Writer&, const What&)) {
  std::uint16_t written = 0;
  for (const What& one : all) {
    const Writer::Mark before = out.mark();
    write(out, one);
    if (out.size() > limit || written == 0xffff) {
      out.go_back(before);
      break;
    }
    ++written;
  }
  return written;
}

}  // namespace

std::string name_of(Type type) {
  for (const auto& [known, name] : type_names) {
    if (known == type) return name;
  }
  return fmt::format("TYPE{}", static_cast<std::uint16_t>(type));
}

std::string name_of(Code code) {
  switch (code) {
    case Code::no_error:
      return "NOERROR";
    case Code::format_error:
      return "FORMERR";
    case Code::server_failure:
      return "SERVFAIL";
    case Code::no_such_name:
      return "NXDOMAIN";
    case Code::not_implemented:
      return "NOTIMP";
    case Code::refused:
      return "REFUSED";
    case Code::bad_version:
      return "BADVERS";
  }
  return fmt::format("RCODE{}", static_cast<std::uint16_t>(code));
}

Result<Type> type_from(std::string_view name) {
  for (const auto& [type, known] : type_names) {
    if (same_label(name, known)) return type;
  }
  return invalid(fmt::format("'{}' is no type of DNS record that we know", name));
}

std::optional<Header> read_header(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < header_size) return std::nullopt;
  Reader in(bytes);
  const std::uint16_t id = in.two();
  return header_from(id, in.two());
}

Result<> parse(std::span<const std::uint8_t> bytes, Message& into) {
  Reader in(bytes);
  into.questions.clear();
  for (std::vector<Record>* records : {&into.answers, &into.authority, &into.additional}) {
    records->clear();
  }
  into.edns.reset();
  const std::uint16_t id = in.two();
  into.header = header_from(id, in.two());
  const std::uint16_t questions = in.two();
  const std::uint16_t answers = in.two();
  const std::uint16_t authority = in.two();
  const std::uint16_t additional = in.two();
  for (std::uint16_t i = 0; i < questions && in.ok(); ++i) {
    Question& question = into.questions.emplace_back();
    question.name = in.name();
    question.type = static_cast<Type>(in.two());
    question.klass = static_cast<Class>(in.two());
  }
  read_records(in, answers, into.answers);
  read_records(in, authority, into.authority);
  read_additional(in, additional, into);
  if (in.ok() && !in.at_end()) in.refuse("more bytes than records");
  if (!in.ok()) return in.fault();
  return done();
}

Result<Message> parse(std::span<const std::uint8_t> bytes) {
  Message message;
  if (Result<> parsed = parse(bytes, message); !parsed) return std::move(parsed).fault();
  return message;
}

std::size_t write(const Message& message, std::span<char> into) {
  Writer out(into.first(std::min(into.size(), largest_message)));
  out.two(message.header.id);
  for (int i = 0; i < 5; ++i) out.two(0);  // flags and counts are known at the end
  const std::size_t reserved = message.edns ? opt_size : 0;
  const std::size_t room = std::min(into.size(), largest_message) - std::min(into.size(), reserved);
  Header header = message.header;
  const auto put = [&](const auto& all, auto write) -> std::uint16_t {
    return header.truncated ? 0 : write_while_fits(out, all, room, write);
  };
  const std::uint16_t questions = write_while_fits(out, message.questions, room, write_question);
  const std::uint16_t answers = write_while_fits(out, message.answers, room, write_record);
  header.truncated =
      header.truncated || questions < message.questions.size() || answers < message.answers.size();
  const Writer::Mark before_authority = out.mark();
  std::uint16_t authority = put(message.authority, write_record);
  if (authority < message.authority.size()) {
    out.go_back(before_authority);
    authority = 0;
    header.truncated = true;
  }
  std::uint16_t additional = put(message.additional, write_record);
  if (message.edns) {
    write_edns(out, *message.edns, message.header.code);
    ++additional;
  }
  out.patch(2, flags_of(header));
  out.patch(4, questions);
  out.patch(6, answers);
  out.patch(8, authority);
  out.patch(10, additional);
  return std::min(out.size(), into.size());
}

std::string write(const Message& message, std::size_t limit) {
  std::string bytes(std::min(limit, largest_message), '\0');
  bytes.resize(write(message, std::span(bytes)));
  return bytes;
}

}  // namespace fairlead::dns
