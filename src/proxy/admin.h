// The admin port, in Envoy's paths and shapes, on the control thread: no question here costs the
// data path anything but a look.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/task.h"
#include "http/io/server.h"
#include "net/loop.h"
#include "proxy/decide/text_match.h"
#include "proxy/proxy.h"

namespace fairlead::proxy {

// What the admin port tells or does that is not the proxy's own. Called on the control thread; any
// of them may be missing.
struct AdminHooks {
  std::function<std::string()> config_dump;        // JSON
  std::function<std::string()> source;             // JSON: where the configuration comes from
  std::function<std::vector<Reading>()> readings;  // listener_manager.lds.update_success, ...
  std::function<bool()> source_ready;              // a configuration to serve by has come
  std::function<void()> quit;                      // at once
  std::string version;
  std::vector<std::string> arguments;  // as the program was called
};

class Admin {
 public:
  Admin(net::Loop& control, Proxy& proxy, AdminHooks hooks);

  [[nodiscard]] Result<SocketAddress> listen(const SocketAddress& address) {
    return server_.listen(address, {.uses_reserve = true});
  }
  [[nodiscard]] Task<> close() { return server_.close(std::chrono::milliseconds(100)); }
  // Before it dies.

  // GET  /ready /server_info /stats /stats/prometheus /clusters /listeners /config_dump /memory
  //      /certs /init_dump /help. A format that is none is a 400, as is a part of the dump that
  //      cannot be.
  //      /fairlead/records?id=X-REQUEST-ID   see records.h; without an id the last 100 (count=N)
  //      /fairlead/source
  // POST /logging?level=L /healthcheck/fail /healthcheck/ok
  // /drain_listeners?graceful&inboundonly&skip_exit
  //      /reopen_logs /quitquitquit
  [[nodiscard]] Task<http::Response> answer(http::Request& request);

 private:
  [[nodiscard]] bool ready() const;
  [[nodiscard]] http::Response get(http::Request& request);
  [[nodiscard]] http::Response change(http::Request& request);
  [[nodiscard]] http::Response config_dump(const http::Request& request) const;
  [[nodiscard]] http::Response stats(const http::Request& request) const;
  [[nodiscard]] http::Response prometheus(const http::Request& request) const;
  [[nodiscard]] http::Response stats_as(const std::string& format,
                                        const http::Request& request) const;
  [[nodiscard]] http::Response clusters(const http::Request& request) const;
  [[nodiscard]] http::Response listeners(const http::Request& request) const;
  [[nodiscard]] std::string clusters_text(const Pattern& wanted) const;
  [[nodiscard]] std::string clusters_json(const Pattern& wanted) const;
  [[nodiscard]] std::string listeners_text() const;
  [[nodiscard]] std::string listeners_json() const;
  [[nodiscard]] std::string server_info() const;
  [[nodiscard]] const char* state_name() const;

  Proxy& proxy_;
  AdminHooks hooks_;
  http::Server server_;
};

}  // namespace fairlead::proxy
