#include "dns/name.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace fairlead::dns {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  if (std::memcmp(a.data(), b.data(), a.size()) == 0) return true;
  return std::equal(a.begin(), a.end(), b.begin(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::uint8_t length_at(std::string_view wire, std::size_t place) {
  return static_cast<std::uint8_t>(wire[place]);
}

// One character of a name's text, which may be written with a backslash. Moves `place` on.
// Nothing: a backslash that leads nowhere.
bool read_escaped(std::string_view text, std::size_t& place, char& c) {
  if (place >= text.size()) return false;
  if (!is_digit(text[place])) {
    c = text[place++];
    return true;
  }
  int number = 0;
  const auto digits = text.substr(place, 3);
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.size() != 3 || error != std::errc{} || stop != digits.data() + 3 || number > 255) {
    return false;
  }
  place += 3;
  c = static_cast<char>(number);
  return true;
}

constexpr std::string_view hex_digits = "0123456789abcdef";

}  // namespace

bool same_label(std::string_view a, std::string_view b) {
  return same(a, b);
}

// FNV-1a.
std::size_t Folding::operator()(std::string_view text) const {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(lower(c))) * 0x100000001b3;
  return hash;
}

Name& Name::operator=(const Name& other) {
  size_ = other.size_;
  std::memmove(wire_.data(), other.wire_.data(), size_);
  return *this;
}

bool Name::append(std::string_view label) {
  if (label.empty() || label.size() > longest_label) return false;
  if (size_ + 1 + label.size() > longest_name) return false;
  char* const place = wire_.data() + size_ - 1;  // over the root's
  place[0] = static_cast<char>(label.size());
  std::memcpy(place + 1, label.data(), label.size());
  place[1 + label.size()] = '\0';
  size_ = static_cast<std::uint8_t>(size_ + 1 + label.size());
  return true;
}

Result<Name> Name::parse(std::string_view text) {
  const auto refuse = [&](const char* why) {
    return invalid(fmt::format("'{}' is no domain name: {}", text.substr(0, longest_name), why));
  };
  if (text.empty()) return refuse("it is empty");
  if (text == ".") return Name();
  Name name;
  std::string label;
  const auto end_label = [&] {
    const bool fits = name.append(label);
    label.clear();
    return fits;
  };
  const char* const too_long = "it is longer than 255 bytes";
  for (std::size_t place = 0; place < text.size();) {
    char c = text[place++];
    if (c == '.') {
      if (label.empty()) return refuse("a label is empty");
      if (!end_label()) return refuse(too_long);
      continue;
    }
    if (c == '\\' && !read_escaped(text, place, c)) return refuse("a backslash leads nowhere");
    label.push_back(c);
    if (label.size() > longest_label) return refuse("a label is longer than 63 bytes");
  }
  if (!label.empty() && !end_label()) return refuse(too_long);
  return name;
}

Result<Name> Name::from_wire(std::string_view wire) {
  if (wire.size() > longest_name) return invalid("the name is longer than 255 bytes");
  std::size_t place = 0;
  while (place < wire.size() && wire[place] != '\0') {
    if (length_at(wire, place) > longest_label) return invalid("a label is longer than 63 bytes");
    place += length_at(wire, place) + 1U;
  }
  if (place + 1 != wire.size()) return invalid("the name does not end where its bytes end");
  Name name;
  name.size_ = static_cast<std::uint8_t>(wire.size());
  std::memcpy(name.wire_.data(), wire.data(), wire.size());
  return name;
}

std::string Name::text() const {
  if (is_root()) return ".";
  std::string text;
  for (const std::string_view label : labels()) {
    if (!text.empty()) text.push_back('.');
    for (const char c : label) {
      if (c == '.' || c == '\\') {
        text += {'\\', c};
      } else if (c > ' ' && c < '\x7f') {
        text.push_back(c);
      } else {
        text += fmt::format("\\{:03}", static_cast<unsigned char>(c));
      }
    }
  }
  return text;
}

std::vector<std::string_view> Name::labels() const LIFETIMEBOUND {
  std::vector<std::string_view> labels;
  labels.reserve(8);
  const std::string_view wire = this->wire();
  for (std::size_t place = 0; wire[place] != '\0'; place += length_at(wire, place) + 1U) {
    labels.push_back(wire.substr(place + 1, length_at(wire, place)));
  }
  return labels;
}

bool Name::within(const Name& zone) const {
  if (zone.size_ > size_) return false;
  const std::string_view wire = this->wire();
  const std::size_t start = wire.size() - zone.size_;
  if (!same(wire.substr(start), zone.wire())) return false;
  std::size_t place = 0;  // only where a label begins
  while (place < start) place += length_at(wire, place) + 1U;
  return place == start;
}

Result<Name> Name::under(const Name& zone) const {
  const std::size_t own = size_ - 1U;  // without the root's
  if (own + zone.size_ > longest_name) return invalid("the name is longer than 255 bytes");
  Name name = *this;
  std::memcpy(name.wire_.data() + own, zone.wire_.data(), zone.size_);
  name.size_ = static_cast<std::uint8_t>(own + zone.size_);
  return name;
}

bool Name::operator==(const Name& other) const {
  return same(wire(), other.wire());
}

Name reverse_name(const IpAddress& address) {
  const auto& bytes = address.bytes();
  std::string text;
  if (address.is_v4()) {
    for (int i = 3; i >= 0; --i) text += fmt::format("{}.", bytes[static_cast<std::size_t>(i)]);
    return *Name::parse(text + "in-addr.arpa");
  }
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
    text += {hex_digits[*byte & 0xf], '.', hex_digits[*byte >> 4], '.'};
  }
  return *Name::parse(text + "ip6.arpa");
}

namespace {

bool read_octet(std::string_view label, std::uint8_t& octet) {
  const auto [stop, error] = std::from_chars(label.data(), label.data() + label.size(), octet);
  const bool plain = label.size() == 1 || (!label.empty() && label[0] != '0');
  return plain && error == std::errc{} && stop == label.data() + label.size();
}

bool read_nibble(std::string_view label, std::uint8_t& nibble) {
  const std::size_t value =
      label.size() == 1 ? hex_digits.find(lower(label[0])) : std::string_view::npos;
  nibble = static_cast<std::uint8_t>(value);
  return value != std::string_view::npos;
}

}  // namespace

Result<IpAddress> address_behind(const Name& reverse) {
  const std::vector<std::string_view> labels = reverse.labels();
  const auto refuse = [&] {
    return missing(fmt::format("{} is the reverse name of no address", reverse.text()));
  };
  const auto under = [&](std::string_view zone, std::size_t count) {
    return labels.size() == count + 2 && same(labels[count], zone) &&
           same(labels[count + 1], "arpa");
  };
  if (under("in-addr", 4)) {
    std::array<std::uint8_t, 4> bytes{};
    for (std::size_t i = 0; i < 4; ++i) {
      if (!read_octet(labels[3 - i], bytes[i])) return refuse();
    }
    return IpAddress::v4(bytes);
  }
  if (!under("ip6", 32)) return refuse();
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 32; ++i) {
    std::uint8_t nibble = 0;
    if (!read_nibble(labels[31 - i], nibble)) return refuse();
    bytes[i / 2] = static_cast<std::uint8_t>(bytes[i / 2] << 4 | nibble);
  }
  return IpAddress::v6(bytes);
}

}  // namespace fairlead::dns
