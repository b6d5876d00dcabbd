// What a node's rules cost: all services from nothing, and one endpoint changed with as many
// services present as the argument says, each with two endpoints. Needs root; works in a network
// namespace of its own.
#include <benchmark/benchmark.h>

#include "nft/apply.h"
#include "nft/test_namespace.h"
#include "node/plan/names.h"
#include "node/plan/services.h"
#include "node/plan/test_world.h"

namespace fairlead::node {
namespace {

const Self self{.node = "n1"};

IpAddress numbered(std::uint8_t first, std::uint32_t number) {
  const auto byte = [&](int shift) { return static_cast<std::uint8_t>(number >> shift); };
  return IpAddress::v4({10, static_cast<std::uint8_t>(first + byte(16)), byte(8), byte(0)});
}

std::shared_ptr<const mesh::World> world_with(std::int64_t services) {
  std::vector<mesh::Service> all;
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(services); ++i) {
    const std::string name = "service-" + std::to_string(1000000 + i);
    mesh::Service one =
        testing::service(name, {numbered(96, i).text()}, {testing::port("http", 80)});
    for (std::uint32_t pod = 0; pod < 2; ++pod) {
      testing::add_endpoint(one, numbered(112, i * 2 + pod).text(), 8080, "n2").workload =
          "default/" + name + "-pod-" + std::to_string(pod);
    }
    all.push_back(std::move(one));
  }
  return std::make_shared<const mesh::World>(testing::world_of(std::move(all)));
}

// One endpoint is another; the rest is shared, as it is between worlds of one source.
std::shared_ptr<const mesh::World> moved(mesh::World world) {
  world.services.edit(world.services.size() / 2, [](mesh::Service& middle) {
    middle.endpoints.back().address = IpAddress::v4({10, 144, 9, 9});
  });
  return std::make_shared<const mesh::World>(std::move(world));
}

struct Node {
  nft::testing::TestNamespace space;
  nft::Kernel kernel = space.in([] { return *nft::Kernel::open(); });
};

void load_into_the_kernel(benchmark::State& state) {
  const auto world = world_with(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    Node node;
    state.ResumeTiming();
    if (!node.kernel.commit(nft::replacement(service_rules(*world, self)))) {
      state.SkipWithError("refused");
    }
  }
}
BENCHMARK(load_into_the_kernel)
    ->Arg(1000)
    ->Arg(10000)
    ->Arg(50000)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);

// From one world to the next, into the kernel.
void change_one_endpoint(benchmark::State& state) {
  Node node;
  const auto here = world_with(state.range(0));
  const auto there = moved(*here);
  if (!node.kernel.commit(nft::replacement(service_rules(*here, self)))) {
    return state.SkipWithError("refused");
  }
  ServicePlan plan(here, self);
  bool is_there = false;
  for (auto _ : state) {
    if (!node.kernel.commit(plan.change_to(is_there ? here : there))) {
      state.SkipWithError("refused");
    }
    is_there = !is_there;
  }
}
BENCHMARK(change_one_endpoint)->Arg(1000)->Arg(10000)->Arg(50000)->Unit(benchmark::kMicrosecond);

// The part of it that is ours.
void compute_the_change(benchmark::State& state) {
  const auto here = world_with(state.range(0));
  const auto there = moved(*here);
  ServicePlan plan(here, self);
  bool is_there = false;
  for (auto _ : state) {
    benchmark::DoNotOptimize(plan.change_to(is_there ? here : there));
    is_there = !is_there;
  }
}
BENCHMARK(compute_the_change)->Arg(1000)->Arg(10000)->Arg(50000)->Unit(benchmark::kMicrosecond);

void update_the_names(benchmark::State& state) {
  const auto here = world_with(state.range(0));
  const auto there = moved(*here);
  dns::Zone zone = zone_of(*here);
  bool is_there = false;
  for (auto _ : state) {
    if (is_there) {
      update(zone, *there, *here);
    } else {
      update(zone, *here, *there);
    }
    is_there = !is_there;
  }
}
BENCHMARK(update_the_names)->Arg(1000)->Arg(10000)->Arg(50000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace fairlead::node
