// Responses: the status line, interim ones, and where their bodies end.
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <optional>

#include "http/h1_framing.h"
#include "http/h1_parser.h"
#include "http/list.h"
#include "http/scan.h"
#include "http/validate.h"

namespace fairlead::http {

H1ResponseParser::Asked H1ResponseParser::asked_by(const RequestHead& request) {
  return {.head = request.is_head(), .connect = request.is_connect(), .upgrade = request.upgrade};
}

void H1ResponseParser::expect(const Asked& asked) {
  assert(stage_ == Stage::idle || stage_ == Stage::dead);
  asked_ = asked;
  asked_upgrade_.assign(asked.upgrade);
  asked_.upgrade = asked_upgrade_;
  interim_ = 0;
  if (stage_ == Stage::idle) stage_ = Stage::start;
}

H1Event H1ResponseParser::next(std::string_view& bytes) {
  data_ = {};
  switch (stage_) {
    case Stage::dead:
      return H1Event::failed;
    case Stage::ending:
      stage_ = Stage::idle;
      return H1Event::end;
    case Stage::idle:
      return bytes.empty() ? H1Event::more : fail("the server speaks without having been asked");
    case Stage::start:
    case Stage::fields:
      return bytes.empty() ? H1Event::more : read_head(bytes);
    default: {
      const H1Event event = body(bytes);
      if (event == H1Event::end) stage_ = Stage::idle;
      return event;
    }
  }
}

H1Event H1ResponseParser::read_head(std::string_view& bytes) {
  head_.fields.clear();
  gather(bytes, limits_.head_bytes);
  if (stage_ == Stage::start) {
    if (!first_bytes()) return H1Event::failed;
    const Step step = status_line();
    if (step == Step::failed) return H1Event::failed;
    if (step == Step::incomplete) return wait_for_more(bytes);
    stage_ = Stage::fields;
  }
  const Step step = head_fields(head_.fields, "the response's head is");
  if (step == Step::failed) return H1Event::failed;
  return step == Step::incomplete ? wait_for_more(bytes) : head_complete(bytes);
}

bool H1ResponseParser::first_bytes() {
  constexpr std::string_view expected = "HTTP/1.";
  const std::string_view came(section_, std::min(section_size_, expected.size()));
  if (came == expected || expected.starts_with(came)) return true;
  const auto other = std::mismatch(came.begin(), came.end(), expected.begin()).first;
  const auto shown = static_cast<std::size_t>(other - came.begin()) + 1;
  fail("what comes is no HTTP/1 response: it begins with " + printable(came.substr(0, shown)));
  return false;
}

// HTTP-version SP 3DIGIT [ SP reason ]: the space that a server must send before an empty reason
// is not insisted on, as nothing else can be meant.
H1Parser::Step H1ResponseParser::status_line() {
  constexpr std::string_view what = "the response's head is";
  constexpr std::size_t before_reason = 12;  // "HTTP/1.1 200"
  const std::size_t limit = limits_.head_bytes;
  if (!line_may_be_whole()) return line_incomplete(limit, status_, what);
  const std::string_view line(section_, section_size_);
  const auto bad = [&](std::string why) { return bad_line(limit, status_, what, std::move(why)); };
  const auto digit = [&](std::size_t at) { return line[at] >= '0' && line[at] <= '9'; };
  if (line.size() < before_reason + 2 || !digit(7) || line[8] != ' ' || line[9] == '0' ||
      !digit(9) || !digit(10) || !digit(11) || (line[12] != ' ' && line[12] != '\r')) {
    std::string_view shown = line.substr(0, line.find('\n'));
    if (shown.ends_with('\r')) shown.remove_suffix(1);
    return bad("no version and status of three digits in the status line " + printable(shown));
  }
  const char* const reason = section_ + before_reason;
  const char* const line_end = value_end(reason, section_end());
  if (line_end == section_end() || (*line_end == '\r' && line_end + 1 == section_end())) {
    return line_incomplete(limit, status_, what);
  }
  if (line_end[0] != '\r' || line_end[1] != '\n') {
    return bad(*line_end == '\n'
                   ? "the status line ends with LF alone, without CR"
                   : "the control byte " + printable({line_end, 1}) + " in the status line");
  }
  // A later minor version is taken as the highest that is known (RFC 9110 §2.5).
  head_.version = line[7] == '0' ? Version::http10 : Version::http11;
  head_.status =
      static_cast<std::uint16_t>((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
  reason_size_ = line_end == reason ? 0 : static_cast<std::uint32_t>(line_end - reason - 1);
  line_start_ = static_cast<std::size_t>(line_end - section_) + 2;
  if (line_start_ > limit) {
    fail(fmt::format("{} longer than {} bytes", what, limit));
    return Step::failed;
  }
  return Step::line;
}

H1Event H1ResponseParser::head_complete(std::string_view& bytes) {
  constexpr std::size_t reason_at = 13;
  trailers_.clear();
  char* const text = head_.fields.keep_space(line_start_);
  std::memcpy(text, section_, line_start_);
  head_.reason = {text + reason_at, reason_size_};
  settle(head_.fields, text);
  head_size_ = line_start_;
  take_section(bytes);
  if (!understand_fields() || !understand_body()) return H1Event::failed;
  if (head_.interim()) {
    stage_ = Stage::start;
    if (++interim_ <= limits_.interim_responses) return H1Event::interim;
    return fail(fmt::format("more than {} interim responses", limits_.interim_responses));
  }
  enter_body(head_.body_omitted ? BodyFraming::none() : head_.body);
  return H1Event::head;
}

bool H1ResponseParser::understand_fields() {
  const KnownFields known(head_.fields);
  head_.keep_alive = known.persistent(head_.version);
  head_.upgrade = {};
  if (head_.status == 101) {
    if (known.upgrades) head_.upgrade = whole_list(head_.fields, FieldName::upgrade);
    if (!understand_switch()) return false;
  }
  const bool to_connect = asked_.connect && head_.status >= 200 && head_.status < 300;
  head_.body_omitted = asked_.head || head_.status == 304;
  if (head_.status == 101 || to_connect) {
    head_.body = {BodyFraming::Kind::tunnel, 0};
    head_.body_omitted = false;
    return true;
  }
  std::optional<BodyFraming> framing;
  if (std::optional<Refused> refused = framing_of(known, head_.version, framing)) {
    fail(std::move(refused->why));
    return false;
  }
  head_.body = framing.value_or(BodyFraming{BodyFraming::Kind::until_close, 0});
  return true;
}

// 101 may only name what was asked for (RFC 9110 §7.8).
bool H1ResponseParser::understand_switch() {
  if (asked_.upgrade.empty()) {
    fail("the server changes the protocol without having been asked");
    return false;
  }
  std::string_view named = head_.upgrade;
  std::string_view protocol = next_element(named);
  if (protocol.empty()) {
    fail("the server changes the protocol without naming it");
    return false;
  }
  for (; !protocol.empty(); protocol = next_element(named)) {
    if (list_names(asked_.upgrade, protocol)) continue;
    fail("the server changes to the protocol " + printable(protocol) + ", and asked for was " +
         printable(asked_.upgrade));
    return false;
  }
  return true;
}

bool H1ResponseParser::understand_body() {
  if (head_.body.kind == BodyFraming::Kind::tunnel) {
    head_.keep_alive = false;
    return true;
  }
  if (head_.status < 200 || head_.status == 204) {
    head_.body = BodyFraming::none();
  } else if (head_.body.kind == BodyFraming::Kind::until_close) {
    if (head_.body_omitted) {
      head_.body = BodyFraming::none();
    } else {
      head_.keep_alive = false;
    }
  }
  return true;
}

H1Event H1ResponseParser::finish() {
  switch (stage_) {
    case Stage::dead:
      return H1Event::failed;
    case Stage::ending:
    case Stage::until_close:
      stage_ = Stage::idle;
      return H1Event::end;
    case Stage::idle:
      return H1Event::more;
    case Stage::start:
      if (pending_.empty()) return fail("the server closed the connection without an answer");
      [[fallthrough]];
    case Stage::fields:
      return fail("the connection ended inside a response's head");
    default:
      return fail("the connection ended inside a response's body");
  }
}

void H1ResponseParser::release() {
  assert(between_messages());
  head_.fields.release();
  trailers_.release();
  pending_ = {};
  lines_ = {};
}

}  // namespace fairlead::http
