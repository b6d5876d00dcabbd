// HTTP/1.1 (RFC 9112) from bytes, strictly: what is not allowed is refused, nothing is repaired.
// Bytes in, events out; no sockets, no time. The events do not depend on how the bytes are split.
//
// The life of one message, as next() tells it:
//   head                  head() holds it
//   data, data, ...       data() is a piece of the body
//   end                   trailers() holds what came after a chunked body
// and then the next message's head. `interim` (responses) stands for a head of status 1xx, which is
// followed by another head. `more` means that all bytes were taken and no event is due. `failed`
// means that the peer broke the protocol: error() says what to answer; nothing comes after it.
//
// head() and all of its text are good until next() is called after `end` (or after `interim`).
// data() is part of the bytes given to next(): good as long as those.
//
//   std::string_view bytes = just_read;
//   for (;;) switch (parser.next(bytes)) { case H1Event::more: return; case H1Event::head: ... }
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/lifetime.h"
#include "http/limits.h"
#include "http/message.h"

namespace fairlead::http {

enum class H1Event : std::uint8_t { more, interim, head, data, end, failed };

struct H1Error {
  std::uint16_t status = 400;  // for a request: what to answer before closing. A response: 502
  std::string why;             // a sentence for a person, without the final full stop
};

// What requests and responses have in common: lines, fields, bodies, trailers.
class H1Parser {
 public:
  [[nodiscard]] std::string_view data() const { return data_; }
  [[nodiscard]] const Fields& trailers() const LIFETIMEBOUND { return trailers_; }
  // After `end`, until the next call of next().
  [[nodiscard]] const H1Error& error() const LIFETIMEBOUND { return error_; }
  [[nodiscard]] bool between_messages() const;
  // Nothing of a message has come yet: a connection may be closed here without loss.
  [[nodiscard]] std::size_t head_size() const { return head_size_; }
  // Bytes of the last complete head on the wire.

 protected:
  explicit H1Parser(const Limits& limits, std::uint16_t status)
      : limits_(limits), status_(status) {}

  enum class Stage : std::uint8_t {
    idle,        // responses: none is expected
    start,       // before a start line
    fields,      // after it, among the head's field lines
    sized,       // in a body of known length
    chunk_size,  // before a chunk's first line
    chunk_data,
    chunk_cr,  // before the line end after a chunk's bytes
    chunk_lf,
    trailers,
    until_close,
    ending,  // the body is complete, `end` not yet told
    dead,    // failed
  };
  // What became of an attempt to read a line.
  enum class Step : std::uint8_t { line, section_end, incomplete, failed };
  // A field line while its section is still being gathered: offsets, because the bytes may move.
  struct Line {
    std::uint32_t name = 0, name_size = 0, value = 0, value_size = 0;
    FieldName known = FieldName::other;
  };

  H1Event fail(std::uint16_t status, std::string why);
  H1Event fail(std::string why) { return fail(status_, std::move(why)); }

  void gather(std::string_view bytes, std::size_t limit);
  void take_section(std::string_view& bytes);
  H1Event wait_for_more(std::string_view& bytes);
  [[nodiscard]] const char* here() const { return section_ + line_start_; }
  [[nodiscard]] const char* section_end() const { return section_ + section_size_; }

  bool line_may_be_whole();
  Step line_incomplete(std::size_t limit, std::uint16_t status, std::string_view what);
  Step bad_line(std::size_t limit, std::uint16_t status, std::string_view what, std::string why);
  Step field_line(std::size_t limit, std::size_t most, std::string_view what);
  Step end_of_section(std::size_t limit, std::uint16_t too_large, std::string_view what);
  Step head_fields(Fields& fields, std::string_view what);
  bool plain_fields(Fields& fields, std::size_t limit, std::size_t most);
  void settle(Fields& fields, char* text);
  [[nodiscard]] std::string describe_bad_field(const char* at) const;

  H1Event body(std::string_view& bytes);
  H1Event counted(std::string_view& bytes, Stage then);
  H1Event chunk_line(std::string_view& bytes);
  Step chunk_size();
  bool extensions_are_good(std::string_view extensions);
  H1Event after_chunk(std::string_view& bytes);
  H1Event trailer_lines(std::string_view& bytes);
  void enter_body(const BodyFraming& framing);

  Limits limits_;
  std::uint16_t status_;  // of an ordinary failure
  Stage stage_ = Stage::start;
  std::string_view data_;
  H1Error error_;
  Fields trailers_;
  std::size_t head_size_ = 0;
  std::uint64_t left_ = 0;  // of the body or the chunk
  std::size_t extension_bytes_ = 0;

  // The section being read (a head, a chunk's line, trailers): in the caller's bytes when they hold
  // all of it, else gathered in `pending_`.
  std::string pending_;
  std::size_t gathered_before_ = 0;  // bytes of pending_ that came with earlier calls
  const char* section_ = nullptr;
  std::size_t section_size_ = 0;
  std::size_t line_start_ = 0;  // of the line to read next
  std::size_t searched_ = 0;    // an earlier call found no line end before here
  std::vector<Line> lines_;
};

// The server's side: requests, one after the other, until the connection's end.
class H1RequestParser : public H1Parser {
 public:
  explicit H1RequestParser(const Limits& limits = {}) : H1Parser(limits, 400) {}

  H1Event next(std::string_view& bytes);
  // Takes bytes from the front, up to the next event. After `end` of a request that asks for an
  // upgrade or CONNECT, or that does not keep the connection, do not call it until it is known
  // what the bytes that follow are.
  H1Event finish();
  // The client sends nothing more: `more` between messages, else `failed`; in a tunnel, `end`.
  void become_tunnel();
  // After `end`: what follows is no HTTP; next() gives it as data.
  void release();
  // Between messages: gives memory back, for a connection that idles.

  [[nodiscard]] const RequestHead& head() const LIFETIMEBOUND { return head_; }
  [[nodiscard]] RequestHead& head() LIFETIMEBOUND { return head_; }
  // To change it (a rewritten path), or to move it out.

 private:
  H1Event read_head(std::string_view& bytes);
  bool first_bytes();
  Step request_line();
  Step request_version(const char* at, std::size_t limit, std::string_view what);
  bool understand_target();
  bool understand_fields();
  bool understand_body();
  H1Event head_complete(std::string_view& bytes);

  RequestHead head_;
  std::uint32_t line_offset_ = 0;  // of the request line in its section
  std::uint32_t method_size_ = 0;
  std::uint32_t target_size_ = 0;
  bool skipped_line_ = false;
  std::string last_host_;  // of a Host field that was found good
};

// The client's side: responses to requests that were sent.
class H1ResponseParser : public H1Parser {
 public:
  explicit H1ResponseParser(const Limits& limits = {}) : H1Parser(limits, 502) {
    stage_ = Stage::idle;
  }

  struct Asked {
    bool head = false;         // HEAD: no body comes, whatever the fields say
    bool connect = false;      // CONNECT: 2xx makes a tunnel
    std::string_view upgrade;  // the protocols that were asked for, a list: 101 makes a tunnel
  };
  [[nodiscard]] static Asked asked_by(const RequestHead& request);
  void expect(const Asked& asked);
  // The next response answers such a request, of which no view is kept. Bytes that come without it
  // are a failure.

  H1Event next(std::string_view& bytes);
  H1Event finish();
  // The server sends nothing more: `end` when that ends the body, `more` when nothing was expected,
  // else `failed`.
  void release();

  [[nodiscard]] const ResponseHead& head() const LIFETIMEBOUND { return head_; }
  [[nodiscard]] ResponseHead& head() LIFETIMEBOUND { return head_; }

 private:
  H1Event read_head(std::string_view& bytes);
  bool first_bytes();
  Step status_line();
  bool understand_fields();
  bool understand_switch();
  bool understand_body();
  H1Event head_complete(std::string_view& bytes);

  ResponseHead head_;
  Asked asked_;
  std::string asked_upgrade_;
  std::uint32_t reason_size_ = 0;
  std::uint32_t interim_ = 0;
};

}  // namespace fairlead::http
