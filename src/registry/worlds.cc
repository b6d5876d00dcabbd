#include "registry/worlds.h"

#include <utility>

#include "base/cancel.h"
#include "base/task.h"
#include "net/file_watch.h"
#include "net/loop.h"
#include "registry/sources.h"

namespace fairlead::registry {

// Shared with the coroutine that waits for changes, which may end a little later than its owner.
struct Worlds::State {
  State(Paths paths, Changed on_change)
      : sources(std::move(paths)), changed(std::move(on_change)) {}

  static Task<> follow(std::shared_ptr<State> state);

  Sources sources;
  Changed changed;
  Cancel cancel;
  std::unique_ptr<net::FileWatch> files;
};

Task<> Worlds::State::follow(std::shared_ptr<State> state) {
  while (true) {
    const Result<> woken = co_await state->files->changed();
    if (!woken || state->cancel.is_cancelled()) co_return;
    if (state->sources.refresh()) state->changed();
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
  for (const std::string& path : paths) (*files)->add(path);
  auto state = std::make_shared<State>(std::move(paths), std::move(changed));
  state->files = std::move(*files);
  state->sources.refresh();
  loop.start(State::follow(state), &state->cancel);
  return std::unique_ptr<Worlds>(new Worlds(std::move(state)));
}

const mesh::WorldPointer& Worlds::world() const {
  return state_->sources.world();
}

const std::vector<std::string>& Worlds::broken() const {
  return state_->sources.broken();
}

}  // namespace fairlead::registry
