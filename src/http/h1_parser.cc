#include "http/h1_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

#include "http/scan.h"
#include "http/validate.h"

namespace fairlead::http {
namespace {

constexpr std::size_t line_slack = 64;  // of a request line beside its target: method, version
constexpr std::size_t longest_method = 32;

bool is_white(char c) {
  return c == ' ' || c == '\t';
}

// White space, of a byte that is_value_byte().
bool is_blank(char c) {
  return static_cast<unsigned char>(c) <= ' ';
}

// The Connection, Upgrade and framing fields of one head, looked up in one pass.
struct Gathered {
  const Field* host = nullptr;
  const Field* length = nullptr;
  const Field* coding = nullptr;
  const Field* upgrade = nullptr;
  const Field* expect = nullptr;
  std::uint32_t hosts = 0;
  std::uint32_t lengths = 0;
  std::uint32_t codings = 0;
  bool close = false;
  bool keep_alive = false;
  bool upgrades = false;

  explicit Gathered(const Fields& fields) {
    for (const Field& field : fields) {
      switch (field.known) {
        case FieldName::other:
          break;
        case FieldName::host:
          host = &field, ++hosts;
          break;
        case FieldName::content_length:
          length = &field, ++lengths;
          break;
        case FieldName::transfer_encoding:
          coding = &field, ++codings;
          break;
        case FieldName::connection:
          connection(field.value);
          break;
        case FieldName::upgrade:
          upgrade = &field;
          break;
        case FieldName::expect:
          expect = &field;
          break;
        default:
          break;
      }
    }
  }

  void connection(std::string_view value) {
    if (same_name(value, "keep-alive")) {
      keep_alive = true;
      return;
    }
    close = close || list_names(value, "close");
    keep_alive = keep_alive || list_names(value, "keep-alive");
    upgrades = upgrades || list_names(value, "upgrade");
  }

  [[nodiscard]] bool persistent(Version version) const {
    return !close && (version == Version::http11 || keep_alive);
  }

  [[nodiscard]] std::string_view asked_upgrade(Version version) const {
    // HTTP/2 in the place of HTTP/1 is not offered, and must not be agreed on behind our back.
    const bool asked = upgrades && upgrade && version == Version::http11;
    return asked && !list_names(upgrade->value, "h2c") ? upgrade->value : std::string_view{};
  }
};

struct Refused {
  std::uint16_t status = 400;
  std::string why;
};

// What frames the body by its fields alone (RFC 9112 §6.3); absent when none of them does.
std::optional<Refused> framing_of(const Gathered& gathered, Version version,
                                  std::optional<BodyFraming>& framing) {
  if (gathered.codings > 0) {
    const std::string_view coding = gathered.coding->value;
    if (gathered.lengths > 0) {
      return Refused{400, "both Transfer-Encoding and Content-Length say where the body ends"};
    }
    if (version == Version::http10) return Refused{400, "HTTP/1.0 has no Transfer-Encoding"};
    if (gathered.codings > 1) return Refused{400, "Transfer-Encoding comes more than once"};
    if (same_name(coding, "chunked")) {
      framing = BodyFraming::chunked();
      return {};
    }
    const std::size_t last = coding.rfind(',');
    const bool ends_chunked =
        last != std::string_view::npos && list_names(coding.substr(last + 1), "chunked");
    if (ends_chunked && !list_names(coding.substr(0, last), "chunked")) {
      return Refused{501, "the transfer coding " + printable(coding) + " is not understood"};
    }
    return Refused{400, "Transfer-Encoding " + printable(coding) + " does not end in one chunked"};
  }
  if (gathered.lengths == 0) return {};
  if (gathered.lengths > 1) return Refused{400, "Content-Length comes more than once"};
  const std::string_view text = gathered.length->value;
  const std::optional<std::uint64_t> length = parse_decimal(text);
  if (!length) return Refused{400, "Content-Length is " + printable(text) + ", not one number"};
  framing = BodyFraming::sized(*length);
  return {};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

// ── Sections and lines ───────────────────────────────────────────────────────────────────────────

H1Event H1Parser::fail(std::uint16_t status, std::string why) {
  stage_ = Stage::dead;
  error_ = {status, std::move(why)};
  pending_.clear();
  data_ = {};
  return H1Event::failed;
}

bool H1Parser::between_messages() const {
  return (stage_ == Stage::start || stage_ == Stage::idle) && pending_.empty();
}

void H1Parser::gather(std::string_view bytes, std::size_t limit) {
  gathered_before_ = pending_.size();
  if (gathered_before_ == 0) {
    section_ = bytes.data();
    section_size_ = bytes.size();
    return;
  }
  // One byte above the limit is enough to see that it is passed.
  const std::size_t room = limit + 1 - std::min(limit, gathered_before_);
  pending_.append(bytes.substr(0, room));
  section_ = pending_.data();
  section_size_ = pending_.size();
}

void H1Parser::take_section(std::string_view& bytes) {
  bytes.remove_prefix(line_start_ - gathered_before_);
  pending_.clear();
  line_start_ = 0;
  searched_ = 0;
  lines_.clear();
}

H1Event H1Parser::wait_for_more(std::string_view& bytes) {
  if (pending_.empty()) pending_.assign(bytes);
  bytes = {};
  return H1Event::more;
}

// False when an earlier call has seen that the line is not whole and nothing changed that since.
bool H1Parser::line_may_be_whole() {
  if (searched_ <= line_start_) return true;
  return std::memchr(section_ + searched_, '\n', section_size_ - searched_) != nullptr;
}

H1Parser::Step H1Parser::line_incomplete(std::size_t limit, std::uint16_t status,
                                         std::string_view what) {
  searched_ = section_size_;
  if (section_size_ <= limit) return Step::incomplete;
  fail(status, fmt::format("{} longer than {} bytes", what, limit));
  return Step::failed;
}

// A line is judged when it is whole, so that it does not matter how its bytes came.
H1Parser::Step H1Parser::bad_line(std::size_t limit, std::uint16_t status, std::string_view what,
                                  std::string why) {
  const void* found = std::memchr(here(), '\n', section_size_ - line_start_);
  if (!found) return line_incomplete(limit, status, what);
  const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - section_) + 1;
  if (end > limit) {
    fail(status, fmt::format("{} longer than {} bytes", what, limit));
  } else {
    fail(std::move(why));
  }
  return Step::failed;
}

std::string H1Parser::describe_bad_field(const char* at) const {
  const std::string_view line(here(), section_size_ - line_start_);
  const std::string_view shown = line.substr(0, line.find('\n'));
  if (is_white(*here())) return "a field line begins with white space (folding is not allowed)";
  if (*here() == ':') return "a field without a name: " + printable(shown);
  if (*at == '\n') {
    return at == here() || shown.find(':') != std::string_view::npos
               ? "a line ends with LF alone, without CR"
               : "a field line without a colon: " + printable(shown);
  }
  if (*at == '\r') {
    return at + 1 < section_end() && at[1] == '\n'
               ? "a field line without a colon: " + printable(shown.substr(0, shown.size() - 1))
               : "a CR that does not end a line";
  }
  const std::string_view before(here(), static_cast<std::size_t>(at - here()));
  if (before.find(':') != std::string_view::npos) {
    return fmt::format("the control byte {} in the value of {}", printable({at, 1}),
                       printable(before.substr(0, before.find(':'))));
  }
  if (is_white(*at)) return "white space in or after the field name " + printable(before);
  return fmt::format("the byte {} in the field name {}", printable({at, 1}), printable(before));
}

H1Parser::Step H1Parser::end_of_section(std::size_t limit, std::uint16_t too_large,
                                        std::string_view what) {
  if (section_end() - here() < 2) return line_incomplete(limit, too_large, what);
  if (here()[1] != '\n') return bad_line(limit, too_large, what, "a CR that does not end a line");
  line_start_ += 2;
  if (line_start_ <= limit) return Step::section_end;
  fail(too_large, fmt::format("{} longer than {} bytes", what, limit));
  return Step::failed;
}

H1Parser::Step H1Parser::field_line(std::size_t limit, std::size_t most, std::string_view what) {
  const std::uint16_t too_large = status_ == 400 ? 431 : status_;
  const char* const begin = here();
  const char* const end = section_end();
  if (begin == end || !line_may_be_whole()) return line_incomplete(limit, too_large, what);
  if (*begin == '\r') return end_of_section(limit, too_large, what);

  const char* const colon = token_end(begin, end);
  if (colon == end) return line_incomplete(limit, too_large, what);
  if (*colon != ':' || colon == begin) {
    return bad_line(limit, too_large, what, describe_bad_field(colon));
  }
  const char* value = colon + 1;
  while (value < end && is_white(*value)) ++value;
  const char* const line_end = value_end(value, end);
  if (end - line_end < 2) {
    if (line_end == end || *line_end == '\r') return line_incomplete(limit, too_large, what);
  }
  if (line_end[0] != '\r' || line_end[1] != '\n') {
    return bad_line(limit, too_large, what, describe_bad_field(line_end));
  }
  const char* value_stop = line_end;
  while (value_stop > value && is_white(value_stop[-1])) --value_stop;

  const auto offset = [this](const char* at) { return static_cast<std::uint32_t>(at - section_); };
  const auto name_size = static_cast<std::uint32_t>(colon - begin);
  lines_.push_back({offset(begin), name_size, offset(value),
                    static_cast<std::uint32_t>(value_stop - value),
                    field_name({begin, name_size})});
  line_start_ = offset(line_end) + 2;
  if (line_start_ > limit) {
    fail(too_large, fmt::format("{} longer than {} bytes", what, limit));
    return Step::failed;
  }
  if (lines_.size() > most) {
    fail(too_large, fmt::format("{} with more than {} fields", what, most));
    return Step::failed;
  }
  return Step::line;
}

// All of a section's fields at once, as views into it, when it is here whole and each line is
// plain. What is not is left to field_line(), from the beginning: that also knows what is wrong
// with it.
bool H1Parser::plain_fields(Fields& fields, std::size_t limit, std::size_t most) {
#if defined(__SSE2__)
  constexpr std::ptrdiff_t step = 16;
  const char* const end = section_end();
  const char* at = here();
  for (; most > 0 && end - at >= step; --most) {
    const char* colon = at;
    std::uint32_t others = ~plain_name_bytes(colon) & 0xffffU;
    if (others == 0 && end - colon >= 2 * step) {
      colon += step;
      others = ~plain_name_bytes(colon) & 0xffffU;
    }
    if (others == 0) break;
    colon += __builtin_ctz(others);
    if (*colon != ':' || colon == at) break;
    const char* value = colon + 1;
    if (value < end && *value == ' ') ++value;
    const char* const line_end = value_end(value, end);
    if (end - line_end < 2 || line_end[0] != '\r' || line_end[1] != '\n') break;
    if (line_end != value && (is_blank(*value) || is_blank(line_end[-1]))) break;
    const std::string_view name(at, static_cast<std::size_t>(colon - at));
    fields.add({name, {value, static_cast<std::size_t>(line_end - value)}, field_name(name)});
    at = line_end + 2;
  }
  const std::size_t size = static_cast<std::size_t>(at - section_) + 2;
  if (end - at >= 2 && at[0] == '\r' && at[1] == '\n' && size <= limit) {
    line_start_ = size;
    return true;
  }
#else
  static_cast<void>(limit);
  static_cast<void>(most);
#endif
  fields.clear();
  return false;
}

// The section's fields, as views into `text`, a copy of the section.
void H1Parser::settle(Fields& fields, char* text) {
  fields.rebase(section_, text);
  for (const Line& line : lines_) {
    fields.add(
        {{text + line.name, line.name_size}, {text + line.value, line.value_size}, line.known});
  }
}

// ── Bodies ───────────────────────────────────────────────────────────────────────────────────────

void H1Parser::enter_body(const BodyFraming& framing) {
  extension_bytes_ = 0;
  left_ = framing.size;
  switch (framing.kind) {
    case BodyFraming::Kind::none:
      stage_ = Stage::ending;
      break;
    case BodyFraming::Kind::sized:
      stage_ = left_ == 0 ? Stage::ending : Stage::sized;
      break;
    case BodyFraming::Kind::chunked:
      stage_ = Stage::chunk_size;
      break;
    case BodyFraming::Kind::until_close:
    case BodyFraming::Kind::tunnel:
      stage_ = Stage::until_close;
      break;
  }
}

H1Event H1Parser::body(std::string_view& bytes) {
  for (;;) {
    if (bytes.empty()) return H1Event::more;
    switch (stage_) {
      case Stage::sized:
        return counted(bytes, Stage::ending);
      case Stage::chunk_data:
        return counted(bytes, Stage::chunk_cr);
      case Stage::until_close:
        data_ = std::exchange(bytes, {});
        return H1Event::data;
      case Stage::chunk_size:
        if (const H1Event event = chunk_line(bytes); event != H1Event::data) return event;
        break;
      case Stage::chunk_cr:
      case Stage::chunk_lf:
        if (const H1Event event = after_chunk(bytes); event != H1Event::data) return event;
        break;
      case Stage::trailers:
        return trailer_lines(bytes);
      default:
        assert(false);
        return fail("the parser is not in a body");
    }
  }
}

H1Event H1Parser::counted(std::string_view& bytes, Stage then) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  data_ = bytes.substr(0, size);
  bytes.remove_prefix(size);
  left_ -= size;
  if (left_ == 0) stage_ = then;
  return H1Event::data;
}

// These give `data` when there is no event to tell and the next stage may go on.
H1Event H1Parser::chunk_line(std::string_view& bytes) {
  gather(bytes, limits_.chunk_line_bytes);
  switch (chunk_size()) {
    case Step::incomplete:
      return wait_for_more(bytes);
    case Step::failed:
      return H1Event::failed;
    default:
      break;
  }
  take_section(bytes);
  stage_ = left_ == 0 ? Stage::trailers : Stage::chunk_data;
  return H1Event::data;
}

H1Parser::Step H1Parser::chunk_size() {
  constexpr std::string_view what = "a chunk's size line is";
  const std::size_t limit = limits_.chunk_line_bytes;
  if (!line_may_be_whole()) return line_incomplete(limit, status_, what);
  const char* at = here();
  const char* const end = section_end();
  left_ = 0;
  for (; at < end && hex_digit(*at) >= 0; ++at) {
    if (left_ >> 60 != 0) return bad_line(limit, status_, what, "a chunk's size is too large");
    left_ = left_ << 4 | static_cast<std::uint64_t>(hex_digit(*at));
  }
  if (at == end) return line_incomplete(limit, status_, what);
  if (at == here()) {
    return bad_line(limit, status_, what, "a chunk without a size in hexadecimal digits");
  }
  const char* const line_end = value_end(at, end);
  if (line_end == end) return line_incomplete(limit, status_, what);
  if (*line_end != '\r') {
    return bad_line(limit, status_, what,
                    *line_end == '\n' ? "a chunk's size line ends with LF alone, without CR"
                                      : "a control byte in a chunk's size line");
  }
  if (end - line_end < 2) return line_incomplete(limit, status_, what);
  if (line_end[1] != '\n') {
    return bad_line(limit, status_, what, "a CR that does not end a chunk's size line");
  }
  const std::string_view extensions(at, static_cast<std::size_t>(line_end - at));
  if (!extensions.empty() && !extensions_are_good(extensions)) {
    return bad_line(limit, status_, what,
                    "what follows a chunk's size is no extension: " + printable(extensions));
  }
  line_start_ = static_cast<std::size_t>(line_end - section_) + 2;
  extension_bytes_ += extensions.size();
  if (line_start_ > limit) {
    fail(fmt::format("{} longer than {} bytes", what, limit));
    return Step::failed;
  }
  if (extension_bytes_ > limits_.chunk_extension_bytes) {
    fail(fmt::format("more than {} bytes of chunk extensions", limits_.chunk_extension_bytes));
    return Step::failed;
  }
  return Step::line;
}

// *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 §7.1.1.
bool H1Parser::extensions_are_good(std::string_view extensions) {
  const auto skip_white = [&] {
    while (!extensions.empty() && is_white(extensions.front())) extensions.remove_prefix(1);
  };
  const auto skip_token = [&] {
    const char* const end = token_end(extensions.data(), extensions.data() + extensions.size());
    const auto size = static_cast<std::size_t>(end - extensions.data());
    extensions.remove_prefix(size);
    return size > 0;
  };
  const auto skip_quoted = [&] {
    for (std::size_t at = 1; at < extensions.size(); ++at) {
      if (extensions[at] == '\\') {
        ++at;
      } else if (extensions[at] == '"') {
        extensions.remove_prefix(at + 1);
        return true;
      }
    }
    return false;
  };
  while (!extensions.empty()) {
    skip_white();
    if (!extensions.starts_with(';')) return false;
    extensions.remove_prefix(1);
    skip_white();
    if (!skip_token()) return false;
    const std::string_view before = extensions;
    skip_white();
    if (!extensions.starts_with('=')) {
      extensions = before;
      continue;
    }
    extensions.remove_prefix(1);
    skip_white();
    if (extensions.starts_with('"') ? !skip_quoted() : !skip_token()) return false;
  }
  return true;
}

H1Event H1Parser::after_chunk(std::string_view& bytes) {
  const char expected = stage_ == Stage::chunk_cr ? '\r' : '\n';
  if (bytes.front() != expected) {
    return fail("a chunk is longer than its size says: " + printable(bytes.substr(0, 1)) +
                " where its line end should be");
  }
  bytes.remove_prefix(1);
  stage_ = stage_ == Stage::chunk_cr ? Stage::chunk_lf : Stage::chunk_size;
  return H1Event::data;
}

H1Event H1Parser::trailer_lines(std::string_view& bytes) {
  constexpr std::string_view what = "the trailers are";
  gather(bytes, limits_.trailer_bytes);
  for (;;) {
    switch (field_line(limits_.trailer_bytes, limits_.trailer_fields, what)) {
      case Step::line:
        continue;
      case Step::incomplete:
        return wait_for_more(bytes);
      case Step::failed:
        return H1Event::failed;
      case Step::section_end:
        break;
    }
    break;
  }
  if (!lines_.empty()) {
    char* const text = trailers_.keep_space(line_start_);
    std::memcpy(text, section_, line_start_);
    settle(trailers_, text);
    for (const Field& field : trailers_) {
      if (forbidden_in_trailers(field.name)) {
        return fail("the field " + printable(field.name) + " may not come as a trailer");
      }
    }
  }
  take_section(bytes);
  stage_ = Stage::start;
  return H1Event::end;
}

// ── Requests ─────────────────────────────────────────────────────────────────────────────────────

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
  if (lines_.empty() && searched_ <= line_start_ &&
      plain_fields(head_.fields, limits_.head_bytes, limits_.fields)) {
    return head_complete(bytes);
  }
  for (;;) {
    switch (field_line(limits_.head_bytes, limits_.fields, "the request's head is")) {
      case Step::line:
        continue;
      case Step::incomplete:
        return wait_for_more(bytes);
      case Step::failed:
        return H1Event::failed;
      case Step::section_end:
        return head_complete(bytes);
    }
  }
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
  constexpr std::size_t version_size = 10;  // "HTTP/1.1\r\n"
  const std::string_view rest(after + 1, static_cast<std::size_t>(end - after - 1));
  if (rest.starts_with("HTTP/1.1\r\n")) {
    head_.version = Version::http11;
  } else if (rest.starts_with("HTTP/1.0\r\n")) {
    head_.version = Version::http10;
  } else {
    const std::size_t newline = rest.find('\n');
    if (newline == std::string_view::npos) return line_incomplete(limit, 414, what);
    const std::string_view line = rest.substr(0, newline);
    const bool other = line.size() == 9 && line.starts_with("HTTP/") && line[5] >= '0' &&
                       line[5] <= '9' && line[6] == '.' && line[7] >= '0' && line[7] <= '9' &&
                       line[8] == '\r';
    if (other &&
        line_start_ + static_cast<std::size_t>(rest.data() - begin) + newline + 1 <= limit) {
      fail(505, "the version " + printable(line.substr(0, 8)) + " is not spoken here");
      return Step::failed;
    }
    return bad_line(limit, 414, what,
                    line.ends_with('\r') ? "the request line does not end in an HTTP version: " +
                                               printable(line.substr(0, line.size() - 1))
                                         : "the request line ends with LF alone, without CR");
  }
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
  const Gathered gathered(head_.fields);
  if (gathered.hosts > 1) {
    fail("the field Host comes more than once");
    return false;
  }
  if (gathered.hosts == 0 && head_.version == Version::http11) {
    fail("an HTTP/1.1 request without the field Host");
    return false;
  }
  head_.authority = gathered.host ? gathered.host->value : std::string_view{};
  // A connection's requests mostly name the same host.
  if (!head_.authority.empty() && head_.authority != last_host_) {
    if (!parse_authority(head_.authority)) {
      fail("the field Host names no host: " + printable(head_.authority));
      return false;
    }
    last_host_ = head_.authority;
  }
  head_.keep_alive = gathered.persistent(head_.version);
  head_.upgrade = gathered.asked_upgrade(head_.version);
  head_.expect_continue = gathered.expect && head_.version == Version::http11 &&
                          same_name(gathered.expect->value, "100-continue");
  std::optional<BodyFraming> framing;
  if (std::optional<Refused> refused = framing_of(gathered, head_.version, framing)) {
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
    fail("the URL " + printable(target) + " names no host");
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

// ── Responses ────────────────────────────────────────────────────────────────────────────────────

H1ResponseParser::Asked H1ResponseParser::asked_by(const RequestHead& request) {
  return {.head = request.is_head(),
          .connect = request.is_connect(),
          .upgrade = !request.upgrade.empty()};
}

void H1ResponseParser::expect(const Asked& asked) {
  assert(stage_ == Stage::idle || stage_ == Stage::dead);
  asked_ = asked;
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
  if (lines_.empty() && searched_ <= line_start_ &&
      plain_fields(head_.fields, limits_.head_bytes, limits_.fields)) {
    return head_complete(bytes);
  }
  for (;;) {
    switch (field_line(limits_.head_bytes, limits_.fields, "the response's head is")) {
      case Step::line:
        continue;
      case Step::incomplete:
        return wait_for_more(bytes);
      case Step::failed:
        return H1Event::failed;
      case Step::section_end:
        return head_complete(bytes);
    }
  }
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
  if (line.size() < before_reason + 2 || (line[7] != '1' && line[7] != '0') || line[8] != ' ' ||
      line[9] == '0' || !digit(9) || !digit(10) || !digit(11) ||
      (line[12] != ' ' && line[12] != '\r')) {
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
  head_.version = line[7] == '1' ? Version::http11 : Version::http10;
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
  const Gathered gathered(head_.fields);
  head_.keep_alive = gathered.persistent(head_.version);
  head_.upgrade = {};
  if (head_.status == 101) {
    if (!asked_.upgrade || !gathered.upgrades || !gathered.upgrade ||
        gathered.upgrade->value.empty()) {
      fail(asked_.upgrade ? "the server changes the protocol without naming it"
                          : "the server changes the protocol without having been asked");
      return false;
    }
    head_.upgrade = gathered.upgrade->value;
  }
  const bool to_connect = asked_.connect && head_.status >= 200 && head_.status < 300;
  head_.body_omitted = asked_.head || head_.status == 304;
  if (head_.status == 101 || to_connect) {
    head_.body = {BodyFraming::Kind::tunnel, 0};
    head_.body_omitted = false;
    return true;
  }
  std::optional<BodyFraming> framing;
  if (std::optional<Refused> refused = framing_of(gathered, head_.version, framing)) {
    fail(std::move(refused->why));
    return false;
  }
  head_.body = framing.value_or(BodyFraming{BodyFraming::Kind::until_close, 0});
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
