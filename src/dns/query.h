// The asking side, without a socket: what to send, what came back, and which names a resolver tries
// in which order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/message.h"

namespace fairlead::dns {

[[nodiscard]] std::string query(std::uint16_t id, const Name& name, Type type);
// The bytes of a question, with EDNS. By TCP its length goes before it (`framed`).

struct Reply {
  Code code = Code::no_error;
  bool truncated = false;            // ask again by TCP
  std::vector<IpAddress> addresses;  // of the type that was asked, in the order they came
  std::vector<Record> answers;       // all of them
};

[[nodiscard]] Result<Reply> read_reply(std::span<const std::uint8_t> bytes, std::uint16_t id,
                                       const Name& name, Type type);
// Fault: invalid, when the bytes are no message or answer another question.

[[nodiscard]] std::string framed(
    std::string_view message);  // two bytes of length, then the message

// How a pod's resolv.conf completes names, as kubelet writes it.
inline constexpr int default_ndots = 5;

[[nodiscard]] std::vector<std::string> search_path(std::string_view name_space,
                                                   std::string_view domain);
// "default.svc.cluster.local", "svc.cluster.local", "cluster.local".

[[nodiscard]] std::vector<std::string> candidates(std::string_view name,
                                                  const std::vector<std::string>& search,
                                                  int ndots = default_ndots);
// What a resolver asks for in turn, until something is found: with fewer than `ndots` dots the
// search path first, then the name as it stands; with a final dot that name alone.

}  // namespace fairlead::dns
