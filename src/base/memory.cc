#include "base/memory.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace fairlead {
namespace {

Duration duration_of(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

std::size_t resident_bytes() {
  std::FILE* const statm = std::fopen("/proc/self/statm", "re");
  if (statm == nullptr) return 0;
  std::size_t total = 0;
  std::size_t resident = 0;
  if (std::fscanf(statm, "%zu %zu", &total, &resident) != 2) resident = 0;
  std::fclose(statm);
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

MemoryLook look_at_memory(Instant now) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {.at = now,
          .cpu = duration_of(usage.ru_utime) + duration_of(usage.ru_stime),
          .resident = resident_bytes()};
}

bool MemoryTrim::is_due(const MemoryLook& look) {
  const std::optional<MemoryLook> before = std::exchange(last_, look);
  if (!before || look.resident < after_ + worth) return false;
  return (look.cpu - before->cpu) * 4 < look.at - before->at;
}

void return_free_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace fairlead
