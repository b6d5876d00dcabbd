#include "lab/ipc.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/json_text.h"

namespace fairlead::lab {
namespace {

constexpr std::size_t most_descriptors = 3;

using Control = std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))>;

Result<Descriptor> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A path may be longer than the kernel's form of it: then by its folder's descriptor.
  const std::size_t slash = path.rfind('/');
  const Descriptor folder(::open(path.substr(0, slash).c_str(), O_PATH | O_CLOEXEC));
  const std::string reached =
      path.size() < sizeof address.sun_path
          ? path
          : fmt::format("/proc/self/fd/{}{}", folder.number(), path.substr(slash));
  if (reached.size() >= sizeof address.sun_path) return invalid("the path is too long: " + path);
  std::memcpy(address.sun_path, reached.c_str(), reached.size() + 1);
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return from_errno(errno, "making a socket");
  if (::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    return Fault{.kind = FaultKind::unreachable,
                 .message = from_errno(errno, "calling the lab at " + path).message};
  }
  return socket;
}

// Whether there is something to read, or the end, before `patience` is over.
bool has_more(int socket, std::chrono::seconds patience) {
  pollfd asked{.fd = socket, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&asked, 1, static_cast<int>(std::chrono::milliseconds(patience).count()));
  } while (ready < 0 && errno == EINTR);
  return ready != 0;
}

}  // namespace

Result<Descriptor> call(const Paths& paths, const Line& request, std::span<const int> passed) {
  Result<Descriptor> socket = connect_to(paths.command_socket());
  if (!socket) return socket;
  if (Result<> sent = send_with(socket->number(), json_text(request) + "\n", passed); !sent) {
    return std::move(sent).fault();
  }
  return socket;
}

Result<Line> last_line(const Descriptor& connection,
                       const std::function<void(const std::string&)>& say,
                       std::chrono::seconds patience) {
  LineReader reader;
  std::string bytes;
  std::vector<Descriptor> none;
  for (;;) {
    std::string text;
    while (reader.take(text)) {
      Line line = Line::parse(text, nullptr, false);
      if (!line.is_object()) return invalid("the lab answered no JSON object: " + text);
      if (line.contains("error")) {
        const bool missing = line.value("missing", false);
        return Fault{.kind = missing ? FaultKind::missing : FaultKind::denied,
                     .message = line.value("error", "")};
      }
      if (line.contains("status")) return line;
      say(line.value("say", ""));
    }
    if (patience.count() > 0 && !has_more(connection.number(), patience)) {
      return Fault{.kind = FaultKind::timed_out, .message = "the lab does not answer"};
    }
    bytes.clear();
    const Result<std::size_t> size = receive(connection.number(), bytes, none);
    if (!size) return size.fault();
    if (*size == 0) {
      return Fault{.kind = FaultKind::closed, .message = "the lab ended before it had answered"};
    }
    reader.add(bytes);
  }
}

Result<> send_with(int socket, std::string_view text, std::span<const int> passed) {
  while (!text.empty()) {
    iovec piece{const_cast<char*>(text.data()), text.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    alignas(cmsghdr) Control control{};
    if (!passed.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(passed.size_bytes());
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(passed.size_bytes());
      std::memcpy(CMSG_DATA(header), passed.data(), passed.size_bytes());
    }
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return from_errno(errno, "speaking to the lab");
    text.remove_prefix(static_cast<std::size_t>(sent));
    passed = {};
  }
  return done();
}

bool LineReader::take(std::string& line) {
  const std::size_t end = text_.find('\n');
  if (end == std::string::npos) return false;
  line = text_.substr(0, end);
  text_.erase(0, end + 1);
  return true;
}

Result<std::size_t> receive(int socket, std::string& into, std::vector<Descriptor>& descriptors) {
  std::array<char, 16384> bytes{};
  iovec piece{bytes.data(), bytes.size()};
  alignas(cmsghdr) Control control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) {
    return Fault{.kind = FaultKind::exhausted, .message = "nothing is there yet"};
  }
  if (size < 0) return from_errno(errno, "listening to the other side");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
      descriptors.emplace_back(number);
    }
  }
  into.append(bytes.data(), static_cast<std::size_t>(size));
  return static_cast<std::size_t>(size);
}

}  // namespace fairlead::lab
