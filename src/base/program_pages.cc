#include "base/program_pages.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace fairlead {
namespace {

// Segments that cannot be written have never been: each of their pages is still that of the file.
int give_back(dl_phdr_info* object, std::size_t /*size*/, void* /*unused*/) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int number = 0; number < object->dlpi_phnum; ++number) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[number];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const std::uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_filesz;
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // NOLINT
  }
  return 0;
}

}  // namespace

void give_back_program_pages() {
  ::malloc_trim(0);
  ::dl_iterate_phdr(give_back, nullptr);
}

}  // namespace fairlead
