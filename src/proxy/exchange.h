// What one HTTP request needs while it is on its way: parsers, texts, decisions, and what it came
// to. Kept by the worker for the next one, so that its memory is there already.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "http/h1_parser.h"
#include "net/loop.h"
#include "proxy/buffers.h"
#include "proxy/decide/limits.h"
#include "proxy/decide/match.h"
#include "proxy/decide/retry.h"
#include "proxy/decide/table.h"
#include "proxy/decide/timeouts.h"
#include "proxy/flags.h"
#include "proxy/upstream.h"

namespace fairlead::proxy {

class HttpConnection;
struct Carried;

// Whole ones.
[[nodiscard]] inline std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// Rings on its connection.
class Alarm final : public net::WheelEntry {
 public:
  enum class Kind : std::uint8_t { whole, attempt, head, request, stillness };
  explicit Alarm(Kind kind) : kind_(kind) {}
  void set(HttpConnection& connection, net::Loop& loop, Duration after);
  void cancel() { stop(); }

 private:
  void expired() override;
  HttpConnection* connection_ = nullptr;
  Kind kind_;
};

// A response of our own.
struct LocalReply {
  std::uint16_t status = 503;
  Flag flag = Flag::none;
  std::string_view details;  // static
  std::string body;          // for a person
  std::string location;      // of a redirect
  bool undelivered = false;  // the app behind us never saw the request, or died with a safe one
};

// How an attempt to get a response ended.
enum class Ended : std::uint8_t {
  delivered,     // the response went downstream, whole
  tunnelled,     // it became a tunnel, which has ended
  broken,        // it ended after a part of it had gone downstream
  client_gone,   // nobody waits for it
  timed_out,     // the request's whole time is up, or nothing moved for too long
  failed,        // before a byte of it had gone downstream: see `failure`
  bad_response,  // what came is not HTTP
  bad_request,   // the rest of the request is not HTTP
  retry,         // a response came that is to be tried again
};

// One request's facts: forgotten by assigning a new one.
struct RequestState {
  SnapshotTablePointer table;  // the snapshot that the request began with
  Instant began;
  WallTime started;
  std::optional<Instant> request_ended;
  Instant sent;
  std::optional<Instant> response_began;
  const Rule* rule = nullptr;
  Cluster* cluster = nullptr;
  std::string_view cluster_name;
  Timeouts timeouts;
  HostHold host;
  UpstreamPointer up;
  std::optional<SocketAddress> upstream_local;
  std::optional<Duration> pooled;
  Cancel* connecting = nullptr;  // while a retry waits or a connection is being made
  Cancel* uploading = nullptr;   // while the rest of the body is sent

  bool upgrading = false;      // an upgrade (or CONNECT) goes on with the request
  bool complete = false;       // the request has come whole
  bool body_sent = false;      // some of the body is gone and cannot be sent again
  bool passes_expect = false;  // the endpoint is asked whether it wants the body
  bool continued = false;      // 100 was said, or is not needed any more
  bool request_sent = false;   // of this attempt, at least a part
  bool cut_short = false;      // not all of it that was to be sent
  bool response_started = false;
  bool client_gone = false;
  bool whole_over = false;
  bool attempt_over = false;
  bool idle_over = false;
  bool request_over = false;  // the request took too long to come
  Ended ended = Ended::failed;
  Outcome failure = Outcome::reset;
  std::uint16_t response_status = 0;  // of the response proper, when one came
  bool connect_timed_out = false;
  bool head_cut = false;  // the connection upstream ended inside a response's head
  bool reusable = false;  // it has nothing of this request left in it
  bool bad_request = false;
  std::uint32_t retries = 0;
  std::uint32_t attempts = 0;

  bool answered_here = false;
  std::uint16_t status = 0;  // sent downstream
  Flag flags = Flag::none;
  std::string_view details;  // static
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  Instant progress;                        // when a byte moved last
  std::array<const Carried*, 2> tunnel{};  // its two directions, once it is one
};

struct Exchange {
  http::H1RequestParser parser;
  http::H1ResponseParser answer{response_limits};
  http::ResponseHead local;  // of an answer of our own
  http::Limits limits;       // what `parser` was made for
  bool soiled = false;       // a parser stopped in the middle of a message: not to be used again

  std::string out;    // the request as sent upstream: head, and the body that came with it
  std::string reply;  // the response as sent downstream: the same
  Buffer from_upstream;
  std::string details_text;         // of an answer of our own, where it is no fixed word
  std::string failure_text;         // why the connection upstream failed
  std::string upstream_local_text;  // of a connection that is gone
  std::vector<HostName> tried;
  std::array<char, 40> request_id{};
  std::array<char, 24> service_time{};  // text of x-envoy-upstream-service-time
  Alarm whole{Alarm::Kind::whole};
  Alarm attempt{Alarm::Kind::attempt};
  Alarm head{Alarm::Kind::head};
  Alarm request{Alarm::Kind::request};
  RequestState state;
};

}  // namespace fairlead::proxy
