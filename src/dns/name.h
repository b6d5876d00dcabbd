// Domain names as they travel: labels that keep the case they were written in and are compared
// without it (RFC 1035, RFC 4343). Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "base/result.h"

namespace fairlead::dns {

inline constexpr std::size_t longest_label = 63;
inline constexpr std::size_t longest_name = 255;  // in wire form, the root's byte included

class Name {
 public:
  Name() { wire_[0] = '\0'; }  // the root
  Name(const Name& other) : size_(other.size_) {
    std::memcpy(wire_.data(), other.wire_.data(), size_);
  }
  Name& operator=(const Name& other);
  ~Name() = default;
  static Result<Name> parse(std::string_view text);
  // "reviews.default.svc.cluster.local", with or without the final dot; "\." and "\065" as in zone
  // files. At most 63 bytes a label, 255 in all.
  static Result<Name> from_wire(std::string_view wire);
  // Each label behind its length, the empty one last; no pointers.

  [[nodiscard]] bool append(std::string_view label);
  // Behind all the others. False, and nothing done: it is empty, or something would be too long.

  [[nodiscard]] std::string_view wire() const LIFETIMEBOUND { return {wire_.data(), size_}; }
  [[nodiscard]] std::string text() const;  // no final dot, "." for the root, strange bytes escaped
  [[nodiscard]] std::vector<std::string_view> labels() const LIFETIMEBOUND;
  // From the left, the root's left out.
  [[nodiscard]] bool is_root() const { return size_ == 1; }
  [[nodiscard]] bool within(const Name& zone) const;  // below `zone`, or `zone` itself
  [[nodiscard]] Result<Name> under(const Name& zone) const;
  // This name's labels, then those of `zone`.

  bool operator==(const Name& other) const;  // without regard to case

 private:
  // In place, so that a name costs no allocation; what is behind `size_` is never read.
  std::uint8_t size_ = 1;
  std::array<char, longest_name> wire_;
};

[[nodiscard]] bool same_label(std::string_view a, std::string_view b);  // without regard to case

// The hash and the equality of tables in which labels and wire forms are found without regard to
// case, as they are.
struct Folding {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const;  // may not be noexcept: tables then keep it
  bool operator()(std::string_view a, std::string_view b) const { return same_label(a, b); }
};

[[nodiscard]] Name reverse_name(const IpAddress& address);
// "12.0.96.10.in-addr.arpa", or the 32 nibbles under ip6.arpa: what a PTR query asks for.
[[nodiscard]] Result<IpAddress> address_behind(const Name& reverse);
// The way back. Fault: missing, when it is not the reverse name of one whole address.

}  // namespace fairlead::dns
