#include "lab/client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pty.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "base/gate.h"
#include "base/latest.h"
#include "lab/ipc.h"
#include "net/signals.h"
#include "net/tcp.h"
#include "net/unix.h"

namespace fairlead::lab {
namespace {

using std::chrono::milliseconds;

void print_line(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
}

Line request_of(const Execution& what) {
  return {{"command", "exec"},   {"target", what.target},     {"container", what.container},
          {"words", what.words}, {"terminal", what.terminal}, {"privileged", what.privileged},
          {"bare", what.bare}};
}

Result<int> status_from(const Descriptor& connection) {
  const Result<Line> answer = last_line(connection, print_line);
  if (!answer) return answer.fault();
  return answer->value("status", 1);
}

// A pipe or a file is meant to be read; a terminal only when it is said, as the command could
// otherwise be stopped for reading it.
bool has_input(const Execution& what) {
  if (::fcntl(STDIN_FILENO, F_GETFD) < 0) return false;
  return what.interactive || ::isatty(STDIN_FILENO) == 0;
}

// ── with a terminal ─────────────────────────────────────────────────────────────────────────────

// This terminal in raw mode until the end of the scope.
class RawTerminal {
 public:
  RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  }
  ~RawTerminal() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

void copy_size(int to) {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) ::ioctl(to, TIOCSWINSZ, &size);
}

volatile std::sig_atomic_t size_changed = 0;

// Whether there may be more.
bool pump(int from, int to) {
  std::array<char, 4096> bytes{};
  const ssize_t size = ::read(from, bytes.data(), bytes.size());
  if (size < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (size <= 0) return false;
  for (ssize_t done = 0; done < size;) {
    const ssize_t written = ::write(to, bytes.data() + done, static_cast<std::size_t>(size - done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    done += written;
  }
  return true;
}

// Until the program at the other end of the terminal is over.
void relay_terminal(int terminal, int connection) {
  bool reads_input = true;
  for (;;) {
    std::array<pollfd, 3> waiting{pollfd{terminal, POLLIN, 0}, pollfd{connection, POLLIN, 0},
                                  pollfd{reads_input ? STDIN_FILENO : -1, POLLIN, 0}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (size_changed != 0) {
      size_changed = 0;
      copy_size(terminal);
    }
    if (waiting[2].revents != 0) reads_input = pump(STDIN_FILENO, terminal);
    if ((waiting[0].revents & POLLIN) != 0) {
      if (!pump(terminal, STDOUT_FILENO)) return;
    } else if (waiting[1].revents != 0 || waiting[0].revents != 0) {
      return;  // all that it wrote has been shown
    }
  }
}

Result<int> execute_on_terminal(const Paths& paths, const Execution& what) {
  int master = -1;
  int slave = -1;
  if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) {
    return from_errno(errno, "making a terminal");
  }
  const Descriptor near(master);
  Descriptor far(slave);
  copy_size(master);
  Line request = request_of(what);
  const char* kind = std::getenv("TERM");
  request["term"] = kind == nullptr ? "xterm" : kind;
  const std::array<int, 3> passed{slave, slave, slave};
  Result<Descriptor> connection = call(paths, request, passed);
  if (!connection) return std::move(connection).fault();
  far.close();
  {
    const RawTerminal raw;
    struct sigaction action{};
    action.sa_handler = [](int) { size_changed = 1; };
    ::sigaction(SIGWINCH, &action, nullptr);
    relay_terminal(master, connection->number());
  }
  return status_from(*connection);
}

// ── logs ────────────────────────────────────────────────────────────────────────────────────────

// Where the last `lines` lines begin.
off_t start_of_last(const std::string& text, int lines) {
  std::size_t place = text.size();
  for (int i = 0; i <= lines && place > 0; ++i) {
    const std::size_t line_end = text.rfind('\n', place - 1);
    if (line_end == std::string::npos) return 0;
    if (i == lines) return static_cast<off_t>(line_end + 1);
    place = line_end;
  }
  return static_cast<off_t>(place);
}

constexpr auto look_again = milliseconds(100);
constexpr auto patience_with_lab = std::chrono::seconds(5);
constexpr int looks_per_question = 5;

// Whether the lab has that container, and it may still write. A lab that cannot be asked says yes:
// whether it is there is another question.
bool will_write(const Paths& paths, const LogRequest& request) {
  if (request.pod.empty()) return true;
  const Result<Descriptor> asked =
      call(paths, {{"command", "find"}, {"target", request.pod}, {"container", request.container}});
  if (!asked) return true;
  const Result<Line> answer = last_line(*asked, print_line, patience_with_lab);
  if (!answer) return answer.fault().kind != FaultKind::missing;
  return !answer->value("over", false);
}

// False when nobody reads any more.
bool copy_rest(int from) {
  std::array<char, 65536> bytes{};
  ssize_t size = 0;
  while ((size = ::read(from, bytes.data(), bytes.size())) > 0) {
    if (::write(STDOUT_FILENO, bytes.data(), static_cast<std::size_t>(size)) < 0) return false;
  }
  return true;
}

// ── forward ─────────────────────────────────────────────────────────────────────────────────────

Line connect_request(const std::string& service, std::uint16_t port, bool stay) {
  return {{"command", "connect"}, {"target", service}, {"port", port}, {"stay", stay}};
}

// A connection to the service, from the lab.
Result<Descriptor> connection_from(const Paths& paths, const Line& request) {
  const Result<Descriptor> connection = call(paths, request);
  if (!connection) return connection.fault();
  std::string text;
  std::vector<Descriptor> passed;
  while (text.find('\n') == std::string::npos) {
    const Result<std::size_t> size = receive(connection->number(), text, passed);
    if (!size) return size.fault();
    if (*size == 0) break;
  }
  if (!passed.empty()) return Descriptor(passed.front().release());
  const Line answer = Line::parse(text, nullptr, false);
  return missing(answer.is_object() ? answer.value("error", "the lab gave no connection")
                                    : "the lab gave no connection");
}

Task<bool> copy(net::Stream& from, net::Stream& to) {
  std::vector<char> bytes(65536);
  for (;;) {
    if (!(co_await from.readable()).ok()) co_return false;
    const Result<net::Taken> taken = from.read_now(bytes);
    if (!taken) {
      to.reset();
      co_return false;
    }
    if (taken->bytes > 0) {
      const std::string_view piece(bytes.data(), taken->bytes);
      if (!(co_await to.write_all(piece)).ok()) {
        from.reset();
        co_return false;
      }
    }
    if (taken->end) {
      to.shutdown_write();
      co_return true;
    }
  }
}

Task<> carry(net::Loop& loop, const Paths& paths, Line request, net::TcpStreamPointer near) {
  Result<Descriptor> socket = connection_from(paths, request);
  if (!socket) {
    std::fprintf(stderr, "fairlead lab forward: %s\n", socket.fault().describe().c_str());
    near->reset();
    co_return;
  }
  Result<net::TcpStreamPointer> far = net::TcpStream::adopt(loop, std::move(*socket));
  if (!far) co_return;
  co_await both(copy(*near, **far), copy(**far, *near));
}

Task<> accept_all(net::Loop& loop, net::TcpListener& listener, const Paths& paths, Line request,
                  Gate& carried) {
  for (;;) {
    Result<net::TcpStreamPointer> stream = co_await listener.accept();
    if (!stream) co_return;
    loop.start(carried, carry(loop, paths, request, std::move(*stream)));
  }
}

enum class End : std::uint8_t { interrupted, of_the_lab };

Task<> tell_interruption(net::Signals& signals, Latest<End>& end) {
  if ((co_await signals.next()).ok()) end.set(End::interrupted);
}

// The lab says nothing more on that connection, which it holds as long as it lives.
Task<> tell_end_of_lab(net::UnixStream& lab, Latest<End>& end) {
  if ((co_await lab.readable()).ok()) end.set(End::of_the_lab);
}

Task<Result<>> serve_forward(net::Loop& loop, net::TcpListener& listener, const Paths& paths,
                             Line request, net::UnixStream& lab) {
  Result<std::unique_ptr<net::Signals>> signals =
      net::Signals::watch(loop, {SIGINT, SIGTERM, SIGHUP});
  if (!signals) co_return std::move(signals).fault();
  Latest<End> end;
  Gate inside;
  loop.start(inside, accept_all(loop, listener, paths, std::move(request), inside));
  loop.start(inside, tell_interruption(**signals, end));
  loop.start(inside, tell_end_of_lab(lab, end));
  static_cast<void>((co_await end.after(0)).ok());
  co_await inside.close();
  if (end.get() == End::interrupted) co_return done();
  co_return Fault{.kind = FaultKind::closed,
                  .message = fmt::format("the lab {} is down, and so this ends", paths.name)};
}

}  // namespace

bool is_alive(const Paths& paths) {
  const Descriptor lock(::open(paths.lock().c_str(), O_RDWR | O_CLOEXEC));
  return lock.valid() && ::flock(lock.number(), LOCK_EX | LOCK_NB) != 0;
}

Result<int> execute(const Paths& paths, const Execution& what) {
  if (what.terminal && ::isatty(STDIN_FILENO) != 0) return execute_on_terminal(paths, what);
  const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::array<int, 3> passed{has_input(what) ? STDIN_FILENO : null.number(), STDOUT_FILENO,
                                  STDERR_FILENO};
  Line request = request_of(what);
  request["terminal"] = false;
  const Result<Descriptor> connection = call(paths, request, passed);
  if (!connection) return connection.fault();
  return status_from(*connection);
}

Result<> print_log(const Paths& paths, const LogRequest& request) {
  const Descriptor file(::open(request.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return from_errno(errno, "opening " + request.path);
  if (request.last_lines >= 0) {
    const Result<std::string> text = read_file(request.path);
    if (!text) return text.fault();
    ::lseek(file.number(), start_of_last(*text, request.last_lines), SEEK_SET);
  }
  for (int looks = 0;; ++looks) {
    // Asked first, so that what was written until then is still shown.
    const bool goes_on = request.follow && is_alive(paths) &&
                         (looks % looks_per_question != 0 || will_write(paths, request));
    if (!copy_rest(file.number()) || !goes_on) return done();
    std::this_thread::sleep_for(look_again);
  }
}

Result<> forward(const Paths& paths, const std::string& service, std::uint16_t port,
                 std::uint16_t local_port) {
  Result<Descriptor> asked = call(paths, connect_request(service, port, true));
  if (!asked) return std::move(asked).fault();
  const Result<Line> known = last_line(*asked, print_line);
  if (!known) return known.fault();
  net::Loop loop;
  Result<net::UnixStreamPointer> lab =
      net::UnixStream::adopt(loop, Descriptor(asked->release()), "the lab");
  if (!lab) return std::move(lab).fault();
  Result<std::unique_ptr<net::TcpListener>> listener =
      net::TcpListener::listen(loop, {IpAddress::v4({127, 0, 0, 1}), local_port});
  if (!listener) return std::move(listener).fault();
  std::printf("http://%s/ leads to %s (%s); Ctrl-C ends it\n", (*listener)->local().text().c_str(),
              service.c_str(), known->value("address", "").c_str());
  std::fflush(stdout);
  return loop.run(
      serve_forward(loop, **listener, paths, connect_request(service, port, false), **lab));
}

}  // namespace fairlead::lab
