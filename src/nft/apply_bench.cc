// How long the kernel takes: all services from nothing, and one endpoint that moved, with as many
// services present as the argument says. Needs root; works in a namespace of its own.
#include <benchmark/benchmark.h>

#include "nft/apply.h"
#include "nft/diff.h"
#include "nft/test_namespace.h"
#include "nft/test_rules.h"

namespace fairlead::nft {
namespace {

struct Node {
  testing::TestNamespace space;
  Kernel kernel = space.in([] { return *Kernel::open(); });
};

const Map* endpoints_of(const Table& table) {
  return table.map("endpoints4");
}

void load(benchmark::State& state) {
  const Ruleset rules =
      testing::node_rules({.fillers = static_cast<std::uint32_t>(state.range(0))});
  for (auto _ : state) {
    state.PauseTiming();
    Node node;
    state.ResumeTiming();
    if (!node.kernel.commit(difference({}, rules))) state.SkipWithError("refused");
  }
}
BENCHMARK(load)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond)->Iterations(2);

void move_one_endpoint(benchmark::State& state) {
  Node node;
  const Ruleset rules =
      testing::node_rules({.fillers = static_cast<std::uint32_t>(state.range(0))});
  if (!node.kernel.commit(difference({}, rules))) return state.SkipWithError("refused");
  const Table& table = rules.tables[0];
  const Map& map = *endpoints_of(table);
  const Tuple key{testing::v4(10, 96, 0, 12), tcp, 9080U, 1U};
  const Mapped here = map.elements.at(key);
  const Mapped there{.data = Tuple{testing::v4(10, 244, 9, 9), 9080U}};
  bool moved = false;
  for (auto _ : state) {
    Transaction transaction;
    change_element(transaction, table, map, key, moved ? &there : &here, moved ? &here : &there);
    if (!node.kernel.commit(transaction)) state.SkipWithError("refused");
    moved = !moved;
  }
}
BENCHMARK(move_one_endpoint)->Arg(0)->Arg(10000)->Arg(50000)->Unit(benchmark::kMicrosecond);

void compare_rulesets(benchmark::State& state) {
  const Ruleset before =
      testing::node_rules({.fillers = static_cast<std::uint32_t>(state.range(0))});
  const Ruleset after = before;
  for (auto _ : state) benchmark::DoNotOptimize(difference(before, after));
}
BENCHMARK(compare_rulesets)->Arg(10000)->Arg(50000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace fairlead::nft
