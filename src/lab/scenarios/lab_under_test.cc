#include "lab/scenarios/lab_under_test.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pty.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;
constexpr auto patience = std::chrono::seconds(90);
constexpr const char* test_user = "fairlead-test";
constexpr int most_load = 80;  // seconds

// The program where an ordinary user can reach it.
const std::string& program_of_all() {
  static const std::string copy = [] {
    const std::string folder = fmt::format("/tmp/fairlead-scenarios-{}", ::getpid());
    fs::create_directories(folder);
    fs::permissions(folder, fs::perms(0755));
    fs::copy_file(FAIRLEAD_PROGRAM, folder + "/fairlead", fs::copy_options::overwrite_existing);
    std::atexit([] {
      std::error_code error;
      fs::remove_all(fmt::format("/tmp/fairlead-scenarios-{}", ::getpid()), error);
    });
    return folder + "/fairlead";
  }();
  return copy;
}

Words as(Who who, const Words& words) {
  Words all;
  if (who == Who::user && ::geteuid() == 0) {
    all = {"setpriv",  "--reuid", test_user,
           "--regid",  test_user, "--init-groups",
           "env",      "-i",      "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
           "HOME=/tmp"};
  }
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

// Runs a command to its end, or to the end of our patience.
Ran execute(const Words& words, const std::string& input) {
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  std::array<int, 2> error{};
  if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0 ||
      ::pipe2(error.data(), O_CLOEXEC) != 0) {
    return {};
  }
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::dup2(error[1], 2);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  ::close(error[1]);
  static_cast<void>(!::write(in[1], input.data(), input.size()));
  ::close(in[1]);
  Ran ran;
  const auto end = std::chrono::steady_clock::now() + patience;
  std::array<pollfd, 2> sources{{{out[0], POLLIN, 0}, {error[0], POLLIN, 0}}};
  int open = 2;
  while (open > 0 && std::chrono::steady_clock::now() < end) {
    ::poll(sources.data(), sources.size(), 200);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (sources[i].fd < 0 || sources[i].revents == 0) continue;
      std::array<char, 4096> bytes{};
      const ssize_t size = ::read(sources[i].fd, bytes.data(), bytes.size());
      if (size > 0) {
        (i == 0 ? ran.out : ran.error).append(bytes.data(), static_cast<std::size_t>(size));
      } else {
        sources[i].fd = -1;
        --open;
      }
    }
  }
  if (open > 0) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(out[0]);
  ::close(error[0]);
  if (open == 0 && WIFEXITED(status)) ran.status = WEXITSTATUS(status);
  return ran;
}

// Runs `words` when this process ends without having said that it is over, as in a crash; then the
// folder goes. The descriptor to say it on.
int leave_to_an_heir(const std::string& folder, const Words& words) {
  // In a session of its own, for it must not end with us.
  Words all{"setsid", "--fork", "sh", "-c", R"(read over || { "$@"; rm -rf "$0"; })", folder};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (const std::string& word : all) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(ends[0], 0);
    ::dup2(null, 1);
    ::dup2(null, 2);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::waitpid(child, nullptr, 0);
  ::close(ends[0]);
  return ends[1];
}

std::string fresh_name() {
  static std::atomic<int> count = 0;
  return fmt::format("t{}-{}", ::getpid(), ++count);
}

}  // namespace

std::vector<Who> everyone() {
  if (::geteuid() == 0) return {Who::root, Who::user};
  return {Who::user};
}

std::vector<std::string> real_envoys() {
  const char* program = std::getenv("FAIRLEAD_ENVOY");
  if (program == nullptr || *program == '\0') return {};
  return {program};
}

std::string name_of(Who who) {
  return who == Who::root ? "root" : "user";
}

Ran run_here(const Words& words) {
  return execute(words, "");
}

// ── beside the test ─────────────────────────────────────────────────────────────────────────────

Beside::Beside(const Words& words, bool terminal) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::array<int, 2> out{-1, -1};
  if (!terminal && ::pipe2(out.data(), O_CLOEXEC) != 0) return;
  winsize size{.ws_row = 40, .ws_col = 132, .ws_xpixel = 0, .ws_ypixel = 0};
  pid_ = terminal ? ::forkpty(&streams_, nullptr, nullptr, &size) : ::fork();
  if (pid_ == 0) {
    if (!terminal) {
      ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
      ::dup2(out[1], 1);
      ::dup2(out[1], 2);
    }
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  if (!terminal) {
    streams_ = out[0];
    ::close(out[1]);
  }
  ::fcntl(streams_, F_SETFD, FD_CLOEXEC);
}

Beside::~Beside() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(streams_);
}

// Whether there may be more.
bool Beside::read_some(int milliseconds) {
  pollfd source{streams_, POLLIN, 0};
  if (::poll(&source, 1, milliseconds) <= 0) return true;
  std::array<char, 4096> bytes{};
  const ssize_t size = ::read(streams_, bytes.data(), bytes.size());
  if (size > 0) output_.append(bytes.data(), static_cast<std::size_t>(size));
  return size > 0;
}

bool Beside::says(const std::string& text) {
  const auto end = std::chrono::steady_clock::now() + patience;
  bool more = true;
  while (output_.find(text) == std::string::npos) {
    if (!more || std::chrono::steady_clock::now() > end) return false;
    more = read_some(200);
  }
  return true;
}

void Beside::type(const std::string& text) const {
  static_cast<void>(!::write(streams_, text.data(), text.size()));
}

void Beside::resize(int rows, int columns) const {
  const winsize size{.ws_row = static_cast<std::uint16_t>(rows),
                     .ws_col = static_cast<std::uint16_t>(columns),
                     .ws_xpixel = 0,
                     .ws_ypixel = 0};
  ::ioctl(streams_, TIOCSWINSZ, &size);
}

void Beside::signal(int number) const {
  ::kill(pid_, number);
}

int Beside::wait() {
  const auto end = std::chrono::steady_clock::now() + patience;
  int status = 0;
  bool more = true;
  while (::waitpid(pid_, &status, WNOHANG) != pid_) {
    if (std::chrono::steady_clock::now() > end) return -1;
    if (more) {
      more = read_some(50);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  pid_ = -1;
  pollfd left{streams_, POLLIN, 0};
  while (::poll(&left, 1, 0) > 0 && (left.revents & POLLIN) != 0 && read_some(0)) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool comes_about(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return true;
}

// ── a lab ───────────────────────────────────────────────────────────────────────────────────────

LabUnderTest::LabUnderTest(Who who)
    : who_(who),
      name_(fresh_name()),
      folder_("/tmp/fairlead-scenario-" + name_),
      program_(program_of_all()) {
  fs::create_directories(folder_);
  fs::permissions(folder_, fs::perms(0755));
  heir_ = leave_to_an_heir(folder_, as(who_, {program_, "lab", "down", "--name", name_}));
  if (who_ == Who::root || ::geteuid() != 0) return;
  const passwd* user = ::getpwnam(test_user);
  if (user == nullptr || ::chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) {
    throw std::runtime_error("there is no user fairlead-test: ./dev test makes it");
  }
}

LabUnderTest::~LabUnderTest() {
  static_cast<void>(lab("down"));
  std::error_code error;
  fs::remove_all(folder_, error);
  static_cast<void>(!::write(heir_, "over\n", 5));
  ::close(heir_);
}

void LabUnderTest::write_manifest(const std::string& manifest) const {
  const std::string next = manifest_path() + ".next";
  std::ofstream(next) << manifest;
  fs::permissions(next, fs::perms(0644));
  fs::rename(next, manifest_path());
}

void LabUnderTest::renew_program() {
  program_ = folder_ + "/fairlead";
  const std::string next = program_ + ".next";
  fs::copy_file(program_of_all(), next);
  fs::rename(next, program_);
}

Ran LabUnderTest::try_up(const std::string& manifest, const Words& flags) {
  write_manifest(manifest);
  Words words{"up", "--name", name_, "-d"};
  words.insert(words.end(), flags.begin(), flags.end());
  words.push_back(manifest_path());
  words.insert(words.begin(), "lab");
  Ran ran = run(words);
  said_ = ran.out + ran.error;
  return ran;
}

bool LabUnderTest::up(const std::string& manifest, const Words& flags) {
  return try_up(manifest, flags).status == 0;
}

Ran LabUnderTest::run(const Words& words, const std::string& input) const {
  Words all{program_};
  all.insert(all.end(), words.begin(), words.end());
  return execute(as(who_, all), input);
}

Ran LabUnderTest::run_with(const std::string& variable, const Words& words) const {
  Words all{"env", variable, program_};
  all.insert(all.end(), words.begin(), words.end());
  return execute(as(who_, all), "");
}

std::unique_ptr<Beside> LabUnderTest::start(const Words& words, bool terminal) const {
  Words all{program_};
  all.insert(all.end(), words.begin(), words.end());
  return std::make_unique<Beside>(as(who_, all), terminal);
}

Ran LabUnderTest::lab(const std::string& verb, const Words& words) const {
  Words all{"lab", verb, "--name", name_};
  all.insert(all.end(), words.begin(), words.end());
  return run(all);
}

Ran LabUnderTest::exec(const std::string& target, const Words& words,
                       const std::string& container) const {
  Words all;
  if (!container.empty()) all = {"-c", container};
  all.push_back(target);
  all.emplace_back("--");
  all.insert(all.end(), words.begin(), words.end());
  return lab("exec", all);
}

Ran LabUnderTest::path(const std::string& from, const std::string& url, const Words& flags) const {
  Words all{"path", from, url, "--name", name_};
  all.insert(all.end(), flags.begin(), flags.end());
  return run(all);
}

nlohmann::json LabUnderTest::status() const {
  return nlohmann::json::parse(lab("status", {"--json"}).out, nullptr, false);
}

nlohmann::json LabUnderTest::pod(const std::string& name) const {
  for (const nlohmann::json& pod : status().value("pods", nlohmann::json::array())) {
    if (pod.value("name", "") == name) return pod;
  }
  return nlohmann::json::object();
}

nlohmann::json LabUnderTest::record() const {
  const nlohmann::json labs =
      nlohmann::json::parse(run({"lab", "list", "--json"}).out, nullptr, false);
  for (const nlohmann::json& one : labs) {
    if (one.value("name", "") == name_) return one;
  }
  return nlohmann::json::object();
}

bool LabUnderTest::wait_for(const Words& exec_words, const std::string& target,
                            const std::string& expected) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    if (exec(target, exec_words).out.find(expected) != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

bool LabUnderTest::wait_for_status(
    const std::function<bool(const nlohmann::json&)>& expected) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    const nlohmann::json now = status();
    if (now.is_object() && expected(now)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

std::string LabUnderTest::state() const {
  if (who_ == Who::root) return "/run/fairlead/" + name_;
  const passwd* user = ::geteuid() == 0 ? ::getpwnam(test_user) : ::getpwuid(::geteuid());
  const char* runtime = ::geteuid() == 0 ? nullptr : ::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime != '\0') return fmt::format("{}/fairlead/{}", runtime, name_);
  return fmt::format("/tmp/fairlead-{}/{}", user != nullptr ? user->pw_uid : 0, name_);
}

std::string deployment(const std::string& name, int replicas, const std::string& node,
                       const std::string& extra) {
  return fmt::format(R"(---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {0}}}
spec:
  replicas: {1}
  selector: {{matchLabels: {{app: {0}}}}}
  template:
    metadata:
      labels: {{app: {0}}}
      {3}
    spec:
      terminationGracePeriodSeconds: 5
      {2}
      containers:
      - name: app
        image: fairlead/sample-app
        env: [{{name: APP_NAME, value: {0}}}, {{name: APP_CALLS, value: ""}}]
        ports: [{{name: http, containerPort: 9080}}]
        readinessProbe: {{httpGet: {{path: /healthz, port: http}}, periodSeconds: 1}}
)",
                     name, replicas, node.empty() ? "" : "nodeName: " + node, extra);
}

std::string service(const std::string& name, const std::string& extra) {
  return fmt::format(R"(---
apiVersion: v1
kind: Service
metadata: {{name: {0}}}
spec:
  selector: {{app: {0}}}
  ports: [{{name: http, port: 80, targetPort: 9080}}]
  {1}
)",
                     name, extra);
}

namespace {

// Eight threads; the first hundred answers and the end are told by files in the pod's own /tmp.
constexpr const char* load_script = R"(
import http.client, json, os, sys, threading, time, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
target = (url.path or "/") + ("?" + url.query if url.query else "")
end = time.monotonic() + float(sys.argv[2])
for name in ("/tmp/load-flows", "/tmp/load-ends"):
    if os.path.exists(name):
        os.remove(name)
sent, losses, lock = [0], [], threading.Lock()
over = threading.Event()
def client():
    connection = None
    while not over.is_set():
        try:
            if connection is None:
                connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=20)
            connection.request("GET", target)
            answer = connection.getresponse()
            body = answer.read()
            problem = None if answer.status == 200 else "%d %s" % (answer.status, body.decode(errors="replace").strip())
            if answer.will_close or sys.argv[3] == "fresh":
                connection.close()
                connection = None
        except Exception as error:
            problem, connection = repr(error), None
        with lock:
            sent[0] += 1
            if sent[0] == 100:
                open("/tmp/load-flows", "w").close()
            if problem:
                losses.append("the %dth: %s" % (sent[0], problem))
        time.sleep(0.004)
threads = [threading.Thread(target=client) for _ in range(8)]
[one.start() for one in threads]
while time.monotonic() < end and not os.path.exists("/tmp/load-ends"):
    time.sleep(0.02)
over.set()
[one.join() for one in threads]
print(json.dumps({"sent": sent[0], "losses": losses}))
)";

}  // namespace

Load load_while(const LabUnderTest& lab, const std::string& from, const std::string& url,
                const std::function<void()>& happens, Connections connections) {
  const std::string how = connections == Connections::fresh ? "fresh" : "kept";
  std::future<Ran> over = std::async(std::launch::async, [&lab, &from, &url, &how] {
    return lab.exec(from, {"python3", "-c", load_script, url, std::to_string(most_load), how});
  });
  const bool flows = lab.wait_for({"ls", "/tmp"}, from, "load-flows");
  if (flows) happens();
  static_cast<void>(lab.exec(from, {"touch", "/tmp/load-ends"}));
  const Ran ran = over.get();
  const nlohmann::json told = nlohmann::json::parse(ran.out, nullptr, false);
  if (!flows || !told.is_object()) {
    return {.losses = "the load did not run: " + ran.error + ran.out};
  }
  Load load{.sent = told.value("sent", 0)};
  for (const nlohmann::json& loss : told.at("losses")) {
    ++load.lost;
    if (load.lost <= 10) load.losses += loss.get<std::string>() + "\n";
  }
  return load;
}

}  // namespace fairlead::lab
