// Any bytes a peer may send: no crash, no leak, and always an end.
#include "http/h2_session.h"

using fairlead::http::H2Session;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const bool server = data[0] & 1;
  H2Session session(server ? H2Session::Role::server : H2Session::Role::client,
                    {.max_header_bytes = 4096});
  std::string bytes;
  if (server) bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  bytes.append(reinterpret_cast<const char*>(data + 1), size - 1);
  if (!server) {
    (void)session.request({{":method", "POST"}, {":scheme", "http"}, {":path", "/"}},
                          H2Session::Body::follows);
    (void)session.take_output();
  }
  const bool ok = session.receive(bytes).ok();
  for (const auto& event : session.take_events()) {
    if (const auto* headers = std::get_if<fairlead::http::H2Headers>(&event); headers && server) {
      (void)session.respond(headers->stream, {{":status", "200"}}, H2Session::Body::follows);
      session.send(headers->stream, "body");
      session.finish(headers->stream, {{"trailer", "1"}});
    }
    if (const auto* body = std::get_if<fairlead::http::H2Data>(&event)) {
      session.consumed(body->stream, body->bytes.size());
    }
  }
  if (ok) (void)session.take_output(1 << 20);
  return 0;
}
