// Domain names as they travel: labels that keep the case they were written in and are compared
// without it (RFC 1035, RFC 4343). Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/lifetime.h"
#include "base/result.h"

namespace fairlead::dns {

class Name {
 public:
  Name() : wire_(1, '\0') {}  // the root
  static Result<Name> parse(std::string_view text);
  // "reviews.default.svc.cluster.local", with or without the final dot; "\." and "\065" as in zone
  // files. At most 63 bytes a label, 255 in all.
  static Result<Name> from_wire(std::string wire);
  // Each label behind its length, the empty one last; no pointers.

  [[nodiscard]] const std::string& wire() const LIFETIMEBOUND { return wire_; }
  [[nodiscard]] std::string text() const;  // no final dot, "." for the root, strange bytes escaped
  [[nodiscard]] std::string key() const;   // the wire form in lower case: to look names up by
  [[nodiscard]] std::vector<std::string_view> labels() const LIFETIMEBOUND;
  // From the left, the root's left out.
  [[nodiscard]] bool is_root() const { return wire_.size() == 1; }
  [[nodiscard]] bool within(const Name& zone) const;  // below `zone`, or `zone` itself
  [[nodiscard]] Result<Name> under(const Name& zone) const;
  // This name's labels, then those of `zone`.

  bool operator==(const Name& other) const;  // without regard to case

 private:
  explicit Name(std::string wire) : wire_(std::move(wire)) {}
  std::string wire_;
};

[[nodiscard]] bool same_label(std::string_view a, std::string_view b);  // without regard to case

[[nodiscard]] Name reverse_name(const IpAddress& address);
// "12.0.96.10.in-addr.arpa", or the 32 nibbles under ip6.arpa: what a PTR query asks for.
[[nodiscard]] Result<IpAddress> address_behind(const Name& reverse);
// The way back. Fault: missing, when it is not the reverse name of one whole address.

}  // namespace fairlead::dns
