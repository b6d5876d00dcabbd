// Answers those who call a lab over its socket (ipc.h): exec, status, kill, restart, ...
#pragma once

#include <functional>
#include <memory>

#include "base/gate.h"
#include "base/task.h"
#include "lab/lab.h"
#include "net/unix.h"

namespace fairlead::lab {

class Commands {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Commands>> listen(Lab& lab,
                                                                std::function<void()> down);
  // `down` is called when somebody asks that the lab ends.

  [[nodiscard]] Task<> close();
  // Hangs up on everybody.

 private:
  Commands(Lab& lab, std::unique_ptr<net::UnixListener> listener, std::function<void()> down);
  [[nodiscard]] Task<> accept_all();
  [[nodiscard]] Task<> serve(net::UnixStreamPointer stream);

  Lab& lab_;
  std::unique_ptr<net::UnixListener> listener_;
  std::function<void()> down_;
  Gate callers_;
};

}  // namespace fairlead::lab
