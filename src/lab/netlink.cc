#include "lab/netlink.h"

#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <span>

namespace fairlead::lab {
namespace {

// A request under construction. Attributes nest: end(begin(...)).
class Request {
 public:
  template <class Body>
  Request(std::uint16_t type, std::uint16_t flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    append(&header, sizeof header);
    append(&body, sizeof body);
  }

  void add(std::uint16_t type, const void* data, std::size_t size) {
    const rtattr attribute{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
    append(&attribute, sizeof attribute);
    append(data, size);
  }
  void add(std::uint16_t type, const std::string& text) {
    add(type, text.c_str(), text.size() + 1);
  }
  void add(std::uint16_t type, std::uint32_t number) { add(type, &number, sizeof number); }
  void add(std::uint16_t type, const IpAddress& address) {
    add(type, address.bytes().data(), address.is_v4() ? 4 : 16);
  }

  std::size_t begin(std::uint16_t type) {
    const std::size_t place = bytes_.size();
    const rtattr attribute{0, type};
    append(&attribute, sizeof attribute);
    return place;
  }
  template <class Body>
  void body(const Body& body) {
    append(&body, sizeof body);
  }
  void end(std::size_t place) {
    const auto size = static_cast<std::uint16_t>(bytes_.size() - place);
    std::memcpy(bytes_.data() + place, &size, sizeof size);
  }

  std::vector<std::uint8_t> finish() && { return std::move(bytes_); }

 private:
  void append(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }

  std::vector<std::uint8_t> bytes_;
};

std::uint8_t family_of(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

}  // namespace

Result<Netlink> Netlink::open() {
  Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return from_errno(errno, "opening the kernel's routing socket");
  return Netlink(std::move(socket));
}

Result<int> Netlink::ask(std::vector<std::uint8_t> message, const std::string& what) {
  nlmsghdr header{};
  int index = 0;
  std::memcpy(&header, message.data(), sizeof header);
  header.nlmsg_len = static_cast<std::uint32_t>(message.size());
  header.nlmsg_seq = ++sequence_;
  std::memcpy(message.data(), &header, sizeof header);
  if (::send(socket_.number(), message.data(), message.size(), 0) < 0) {
    return from_errno(errno, what);
  }
  alignas(nlmsghdr) std::uint8_t answer[8192];
  for (;;) {
    const ssize_t size = ::recv(socket_.number(), answer, sizeof answer, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr)))) return from_errno(errno, what);
    std::memcpy(&header, answer, sizeof header);
    if (header.nlmsg_seq != sequence_) continue;
    if (header.nlmsg_type == RTM_NEWLINK) {
      ifinfomsg link{};
      std::memcpy(&link, answer + NLMSG_HDRLEN, sizeof link);
      index = link.ifi_index;
    }
    if (header.nlmsg_type != NLMSG_ERROR) continue;
    nlmsgerr error{};
    std::memcpy(&error, answer + NLMSG_HDRLEN, sizeof error);
    if (error.error != 0) return from_errno(-error.error, what);
    return index;
  }
}

Result<> Netlink::tell(std::vector<std::uint8_t> message, const std::string& what) {
  Result<int> answer = ask(std::move(message), what);
  if (!answer) return std::move(answer).fault();
  return done();
}

Result<int> Netlink::index_of(const std::string& interface) {
  const auto known = indexes_.find(interface);
  if (known != indexes_.end()) return known->second;
  Request request(RTM_GETLINK, 0, ifinfomsg{});
  request.add(IFLA_IFNAME, interface);
  Result<int> index = ask(std::move(request).finish(), fmt::format("looking for {}", interface));
  if (index) indexes_[interface] = *index;
  return index;
}

Result<> Netlink::set_up(const std::string& interface) {
  const Result<int> index = index_of(interface);
  if (!index) return index.fault();
  ifinfomsg body{};
  body.ifi_index = *index;
  body.ifi_flags = IFF_UP;
  body.ifi_change = IFF_UP;
  return tell(Request(RTM_NEWLINK, 0, body).finish(), fmt::format("bringing {} up", interface));
}

Result<> Netlink::add_wire(const std::string& here, const std::string& there, int there_namespace) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  request.add(IFLA_IFNAME, here);
  const std::size_t info = request.begin(IFLA_LINKINFO);
  request.add(IFLA_INFO_KIND, std::string("veth"));
  const std::size_t data = request.begin(IFLA_INFO_DATA);
  const std::size_t peer = request.begin(VETH_INFO_PEER);
  request.body(ifinfomsg{});
  request.add(IFLA_IFNAME, there);
  request.add(IFLA_NET_NS_FD, static_cast<std::uint32_t>(there_namespace));
  request.end(peer);
  request.end(data);
  request.end(info);
  return tell(std::move(request).finish(), fmt::format("laying the wire {} to {}", here, there));
}

Result<> Netlink::remove_link(const std::string& interface) {
  indexes_.erase(interface);
  Request request(RTM_DELLINK, 0, ifinfomsg{});
  request.add(IFLA_IFNAME, interface);
  return tell(std::move(request).finish(), fmt::format("removing {}", interface));
}

Result<> Netlink::add_address(const std::string& interface, const IpAddress& address,
                              int prefix_length) {
  const Result<int> index = index_of(interface);
  if (!index) return index.fault();
  ifaddrmsg body{};
  body.ifa_family = family_of(address);
  body.ifa_prefixlen = static_cast<std::uint8_t>(prefix_length);
  body.ifa_flags = address.is_v4() ? 0 : IFA_F_NODAD;
  body.ifa_index = static_cast<std::uint32_t>(*index);
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body);
  request.add(IFA_LOCAL, address);
  request.add(IFA_ADDRESS, address);
  return tell(std::move(request).finish(),
              fmt::format("giving {}/{} to {}", address.text(), prefix_length, interface));
}

Result<> Netlink::add_route(const Route& route) {
  const Result<int> index = index_of(route.interface);
  if (!index) return index.fault();
  rtmsg body{};
  body.rtm_family = family_of(route.to);
  body.rtm_dst_len = static_cast<std::uint8_t>(route.prefix_length);
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = route.via || !route.to.is_v4() ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  body.rtm_type = RTN_UNICAST;
  body.rtm_flags = route.via_is_on_link ? RTNH_F_ONLINK : 0;
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body);
  if (route.prefix_length > 0) request.add(RTA_DST, route.to);
  if (route.via) request.add(RTA_GATEWAY, *route.via);
  if (route.source) request.add(RTA_PREFSRC, *route.source);
  request.add(RTA_OIF, static_cast<std::uint32_t>(*index));
  return tell(std::move(request).finish(), fmt::format("routing {}/{} to {}", route.to.text(),
                                                       route.prefix_length, route.interface));
}

}  // namespace fairlead::lab
