#include "witness/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>

#include "dns/query.h"
#include "http/h1_parser.h"

namespace fairlead::witness {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t most_body = 4096;
constexpr milliseconds dns_patience{2000};
constexpr int dns_tries = 2;
constexpr milliseconds silence{1500};
constexpr std::size_t most_addresses = 8;

std::uint64_t since(Clock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<microseconds>(Clock::now() - start).count());
}

// ── names ───────────────────────────────────────────────────────────────────────────────────────

Result<dns::Reply> read_reply(std::string_view bytes, std::uint16_t id, const dns::Name& name,
                              dns::Type type) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return dns::read_reply({begin, bytes.size()}, id, name, type);
}

// Until `bytes` has that many.
Result<> receive_until(Socket& socket, std::string& bytes, std::size_t size, Deadline deadline) {
  std::array<char, 4096> piece{};
  while (bytes.size() < size) {
    Result<std::size_t> got = socket.receive(piece, deadline);
    if (!got) return std::move(got).fault();
    if (*got == 0) return invalid("the name server closed the connection");
    bytes.append(piece.data(), *got);
  }
  return done();
}

// What does not fit into one packet is asked for anew (RFC 7766 §5).
Result<dns::Reply> ask_by_tcp(const SocketAddress& server, std::uint16_t id, const dns::Name& name,
                              dns::Type type) {
  constexpr std::size_t before = 2;  // bytes of length
  const Deadline deadline = Clock::now() + dns_patience;
  Result<Socket> socket = Socket::connect_tcp(server, deadline);
  if (!socket) return std::move(socket).fault();
  if (Result<> sent = socket->send_all(dns::framed(dns::query(id, name, type)), deadline); !sent) {
    return std::move(sent).fault();
  }
  std::string bytes;
  Result<> got = receive_until(*socket, bytes, before, deadline);
  if (!got) return std::move(got).fault();
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  const std::size_t size = before + byte(0) * std::size_t{256} + byte(1);
  got = receive_until(*socket, bytes, size, deadline);
  if (!got) return std::move(got).fault();
  return read_reply(std::string_view(bytes).substr(before, size - before), id, name, type);
}

Result<dns::Reply> ask(const SocketAddress& server, const dns::Name& name, dns::Type type) {
  static std::uint16_t id = 0x4641;
  Fault last = missing("nobody was asked");
  for (int i = 0; i < dns_tries; ++i) {
    Result<Socket> socket = Socket::connect_udp(server);
    if (!socket) return std::move(socket).fault();
    const Deadline deadline = Clock::now() + dns_patience;
    const std::uint16_t mine = ++id;
    if (Result<> sent = socket->send_all(dns::query(mine, name, type), deadline); !sent) {
      return std::move(sent).fault();
    }
    std::array<char, 4096> bytes{};
    Result<std::size_t> got = socket->receive(bytes, deadline);
    if (!got) {
      last = std::move(got).fault();
      continue;
    }
    Result<dns::Reply> reply = read_reply({bytes.data(), *got}, mine, name, type);
    return reply && reply->truncated ? ask_by_tcp(server, mine, name, type) : reply;
  }
  return last;
}

explain::NameAnswer answer_for(const std::string& server, const std::string& candidate,
                               dns::Type type) {
  explain::NameAnswer answer{.server = server, .name = candidate, .type = dns::name_of(type)};
  const Clock::time_point start = Clock::now();
  const Result<SocketAddress> address = SocketAddress::parse(server);
  const Result<dns::Name> name = dns::Name::parse(candidate);
  if (!address || !name) {
    answer.outcome = (address ? name.fault() : address.fault()).describe();
    return answer;
  }
  const Result<dns::Reply> reply = ask(*address, *name, type);
  answer.microseconds = since(start);
  if (!reply) {
    answer.outcome = reply.fault().describe();
    return answer;
  }
  answer.addresses = reply->addresses;
  const bool nothing = reply->code == dns::Code::no_error && reply->addresses.empty();
  answer.outcome = nothing ? "NODATA" : dns::name_of(reply->code);
  return answer;
}

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────

explain::Failing failing_of(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::timed_out:
      return explain::Failing::timed_out;
    case FaultKind::invalid:
      return explain::Failing::not_http;
    default:
      return explain::Failing::closed;
  }
}

struct Answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// Reads one response; keeps `most` bytes of its body and passes over the rest.
Result<Answer> read_answer(Socket& socket, bool head, std::size_t most, Deadline deadline) {
  http::H1ResponseParser parser;
  parser.expect({.head = head});
  Answer answer;
  std::array<char, 16384> buffer{};
  while (true) {
    Result<std::size_t> got = socket.receive(buffer, deadline);
    if (!got) return std::move(got).fault();
    std::string_view bytes(buffer.data(), *got);
    http::H1Event event = *got == 0 ? parser.finish() : parser.next(bytes);
    while (event != http::H1Event::more) {
      if (event == http::H1Event::failed) {
        const bool cut = *got == 0;
        return cut ? Fault{FaultKind::closed,
                           "the connection ended without a whole answer",
                           {},
                           {},
                           {}}
                   : invalid("no HTTP/1.1 came back: " + parser.error().why);
      }
      if (event == http::H1Event::head) {
        answer.status = parser.head().status;
        for (const http::Field& field : parser.head().fields) {
          answer.headers.emplace_back(field.name, field.value);
        }
      }
      if (event == http::H1Event::data) {
        const std::string_view data = parser.data();
        answer.body.append(data.substr(0, most - std::min(most, answer.body.size())));
      }
      if (event == http::H1Event::end) return answer;
      event = parser.next(bytes);
    }
    if (*got == 0)
      return Fault{FaultKind::closed, "the connection ended without an answer", {}, {}, {}};
  }
}

void speak_http(Socket& socket, const Request& request, Deadline deadline,
                explain::Exchange& exchange) {
  if (Result<> sent = socket.send_all(request.text, deadline); !sent) {
    exchange.error = sent.fault().describe();
    exchange.failing = failing_of(sent.fault());
    return;
  }
  Result<Answer> answer = read_answer(socket, request.head, most_body, deadline);
  if (!answer) {
    exchange.error = answer.fault().describe();
    exchange.failing = failing_of(answer.fault());
    return;
  }
  exchange.status = answer->status;
  exchange.headers = std::move(answer->headers);
  exchange.body = std::move(answer->body);
}

void speak_tcp(Socket& socket, explain::Exchange& exchange) {
  std::array<char, most_body> buffer{};
  const Result<std::size_t> got = socket.receive(buffer, Clock::now() + silence);
  if (got) {
    exchange.body.assign(buffer.data(), *got);
    // Who accepts and closes at once, without a word, is a proxy that found nobody behind it.
    if (*got > 0) return;
    exchange.error = "the connection was closed at once";
    exchange.failing = explain::Failing::closed;
    return;
  }
  if (got.fault().kind == FaultKind::timed_out) return;
  exchange.error = got.fault().describe();
  exchange.failing = explain::Failing::closed;
}

struct Connected {
  std::optional<Socket> socket;
  std::string error;
  explain::Failing failing = explain::Failing::none;
};

Connected connect(const SocketAddress& to, Deadline deadline, const Owner& owner) {
  int error = 0;
  Result<Socket> socket = Socket::connect_tcp(to, deadline, owner, &error);
  if (socket) return {.socket = std::move(*socket)};
  const bool refused = error == ECONNREFUSED || error == ECONNRESET;
  return {.error = fmt::format("{} ({})", socket.fault().describe(), to.text()),
          .failing = refused                                       ? explain::Failing::refused
                     : socket.fault().kind == FaultKind::timed_out ? explain::Failing::timed_out
                                                                   : explain::Failing::unreachable};
}

}  // namespace

Resolved resolve(const Request& request, const std::vector<std::string>& servers) {
  Resolved resolved;
  if (servers.empty()) return resolved;
  for (const std::string& candidate : request.names) {
    for (const dns::Type type : {dns::Type::a, dns::Type::aaaa}) {
      explain::NameAnswer answer = answer_for(servers.front(), candidate, type);
      resolved.addresses.insert(resolved.addresses.end(), answer.addresses.begin(),
                                answer.addresses.end());
      resolved.answers.push_back(std::move(answer));
    }
    if (!resolved.addresses.empty()) break;
  }
  std::vector<IpAddress> preferred;
  std::vector<IpAddress> others;
  for (const IpAddress& address : resolved.addresses) {
    (address.is_v4() == request.prefer_v6 ? others : preferred).push_back(address);
  }
  preferred.insert(preferred.end(), others.begin(), others.end());
  resolved.addresses = std::move(preferred);
  return resolved;
}

std::vector<std::string> name_servers(const std::string& resolv_conf) {
  std::vector<std::string> servers;
  std::size_t at = 0;
  while (at < resolv_conf.size()) {
    const std::size_t end = std::min(resolv_conf.find('\n', at), resolv_conf.size());
    std::string line = resolv_conf.substr(at, end - at);
    at = end + 1;
    constexpr std::string_view word = "nameserver";
    if (!line.starts_with(word)) continue;
    line.erase(0, line.find_first_not_of(" \t", word.size()));
    line.erase(std::min(line.find_first_of(" \t\r"), line.size()));
    const Result<IpAddress> address = IpAddress::parse(line);
    if (address) servers.push_back(SocketAddress{*address, 53}.text());
  }
  return servers;
}

Sent send(const Request& request, const std::vector<SocketAddress>& to) {
  Sent sent;
  explain::Exchange& exchange = sent.exchange;
  exchange.id = request.http ? request.id : std::string();
  const Clock::time_point start = Clock::now();
  const Deadline deadline = start + milliseconds(request.patience_milliseconds);
  const Owner owner{.uid = request.uid, .gid = request.gid};
  for (std::size_t i = 0; i < std::min(to.size(), most_addresses); ++i) {
    if (!exchange.error.empty()) exchange.tried.push_back(std::move(exchange.error));
    exchange.error.clear();
    exchange.peer = to[i];
    Connected connected = connect(to[i], deadline, owner);
    exchange.connect_microseconds = since(start);
    exchange.failing = connected.failing;
    exchange.error = std::move(connected.error);
    sent.open = std::move(connected.socket);
    if (sent.open) break;
  }
  if (!sent.open) return sent;
  exchange.connected = true;
  exchange.local = sent.open->local();
  if (request.http) {
    speak_http(*sent.open, request, deadline, exchange);
  } else {
    speak_tcp(*sent.open, exchange);
  }
  exchange.microseconds = since(start);
  return sent;
}

Result<std::string> fetch(Socket socket, const std::string& host, const std::string& path,
                          Deadline deadline) {
  constexpr std::size_t most = std::size_t{16} << 20U;
  const std::string text =
      fmt::format("GET {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", path, host);
  if (Result<> sent = socket.send_all(text, deadline); !sent) return std::move(sent).fault();
  Result<Answer> answer = read_answer(socket, false, most, deadline);
  if (!answer) return std::move(answer).fault();
  if (answer->status != 200) {
    return invalid(fmt::format("{} answers {}", path, answer->status));
  }
  return std::move(answer->body);
}

}  // namespace fairlead::witness
