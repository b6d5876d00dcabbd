// Any bytes, as requests and as responses. What must hold: the events do not depend on how the
// bytes are split, nothing comes after a failure, and what the writer makes of a head parses to the
// same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/test_transcript.h"

namespace {

using namespace fairlead::http;  // NOLINT: a fuzzer is one file

void must(bool holds) {
  if (!holds) std::abort();
}

constexpr Limits limits{.target_bytes = 64,
                        .head_bytes = 512,
                        .fields = 8,
                        .trailer_bytes = 64,
                        .trailer_fields = 4,
                        .chunk_line_bytes = 32,
                        .chunk_extension_bytes = 48,
                        .interim_responses = 2};

std::vector<std::string_view> pieces_of(std::string_view bytes, std::size_t size) {
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0; at < bytes.size(); at += size) pieces.push_back(bytes.substr(at, size));
  return pieces;
}

bool same_fields(const Fields& left, const Fields& right) {
  // Hop fields may have gone; what is left must be in the same order.
  std::size_t at = 0;
  for (const Field& field : right) {
    if (field.known == FieldName::host || field.known == FieldName::content_length ||
        field.known == FieldName::transfer_encoding || field.known == FieldName::connection ||
        field.known == FieldName::te || field.known == FieldName::upgrade) {
      continue;
    }
    while (at < left.size() && (left[at].name != field.name || left[at].value != field.value)) ++at;
    if (at++ == left.size()) return false;
  }
  return true;
}

void write_and_parse_again(std::string_view bytes) {
  H1RequestParser parser(limits);
  if (parser.next(bytes) != H1Event::head) return;
  const RequestHead& head = parser.head();
  std::string out;
  write_request(out, head, {.body = head.body});
  H1RequestParser again;
  std::string_view written = out;
  must(again.next(written) == H1Event::head);
  must(written.empty());
  must(again.head().method == head.method && again.head().path == head.path);
  must(again.head().authority == head.authority && again.head().body == head.body);
  must(again.head().upgrade == head.upgrade);
  must(same_fields(head.fields, again.head().fields));
}

void write_and_parse_again(std::string_view bytes, const H1ResponseParser::Asked& asked) {
  H1ResponseParser parser(limits);
  parser.expect(asked);
  const H1Event event = parser.next(bytes);
  if (event != H1Event::head && event != H1Event::interim) return;
  const ResponseHead& head = parser.head();
  std::string out;
  write_response(out, head, {.body = head.body});
  H1ResponseParser again;
  again.expect(asked);
  std::string_view written = out;
  must(again.next(written) == event);
  must(again.head().status == head.status);
  must(again.head().body == head.body && again.head().body_omitted == head.body_omitted);
  must(same_fields(head.fields, again.head().fields));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = data[0] % 23 + 1U;
  const H1ResponseParser::Asked asked{.head = (data[1] & 1) != 0,
                                      .connect = (data[1] & 2) != 0,
                                      .upgrade = (data[1] & 4) != 0 ? "websocket, x" : ""};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);

  const std::string whole = test::transcribe_requests({bytes}, limits);
  must(whole == test::transcribe_requests(pieces_of(bytes, 1), limits));
  must(whole == test::transcribe_requests(pieces_of(bytes, piece), limits));
  const std::string response = test::transcribe_responses({bytes}, asked, limits);
  must(response == test::transcribe_responses(pieces_of(bytes, 1), asked, limits));
  must(response == test::transcribe_responses(pieces_of(bytes, piece), asked, limits));
  write_and_parse_again(bytes);
  write_and_parse_again(bytes, asked);
  return 0;
}
