// HTTP/1.1 (RFC 9112) into bytes. A head is always written anew from its parts: Host first, then
// its fields without those that belong to one hop (RFC 9110 §7.6.1), then what frames this hop.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace fairlead::http {

enum class Persist : std::uint8_t { keep_alive, close };

struct H1WriteOptions {
  BodyFraming body;                       // as it will be sent on this hop
  Persist persist = Persist::keep_alive;  // what to tell the peer
  Version peer = Version::http11;         // a response to a 1.0 client says keep-alive in words
  bool pass_upgrade = true;               // `head.upgrade` goes on to the peer; else it is dropped
};

// All of these append to `out`. What they write parses again, by our parser, to the same parts, as
// long as names and values are good (validate.h): what a parser gave is.
void write_request(std::string& out, const RequestHead& head, const H1WriteOptions& options);
// Origin form, from method, path and authority; CONNECT as authority form. Not written: Host,
// framing and hop fields of `head.fields`, and those that its Connection names. "TE: trailers"
// stays, Trailer stays with a chunked body, Expect stays.
void write_response(std::string& out, const ResponseHead& head, const H1WriteOptions& options);
// The same. A status that cannot have a body (1xx, 204) gets no framing fields; 304 and responses
// to HEAD: give `sized` to say a length without sending it.

void write_chunk(std::string& out, std::string_view data);
// Size, bytes, line end. Nothing for empty `data`: that would end the body.
void write_chunk_start(std::string& out, std::uint64_t size);
// The size line alone, for data sent from where it lies; "\r\n" must follow the data.
void write_last_chunk(std::string& out, const Fields* trailers = nullptr);
// Without those that trailers may not have, and without hop fields.

}  // namespace fairlead::http
