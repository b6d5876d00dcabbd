#include "proxy/access_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/copy_text.h"
#include "http/fields.h"
#include "proxy/decide/arrival.h"

namespace fairlead::proxy {

const std::string_view default_log_format =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

namespace {

enum class Kind : std::uint8_t {
  literal,
  none,  // known, and never set here: "-"
  text,  // of the entry
  host,  // of an address of the entry
  port,
  start_time,
  start_time_local,
  emit_time,
  emit_time_local,
  request_field,
  request_field_without_query,
  path,
  response_field,
  trailer,
  response_code,
  flags,
  flags_long,
  bytes_received,
  bytes_sent,
  duration,
  request_duration,
  response_duration,
  response_tx_duration,
  attempts,
  connection_id,
  stream_id,
  log_type,
};

// What a REQ, RESP or TRAILER names: a field, or what HTTP/1 has in its request line.
struct FieldKey {
  enum class Pseudo : std::uint8_t { none, method, path, authority, scheme, unknown };
  std::string name;  // lower case; empty: nothing is named
  http::FieldName known = http::FieldName::other;
  Pseudo pseudo = Pseudo::none;
};

using Text = std::string_view LogEntry::*;

}  // namespace

struct LogFormat::Operator {
  // The literal text in front of it: mostly a space or a quotation mark. In place and of one size,
  // as it is written before nearly every value; longer text is an operator of its own.
  static constexpr std::size_t longest_lead = 8;
  std::array<char, longest_lead> lead{};
  std::uint8_t lead_size = 0;

  Kind kind = Kind::none;
  bool no_query = false;
  Text of = nullptr;
  std::size_t limit = std::string::npos;
  FieldKey field;
  FieldKey otherwise;  // to take when the first is absent
  std::string text;    // literal, or a time's format
};

namespace {

using Operator = LogFormat::Operator;

enum class Argument : std::uint8_t { none, field, time, any };

struct Known {
  std::string_view name;
  Kind kind;
  Argument argument = Argument::none;
  Text of = nullptr;
};

constexpr Known text(std::string_view name, Text of, Argument argument = Argument::none) {
  return {name, Kind::text, argument, of};
}

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
    text("PROTOCOL", &LogEntry::protocol),
    text("UPSTREAM_PROTOCOL", &LogEntry::upstream_protocol),
    Known{"RESPONSE_CODE", Kind::response_code},
    text("RESPONSE_CODE_DETAILS", &LogEntry::response_details, Argument::any),
    text("CONNECTION_TERMINATION_DETAILS", &LogEntry::termination_details),
    text("UPSTREAM_TRANSPORT_FAILURE_REASON", &LogEntry::upstream_failure),
    Known{"RESPONSE_FLAGS", Kind::flags},
    Known{"RESPONSE_FLAGS_LONG", Kind::flags_long},
    Known{"BYTES_RECEIVED", Kind::bytes_received},
    Known{"BYTES_SENT", Kind::bytes_sent},
    Known{"DURATION", Kind::duration},
    Known{"REQUEST_DURATION", Kind::request_duration},
    Known{"REQUEST_TX_DURATION", Kind::request_duration},
    Known{"RESPONSE_DURATION", Kind::response_duration},
    Known{"RESPONSE_TX_DURATION", Kind::response_tx_duration},
    text("UPSTREAM_HOST", &LogEntry::upstream_host),
    text("UPSTREAM_REMOTE_ADDRESS", &LogEntry::upstream_host),
    Known{"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Kind::host, Argument::any,
          &LogEntry::upstream_host},
    Known{"UPSTREAM_REMOTE_PORT", Kind::port, Argument::none, &LogEntry::upstream_host},
    text("UPSTREAM_CLUSTER", &LogEntry::upstream_cluster),
    text("UPSTREAM_CLUSTER_RAW", &LogEntry::upstream_cluster),
    text("UPSTREAM_LOCAL_ADDRESS", &LogEntry::upstream_local_address),
    Known{"UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Kind::host, Argument::any,
          &LogEntry::upstream_local_address},
    Known{"UPSTREAM_LOCAL_PORT", Kind::port, Argument::none, &LogEntry::upstream_local_address},
    text("DOWNSTREAM_REMOTE_ADDRESS", &LogEntry::downstream_remote_address),
    Known{"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Kind::host, Argument::any,
          &LogEntry::downstream_remote_address},
    Known{"DOWNSTREAM_REMOTE_PORT", Kind::port, Argument::none,
          &LogEntry::downstream_remote_address},
    text("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", &LogEntry::downstream_remote_address),
    Known{"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", Kind::host, Argument::any,
          &LogEntry::downstream_remote_address},
    Known{"DOWNSTREAM_DIRECT_REMOTE_PORT", Kind::port, Argument::none,
          &LogEntry::downstream_remote_address},
    text("DOWNSTREAM_LOCAL_ADDRESS", &LogEntry::downstream_local_address),
    Known{"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Kind::host, Argument::any,
          &LogEntry::downstream_local_address},
    Known{"DOWNSTREAM_LOCAL_PORT", Kind::port, Argument::none, &LogEntry::downstream_local_address},
    text("DOWNSTREAM_DIRECT_LOCAL_ADDRESS", &LogEntry::downstream_direct_local_address),
    Known{"DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT", Kind::host, Argument::any,
          &LogEntry::downstream_direct_local_address},
    Known{"DOWNSTREAM_DIRECT_LOCAL_PORT", Kind::port, Argument::none,
          &LogEntry::downstream_direct_local_address},
    text("REQUESTED_SERVER_NAME", &LogEntry::requested_server_name, Argument::any),
    text("ROUTE_NAME", &LogEntry::route_name),
    text("VIRTUAL_HOST_NAME", &LogEntry::virtual_host),
    text("FILTER_CHAIN_NAME", &LogEntry::filter_chain),
    text("UNIQUE_ID", &LogEntry::unique_id),
    Known{"STREAM_ID", Kind::stream_id},
    Known{"UPSTREAM_REQUEST_ATTEMPT_COUNT", Kind::attempts},
    Known{"CONNECTION_ID", Kind::connection_id},
    Known{"ACCESS_LOG_TYPE", Kind::log_type},
    // Known in Envoy, and never set here.
    Known{"GRPC_STATUS", Kind::none, Argument::any},
    Known{"GRPC_STATUS_NUMBER", Kind::none},
    Known{"DYNAMIC_METADATA", Kind::none, Argument::any},
    Known{"CLUSTER_METADATA", Kind::none, Argument::any},
    Known{"UPSTREAM_METADATA", Kind::none, Argument::any},
    Known{"METADATA", Kind::none, Argument::any},
    Known{"FILTER_STATE", Kind::none, Argument::any},
    Known{"UPSTREAM_FILTER_STATE", Kind::none, Argument::any},
    Known{"VIRTUAL_CLUSTER_NAME", Kind::none},
    Known{"DOWNSTREAM_TRANSPORT_FAILURE_REASON", Kind::none},
    Known{"DOWNSTREAM_PEER_URI_SAN", Kind::none},
    Known{"DOWNSTREAM_LOCAL_URI_SAN", Kind::none},
    Known{"DOWNSTREAM_PEER_SUBJECT", Kind::none},
    Known{"DOWNSTREAM_LOCAL_SUBJECT", Kind::none},
    Known{"DOWNSTREAM_TLS_VERSION", Kind::none},
    Known{"DOWNSTREAM_TLS_CIPHER", Kind::none},
    Known{"UPSTREAM_PEER_URI_SAN", Kind::none},
    Known{"UPSTREAM_LOCAL_URI_SAN", Kind::none},
    Known{"UPSTREAM_TLS_VERSION", Kind::none},
    Known{"UPSTREAM_TLS_CIPHER", Kind::none},
    Known{"TRACE_ID", Kind::none},
    Known{"SPAN_ID", Kind::none},
    Known{"LOCAL_REPLY_BODY", Kind::none},
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

FieldKey key_of(std::string_view name) {
  using Pseudo = FieldKey::Pseudo;
  FieldKey key{.name = lower(name)};
  if (!key.name.starts_with(':')) {
    key.known = http::field_name(key.name);
  } else {
    key.pseudo = key.name == ":method"      ? Pseudo::method
                 : key.name == ":path"      ? Pseudo::path
                 : key.name == ":authority" ? Pseudo::authority
                 : key.name == ":scheme"    ? Pseudo::scheme
                                            : Pseudo::unknown;
  }
  return key;
}

Result<> read_argument(const Known& known, const Command& command, Operator& made) {
  const std::string name(known.name);
  switch (known.argument) {
    case Argument::none:
      if (command.has_argument) return invalid("access log format: " + name + " takes no argument");
      return done();
    case Argument::any:
      made.no_query = command.argument.starts_with("NQ");
      return done();
    case Argument::time:
      made.text = command.argument;
      return done();
    case Argument::field: {
      if (command.argument.empty()) {
        return invalid("access log format: " + name + " wants the name of a field");
      }
      const std::size_t mark = command.argument.find('?');
      made.field = key_of(command.argument.substr(0, mark));
      if (mark != std::string_view::npos) {
        made.otherwise = key_of(command.argument.substr(mark + 1));
      }
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

void add_literal(std::string text, std::vector<Operator>& made) {
  if (text.empty()) return;
  Operator& one = made.emplace_back();
  one.kind = Kind::literal;
  one.text = std::move(text);
}

// Adds what the command between two '%' says: to the literal text when it is known already, else an
// operator behind that text.
Result<> compile(std::string_view text, std::string& literal, std::vector<Operator>& made) {
  Result<Command> command = take_apart(text);
  if (!command) return command.fault();
  Operator one;
  Result<> good = read_limit(*command, one);
  if (!good) return good;
  if (std::find(fixed_operators.begin(), fixed_operators.end(), command->name) !=
      fixed_operators.end()) {
    literal += fixed_text(*command).substr(0, one.limit);
    return done();
  }
  const auto* known = std::find_if(known_operators.begin(), known_operators.end(),
                                   [&](const Known& known) { return known.name == command->name; });
  if (known == known_operators.end()) {
    return invalid("access log format: there is no operator '%" + std::string(command->name) +
                   "%'");
  }
  one.kind = known->kind;
  one.of = known->of;
  good = read_argument(*known, *command, one);
  if (!good) return good;
  if (literal.size() > Operator::longest_lead) add_literal(std::exchange(literal, {}), made);
  one.lead_size = static_cast<std::uint8_t>(literal.copy(one.lead.data(), one.lead.size()));
  literal.clear();
  made.push_back(std::move(one));
  return done();
}

// ── Writing an entry ─────────────────────────────────────────────────────────────────────────────

// Puts a piece of the log together before it is appended at once.
class Draft {
 public:
  explicit Draft(std::string& out) : out_(out) {}
  ~Draft() { spill(); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  // Its literal text, and room for a number behind it.
  void begin(const Operator& op) {
    if (left() < op.lead.size() + longest_number) [[unlikely]]
      spill();
    std::memcpy(at_, op.lead.data(), op.lead.size());
    at_ += op.lead_size;
  }
  void put(std::string_view text) {
    if (text.size() > left()) [[unlikely]]
      return put_long(text);
    at_ = copy_text(at_, text);
  }
  void absent() { *at_++ = '-'; }
  void number(std::uint64_t number) {
    if (number < 10) {
      *at_++ = static_cast<char>('0' + number);
    } else {
      at_ = std::to_chars(at_, at_ + longest_number, number).ptr;
    }
  }

 private:
  [[nodiscard]] std::size_t left() const {
    return static_cast<std::size_t>(room_.data() + room_.size() - at_);
  }
  // Out of line, so that the rest is short enough to be in line.
  [[gnu::noinline]] void spill() {
    out_.append(room_.data(), static_cast<std::size_t>(at_ - room_.data()));
    at_ = room_.data();
  }
  [[gnu::noinline]] void put_long(std::string_view text) {
    spill();
    out_.append(text);
  }

  static constexpr std::size_t longest_number = 20;  // also of "-"
  std::string& out_;
  std::array<char, 1024> room_;
  char* at_ = room_.data();
};

void append_text(Draft& out, std::string_view text, std::size_t limit) {
  if (text.empty()) return out.absent();
  out.put(text.substr(0, limit));
}

void append_milliseconds(Draft& out, Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  out.number(static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0)));
}

void append_optional(Draft& out, const std::optional<Duration>& duration) {
  if (duration) {
    append_milliseconds(out, *duration);
  } else {
    out.absent();
  }
}

void append_two(char* at, int number) {
  at[0] = static_cast<char>('0' + number / 10 % 10);
  at[1] = static_cast<char>('0' + number % 10);
}

// "2026-11-24T08:15:00.123Z". The seconds' text is kept: most entries share it with the one before.
void append_default_time(Draft& out, WallTime time) {
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
  out.put({kept.data(), kept.size()});
  std::array<char, 4> rest{};
  rest[0] = static_cast<char>('0' + part / 100);
  append_two(&rest[1], static_cast<int>(part % 100));
  rest[3] = 'Z';
  out.put({rest.data(), rest.size()});
}

// Envoy's own letters beside strftime's: %s (seconds since 1970), %f (nanoseconds), %1f … %9f.
void append_formatted_time(Draft& out, std::string_view format, WallTime time, bool local) {
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
  out.put({text.data(), std::strftime(text.data(), text.size(), prepared.c_str(), &parts)});
}

void append_time(Draft& out, const Operator& op, WallTime time, bool local) {
  if (op.text.empty() && !local) {
    append_default_time(out, time);
  } else {
    append_formatted_time(out, op.text.empty() ? "%Y-%m-%dT%H:%M:%S.%3f%z" : op.text, time, local);
  }
}

bool is_named(const http::Field& field, const FieldKey& key) {
  return field.known == key.known &&
         (key.known != http::FieldName::other || http::same_name(field.name, key.name));
}

// The lines of one name, from the first on. Good until the next call on this thread.
std::string_view joined(const http::Field* first, const http::Field* end, const FieldKey& key) {
  thread_local std::string all;
  all = first->value;
  for (const http::Field* field = first + 1; field != end; ++field) {
    if (!is_named(*field, key)) continue;
    all += ',';
    all += field->value;
  }
  return all;
}

// A list may stand on several lines (RFC 9110 §5.3). A null pointer in the view: there is none.
std::string_view find(const http::Fields& fields, const FieldKey& key) {
  const http::Field* const first =
      key.known == http::FieldName::other ? fields.find(key.name) : fields.find(key.known);
  if (!first) return {};
  const http::Field* const end = fields.end();
  const bool single =
      std::none_of(first + 1, end, [&](const http::Field& field) { return is_named(field, key); });
  return single ? first->value : joined(first, end, key);
}

std::string_view find(const http::RequestHead& head, const FieldKey& key) {
  switch (key.pseudo) {
    case FieldKey::Pseudo::none:
      return find(head.fields, key);
    case FieldKey::Pseudo::method:
      return head.method;
    case FieldKey::Pseudo::path:
      return head.path;
    case FieldKey::Pseudo::authority:
      return head.authority;
    case FieldKey::Pseudo::scheme:
      return head.scheme.empty() ? "http" : head.scheme;
    case FieldKey::Pseudo::unknown:
      return {};
  }
  return {};
}

template <class Message>
std::string_view field(const Message* message, const Operator& op) {
  if (!message) return {};
  const std::string_view value = find(*message, op.field);
  if (value.data() != nullptr || op.otherwise.name.empty()) return value;
  return find(*message, op.otherwise);
}

std::string_view without_query(std::string_view target) {
  return target.substr(0, target.find('?'));
}

std::string_view port_of(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  return colon == std::string_view::npos ? std::string_view() : address.substr(colon + 1);
}

void append_flags(Draft& out, Flag flags, void (*append)(std::string&, Flag)) {
  if (flags == Flag::none) return out.absent();
  std::string text;
  append(text, flags);
  out.put(text);
}

void render_one(const Operator& op, const LogEntry& entry, Draft& out) {
  switch (op.kind) {
    case Kind::literal:
      return out.put(op.text);
    case Kind::none:
      return out.absent();
    case Kind::text:
      return append_text(out, entry.*op.of, op.limit);
    case Kind::host:
      return append_text(out, host_of(entry.*op.of), op.limit);
    case Kind::port:
      return append_text(out, port_of(entry.*op.of), op.limit);
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
      const std::string_view path = entry.request ? entry.request->path : std::string_view();
      return append_text(out, op.no_query ? without_query(path) : path, op.limit);
    }
    case Kind::response_field:
      return append_text(out, field(entry.response ? &entry.response->fields : nullptr, op),
                         op.limit);
    case Kind::trailer:
      return append_text(out, field(entry.trailers, op), op.limit);
    case Kind::response_code:
      return out.number(entry.response_code);
    case Kind::flags:
      return append_flags(out, entry.flags, append_short);
    case Kind::flags_long:
      return append_flags(out, entry.flags, append_long);
    case Kind::bytes_received:
      return out.number(entry.bytes_received);
    case Kind::bytes_sent:
      return out.number(entry.bytes_sent);
    case Kind::duration:
      return append_milliseconds(out, entry.duration);
    case Kind::request_duration:
      return append_optional(out, entry.request_duration);
    case Kind::response_duration:
      return append_optional(out, entry.response_duration);
    case Kind::response_tx_duration:
      if (!entry.response_duration) return out.absent();
      return append_milliseconds(out, entry.duration - *entry.response_duration);
    case Kind::attempts:
      return out.number(entry.attempts);
    case Kind::connection_id:
      return out.number(entry.connection_id);
    case Kind::stream_id: {  // as Envoy's: the request's own where it has one
      const std::string_view id = entry.request
                                      ? entry.request->fields.value(http::FieldName::x_request_id)
                                      : std::string_view();
      return append_text(out, id.empty() ? entry.unique_id : id, op.limit);
    }
    case Kind::log_type:
      return append_text(out, entry.protocol.empty() ? "TcpConnectionEnd" : "DownstreamEnd",
                         op.limit);
  }
}

}  // namespace

LogFormat::LogFormat(std::shared_ptr<const Operators> operators)
    : operators_(std::move(operators)) {
  wants_unique_id_ = std::any_of(operators_->begin(), operators_->end(), [](const Operator& op) {
    return op.kind == Kind::stream_id || (op.kind == Kind::text && op.of == &LogEntry::unique_id);
  });
}

Result<LogFormat> LogFormat::parse(std::string_view format) {
  if (format.empty()) format = default_log_format;
  std::vector<Operator> operators;
  std::string literal;
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
    const Result<> compiled = compile(format.substr(0, *end), literal, operators);
    if (!compiled) return compiled.fault();
    format.remove_prefix(*end + 1);
  }
  add_literal(std::move(literal), operators);
  return LogFormat(std::make_shared<const Operators>(std::move(operators)));
}

void LogFormat::render(const LogEntry& entry, std::string& out) const {
  Draft draft(out);
  for (const Operator& op : *operators_) {
    draft.begin(op);
    render_one(op, entry, draft);
  }
}

}  // namespace fairlead::proxy
