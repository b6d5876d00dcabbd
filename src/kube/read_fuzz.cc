// Whatever documents come in: objects or a fault in words; and what we write of objects we read
// again, and write alike.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "document/document.h"
#include "kube/read.h"
#include "kube/write.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fairlead;
  document::Limits limits;
  limits.bytes = 1U << 16U;
  limits.aliased = 1000;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto documents = document::parse(text, "fuzz", document::Format::yaml, limits);
  if (!documents.ok()) return 0;
  const std::vector<Fault> faults = kube::faults_of(*documents);
  const Result<kube::Reading> read = kube::read(*documents);
  if (read.ok() != faults.empty()) abort();
  if (!read.ok()) {
    if (read.fault().describe().empty()) abort();
    return 0;
  }
  for (const kube::Ignored& one : read->ignored) (void)one.describe();

  const std::string written = kube::write(read->objects);
  const auto parsed = document::parse(written, "written", document::Format::json, {});
  if (!parsed.ok()) abort();
  const Result<kube::Reading> again = kube::read(*parsed);
  if (!again.ok()) {
    std::fprintf(stderr, "%s\n%s\n", again.fault().describe().c_str(), written.c_str());
    abort();
  }
  if (kube::write(again->objects) != written) {
    std::fprintf(stderr, "%s\n%s\n", written.c_str(), kube::write(again->objects).c_str());
    abort();
  }
  return 0;
}
