// How `fairlead lab exec` and the others speak to a lab: over its unix socket, one line of JSON
// each way or more, descriptors passed along, so that an exec'd process has the caller's own
// streams.
//
//   caller  {"command":"exec","pod":"productpage-v1","words":["ls"],...}     and three descriptors
//   lab     {"say":"..."}            any number of lines for people
//   lab     {"status":0,...}         the last line: the exit status, and what was asked for
//           {"status":1,"error":"...","missing":true}     the last when something named is not
//           there
//
// The caller's end of the connection stands for the caller: when it is closed, what was being done
// for it is ended.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"
#include "lab/paths.h"

namespace fairlead::lab {

using Line = nlohmann::json;

struct IpcRequest {
  Line line;
  std::vector<Descriptor> descriptors;
};

[[nodiscard]] Result<Descriptor> call(const Paths& paths, const Line& request,
                                      std::span<const int> passed = {});
// The caller's side: connects and asks. Fault: unreachable when the lab does not listen.

[[nodiscard]] Result<Line> last_line(const Descriptor& connection,
                                     const std::function<void(const std::string&)>& say,
                                     std::chrono::seconds patience = std::chrono::seconds(0));
// Waits for the answer, telling on the way. Fault: closed when the lab ended meanwhile; timed_out
// when it said nothing for as long as `patience` (0: for ever); else what the answer's "error"
// says, missing or denied.

[[nodiscard]] Result<> send_with(int socket, std::string_view text, std::span<const int> passed);
// All of `text`, the descriptors with its first byte.

class LineReader {
 public:
  [[nodiscard]] bool take(std::string& line);
  // The next whole line, if it is there.
  void add(std::string_view bytes) { text_ += bytes; }

 private:
  std::string text_;
};

[[nodiscard]] Result<std::size_t> receive(int socket, std::string& into,
                                          std::vector<Descriptor>& descriptors);
// What is there now: the number of bytes, 0 at the end of the connection. Fault exhausted: nothing
// yet.

}  // namespace fairlead::lab
