// Errors as values. A function that can fail returns Result<T>: either its T or a Fault, which says
// what kind of thing went wrong, on whose side, whether trying elsewhere may help, and the trail of
// what was being done. Nothing is thrown across a room.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/lifetime.h"

namespace fairlead {

// What a caller can do about it decides the kind, not where it happened.
enum class FaultKind {
  invalid,      // the input is wrong: say where, do not retry
  unsupported,  // well-formed, but something we do not do
  missing,      // the named thing does not exist
  denied,       // the system or a peer said no
  unreachable,  // no connection: refused, no route, reset before use
  closed,       // the peer ended the connection
  timed_out,
  cancelled,  // we stopped it ourselves: never a timeout in disguise
  exhausted,  // a limit or a resource is used up
  internal,   // our own mistake
};

// Whose fault it is. downstream = who called us, upstream = whom we call, as in Envoy and xDS.
enum class Side { local, downstream, upstream };

enum class Retry { no, elsewhere };

struct Fault {
  FaultKind kind = FaultKind::internal;
  std::string message;  // a sentence's worth, for a person, without the final full stop
  Side side = Side::local;
  Retry retry = Retry::no;
  std::vector<std::string> trail;  // innermost first: "reading a.yaml", "starting the lab"

  Fault& during(std::string what) & {
    trail.push_back(std::move(what));
    return *this;
  }
  Fault during(std::string what) && {
    trail.push_back(std::move(what));
    return std::move(*this);
  }
  // "message (while reading a.yaml, while starting the lab)"
  [[nodiscard]] std::string describe() const;
};

[[nodiscard]] const char* name_of(FaultKind kind);
// The enumerator's own name; static.

[[nodiscard]] Fault invalid(std::string message);
[[nodiscard]] Fault unsupported(std::string message);
[[nodiscard]] Fault missing(std::string message);
[[nodiscard]] Fault from_errno(int error, std::string what);
// "what: Connection refused", the kind chosen from `error` (an errno value).

struct Nothing {
  bool operator==(const Nothing&) const = default;
};

template <class T = Nothing>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Fault fault) : state_(std::in_place_index<1>, std::move(fault)) {}  // NOLINT: implicit

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Only when ok(): anything else is our own mistake, and ends the program.
  T& value() & LIFETIMEBOUND { return std::get<0>(state_); }
  const T& value() const& LIFETIMEBOUND { return std::get<0>(state_); }
  T&& value() && LIFETIMEBOUND { return std::move(std::get<0>(state_)); }
  T& operator*() & LIFETIMEBOUND { return value(); }
  const T& operator*() const& LIFETIMEBOUND { return value(); }
  T&& operator*() && LIFETIMEBOUND { return std::move(*this).value(); }
  T* operator->() LIFETIMEBOUND { return &value(); }
  const T* operator->() const LIFETIMEBOUND { return &value(); }

  // Only when not ok().
  Fault& fault() & LIFETIMEBOUND { return std::get<1>(state_); }
  const Fault& fault() const& LIFETIMEBOUND { return std::get<1>(state_); }
  Fault&& fault() && LIFETIMEBOUND { return std::move(std::get<1>(state_)); }

 private:
  std::variant<T, Fault> state_;
};

inline Result<> done() {
  return Nothing{};
}

}  // namespace fairlead
