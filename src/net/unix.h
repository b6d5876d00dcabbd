// Unix stream sockets.
#pragma once

#include <memory>
#include <string>

#include "net/socket.h"

namespace fairlead::net {

class UnixStream;
using UnixStreamPointer = std::unique_ptr<UnixStream>;

class UnixStream final : public SocketStream {
 public:
  static Result<UnixStreamPointer> adopt(Loop& loop, Descriptor connected, std::string path);
  [[nodiscard]] std::string peer_name() const override { return "unix:" + path_; }

 private:
  UnixStream(Loop& loop, int descriptor, std::string path)
      : SocketStream(loop, descriptor, Kind::local), path_(std::move(path)) {}
  std::string path_;
};

[[nodiscard]] Result<UnixStreamPointer> connect_unix(Loop& loop, const std::string& path);
// At once or not at all: `unreachable` when nobody listens, `missing` when there is no such socket.

class UnixListener final : public ListenerSource {
 public:
  static Result<std::unique_ptr<UnixListener>> listen(Loop& loop, const std::string& path,
                                                      unsigned mode = 0600);
  // A socket file on which nobody listens any more is replaced; one that is in use is a fault.
  [[nodiscard]] static Result<Descriptor> open(const std::string& path, unsigned mode = 0600);
  // The same without a loop: to be held, or passed on. Nobody removes the file.
  static Result<std::unique_ptr<UnixListener>> adopt(Loop& loop, Descriptor listening);
  // What open() gave, here or in another process. close() leaves the file: it is its holder's.
  ~UnixListener();  // as close()

  [[nodiscard]] Task<Result<UnixStreamPointer>> accept();
  // As TcpListener's.
  void close();  // and removes the file, unless it was adopted
  [[nodiscard]] const std::string& path() const LIFETIMEBOUND { return path_; }

 private:
  UnixListener(Loop& loop, int descriptor, std::string path)
      : ListenerSource(loop, descriptor, Descriptors::all), path_(std::move(path)) {}
  // Operators ask here: also when clients have taken what they may.
  std::string path_;
  bool owns_file_ = false;
};

}  // namespace fairlead::net
