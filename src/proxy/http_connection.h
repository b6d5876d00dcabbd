// A downstream connection of HTTP/1.1. Its functions stand in forward.cc (between requests) and, in
// the order of a request's life, forward_request.cc, forward_attempt.cc, forward_response.cc,
// forward_reply.cc and forward_end.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/task.h"
#include "proxy/connection.h"
#include "proxy/exchange.h"
#include "proxy/worker.h"

namespace fairlead::proxy {

// One downstream connection. The request on its way is in `x_`; an idle connection has none.
class HttpConnection final : public Connection, private net::Stream::Notice {
 public:
  HttpConnection(Worker& worker, Accepted accepted, ChainPointer chain, SnapshotTablePointer table);
  ~HttpConnection() override;

  [[nodiscard]] Task<> run(std::string first_bytes);
  void drain() override;
  void abort() override;
  void on_timer(Alarm::Kind kind);

 private:
  enum class Then : std::uint8_t { next, close };

  // ── Between requests ──
  [[nodiscard]] bool must_end() const;
  void take_exchange();
  void rest();
  void watch_idleness();
  void watch_stillness(Duration limit);
  [[nodiscard]] Duration stillness_left() const;
  [[nodiscard]] bool begin_with(const std::string& first_bytes);
  void limit_head();
  void limit_request();
  [[nodiscard]] Task<> linger();
  [[nodiscard]] Task<Result<>> read_on();
  void refuse(std::uint16_t status, std::string_view why, std::string_view details, Flag flag);

  // ── One request ──
  [[nodiscard]] Task<Then> handle();
  void begin();
  void receive_head();
  [[nodiscard]] bool decide(LocalReply& reply);
  [[nodiscard]] bool decide_cluster(LocalReply& reply);
  [[nodiscard]] bool answers_itself(LocalReply& reply);
  [[nodiscard]] LocalReply closed_reply(std::uint16_t status, std::string_view why,
                                        std::string_view part);
  [[nodiscard]] bool check_upgrade(LocalReply& reply);
  void prepare_request();
  [[nodiscard]] bool gather(bool keep);
  void request_is_complete();
  [[nodiscard]] bool find_host(LocalReply& reply);
  [[nodiscard]] Task<Nothing> attempt();
  [[nodiscard]] Task<bool> connect();
  [[nodiscard]] bool interrupted();
  [[nodiscard]] bool earns_another(const Attempt& made);
  [[nodiscard]] bool try_again();
  [[nodiscard]] Task<bool> back_off();
  [[nodiscard]] Task<Result<>> sleep(Duration time);
  [[nodiscard]] LocalReply failure_reply();
  [[nodiscard]] LocalReply reset_reply();
  [[nodiscard]] Task<Then> answer_locally(LocalReply reply);
  void write_local(const LocalReply& reply, const http::RequestHead* request);
  void leave_host();
  void finish();
  [[nodiscard]] Then give_up();
  void count_sent(std::size_t bytes) { stats().downstream_cx_tx_bytes_total.add(bytes); }
  void count_end();
  void log_end();
  Record& new_record() LIFETIMEBOUND;
  void record_end();
  void limit_attempt();
  [[nodiscard]] bool client_has_left() const;
  void watch_client();
  void lost_client();
  void on_readable(net::Stream& stream) override;
  void interrupt();

  // ── The two directions ──
  [[nodiscard]] Task<Nothing> upload();
  [[nodiscard]] Task<Nothing> upload_rest();
  [[nodiscard]] Nothing stop_upload(const Fault& why);
  [[nodiscard]] bool nothing_came() const {
    return x_->state.bytes_received == 0 && input_.empty();
  }
  void keep_to_send_again(std::span<const std::string_view> pieces);
  [[nodiscard]] Task<Nothing> respond();
  void head_came();
  void drop_mark_of_stranger();
  [[nodiscard]] bool passes_interim();
  [[nodiscard]] bool retried_instead(std::string_view bytes);
  [[nodiscard]] http::BodyFraming begin_response();
  [[nodiscard]] http::H1Event take_body(const http::BodyFraming& framing, std::string_view& bytes);
  void prepare_response(const http::BodyFraming& framing);
  [[nodiscard]] http::BodyFraming framing_downstream() const;
  [[nodiscard]] Task<Nothing> stream_body(const http::BodyFraming& framing);
  [[nodiscard]] Task<Nothing> become_tunnel(std::string_view bytes);
  [[nodiscard]] bool read_upstream(std::string_view& bytes, http::H1Event& event);
  void on_upstream_reset(Ended how);
  void became_garbage();

  [[nodiscard]] RequestState& state() { return x_->state; }
  [[nodiscard]] const RequestState& state() const { return x_->state; }
  [[nodiscard]] const http::RequestHead& request() const { return x_->parser.head(); }
  [[nodiscard]] const config::HttpConnectionManager& manager() const { return *chain_->http; }
  [[nodiscard]] HttpStats& stats() const { return *chain_->http_stats; }
  [[nodiscard]] Instant now() const { return worker_.loop().now(); }

  std::unique_ptr<Exchange> x_;
  Buffer in_;
  std::string_view input_;  // bytes of in_ that are not read yet
  bool idle_ = false;
  bool served_ = false;  // at least one request
  bool ending_ = false;  // asked to end
  bool keep_ = false;    // may serve another request after this one
  bool unread_ = false;  // more than input_, or the end, had come when the request was sent
  Instant idle_since_;
  Instant still_by_;  // when that rings, while it is set
  Alarm still_{Alarm::Kind::stillness};
};

}  // namespace fairlead::proxy
