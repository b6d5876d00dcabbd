#include "nft/apply.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/descriptor.h"

struct nft_ctx;  // libnftables' own

namespace fairlead::nft {

// The functions of libnftables.so.1 that we call; its interface is stable since nft 0.9.
struct Kernel::Library {
  nft_ctx* (*create)(std::uint32_t flags) = nullptr;
  void (*destroy)(nft_ctx*) = nullptr;
  int (*buffer_output)(nft_ctx*) = nullptr;
  int (*buffer_error)(nft_ctx*) = nullptr;
  const char* (*output)(nft_ctx*) = nullptr;
  const char* (*error)(nft_ctx*) = nullptr;
  void (*set_output_flags)(nft_ctx*, unsigned int) = nullptr;
  void (*set_dry_run)(nft_ctx*, bool) = nullptr;
  int (*run)(nft_ctx*, const char* commands) = nullptr;
};

struct Kernel::Context {
  const Library* library;
  nft_ctx* context;
  // Else the library writes to our standard error, past us.
  bool allowed = may_change_rules();

  Context(const Library* of, nft_ctx* made) : library(of), context(made) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { library->destroy(context); }

  int run(const std::string& commands) { return library->run(context, commands.c_str()); }
  [[nodiscard]] std::string error() const {
    const char* text = library->error(context);
    return text == nullptr ? "" : text;
  }
};

namespace {

// NFT_CTX_OUTPUT_...
constexpr unsigned int output_handles = 1U << 3;
constexpr unsigned int output_json = 1U << 4;
constexpr unsigned int numeric_priority = 1U << 8;
constexpr unsigned int output_terse = 1U << 11;

unsigned int flags_of(Kernel::Form form) {
  switch (form) {
    case Kernel::Form::text:
      return 0;
    case Kernel::Form::heads:
      return output_terse;
    case Kernel::Form::handles:
      return output_handles;
    case Kernel::Form::json:
      return output_json;
  }
  return 0;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

std::string first_line(const std::string& text) {
  constexpr std::size_t most = 300;
  return text.substr(0, std::min(text.find('\n'), most));
}

Fault denied() {
  return {.kind = FaultKind::denied,
          .message =
              "the kernel lets us neither read nor change its rules: this takes "
              "CAP_NET_ADMIN over the network namespace (run as root, or in user and "
              "network namespaces of your own)"};
}

Fault fault_from(const std::string& error) {
  if (contains(error, "Operation not permitted") || contains(error, "you must be root")) {
    return denied();
  }
  if (contains(error, "No such file or directory")) {
    return {.kind = FaultKind::missing, .message = "nftables: " + first_line(error)};
  }
  const std::string said = error.empty() ? "refused without a word" : first_line(error);
  return {.kind = FaultKind::invalid, .message = "nftables: " + said};
}

bool has_net_admin() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (::syscall(SYS_capget, &header, data) != 0) return true;  // then let the kernel say it
  return (data[CAP_NET_ADMIN / 32].effective & (1U << (CAP_NET_ADMIN % 32))) != 0;
}

// A capability is worth something only over what this user namespace, or one in it, owns.
bool network_is_of_others() {
  const Descriptor space(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!space.valid()) return false;
  const Descriptor owner(::ioctl(space.number(), NS_GET_USERNS));
  return !owner.valid() && errno == EPERM;
}

template <class Function>
bool load(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace

bool may_change_rules() {
  return has_net_admin() && !network_is_of_others();
}

Result<const Kernel::Library*> Kernel::library() {
  static Library loaded;
  static const std::string failure = []() -> std::string {
    void* handle = dlopen("libnftables.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return dlerror();
    const bool complete = load(handle, "nft_ctx_new", loaded.create) &&
                          load(handle, "nft_ctx_free", loaded.destroy) &&
                          load(handle, "nft_ctx_buffer_output", loaded.buffer_output) &&
                          load(handle, "nft_ctx_buffer_error", loaded.buffer_error) &&
                          load(handle, "nft_ctx_get_output_buffer", loaded.output) &&
                          load(handle, "nft_ctx_get_error_buffer", loaded.error) &&
                          load(handle, "nft_ctx_output_set_flags", loaded.set_output_flags) &&
                          load(handle, "nft_ctx_set_dry_run", loaded.set_dry_run) &&
                          load(handle, "nft_run_cmd_from_buffer", loaded.run);
    return complete ? "" : "it lacks a function that we need";
  }();
  if (failure.empty()) return &loaded;
  return missing("libnftables cannot be loaded (" + failure +
                 "); on Debian and Ubuntu the package libnftables1 has it");
}

Kernel::Kernel(std::unique_ptr<Context> context) : context_(std::move(context)) {}
Kernel::Kernel(Kernel&&) noexcept = default;
Kernel& Kernel::operator=(Kernel&&) noexcept = default;
Kernel::~Kernel() = default;

Result<Kernel> Kernel::open() {
  Result<const Library*> library = Kernel::library();
  if (!library) return std::move(library).fault();
  nft_ctx* context = (*library)->create(0);
  if (context == nullptr) {
    return Fault{.kind = FaultKind::unreachable, .message = "libnftables does not start"};
  }
  auto owned = std::make_unique<Context>(*library, context);
  if ((*library)->buffer_output(context) != 0 || (*library)->buffer_error(context) != 0) {
    return Fault{.kind = FaultKind::exhausted, .message = "libnftables has no memory"};
  }
  return Kernel(std::move(owned));
}

Result<> Kernel::commit(const Transaction& transaction) {
  if (transaction.empty()) return done();
  if (!context_->allowed) return denied();
  if (context_->run(transaction.text()) == 0) return done();
  const std::string error = context_->error();
  if (contains(error, "Message too long")) return commit_pieces(transaction);
  return fault_from(error);
}

Result<> Kernel::commit_pieces(const Transaction& transaction) {
  // Halves, until each is short enough.
  const auto& all = transaction.commands;
  if (all.size() == 1) {
    return Fault{.kind = FaultKind::exhausted,
                 .message = "one command is too long for the kernel: " + first_line(all.front())};
  }
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  if (Result<> first = commit({.commands = {all.begin(), middle}}); !first) return first;
  return commit({.commands = {middle, all.end()}});
}

Result<> Kernel::rehearse(const Transaction& transaction) {
  if (!context_->allowed) return denied();
  context_->library->set_dry_run(context_->context, true);
  const int status = context_->run(transaction.text());
  context_->library->set_dry_run(context_->context, false);
  if (status == 0) return done();
  return fault_from(context_->error());
}

Result<std::string> Kernel::ask(const std::string& command, Form form) {
  if (!context_->allowed) return denied();
  const Library& library = *context_->library;
  library.set_output_flags(context_->context, numeric_priority | flags_of(form));
  const int status = context_->run(command);
  const char* output = library.output(context_->context);
  if (status != 0) return fault_from(context_->error());
  return std::string(output == nullptr ? "" : output);
}

}  // namespace fairlead::nft
