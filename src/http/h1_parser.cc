#include "http/h1_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "http/h1_framing.h"
#include "http/scan.h"
#include "http/validate.h"

namespace fairlead::http {
namespace {

// White space, of a byte that is_value_byte().
bool is_blank(char c) {
  return static_cast<unsigned char>(c) <= ' ';
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
    fail(too_large, fmt::format("{} made of more than {} fields", what, most));
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
// What is left of a head's fields: `section_end`, when all have come.
H1Parser::Step H1Parser::head_fields(Fields& fields, std::string_view what) {
  if (lines_.empty() && searched_ <= line_start_ &&
      plain_fields(fields, limits_.head_bytes, limits_.fields)) {
    return Step::section_end;
  }
  for (;;) {
    const Step step = field_line(limits_.head_bytes, limits_.fields, what);
    if (step != Step::line) return step;
  }
}

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
  const char* at = here();
  const char* const end = section_end();
  left_ = 0;
  for (; at < end && hex_digit(*at) >= 0; ++at) {
    if (static_cast<std::size_t>(at - section_) >= limit) break;  // the line is too long already
    // Not judged when the line is whole: the peer may never end it.
    if (left_ > largest_body >> 4) {
      fail(fmt::format("a chunk's size is larger than {} bytes", largest_body));
      return Step::failed;
    }
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

}  // namespace fairlead::http
