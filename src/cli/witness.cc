// fairlead witness: gathers evidence for `fairlead path --live` in the network namespace that it
// is started in. An order goes in, evidence comes out, both as JSON. Not for people.
#include <cstdio>

#include "cli/commands.h"
#include "explain/evidence.h"
#include "witness/gather.h"
#include "witness/order.h"

namespace fairlead::cli {

int run_witness(const Arguments& arguments) {
  if (arguments.size() != 1) {
    std::fputs("fairlead witness takes one order, as JSON\n", stderr);
    return 2;
  }
  const Result<witness::Order> order = witness::order_from_json(arguments[0]);
  if (!order) {
    std::fprintf(stderr, "fairlead witness: %s\n", order.fault().describe().c_str());
    return 2;
  }
  std::puts(explain::evidence_json(witness::gather(*order)).c_str());
  return 0;
}

}  // namespace fairlead::cli
