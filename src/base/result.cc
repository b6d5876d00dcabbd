#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace fairlead {

std::string Fault::describe() const {
  std::string text = message;
  if (trail.empty()) return text;
  text += " (";
  for (std::size_t i = 0; i < trail.size(); ++i) {
    text += i == 0 ? "while " : ", while ";
    text += trail[i];
  }
  return text + ")";
}

const char* name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::invalid:
      return "invalid";
    case FaultKind::unsupported:
      return "unsupported";
    case FaultKind::missing:
      return "missing";
    case FaultKind::denied:
      return "denied";
    case FaultKind::unreachable:
      return "unreachable";
    case FaultKind::closed:
      return "closed";
    case FaultKind::timed_out:
      return "timed_out";
    case FaultKind::cancelled:
      return "cancelled";
    case FaultKind::exhausted:
      return "exhausted";
    case FaultKind::internal:
      return "internal";
  }
  return "internal";
}

Fault invalid(std::string message) {
  return {FaultKind::invalid, std::move(message)};
}
Fault unsupported(std::string message) {
  return {FaultKind::unsupported, std::move(message)};
}
Fault missing(std::string message) {
  return {FaultKind::missing, std::move(message)};
}

namespace {

FaultKind kind_of_errno(int error) {
  switch (error) {
    case ENOENT:
    case ESRCH:
      return FaultKind::missing;
    case EPERM:
    case EACCES:
      return FaultKind::denied;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
      return FaultKind::unreachable;
    case ECONNRESET:
    case EPIPE:
      return FaultKind::closed;
    case ETIMEDOUT:
      return FaultKind::timed_out;
    case ECANCELED:
      return FaultKind::cancelled;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case ENOBUFS:
      return FaultKind::exhausted;
    case EINVAL:
      return FaultKind::invalid;
    default:
      return FaultKind::internal;
  }
}

}  // namespace

Fault from_errno(int error, std::string what) {
  return {kind_of_errno(error), std::move(what) + ": " + std::strerror(error)};
}

}  // namespace fairlead
