#include "proxy/source/last_good.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>

namespace fairlead::proxy {
namespace {

constexpr std::string_view title = "fairlead last good configuration 2 ";

// The first line: what this is, and the digest of the rest.
std::string head_of(std::string_view content) {
  return fmt::format("{}{:016x}\n", title, XXH3_64bits(content.data(), content.size()));
}

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Result<> write_all(int file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return from_errno(errno, "writing " + path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return done();
}

Result<std::string> read_all(int file, const std::string& path) {
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t size = ::read(file, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return from_errno(errno, "reading " + path);
    if (size == 0) return content;
    content.append(buffer, static_cast<std::size_t>(size));
  }
}

}  // namespace

namespace {

Result<> write_whole(const std::string& path, std::string_view content) {
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.get() < 0) return from_errno(errno, "writing " + path);
  Result<> written = write_all(file.get(), head_of(content), path);
  if (written.ok()) written = write_all(file.get(), content, path);
  if (!written.ok()) return written;
  return ::fsync(file.get()) == 0 ? done() : from_errno(errno, "writing " + path);
}

}  // namespace

Result<> write_last_good(const std::string& path, std::string_view content) {
  const std::string beside = path + ".new";
  Result<> written = write_whole(beside, content);
  if (written.ok() && std::rename(beside.c_str(), path.c_str()) != 0) {
    written = from_errno(errno, "writing " + path);
  }
  if (!written.ok()) ::unlink(beside.c_str());
  return written;
}

Result<std::string> read_last_good(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return missing(path + " does not exist");
  if (file.get() < 0) return from_errno(errno, "reading " + path);
  Result<std::string> text = read_all(file.get(), path);
  if (!text.ok()) return text;
  const std::size_t end = text->find('\n');
  if (end == std::string::npos || !text->starts_with(title)) {
    return invalid(path + " is no last good configuration of ours");
  }
  std::string content = text->substr(end + 1);
  if (std::string_view(*text).substr(0, end + 1) != head_of(content)) {
    return invalid(path + " is damaged: its digest is another");
  }
  return content;
}

}  // namespace fairlead::proxy
