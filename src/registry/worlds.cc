#include "registry/worlds.h"

#include <algorithm>
#include <utility>

#include "base/cancel.h"
#include "base/log.h"
#include "base/task.h"
#include "net/file_watch.h"
#include "net/loop.h"
#include "registry/sources.h"

namespace fairlead::registry {
namespace {

constexpr Duration settle = std::chrono::milliseconds(20);  // what comes in one burst is read once
constexpr Duration retry_after = std::chrono::seconds(2);

}  // namespace

// Shared with the coroutine that waits for changes, which may end a little later than its owner.
struct Worlds::State {
  State(Paths paths, Changed on_change)
      : sources(std::move(paths)), changed(std::move(on_change)) {}

  static Task<> follow(std::shared_ptr<State> state);
  bool read();
  bool watch_all();
  [[nodiscard]] Duration until_next_look() const;
  void say_trouble();

  Sources sources;
  Changed changed;
  Cancel cancel;
  std::unique_ptr<net::FileWatch> files;
  std::string trouble;  // of watching, as it was said last
};

// True when there was something that was not watched yet.
bool Worlds::State::watch_all() {
  bool any = false;
  for (const std::string& path : sources.to_watch()) any = files->add(path) || any;
  return any;
}

// Again where a new directory was found: what was put into it before it was watched told nobody.
bool Worlds::State::read() {
  const auto refresh = [this] {
    return sources.refresh({.now = files->now(), .being_written = [this](const std::string& path) {
                              return files->being_written(path);
                            }});
  };
  bool any = refresh();
  while (watch_all()) any = refresh() || any;
  say_trouble();
  return any;
}

Duration Worlds::State::until_next_look() const {
  const Duration again = sources.to_be_tried_again() ? retry_after : Duration::max();
  return std::min(again, sources.until_due(files->now()));
}

void Worlds::State::say_trouble() {
  if (files->trouble() == trouble) return;
  trouble = files->trouble();
  if (!trouble.empty()) log::warning(trouble + "; edits are looked for every two seconds");
}

Task<> Worlds::State::follow(std::shared_ptr<State> state) {
  while (true) {
    const Result<> woken = co_await state->files->changed(settle, state->until_next_look());
    if (!woken || state->cancel.is_cancelled()) co_return;
    if (state->read()) state->changed();
    if (state->cancel.is_cancelled()) co_return;
  }
}

Worlds::Worlds(std::shared_ptr<State> state) : state_(std::move(state)) {}

Worlds::~Worlds() {
  state_->cancel.cancel();
}

Result<std::unique_ptr<Worlds>> Worlds::watch(net::Loop& loop, Paths paths, Changed changed) {
  Result<std::unique_ptr<net::FileWatch>> files = net::FileWatch::make(loop);
  if (!files) return std::move(files).fault();
  auto state = std::make_shared<State>(std::move(paths), std::move(changed));
  state->files = std::move(*files);
  state->watch_all();
  state->read();
  loop.start(State::follow(state), &state->cancel);
  return std::unique_ptr<Worlds>(new Worlds(std::move(state)));
}

const mesh::WorldPointer& Worlds::world() const {
  return state_->sources.world();
}

const std::vector<std::string>& Worlds::broken() const {
  return state_->sources.broken();
}

std::vector<Origin> Worlds::take_removed() {
  return state_->sources.take_removed();
}

}  // namespace fairlead::registry
