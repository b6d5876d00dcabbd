#include "proxy/access_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <ctime>

namespace fairlead::proxy {

const std::string_view default_log_format =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

enum class LogFormat::Operator::Kind : std::uint8_t {
  literal,
  nothing,  // known, and never set here
  start_time,
  start_time_local,
  emit_time,
  emit_time_local,
  request_field,
  request_field_without_query,
  path,
  response_field,
  trailer,
  protocol,
  upstream_protocol,
  response_code,
  response_details,
  termination_details,
  upstream_failure,
  flags,
  flags_long,
  bytes_received,
  bytes_sent,
  duration,
  request_duration,
  response_duration,
  response_tx_duration,
  upstream_host,
  upstream_host_without_port,
  upstream_host_port,
  upstream_cluster,
  upstream_local,
  upstream_local_without_port,
  upstream_local_port,
  downstream_remote,
  downstream_remote_without_port,
  downstream_remote_port,
  downstream_local,
  downstream_local_without_port,
  downstream_local_port,
  downstream_direct_local,
  downstream_direct_local_without_port,
  downstream_direct_local_port,
  server_name,
  route_name,
  virtual_host,
  filter_chain,
  unique_id,
  attempts,
  connection_id,
  log_type,
};

namespace {

using Operator = LogFormat::Operator;
using Kind = Operator::Kind;

enum class Argument : std::uint8_t { none, field, time, any };

struct Known {
  std::string_view name;
  Kind kind;
  Argument argument = Argument::none;
};

constexpr std::array known_operators{
    Known{"START_TIME", Kind::start_time, Argument::time},
    Known{"START_TIME_LOCAL", Kind::start_time_local, Argument::time},
    Known{"EMIT_TIME", Kind::emit_time, Argument::time},
    Known{"EMIT_TIME_LOCAL", Kind::emit_time_local, Argument::time},
    Known{"REQ", Kind::request_field, Argument::field},
    Known{"REQUEST_HEADER", Kind::request_field, Argument::field},
    Known{"REQ_WITHOUT_QUERY", Kind::request_field_without_query, Argument::field},
    Known{"PATH", Kind::path, Argument::any},
    Known{"RESP", Kind::response_field, Argument::field},
    Known{"RESPONSE_HEADER", Kind::response_field, Argument::field},
    Known{"TRAILER", Kind::trailer, Argument::field},
    Known{"RESPONSE_TRAILER", Kind::trailer, Argument::field},
    Known{"PROTOCOL", Kind::protocol},
    Known{"UPSTREAM_PROTOCOL", Kind::upstream_protocol},
    Known{"RESPONSE_CODE", Kind::response_code},
    Known{"RESPONSE_CODE_DETAILS", Kind::response_details, Argument::any},
    Known{"CONNECTION_TERMINATION_DETAILS", Kind::termination_details},
    Known{"UPSTREAM_TRANSPORT_FAILURE_REASON", Kind::upstream_failure},
    Known{"RESPONSE_FLAGS", Kind::flags},
    Known{"RESPONSE_FLAGS_LONG", Kind::flags_long},
    Known{"BYTES_RECEIVED", Kind::bytes_received},
    Known{"BYTES_SENT", Kind::bytes_sent},
    Known{"DURATION", Kind::duration},
    Known{"REQUEST_DURATION", Kind::request_duration},
    Known{"REQUEST_TX_DURATION", Kind::request_duration},
    Known{"RESPONSE_DURATION", Kind::response_duration},
    Known{"RESPONSE_TX_DURATION", Kind::response_tx_duration},
    Known{"UPSTREAM_HOST", Kind::upstream_host},
    Known{"UPSTREAM_REMOTE_ADDRESS", Kind::upstream_host},
    Known{"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Kind::upstream_host_without_port, Argument::any},
    Known{"UPSTREAM_REMOTE_PORT", Kind::upstream_host_port},
    Known{"UPSTREAM_CLUSTER", Kind::upstream_cluster},
    Known{"UPSTREAM_CLUSTER_RAW", Kind::upstream_cluster},
    Known{"UPSTREAM_LOCAL_ADDRESS", Kind::upstream_local},
    Known{"UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Kind::upstream_local_without_port, Argument::any},
    Known{"UPSTREAM_LOCAL_PORT", Kind::upstream_local_port},
    Known{"DOWNSTREAM_REMOTE_ADDRESS", Kind::downstream_remote},
    Known{"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Kind::downstream_remote_without_port,
          Argument::any},
    Known{"DOWNSTREAM_REMOTE_PORT", Kind::downstream_remote_port},
    Known{"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Kind::downstream_remote},
    Known{"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", Kind::downstream_remote_without_port,
          Argument::any},
    Known{"DOWNSTREAM_DIRECT_REMOTE_PORT", Kind::downstream_remote_port},
    Known{"DOWNSTREAM_LOCAL_ADDRESS", Kind::downstream_local},
    Known{"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Kind::downstream_local_without_port,
          Argument::any},
    Known{"DOWNSTREAM_LOCAL_PORT", Kind::downstream_local_port},
    Known{"DOWNSTREAM_DIRECT_LOCAL_ADDRESS", Kind::downstream_direct_local},
    Known{"DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT",
          Kind::downstream_direct_local_without_port, Argument::any},
    Known{"DOWNSTREAM_DIRECT_LOCAL_PORT", Kind::downstream_direct_local_port},
    Known{"REQUESTED_SERVER_NAME", Kind::server_name, Argument::any},
    Known{"ROUTE_NAME", Kind::route_name},
    Known{"VIRTUAL_HOST_NAME", Kind::virtual_host},
    Known{"FILTER_CHAIN_NAME", Kind::filter_chain},
    Known{"UNIQUE_ID", Kind::unique_id},
    Known{"STREAM_ID", Kind::unique_id},
    Known{"UPSTREAM_REQUEST_ATTEMPT_COUNT", Kind::attempts},
    Known{"CONNECTION_ID", Kind::connection_id},
    Known{"ACCESS_LOG_TYPE", Kind::log_type},
    // Known in Envoy, and never set here.
    Known{"GRPC_STATUS", Kind::nothing, Argument::any},
    Known{"GRPC_STATUS_NUMBER", Kind::nothing},
    Known{"DYNAMIC_METADATA", Kind::nothing, Argument::any},
    Known{"CLUSTER_METADATA", Kind::nothing, Argument::any},
    Known{"UPSTREAM_METADATA", Kind::nothing, Argument::any},
    Known{"METADATA", Kind::nothing, Argument::any},
    Known{"FILTER_STATE", Kind::nothing, Argument::any},
    Known{"UPSTREAM_FILTER_STATE", Kind::nothing, Argument::any},
    Known{"VIRTUAL_CLUSTER_NAME", Kind::nothing},
    Known{"DOWNSTREAM_TRANSPORT_FAILURE_REASON", Kind::nothing},
    Known{"DOWNSTREAM_PEER_URI_SAN", Kind::nothing},
    Known{"DOWNSTREAM_LOCAL_URI_SAN", Kind::nothing},
    Known{"DOWNSTREAM_PEER_SUBJECT", Kind::nothing},
    Known{"DOWNSTREAM_LOCAL_SUBJECT", Kind::nothing},
    Known{"DOWNSTREAM_TLS_VERSION", Kind::nothing},
    Known{"DOWNSTREAM_TLS_CIPHER", Kind::nothing},
    Known{"UPSTREAM_PEER_URI_SAN", Kind::nothing},
    Known{"UPSTREAM_LOCAL_URI_SAN", Kind::nothing},
    Known{"UPSTREAM_TLS_VERSION", Kind::nothing},
    Known{"UPSTREAM_TLS_CIPHER", Kind::nothing},
    Known{"TRACE_ID", Kind::nothing},
    Known{"SPAN_ID", Kind::nothing},
    Known{"LOCAL_REPLY_BODY", Kind::nothing},
};

constexpr std::array fixed_operators{std::string_view("HOSTNAME"), std::string_view("ENVIRONMENT")};

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& byte : made) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
  }
  return made;
}

// ── Reading a format ─────────────────────────────────────────────────────────────────────────────

// "REQ(X-A?X-B):10" taken apart.
struct Command {
  std::string_view name;
  bool has_argument = false;
  std::string_view argument;
  std::string_view limit;
};

Result<std::size_t> end_of_command(std::string_view text) {
  // The closing '%' is the first outside parentheses: a time's format has its own.
  int depth = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '(') ++depth;
    if (text[at] == ')' && depth > 0) --depth;
    if (text[at] == '%' && depth == 0) return at;
  }
  return invalid("access log format: '%" + std::string(text) + "' has no closing '%'");
}

Result<Command> take_apart(std::string_view text) {
  Command command;
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  const std::string whole = "access log format: '%" + std::string(text) + "%'";
  if (open != std::string_view::npos) {
    if (close == std::string_view::npos || close < open) {
      return invalid(whole + " has no closing parenthesis");
    }
    command.has_argument = true;
    command.argument = text.substr(open + 1, close - open - 1);
  }
  const std::size_t after = command.has_argument ? close + 1 : text.find(':');
  if (after != std::string_view::npos && after < text.size()) {
    if (text[after] != ':') return invalid(whole + ": only ':LENGTH' may follow the parenthesis");
    command.limit = text.substr(after + 1);
  }
  command.name = text.substr(0, std::min(open, command.has_argument ? open : after));
  return command;
}

Result<> read_limit(const Command& command, Operator& made) {
  if (command.limit.empty()) return done();
  const std::string_view limit = command.limit;
  const auto [stopped, error] =
      std::from_chars(limit.data(), limit.data() + limit.size(), made.limit);
  if (error == std::errc() && stopped == limit.data() + limit.size()) return done();
  return invalid("access log format: '" + std::string(command.limit) + "' is not a length");
}

Result<> read_argument(const Known& known, const Command& command, Operator& made) {
  const std::string name(known.name);
  switch (known.argument) {
    case Argument::none:
      if (command.has_argument) return invalid("access log format: " + name + " takes no argument");
      return done();
    case Argument::any:
    case Argument::time:
      made.text = command.argument;
      return done();
    case Argument::field: {
      if (command.argument.empty()) {
        return invalid("access log format: " + name + " wants the name of a field");
      }
      const std::size_t mark = command.argument.find('?');
      made.text = lower(command.argument.substr(0, mark));
      if (mark != std::string_view::npos) made.otherwise = lower(command.argument.substr(mark + 1));
      return done();
    }
  }
  return done();
}

std::string fixed_text(const Command& command) {
  if (command.name == "HOSTNAME") {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "-";
    return name.data();
  }
  const char* value = std::getenv(std::string(command.argument).c_str());
  return value && *value != '\0' ? value : "-";
}

Result<Operator> compile(std::string_view text) {
  Result<Command> command = take_apart(text);
  if (!command) return command.fault();
  Operator made{.kind = Kind::literal};
  Result<> limit = read_limit(*command, made);
  if (!limit) return limit.fault();
  if (std::find(fixed_operators.begin(), fixed_operators.end(), command->name) !=
      fixed_operators.end()) {
    made.text = fixed_text(*command).substr(0, made.limit);
    return made;
  }
  const auto* known = std::find_if(known_operators.begin(), known_operators.end(),
                                   [&](const Known& one) { return one.name == command->name; });
  if (known == known_operators.end()) {
    return invalid("access log format: there is no operator '%" + std::string(command->name) +
                   "%'");
  }
  made.kind = known->kind;
  Result<> argument = read_argument(*known, *command, made);
  if (!argument) return argument.fault();
  return made;
}

// ── Writing an entry ─────────────────────────────────────────────────────────────────────────────

void append_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_text(std::string& out, std::string_view text, std::size_t limit) {
  if (text.empty()) {
    out += '-';
  } else {
    out.append(text.substr(0, limit));
  }
}

void append_milliseconds(std::string& out, Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  append_number(out, static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0)));
}

void append_optional(std::string& out, const std::optional<Duration>& duration) {
  if (duration) {
    append_milliseconds(out, *duration);
  } else {
    out += '-';
  }
}

void append_two(char* at, int number) {
  at[0] = static_cast<char>('0' + number / 10 % 10);
  at[1] = static_cast<char>('0' + number % 10);
}

// "2026-11-24T08:15:00.123Z". The seconds' text is kept: most entries share it with the one before.
void append_default_time(std::string& out, WallTime time) {
  thread_local std::time_t kept_second = -1;
  thread_local std::array<char, 20> kept;
  const auto since = time.time_since_epoch();
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(since).count();
  if (second != kept_second) {
    std::tm parts{};
    const auto stamp = static_cast<std::time_t>(second);
    ::gmtime_r(&stamp, &parts);
    append_two(&kept[0], (parts.tm_year + 1900) / 100);
    append_two(&kept[2], (parts.tm_year + 1900) % 100);
    append_two(&kept[5], parts.tm_mon + 1);
    append_two(&kept[8], parts.tm_mday);
    append_two(&kept[11], parts.tm_hour);
    append_two(&kept[14], parts.tm_min);
    append_two(&kept[17], parts.tm_sec);
    kept[4] = kept[7] = '-';
    kept[10] = 'T';
    kept[13] = kept[16] = ':';
    kept[19] = '.';
    kept_second = second;
  }
  const auto part = std::chrono::duration_cast<std::chrono::milliseconds>(since).count() % 1000;
  out.append(kept.data(), kept.size());
  std::array<char, 4> rest{};
  rest[0] = static_cast<char>('0' + part / 100);
  append_two(&rest[1], static_cast<int>(part % 100));
  rest[3] = 'Z';
  out.append(rest.data(), rest.size());
}

// Envoy's own letters beside strftime's: %s (seconds since 1970), %f (nanoseconds), %1f … %9f.
void append_formatted_time(std::string& out, std::string_view format, WallTime time, bool local) {
  const auto since = time.time_since_epoch();
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(since).count();
  const auto nanoseconds =
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count() - second * 1'000'000'000;
  const std::string fraction = fmt::format("{:09}", nanoseconds);
  std::string prepared;
  for (std::size_t at = 0; at < format.size(); ++at) {
    const char next = at + 1 < format.size() ? format[at + 1] : '\0';
    const char after = at + 2 < format.size() ? format[at + 2] : '\0';
    if (format[at] != '%') {
      prepared += format[at];
    } else if (next == 's') {
      prepared += std::to_string(second);
      ++at;
    } else if (next == 'f') {
      prepared += fraction;
      ++at;
    } else if (next >= '1' && next <= '9' && after == 'f') {
      prepared += fraction.substr(0, static_cast<std::size_t>(next - '0'));
      at += 2;
    } else {
      prepared += '%';
      if (next != '\0') prepared += format[++at];
    }
  }
  std::tm parts{};
  const auto stamp = static_cast<std::time_t>(second);
  if (local) {
    ::localtime_r(&stamp, &parts);
  } else {
    ::gmtime_r(&stamp, &parts);
  }
  std::array<char, 256> text{};
  out.append(text.data(), std::strftime(text.data(), text.size(), prepared.c_str(), &parts));
}

void append_time(std::string& out, const Operator& op, WallTime time, bool local) {
  if (op.text.empty() && !local) {
    append_default_time(out, time);
  } else {
    append_formatted_time(out, op.text.empty() ? "%Y-%m-%dT%H:%M:%S.%3f%z" : op.text, time, local);
  }
}

std::string_view field(const FieldFinder& find, const Operator& op) {
  const std::string_view value = find(op.text);
  if (value.data() != nullptr || op.otherwise.empty()) return value;
  return find(op.otherwise);
}

std::string_view without_query(std::string_view target) {
  return target.substr(0, target.find('?'));
}

std::string_view host_of(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  const std::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') return host.substr(1, host.size() - 2);
  return host;
}

std::string_view port_of(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  return colon == std::string_view::npos ? std::string_view() : address.substr(colon + 1);
}

// Texts that need no work.
std::string_view plain_text(const LogEntry& entry, Kind kind) {
  switch (kind) {
    case Kind::protocol:
      return entry.protocol;
    case Kind::upstream_protocol:
      return entry.upstream_protocol;
    case Kind::response_details:
      return entry.response_details;
    case Kind::termination_details:
      return entry.termination_details;
    case Kind::upstream_failure:
      return entry.upstream_failure;
    case Kind::upstream_host:
      return entry.upstream_host;
    case Kind::upstream_host_without_port:
      return host_of(entry.upstream_host);
    case Kind::upstream_host_port:
      return port_of(entry.upstream_host);
    case Kind::upstream_cluster:
      return entry.upstream_cluster;
    case Kind::upstream_local:
      return entry.upstream_local_address;
    case Kind::upstream_local_without_port:
      return host_of(entry.upstream_local_address);
    case Kind::upstream_local_port:
      return port_of(entry.upstream_local_address);
    case Kind::downstream_remote:
      return entry.downstream_remote_address;
    case Kind::downstream_remote_without_port:
      return host_of(entry.downstream_remote_address);
    case Kind::downstream_remote_port:
      return port_of(entry.downstream_remote_address);
    case Kind::downstream_local:
      return entry.downstream_local_address;
    case Kind::downstream_local_without_port:
      return host_of(entry.downstream_local_address);
    case Kind::downstream_local_port:
      return port_of(entry.downstream_local_address);
    case Kind::downstream_direct_local:
      return entry.downstream_direct_local_address;
    case Kind::downstream_direct_local_without_port:
      return host_of(entry.downstream_direct_local_address);
    case Kind::downstream_direct_local_port:
      return port_of(entry.downstream_direct_local_address);
    case Kind::server_name:
      return entry.requested_server_name;
    case Kind::route_name:
      return entry.route_name;
    case Kind::virtual_host:
      return entry.virtual_host;
    case Kind::filter_chain:
      return entry.filter_chain;
    case Kind::unique_id:
      return entry.unique_id;
    case Kind::log_type:
      return entry.protocol.empty() ? "TcpConnectionEnd" : "DownstreamEnd";
    default:
      return {};
  }
}

void render_one(const Operator& op, const LogEntry& entry, std::string& out) {
  switch (op.kind) {
    case Kind::literal:
      out += op.text;
      return;
    case Kind::start_time:
      return append_time(out, op, entry.started, false);
    case Kind::start_time_local:
      return append_time(out, op, entry.started, true);
    case Kind::emit_time:
    case Kind::emit_time_local:
      return append_time(
          out, op, entry.started + std::chrono::duration_cast<WallTime::duration>(entry.duration),
          op.kind == Kind::emit_time_local);
    case Kind::request_field:
      return append_text(out, field(entry.request, op), op.limit);
    case Kind::request_field_without_query:
      return append_text(out, without_query(field(entry.request, op)), op.limit);
    case Kind::path: {
      const std::string_view path = entry.request(":path");
      return append_text(out, op.text.starts_with("NQ") ? without_query(path) : path, op.limit);
    }
    case Kind::response_field:
      return append_text(out, field(entry.response, op), op.limit);
    case Kind::trailer:
      return append_text(out, field(entry.trailers, op), op.limit);
    case Kind::response_code:
      return append_number(out, entry.response_code);
    case Kind::flags:
      return append_short(out, entry.flags);
    case Kind::flags_long:
      return append_long(out, entry.flags);
    case Kind::bytes_received:
      return append_number(out, entry.bytes_received);
    case Kind::bytes_sent:
      return append_number(out, entry.bytes_sent);
    case Kind::duration:
      return append_milliseconds(out, entry.duration);
    case Kind::request_duration:
      return append_optional(out, entry.request_duration);
    case Kind::response_duration:
      return append_optional(out, entry.response_duration);
    case Kind::response_tx_duration:
      if (!entry.response_duration) return append_optional(out, std::nullopt);
      return append_milliseconds(out, entry.duration - *entry.response_duration);
    case Kind::attempts:
      return append_number(out, entry.attempts);
    case Kind::connection_id:
      return append_number(out, entry.connection_id);
    default:
      return append_text(out, plain_text(entry, op.kind), op.limit);
  }
}

}  // namespace

Result<LogFormat> LogFormat::parse(std::string_view format) {
  if (format.empty()) format = default_log_format;
  LogFormat made;
  std::string literal;
  const auto finish_literal = [&] {
    if (literal.empty()) return;
    made.operators_.push_back({.kind = Kind::literal, .text = std::move(literal)});
    literal.clear();
  };
  while (!format.empty()) {
    if (format[0] != '%') {
      const std::size_t length = std::min(format.find('%'), format.size());
      literal += format.substr(0, length);
      format.remove_prefix(length);
      continue;
    }
    format.remove_prefix(1);
    if (format.starts_with('%')) {
      literal += '%';
      format.remove_prefix(1);
      continue;
    }
    const Result<std::size_t> end = end_of_command(format);
    if (!end) return end.fault();
    Result<Operator> compiled = compile(format.substr(0, *end));
    if (!compiled) return compiled.fault();
    format.remove_prefix(*end + 1);
    finish_literal();
    made.operators_.push_back(std::move(*compiled));
  }
  finish_literal();
  return made;
}

void LogFormat::render(const LogEntry& entry, std::string& out) const {
  for (const Operator& op : operators_) render_one(op, entry, out);
}

}  // namespace fairlead::proxy
