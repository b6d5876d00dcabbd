// Requests: the start line, what their head says, and what follows them.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

#include "http/h1_framing.h"
#include "http/h1_parser.h"
#include "http/list.h"
#include "http/scan.h"
#include "http/validate.h"

namespace fairlead::http {
namespace {

constexpr std::size_t line_slack = 64;  // of a request line beside its target: method, version
constexpr std::size_t longest_method = 32;
constexpr std::size_t version_size = 10;  // "HTTP/1.1\r\n"

}  // namespace

H1Event H1RequestParser::next(std::string_view& bytes) {
  data_ = {};
  switch (stage_) {
    case Stage::dead:
      return H1Event::failed;
    case Stage::ending:
      stage_ = Stage::start;
      return H1Event::end;
    case Stage::start:
    case Stage::fields:
      return bytes.empty() ? H1Event::more : read_head(bytes);
    default:
      return body(bytes);
  }
}

H1Event H1RequestParser::read_head(std::string_view& bytes) {
  head_.fields.clear();
  gather(bytes, limits_.head_bytes);
  if (stage_ == Stage::start) {
    if (!first_bytes()) return H1Event::failed;
    const Step step = request_line();
    if (step == Step::failed) return H1Event::failed;
    if (step == Step::incomplete) return wait_for_more(bytes);
    stage_ = Stage::fields;
  }
  const Step step = head_fields(head_.fields, "the request's head is");
  if (step == Step::failed) return H1Event::failed;
  return step == Step::incomplete ? wait_for_more(bytes) : head_complete(bytes);
}

// What can be told from the first bytes is told from them: a client that speaks something else may
// never send a line end. One empty line before a request is passed over (RFC 9112 §2.2).
bool H1RequestParser::first_bytes() {
  const char* at = section_;
  const char* const end = section_end();
  if (!skipped_line_ && *at == '\r') {
    if (at + 1 == end) return true;
    if (at[1] != '\n') {
      fail("a CR that does not end a line");
      return false;
    }
    skipped_line_ = true;
    line_start_ = 2;
    line_offset_ = 2;
    at += 2;
    if (at == end) return true;
  } else if (skipped_line_) {
    at += 2;
    if (at >= end) return true;
  }
  if (is_token_byte(*at)) return true;
  fail("what comes is no HTTP request: it begins with " + printable({at, 1}));
  return false;
}

H1Parser::Step H1RequestParser::request_line() {
  constexpr std::string_view what = "the request line is";
  const std::size_t limit = std::min(limits_.target_bytes + line_slack, limits_.head_bytes);
  if (!line_may_be_whole()) return line_incomplete(limit, 414, what);
  const char* const begin = here();
  const char* const end = section_end();
  const char* const method = token_end(begin, end);
  if (method == end) return line_incomplete(limit, 414, what);
  if (*method != ' ') {
    const bool line_end = *method == '\r' || *method == '\n';
    return bad_line(limit, 414, what,
                    line_end ? "a request line of one word"
                             : "the byte " + printable({method, 1}) + " in the request's method");
  }
  const char* const target = method + 1;
  const char* const after = target_end(target, end);
  if (after == end) return line_incomplete(limit, 414, what);
  if (*after != ' ' || after == target) {
    if (*after == '\r' || *after == '\n') {
      return bad_line(limit, 414, what, "a request line without an HTTP version");
    }
    return bad_line(limit, 414, what,
                    "the byte " + printable({after, 1}) + " in the request's target");
  }
  const Step version = request_version(after + 1, limit, what);
  if (version != Step::line) return version;
  method_size_ = static_cast<std::uint32_t>(method - begin);
  target_size_ = static_cast<std::uint32_t>(after - target);
  line_start_ = static_cast<std::size_t>(after + 1 - section_) + version_size;
  if (line_start_ > limit) {
    fail(414, fmt::format("{} longer than {} bytes", what, limit));
    return Step::failed;
  }
  if (method_size_ > longest_method) {
    fail(501, "the method " + printable({begin, method_size_}, 20) + " is not known");
    return Step::failed;
  }
  return Step::line;
}

// The rest of the request line.
H1Parser::Step H1RequestParser::request_version(const char* at, std::size_t limit,
                                                std::string_view what) {
  const std::string_view rest(at, static_cast<std::size_t>(section_end() - at));
  if (rest.starts_with("HTTP/1.1\r\n")) {
    head_.version = Version::http11;
    return Step::line;
  }
  if (rest.starts_with("HTTP/1.0\r\n")) {
    head_.version = Version::http10;
    return Step::line;
  }
  const std::size_t newline = rest.find('\n');
  if (newline == std::string_view::npos) return line_incomplete(limit, 414, what);
  const std::string_view line = rest.substr(0, newline);
  const bool version = line.size() == 9 && line.starts_with("HTTP/") && line[5] >= '0' &&
                       line[5] <= '9' && line[6] == '.' && line[7] >= '0' && line[7] <= '9' &&
                       line[8] == '\r';
  // A later minor version is taken as the highest that is known (RFC 9110 §2.5).
  if (version && line[5] == '1') {
    head_.version = Version::http11;
    return Step::line;
  }
  if (version && static_cast<std::size_t>(at - section_) + newline + 1 <= limit) {
    fail(505, "the version " + printable(line.substr(0, 8)) + " is not spoken here");
    return Step::failed;
  }
  return bad_line(limit, 414, what,
                  line.ends_with('\r') ? "the request line does not end in an HTTP version: " +
                                             printable(line.substr(0, line.size() - 1))
                                       : "the request line ends with LF alone, without CR");
}

H1Event H1RequestParser::head_complete(std::string_view& bytes) {
  trailers_.clear();
  char* const text = head_.fields.keep_space(line_start_);
  std::memcpy(text, section_, line_start_);
  head_.method = {text + line_offset_, method_size_};
  head_.target = {text + line_offset_ + method_size_ + 1, target_size_};
  settle(head_.fields, text);
  head_size_ = line_start_ - line_offset_;
  take_section(bytes);
  line_offset_ = 0;
  skipped_line_ = false;
  if (!understand_fields() || !understand_target() || !understand_body()) return H1Event::failed;
  enter_body(head_.body);
  return H1Event::head;
}

bool H1RequestParser::understand_fields() {
  const KnownFields known(head_.fields);
  if (known.hosts > 1) {
    fail("the field Host comes more than once");
    return false;
  }
  if (known.hosts == 0 && head_.version == Version::http11) {
    fail("an HTTP/1.1 request without the field Host");
    return false;
  }
  head_.authority = known.host ? known.host->value : std::string_view{};
  // A connection's requests mostly name the same host.
  if (!head_.authority.empty() && head_.authority != last_host_) {
    if (!parse_authority(head_.authority)) {
      fail("the field Host names no host: " + printable(head_.authority));
      return false;
    }
    last_host_ = head_.authority;
  }
  head_.keep_alive = known.persistent(head_.version);
  head_.upgrade = known.asks_upgrade(head_.version) ? whole_list(head_.fields, FieldName::upgrade)
                                                    : std::string_view{};
  head_.expect_continue = known.expects_continue && head_.version == Version::http11;
  std::optional<BodyFraming> framing;
  if (std::optional<Refused> refused = framing_of(known, head_.version, framing)) {
    fail(refused->status, std::move(refused->why));
    return false;
  }
  head_.body = framing.value_or(BodyFraming::none());
  return true;
}

bool H1RequestParser::understand_target() {
  const std::string_view target = head_.target;
  head_.scheme = {};
  if (head_.is_connect()) {
    const std::optional<Authority> authority = parse_authority(target);
    if (!authority || !authority->port) {
      fail("CONNECT names no host and port: " + printable(target));
      return false;
    }
    head_.authority = target;
    head_.path = {};
    return true;
  }
  if (target.front() == '/') {
    head_.path = target;
    return true;
  }
  if (target == "*") {
    head_.path = target;
    if (head_.method == "OPTIONS") return true;
    fail("the target '*' is for OPTIONS alone");
    return false;
  }
  const std::size_t colon = std::min(target.find("://"), target.size());
  const std::string_view scheme = target.substr(0, colon);
  const bool secure = same_name(scheme, "https");
  if (colon == target.size() || (!secure && !same_name(scheme, "http"))) {
    fail("the target " + printable(target) + " is neither a path nor an http URL");
    return false;
  }
  const std::string_view rest = target.substr(colon + 3);
  const std::size_t path = std::min(rest.find_first_of("/?"), rest.size());
  head_.scheme = secure ? "https" : "http";
  head_.authority = rest.substr(0, path);
  if (!parse_authority(head_.authority)) {
    const bool has_user = head_.authority.find('@') != std::string_view::npos;
    fail("the URL " + printable(target) +
         (has_user ? " has user info, which is not allowed here" : " names no host"));
    return false;
  }
  if (path == rest.size()) {
    head_.path = head_.method == "OPTIONS" ? "*" : "/";
  } else if (rest[path] == '/') {
    head_.path = rest.substr(path);
  } else {
    // "http://host?query": the path is "/", which is not in the text.
    const std::string_view query = rest.substr(path);
    char* const text = head_.fields.keep_space(query.size() + 1);
    text[0] = '/';
    std::memcpy(text + 1, query.data(), query.size());
    head_.path = {text, query.size() + 1};
  }
  return true;
}

bool H1RequestParser::understand_body() {
  if (!head_.is_connect() || !head_.body.may_have_bytes()) return true;
  fail("CONNECT with a body");
  return false;
}

H1Event H1RequestParser::finish() {
  switch (stage_) {
    case Stage::dead:
      return H1Event::failed;
    case Stage::ending:
    case Stage::until_close:
      stage_ = Stage::start;
      return H1Event::end;
    case Stage::start:
      if (pending_.empty() || (skipped_line_ && pending_.size() == 2)) return H1Event::more;
      [[fallthrough]];
    case Stage::fields:
      return fail("the connection ended inside a request's head");
    default:
      return fail("the connection ended inside a request's body");
  }
}

void H1RequestParser::become_tunnel() {
  assert(between_messages());
  stage_ = Stage::until_close;
}

void H1RequestParser::release() {
  assert(between_messages());
  head_.fields.release();
  trailers_.release();
  pending_ = {};
  lines_ = {};
  last_host_ = {};
}

}  // namespace fairlead::http
