#include "explain/hop.h"

namespace fairlead::explain {

const char* name_of(Stage stage) {
  switch (stage) {
    case Stage::caller:
      return "from";
    case Stage::name:
      return "name";
    case Stage::capture:
      return "capture";
    case Stage::listener:
      return "listener";
    case Stage::chain:
      return "chain";
    case Stage::route:
      return "route";
    case Stage::cluster:
      return "cluster";
    case Stage::endpoint:
      return "endpoint";
    case Stage::kernel:
      return "kernel";
    case Stage::delivery:
      return "delivery";
    case Stage::app:
      return "app";
  }
  return "";
}

const char* name_of(Seen::Verdict verdict) {
  switch (verdict) {
    case Seen::Verdict::agrees:
      return "agrees";
    case Seen::Verdict::differs:
      return "differs";
    case Seen::Verdict::shown:
      return "shown";
    case Seen::Verdict::missing:
      return "missing";
    case Seen::Verdict::unknown:
      return "cannot be known";
  }
  return "";
}

}  // namespace fairlead::explain
