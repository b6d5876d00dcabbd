// What a parser said of some bytes, as text: for the tests and the fuzzer.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "http/h1_parser.h"
#include "http/validate.h"

namespace fairlead::http::test {

// One event a line, and pieces of a body joined: "head GET /a host=x sized 3", "data 'abc'", "end".
struct Transcript {
  std::string text;
  std::string data;
  bool failed = false;

  void flush() {
    if (!data.empty()) text += "data " + printable(data, 200) + "\n";
    data.clear();
  }
  void line(const std::string& what) {
    flush();
    text += what + "\n";
  }
};

inline std::string describe(const BodyFraming& body) {
  switch (body.kind) {
    case BodyFraming::Kind::none:
      return "none";
    case BodyFraming::Kind::sized:
      return fmt::format("sized {}", body.size);
    case BodyFraming::Kind::chunked:
      return "chunked";
    case BodyFraming::Kind::until_close:
      return "until_close";
    case BodyFraming::Kind::tunnel:
      return "tunnel";
  }
  return "?";
}

inline std::string describe(const Fields& fields) {
  std::string text;
  for (const Field& field : fields)
    text += fmt::format(" {}={}", field.name, printable(field.value));
  return text;
}

inline std::string describe(const RequestHead& head) {
  return fmt::format("{} {} {}{} {} {}{}{}{}", head.method, head.path.empty() ? "-" : head.path,
                     head.scheme.empty() ? "" : std::string(head.scheme) + ":", head.authority,
                     name_of(head.version), describe(head.body), head.keep_alive ? "" : " close",
                     head.expect_continue ? " expects" : "",
                     head.upgrade.empty() ? "" : " upgrade=" + std::string(head.upgrade));
}

inline std::string describe(const ResponseHead& head) {
  return fmt::format("{} {} {} {}{}{}{}", head.status, printable(head.reason),
                     name_of(head.version), describe(head.body),
                     head.body_omitted ? " omitted" : "", head.keep_alive ? "" : " close",
                     head.upgrade.empty() ? "" : " upgrade=" + std::string(head.upgrade));
}

template <class Parser>
void tell(Transcript& transcript, Parser& parser, H1Event event) {
  switch (event) {
    case H1Event::more:
      break;
    case H1Event::interim:
      transcript.line("interim " + describe(parser.head()));
      break;
    case H1Event::head:
      transcript.line("head " + describe(parser.head()));
      if (!parser.head().fields.empty()) transcript.line("fields" + describe(parser.head().fields));
      break;
    case H1Event::data:
      transcript.data += parser.data();
      break;
    case H1Event::end:
      transcript.line("end" + describe(parser.trailers()));
      break;
    case H1Event::failed:
      transcript.line(fmt::format("failed {} {}", parser.error().status, parser.error().why));
      transcript.failed = true;
      break;
  }
}

inline void after_end(H1RequestParser& parser) {
  if (parser.head().is_connect() || !parser.head().upgrade.empty()) parser.become_tunnel();
}
inline void after_end(H1ResponseParser& parser) {
  if (parser.head().body.kind != BodyFraming::Kind::tunnel && parser.head().keep_alive) {
    parser.expect({});
  }
}

// Gives `pieces` one after the other, then the end of the input.
template <class Parser>
std::string transcribe(Parser& parser, const std::vector<std::string_view>& pieces) {
  Transcript transcript;
  bool ended = false;
  for (const std::string_view piece : pieces) {
    // A copy of exactly this size: reading beyond it, or later, is seen by the sanitizer.
    const std::vector<char> copy(piece.begin(), piece.end());
    std::string_view bytes(copy.data(), copy.size());
    for (;;) {
      if (ended && !bytes.empty()) after_end(parser);
      if (!bytes.empty()) ended = false;
      const H1Event event = parser.next(bytes);
      tell(transcript, parser, event);
      if (event == H1Event::end) ended = true;
      if (event == H1Event::more || event == H1Event::failed) break;
    }
    if (transcript.failed) return transcript.text;
  }
  tell(transcript, parser, parser.finish());
  transcript.flush();
  return transcript.text;
}

inline std::string transcribe_requests(const std::vector<std::string_view>& pieces,
                                       const Limits& limits = {}) {
  H1RequestParser parser(limits);
  return transcribe(parser, pieces);
}

inline std::string transcribe_responses(const std::vector<std::string_view>& pieces,
                                        const H1ResponseParser::Asked& asked = {},
                                        const Limits& limits = {}) {
  H1ResponseParser parser(limits);
  parser.expect(asked);
  return transcribe(parser, pieces);
}

}  // namespace fairlead::http::test
