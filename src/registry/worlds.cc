#include "registry/worlds.h"

#include <algorithm>
#include <utility>

#include "base/cancel.h"
#include "base/log.h"
#include "base/task.h"
#include "net/background.h"
#include "net/file_watch.h"
#include "net/loop.h"
#include "registry/sources.h"

namespace fairlead::registry {
namespace {

constexpr Duration settle = std::chrono::milliseconds(20);  // what comes in one burst is read once
constexpr Duration retry_after = std::chrono::seconds(2);

// What a look at the files takes and gives. The sources are whoever looks', one at a time.
struct Reading {
  Reading(std::shared_ptr<Sources> own, const net::FileWatch& files)
      : sources(std::move(own)),
        look{.now = files.now(), .being_written = files.being_written_now()} {}

  void read() {
    changed = sources->refresh(look);
    world = sources->world();
    broken = sources->broken();
    removed = sources->take_removed();
    to_watch = sources->to_watch();
    to_be_tried_again = sources->to_be_tried_again();
    until_due = sources->until_due(look.now);
  }

  std::shared_ptr<Sources> sources;
  Look look;
  bool changed = false;
  mesh::WorldPointer world;
  std::vector<std::string> broken;
  std::vector<Origin> removed;
  std::vector<std::string> to_watch;
  bool to_be_tried_again = false;
  Duration until_due = Duration::max();
};

}  // namespace

// Shared with the coroutine that waits for changes, which may end a little later than its owner.
struct Worlds::State {
  State(Paths paths, Changed on_change)
      : sources(std::make_shared<Sources>(std::move(paths))), changed(std::move(on_change)) {}

  static Task<> follow(std::shared_ptr<State> state, First first);
  static Task<Result<>> read_elsewhere(std::shared_ptr<State> state);
  bool read();
  bool watch_all(const std::vector<std::string>& paths);
  void take(Reading& reading);
  [[nodiscard]] Duration until_next_look() const;
  void say_trouble();

  std::shared_ptr<Sources> sources;
  Changed changed;
  Cancel cancel;
  std::unique_ptr<net::FileWatch> files;
  net::Background* background = nullptr;  // lives until `cancel` is cancelled
  std::string trouble;                    // of watching, as it was said last
  mesh::WorldPointer world;               // of the last look, as the rest
  std::vector<std::string> broken;
  std::vector<Origin> removed;
  bool to_be_tried_again = false;
  Duration until_due = Duration::max();
  Instant looked;
};

// True when there was something that was not watched yet.
bool Worlds::State::watch_all(const std::vector<std::string>& paths) {
  bool any = false;
  for (const std::string& path : paths) any = files->add(path) || any;
  return any;
}

void Worlds::State::take(Reading& reading) {
  world = std::move(reading.world);
  broken = std::move(reading.broken);
  removed.insert(removed.end(), reading.removed.begin(), reading.removed.end());
  to_be_tried_again = reading.to_be_tried_again;
  until_due = reading.until_due;
  looked = reading.look.now;
}

// Again where a new directory was found: what was put into it before it was watched told nobody.
bool Worlds::State::read() {
  bool any = false;
  bool more = true;
  while (more) {
    Reading reading(sources, *files);
    reading.read();
    take(reading);
    any = any || reading.changed;
    more = watch_all(reading.to_watch);
  }
  say_trouble();
  return any;
}

// The same beside the loop.
Task<Result<>> Worlds::State::read_elsewhere(std::shared_ptr<State> state) {
  mesh::WorldPointer before = state->world;
  bool any = false;
  bool more = true;
  while (more) {
    const auto reading = std::make_shared<Reading>(state->sources, *state->files);
    if (Result<> ran = co_await state->background->run([reading] { reading->read(); }); !ran.ok()) {
      co_return ran;
    }
    if (state->cancel.is_cancelled()) co_return cancelled_fault();
    state->take(*reading);
    any = any || reading->changed;
    more = state->watch_all(reading->to_watch);
  }
  state->say_trouble();
  if (any) state->changed();
  if (state->cancel.is_cancelled()) co_return cancelled_fault();
  // Whoever lets go of a large world last spends a while on it: not the loop.
  if (before == nullptr || before == state->world) co_return done();
  co_return co_await state->background->run([world = std::move(before)] {});
}

Duration Worlds::State::until_next_look() const {
  const Duration again = to_be_tried_again ? retry_after : Duration::max();
  if (until_due == Duration::max()) return again;
  return std::min(again, std::max(looked + until_due - files->now(), Duration::zero()));
}

void Worlds::State::say_trouble() {
  if (files->trouble() == trouble) return;
  trouble = files->trouble();
  if (!trouble.empty()) log::warning(trouble + "; edits are looked for every two seconds");
}

Task<> Worlds::State::follow(std::shared_ptr<State> state, First first) {
  if (first == First::soon && !(co_await read_elsewhere(state)).ok()) co_return;
  while (!state->cancel.is_cancelled()) {
    const Result<> woken = co_await state->files->changed(settle, state->until_next_look());
    if (!woken || state->cancel.is_cancelled()) co_return;
    if (!(co_await read_elsewhere(state)).ok()) co_return;
  }
}

Worlds::Worlds(std::shared_ptr<State> state, std::unique_ptr<net::Background> background)
    : state_(std::move(state)), background_(std::move(background)) {
  state_->background = background_.get();
}

Worlds::~Worlds() {
  state_->cancel.cancel();
}

Result<std::unique_ptr<Worlds>> Worlds::watch(net::Loop& loop, Paths paths, Changed changed,
                                              First first) {
  Result<std::unique_ptr<net::FileWatch>> files = net::FileWatch::make(loop);
  if (!files) return std::move(files).fault();
  auto state = std::make_shared<State>(std::move(paths), std::move(changed));
  state->files = std::move(*files);
  state->watch_all(state->sources->to_watch());
  if (first == First::at_once) state->read();
  std::unique_ptr<Worlds> worlds(
      new Worlds(state, std::make_unique<net::Background>(loop, "manifests")));
  loop.start(State::follow(state, first), &state->cancel);
  return worlds;
}

const mesh::WorldPointer& Worlds::world() const {
  return state_->world;
}

const std::vector<std::string>& Worlds::broken() const {
  return state_->broken;
}

std::vector<Origin> Worlds::take_removed() {
  return std::exchange(state_->removed, {});
}

}  // namespace fairlead::registry
