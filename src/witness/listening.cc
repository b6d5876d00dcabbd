#include "witness/listening.h"

#include <libmnl/libmnl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

// The kernel's headers come after netinet/in.h, or they define its structs again.
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace fairlead::witness {
namespace {

using explain::ListeningSocket;

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using NetlinkSocket = std::unique_ptr<mnl_socket, CloseSocket>;

constexpr const char* asking = "asking for the listening sockets";

IpAddress address_of(const inet_diag_msg& message) {
  if (message.idiag_family == AF_INET) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &message.id.idiag_src, bytes.size());
    return IpAddress::v4(bytes);
  }
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &message.id.idiag_src, bytes.size());
  return IpAddress::v6(bytes);
}

int take_v6_only(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) == INET_DIAG_SKV6ONLY) {
    *static_cast<bool*>(data) = mnl_attr_get_u8(attribute) != 0;
  }
  return MNL_CB_OK;
}

int take_socket(const nlmsghdr* message, void* data) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(inet_diag_msg)) return MNL_CB_OK;
  inet_diag_msg told{};
  std::memcpy(&told, mnl_nlmsg_get_payload(message), sizeof told);
  bool v6_only = false;
  mnl_attr_parse(message, sizeof told, &take_v6_only, &v6_only);
  ListeningSocket socket{.address = {address_of(told), ntohs(told.id.idiag_sport)}};
  socket.both_families =
      !socket.address.ip.is_v4() && socket.address.ip.is_unspecified() && !v6_only;
  static_cast<std::vector<ListeningSocket>*>(data)->push_back(socket);
  return MNL_CB_OK;
}

Result<> ask(mnl_socket& socket, std::uint8_t family, std::uint32_t number) {
  alignas(nlmsghdr) std::array<char, 256> request{};
  nlmsghdr* message = mnl_nlmsg_put_header(request.data());
  message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message->nlmsg_seq = number;
  auto* wanted =
      static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(message, sizeof(inet_diag_req_v2)));
  wanted->sdiag_family = family;
  wanted->sdiag_protocol = IPPROTO_TCP;
  wanted->idiag_states = 1U << static_cast<unsigned>(TCP_LISTEN);
  if (mnl_socket_sendto(&socket, message, message->nlmsg_len) < 0) return from_errno(errno, asking);
  return done();
}

Result<> read_all(mnl_socket& socket, std::uint32_t number, std::vector<ListeningSocket>& all) {
  std::vector<char> buffer(std::size_t{1} << 16U);
  const unsigned port = mnl_socket_get_portid(&socket);
  while (true) {
    const ssize_t got = mnl_socket_recvfrom(&socket, buffer.data(), buffer.size());
    if (got < 0) return from_errno(errno, asking);
    const int more =
        mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), number, port, &take_socket, &all);
    if (more < 0) return from_errno(errno, asking);
    if (more == 0) return done();
  }
}

}  // namespace

Result<std::vector<ListeningSocket>> listening_sockets() {
  const NetlinkSocket socket(mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return from_errno(errno, asking);
  }
  std::vector<ListeningSocket> all;
  std::uint32_t number = 0;
  for (const std::uint8_t family : {AF_INET, AF_INET6}) {
    ++number;
    if (Result<> asked = ask(*socket, family, number); !asked) return std::move(asked).fault();
    if (Result<> read = read_all(*socket, number, all); !read) return std::move(read).fault();
  }
  return all;
}

}  // namespace fairlead::witness
