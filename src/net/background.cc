#include "net/background.h"

#include <sys/prctl.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "net/readiness.h"

namespace fairlead::net {
namespace {

struct Job {
  std::function<void()> work;
  Readiness done;  // used on the loop's thread alone
};
using JobPointer = std::shared_ptr<Job>;

}  // namespace

struct Background::Shared {
  Shared(Loop& own_loop, std::string own_name) : loop(own_loop), name(std::move(own_name)) {}

  void add(JobPointer job);
  void work_until_stopped();

  Loop& loop;
  std::string name;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<JobPointer> waiting;
  bool stopped = false;
  std::thread thread;
};

void Background::Shared::add(JobPointer job) {
  const std::lock_guard lock(mutex);
  waiting.push_back(std::move(job));
  if (!thread.joinable()) thread = std::thread([this] { work_until_stopped(); });
  wake.notify_one();
}

void Background::Shared::work_until_stopped() {
  ::prctl(PR_SET_NAME, name.c_str());
  std::unique_lock lock(mutex);
  while (true) {
    wake.wait(lock, [this] { return stopped || !waiting.empty(); });
    if (stopped) return;
    JobPointer job = std::move(waiting.front());
    waiting.pop_front();
    lock.unlock();
    job->work();
    job->work = nullptr;  // what it held goes on this thread
    // The loop outlives this thread, though perhaps not what is posted to it.
    loop.post([job = std::move(job)] { job->done.set_soon(); });
    lock.lock();
  }
}

Background::Background(Loop& loop, const std::string& name)
    : shared_(std::make_unique<Shared>(loop, name)) {}

Background::~Background() {
  std::deque<JobPointer> dropped;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopped = true;
    dropped.swap(shared_->waiting);
  }
  shared_->wake.notify_one();
  if (shared_->thread.joinable()) shared_->thread.join();
  for (const JobPointer& job : dropped) job->done.close();
}

Task<Result<>> Background::run(std::function<void()> work) {
  const auto job = std::make_shared<Job>();
  job->work = std::move(work);
  shared_->add(job);
  co_return co_await job->done.wait();
}

}  // namespace fairlead::net
