#include "net/passed.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace fairlead::net {
namespace {

constexpr int out_of_the_way = 64;  // above all that take their place
static_assert(first_passed + static_cast<int>(most_passed) < out_of_the_way);

std::optional<long> number_in(std::string_view text) {
  long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (true) {
    const std::size_t colon = text.find(':');
    names.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return names;
    text.remove_prefix(colon + 1);
  }
}

}  // namespace

std::vector<std::string> passing_variables(const std::vector<std::string>& names, pid_t to) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ":") + name;
  return {"LISTEN_FDS=" + std::to_string(names.size()), "LISTEN_PID=" + std::to_string(to),
          "LISTEN_FDNAMES=" + joined};
}

Result<> put_in_place(std::span<const int> descriptors) {
  if (descriptors.size() > most_passed) return invalid("too many descriptors are passed on");
  std::array<int, most_passed> copies{};
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    copies[i] = ::fcntl(descriptors[i], F_DUPFD_CLOEXEC, out_of_the_way);
    if (copies[i] < 0) return from_errno(errno, "passing a descriptor on");
  }
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    if (::dup2(copies[i], first_passed + static_cast<int>(i)) < 0) {
      return from_errno(errno, "passing a descriptor on");
    }
  }
  return done();
}

Result<std::vector<std::string>> passed_names(const PassingVariables& variables, pid_t self) {
  if (variables.count == nullptr || variables.pid == nullptr) return std::vector<std::string>{};
  const std::optional<long> pid = number_in(variables.pid);
  if (!pid) return invalid(std::string("LISTEN_PID: expected a number, found ") + variables.pid);
  if (*pid != self) return std::vector<std::string>{};
  const std::optional<long> count = number_in(variables.count);
  if (!count || *count < 0 || *count > static_cast<long>(most_passed)) {
    return invalid("LISTEN_FDS: expected a number from 0 to " + std::to_string(most_passed) +
                   ", found " + variables.count);
  }
  const auto wanted = static_cast<std::size_t>(*count);
  if (variables.names == nullptr) return std::vector<std::string>(wanted, "unknown");
  std::vector<std::string> names = split_names(variables.names);
  if (wanted == 0) return std::vector<std::string>{};
  if (names.size() != wanted) {
    return invalid("LISTEN_FDNAMES: expected " + std::to_string(wanted) +
                   " names as LISTEN_FDS says, found " + variables.names);
  }
  return names;
}

Result<std::vector<Passed>> take_passed() {
  const Result<std::vector<std::string>> names =
      passed_names({.count = std::getenv("LISTEN_FDS"),
                    .pid = std::getenv("LISTEN_PID"),
                    .names = std::getenv("LISTEN_FDNAMES")},
                   ::getpid());
  if (!names) return names.fault();
  for (const char* name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) ::unsetenv(name);
  std::vector<Passed> all;
  all.reserve(names->size());
  for (std::size_t i = 0; i < names->size(); ++i) {
    const int number = first_passed + static_cast<int>(i);
    if (::fcntl(number, F_SETFD, FD_CLOEXEC) != 0) {
      return from_errno(errno, "taking the descriptor " + std::to_string(number) +
                                   ", which LISTEN_FDS says was passed on");
    }
    all.push_back({(*names)[i], Descriptor(number)});
  }
  return all;
}

}  // namespace fairlead::net
