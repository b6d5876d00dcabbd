#include "witness/conntrack.h"

#include <libmnl/libmnl.h>
#include <netinet/in.h>

// The kernel's headers come after netinet/in.h, or they define its structs again.
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

namespace fairlead::witness {
namespace {

using explain::TrackedConnection;

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using NetlinkSocket = std::unique_ptr<mnl_socket, CloseSocket>;

const char* name_of_state(std::uint8_t state) {
  switch (state) {
    case TCP_CONNTRACK_SYN_SENT:
      return "SYN_SENT";
    case TCP_CONNTRACK_SYN_RECV:
      return "SYN_RECV";
    case TCP_CONNTRACK_ESTABLISHED:
      return "ESTABLISHED";
    case TCP_CONNTRACK_FIN_WAIT:
      return "FIN_WAIT";
    case TCP_CONNTRACK_CLOSE_WAIT:
      return "CLOSE_WAIT";
    case TCP_CONNTRACK_LAST_ACK:
      return "LAST_ACK";
    case TCP_CONNTRACK_TIME_WAIT:
      return "TIME_WAIT";
    case TCP_CONNTRACK_CLOSE:
      return "CLOSE";
    default:
      return "NONE";
  }
}

// The attributes of one level, by number.
template <std::size_t count>
class Attributes {
 public:
  static Attributes in(const nlattr* nest) {
    Attributes all;
    mnl_attr_parse_nested(nest, &Attributes::take, &all.at_);
    return all;
  }
  static Attributes of(const nlmsghdr* message) {
    Attributes all;
    mnl_attr_parse(message, sizeof(nfgenmsg), &Attributes::take, &all.at_);
    return all;
  }
  const nlattr* operator[](std::size_t number) const { return at_[number]; }

 private:
  using Paths = std::array<const nlattr*, count>;
  static int take(const nlattr* attribute, void* data) {
    const std::uint16_t type = mnl_attr_get_type(attribute);
    if (type < count) (*static_cast<Paths*>(data))[type] = attribute;
    return MNL_CB_OK;
  }
  Paths at_{};
};

std::optional<IpAddress> address_in(const nlattr* v4, const nlattr* v6) {
  if (v4) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), mnl_attr_get_payload(v4), bytes.size());
    return IpAddress::v4(bytes);
  }
  if (!v6) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), mnl_attr_get_payload(v6), bytes.size());
  return IpAddress::v6(bytes);
}

struct Ends {
  SocketAddress source;
  SocketAddress destination;
};

std::optional<Ends> ends_in(const nlattr* tuple) {
  if (!tuple) return std::nullopt;
  const auto parts = Attributes<CTA_TUPLE_MAX + 1>::in(tuple);
  if (!parts[CTA_TUPLE_IP] || !parts[CTA_TUPLE_PROTO]) return std::nullopt;
  const auto ip = Attributes<CTA_IP_MAX + 1>::in(parts[CTA_TUPLE_IP]);
  const auto protocol = Attributes<CTA_PROTO_MAX + 1>::in(parts[CTA_TUPLE_PROTO]);
  const nlattr* number = protocol[CTA_PROTO_NUM];
  if (!number || mnl_attr_get_u8(number) != IPPROTO_TCP) return std::nullopt;
  const auto source = address_in(ip[CTA_IP_V4_SRC], ip[CTA_IP_V6_SRC]);
  const auto destination = address_in(ip[CTA_IP_V4_DST], ip[CTA_IP_V6_DST]);
  const nlattr* from = protocol[CTA_PROTO_SRC_PORT];
  const nlattr* to = protocol[CTA_PROTO_DST_PORT];
  if (!source || !destination || !from || !to) return std::nullopt;
  return Ends{{*source, ntohs(mnl_attr_get_u16(from))},
              {*destination, ntohs(mnl_attr_get_u16(to))}};
}

std::string state_in(const nlattr* information) {
  if (!information) return {};
  const auto parts = Attributes<CTA_PROTOINFO_MAX + 1>::in(information);
  if (!parts[CTA_PROTOINFO_TCP]) return {};
  const auto tcp = Attributes<CTA_PROTOINFO_TCP_MAX + 1>::in(parts[CTA_PROTOINFO_TCP]);
  const nlattr* state = tcp[CTA_PROTOINFO_TCP_STATE];
  return state ? name_of_state(mnl_attr_get_u8(state)) : "";
}

std::optional<std::uint64_t> age_in(const nlattr* times) {
  if (!times) return std::nullopt;
  const auto parts = Attributes<CTA_TIMESTAMP_MAX + 1>::in(times);
  const nlattr* start = parts[CTA_TIMESTAMP_START];
  if (!start) return std::nullopt;
  const std::uint64_t began = be64toh(mnl_attr_get_u64(start));
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const auto now_number = static_cast<std::uint64_t>(now);
  return now_number > began ? (now_number - began) / 1000000 : 0;
}

int take_entry(const nlmsghdr* message, void* data) {
  const auto parts = Attributes<CTA_MAX + 1>::of(message);
  const auto original = ends_in(parts[CTA_TUPLE_ORIG]);
  const auto reply = ends_in(parts[CTA_TUPLE_REPLY]);
  if (!original || !reply) return MNL_CB_OK;
  static_cast<std::vector<TrackedConnection>*>(data)->push_back(
      {.source = original->source,
       .destination = original->destination,
       .reply_source = reply->source,
       .reply_destination = reply->destination,
       .state = state_in(parts[CTA_PROTOINFO]),
       .age_milliseconds = age_in(parts[CTA_TIMESTAMP])});
  return MNL_CB_OK;
}

}  // namespace

Result<std::vector<TrackedConnection>> tracked_connections() {
  const NetlinkSocket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return from_errno(errno, "asking for the kernel's connections");
  }
  alignas(nlmsghdr) std::array<char, 256> request{};
  nlmsghdr* message = mnl_nlmsg_put_header(request.data());
  message->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8U) | IPCTNL_MSG_CT_GET;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message->nlmsg_seq = 1;
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = AF_UNSPEC;
  header->version = NFNETLINK_V0;
  if (mnl_socket_sendto(socket.get(), message, message->nlmsg_len) < 0) {
    return from_errno(errno, "asking for the kernel's connections");
  }
  std::vector<TrackedConnection> all;
  std::vector<char> buffer(std::size_t{1} << 16U);
  const unsigned port = mnl_socket_get_portid(socket.get());
  while (true) {
    const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got < 0) return from_errno(errno, "reading the kernel's connections");
    const int more =
        mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), 1, port, &take_entry, &all);
    if (more < 0) return from_errno(errno, "reading the kernel's connections");
    if (more == 0) return all;
  }
}

}  // namespace fairlead::witness
