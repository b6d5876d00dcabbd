#include "lab/commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>

#include "base/json_text.h"
#include "base/near.h"
#include "lab/ipc.h"
#include "lab/probe.h"
#include "lab/readiness.h"
#include "lab/status.h"
#include "net/tcp.h"

namespace fairlead::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration replace_patience = seconds(60);

// One caller: its connection, and what came over it.
struct Caller {
  Lab& lab;
  net::UnixStream& stream;
  std::vector<Descriptor> passed;
};

Task<Result<>> send_line(net::UnixStream& stream, Line line) {
  const std::string text = json_text(line) + "\n";
  co_return co_await stream.write_all(text);
}

// Until the caller hangs up.
Task<Result<>> hang_up(net::UnixStream& stream) {
  std::array<char, 512> bytes{};
  for (;;) {
    if (Result<> ready = co_await stream.readable(); !ready) co_return ready;
    const Result<net::Taken> taken = stream.read_now(bytes);
    if (!taken || taken->end) co_return done();
  }
}

Task<> end_with_caller(net::UnixStream& stream, ChildPointer child) {
  if (!(co_await hang_up(stream)).ok()) co_return;
  child->signal(SIGHUP);
  child->signal(SIGTERM);
}

Task<Result<IpcRequest>> read_request(net::UnixStream& stream) {
  LineReader reader;
  IpcRequest request;
  std::string bytes;
  std::array<char, 1> nothing{};
  for (;;) {
    if (Result<> ready = co_await stream.readable(); !ready) co_return std::move(ready).fault();
    bytes.clear();
    const Result<std::size_t> size = receive(stream.descriptor(), bytes, request.descriptors);
    if (!size && size.fault().kind == FaultKind::exhausted) {
      // Tells the stream, too, that nothing more is there.
      if (const Result<net::Taken> taken = stream.read_now(nothing); taken && taken->bytes > 0) {
        bytes.assign(nothing.data(), 1);
      }
    } else if (!size) {
      co_return size.fault();
    } else if (*size == 0) {
      co_return Fault{.kind = FaultKind::closed, .message = "the caller hung up"};
    }
    reader.add(bytes);
    std::string text;
    if (!reader.take(text)) continue;
    request.line = Line::parse(text, nullptr, false);
    if (!request.line.is_object()) co_return invalid("expected one line of JSON, an object");
    co_return request;
  }
}

std::vector<std::string> words_in(const Line& request, const char* name) {
  std::vector<std::string> words;
  for (const Line& word : request.value(name, Line::array())) {
    if (word.is_string()) words.push_back(word.get<std::string>());
  }
  return words;
}

std::string text_in(const Line& request, const char* name) {
  const auto found = request.find(name);
  return found != request.end() && found->is_string() ? found->get<std::string>() : "";
}

bool flag_in(const Line& request, const char* name) {
  const auto found = request.find(name);
  return found != request.end() && found->is_boolean() && found->get<bool>();
}

std::vector<Target> meanings_in(const Line& request) {
  return meanings_of(text_in(request, "target"));
}

// What `find` has of the request's first meaning that is there, else why it has nothing of the
// last.
template <class Find>
auto of_first_meaning(const Line& request, Find find) {
  const std::vector<Target> meanings = meanings_in(request);
  auto found = find(meanings.front());
  for (std::size_t i = 1; i < meanings.size(); ++i) {
    if (found || found.fault().kind != FaultKind::missing) break;
    found = find(meanings[i]);
  }
  return found;
}

Result<std::vector<RunningPod*>> find_pods(Lab& lab, const Line& request) {
  return of_first_meaning(request, [&lab](const Target& target) { return lab.find_pods(target); });
}

// Null when the request is about something else.
Machine* find_machine(Lab& lab, const Line& request) {
  for (const Target& meaning : meanings_in(request)) {
    if (Machine* machine = lab.find_machine(meaning)) return machine;
    if (lab.find_pods(meaning)) return nullptr;
  }
  return nullptr;
}

std::vector<std::string> container_names(RunningPod& pod) {
  std::vector<std::string> names;
  for (const auto& container : pod.runner->containers()) names.push_back(container->spec().name);
  return names;
}

Result<ContainerRunner*> find_container(RunningPod& pod, const std::string& name) {
  ContainerRunner* container = pod.runner->find(name);
  if (container != nullptr) return container;
  return missing(fmt::format("the pod {} has no container '{}'{}",
                             pod.runner->pod().metadata.full_name(), name,
                             did_you_mean(name, container_names(pod))));
}

// ── exec ────────────────────────────────────────────────────────────────────────────────────────

// A name may stand for several pods: the first that is ready, else the first.
RunningPod& best_of(const std::vector<RunningPod*>& pods) {
  const auto ready = std::find_if(pods.begin(), pods.end(), [](const RunningPod* pod) {
    return !pod->retiring && readiness_of(pod->runner->status()).kind == Readiness::Kind::ready;
  });
  return ready == pods.end() ? *pods.front() : **ready;
}

Result<Launch> exec_in_pod(Lab& lab, const Line& request) {
  Result<std::vector<RunningPod*>> pods = find_pods(lab, request);
  if (!pods) return std::move(pods).fault();
  RunningPod& pod = best_of(*pods);
  Result<ContainerRunner*> container = find_container(pod, text_in(request, "container"));
  if (!container) return std::move(container).fault();
  if (!(*container)->is_running()) {
    return Fault{
        .kind = FaultKind::unreachable,
        .message = fmt::format("the container {} of {} does not run: {}", (*container)->spec().name,
                               pod.runner->pod().metadata.full_name(),
                               describe_state((*container)->status().state))};
  }
  return (*container)->inside();
}

Task<Result<Line>> do_exec(Caller& caller, const Line& request) {
  std::vector<std::string> words = words_in(request, "words");
  if (words.empty() || caller.passed.size() != 3) {
    co_return invalid("exec takes words and three descriptors");
  }
  Launch how;
  if (Machine* machine = find_machine(caller.lab, request)) {
    how = {.network = &machine->network};
  } else if (flag_in(request, "bare")) {
    // The pod's network alone: a witness needs none of its containers, which may not even run.
    const Result<std::vector<RunningPod*>> pods = find_pods(caller.lab, request);
    if (!pods) co_return pods.fault();
    how = {.network = &pods->front()->runner->machine().network};
  } else {
    Result<Launch> inside = exec_in_pod(caller.lab, request);
    if (!inside) co_return std::move(inside).fault();
    how = std::move(*inside);
    if (flag_in(request, "privileged")) {
      how.capabilities = all_capabilities;
      how.uid = how.gid = 0;
    }
  }
  if (how.join == 0 && words.front() == "fairlead") how.program = "/proc/self/exe";
  how.words = std::move(words);
  const std::string terminal = text_in(request, "term");
  if (!terminal.empty()) how.environment.push_back("TERM=" + terminal);
  how.terminal = flag_in(request, "terminal");
  for (std::size_t i = 0; i < 3; ++i) how.streams[i] = caller.passed[i].number();
  Result<Launched> launched = launch(how);
  if (!launched) co_return std::move(launched).fault();
  caller.passed.clear();
  const ChildPointer child = caller.lab.children().adopt(launched->pid);
  Gate watch;
  caller.lab.loop().start(watch, end_with_caller(caller.stream, child));
  const Result<> ended = co_await child->ended();
  if (!ended) child->signal(SIGKILL);
  co_await watch.close();
  const std::string trouble = trouble_of(*launched);
  if (!trouble.empty() && flag_in(request, "bare")) co_return missing(trouble);
  if (!trouble.empty()) {  // as a shell in there would say it
    static_cast<void>(
        (co_await send_line(caller.stream, {{"say", "fairlead lab exec: " + trouble}})).ok());
  }
  const Ending& ending = child->ending();
  co_return Line{{"status", ending.signal != 0 ? 128 + ending.signal : ending.code}};
}

// ── the others ──────────────────────────────────────────────────────────────────────────────────

Task<Result<Line>> do_status(Caller& caller, const Line& request) {
  static_cast<void>(request);
  co_await caller.lab.ask_progress();
  co_return Line{{"status", 0}, {"lab", status_of(caller.lab)}};
}

// Why a container that has never run has no log.
Fault nothing_logged(RunningPod& pod, const ContainerRunner& container) {
  std::string why = describe_state(container.status().state);
  for (const auto& other : pod.runner->containers()) {
    if (!other->is_init() || other->has_succeeded() || other->status().ready) continue;
    why = fmt::format("the init container {0} comes first ({1}), and -c {0} shows its log",
                      other->spec().name, describe_state(other->status().state));
    break;
  }
  return Fault{
      .kind = FaultKind::unreachable,
      .message = fmt::format("the container {} of {} has not begun: {}", container.spec().name,
                             pod.runner->pod().metadata.full_name(), why)};
}

// Where a container's log is; which pods there are of a name.
Task<Result<Line>> do_find(Caller& caller, const Line& request) {
  if (const Machine* machine = find_machine(caller.lab, request)) {
    const bool is_control = machine->name == "control";
    const std::string program = is_control ? machine->name : "node-" + machine->name;
    co_return Line{{"status", 0}, {"log", caller.lab.paths().log_of(program)}};
  }
  Result<std::vector<RunningPod*>> pods = find_pods(caller.lab, request);
  if (!pods) co_return std::move(pods).fault();
  RunningPod& pod = *pods->front();
  const Result<ContainerRunner*> container = find_container(pod, text_in(request, "container"));
  if (!container) co_return container.fault();
  const kube::Metadata& metadata = pod.runner->pod().metadata;
  const std::string log =
      caller.lab.paths().log_of(metadata.name_space, metadata.name, (*container)->spec().name);
  if (::access(log.c_str(), F_OK) != 0) co_return nothing_logged(pod, **container);
  co_return Line{{"status", 0},
                 {"kind", pod.is_vm ? "vm" : "pod"},
                 {"namespace", metadata.name_space},
                 {"pod", metadata.name},
                 {"container", (*container)->spec().name},
                 {"pods", pods->size()},
                 {"over", (*container)->is_over()},
                 {"log", log}};
}

// The daemons that the request is about: control, a node's, or with "node" those of all nodes
// unless a pod is called so.
std::vector<Daemon*> daemons_of(Lab& lab, const Line& request) {
  const Machine* machine = find_machine(lab, request);
  const bool all = text_in(request, "target") == "node" && !find_pods(lab, request);
  std::vector<Daemon*> daemons;
  if (lab.control() != nullptr && machine == &lab.control_machine()) {
    daemons.push_back(lab.control());
  }
  for (Node& node : lab.nodes()) {
    const bool meant = machine == &node.machine || all;
    if (meant && node.agent) daemons.push_back(node.agent.get());
  }
  return daemons;
}

Task<Result<Line>> do_kill(Caller& caller, const Line& request) {
  const int signal = request.value("signal", SIGKILL);
  const bool hold = flag_in(request, "hold");
  const std::vector<std::string> containers = words_in(request, "containers");
  const std::vector<Daemon*> daemons = daemons_of(caller.lab, request);
  if (!daemons.empty() && !containers.empty()) {
    co_return invalid(
        fmt::format("-c names containers of a pod, and {} has none", text_in(request, "target")));
  }
  for (Daemon* daemon : daemons) daemon->kill(signal, hold);
  if (!daemons.empty()) co_return Line{{"status", 0}};
  if (hold) co_return invalid("--hold is for control and nodes' agents: of pods none stays away");
  Result<std::vector<RunningPod*>> pods = find_pods(caller.lab, request);
  if (!pods) co_return std::move(pods).fault();
  RunningPod& pod = *pods->front();
  std::vector<ContainerRunner*> meant;
  for (const std::string& name : containers) {
    Result<ContainerRunner*> container = find_container(pod, name);
    if (!container) co_return std::move(container).fault();
    meant.push_back(*container);
  }
  for (ContainerRunner* container : meant) container->kill(signal);
  if (meant.empty()) caller.lab.kill_pod(pod, signal);
  co_return Line{{"status", 0}, {"pod", pod.runner->pod().metadata.full_name()}};
}

// Until no pod goes and none is waited for any more: what is lacking then.
Task<Result<Lacks>> until_replaced(Lab& lab) {
  for (;;) {
    // The change is noticed at the end of this turn.
    if (Result<> slept = co_await lab.loop().sleep(milliseconds(20)); !slept) {
      co_return std::move(slept).fault();
    }
    const bool retiring = std::any_of(lab.pods().begin(), lab.pods().end(),
                                      [](const auto& pod) { return pod.second.retiring; });
    if (retiring) continue;
    Result<Lacks> left = co_await lab.until_settled(Duration::zero());
    if (!left || left->waiting.empty()) co_return left;
  }
}

// What has been without hope `before` is no news.
Task<Result<Line>> wait_until_replaced(Caller& caller, Lacks before) {
  Lab& lab = caller.lab;
  const Result<Lacks> replaced =
      co_await net::within(lab.loop(), replace_patience, until_replaced(lab));
  Lacks left = replaced ? *replaced : lab.lacks();
  std::erase_if(left.hopeless, [&before](const Lack& one) {
    return std::find(before.hopeless.begin(), before.hopeless.end(), one) != before.hopeless.end();
  });
  if (replaced && left.none()) co_return Line{{"status", 0}};
  co_return Fault{.kind = FaultKind::timed_out,
                  .message = left.none() ? replaced.fault().describe() : left.describe()};
}

// A workload, or else a pod.
Result<> restart(Lab& lab, const Target& target) {
  if (Result<> restarted = lab.restart_workload(target); restarted) return restarted;
  Result<std::vector<RunningPod*>> pods = lab.find_pods(target);
  if (!pods) return std::move(pods).fault();
  lab.restart_pod(*pods->front());
  return done();
}

Task<Result<Line>> do_restart(Caller& caller, const Line& request) {
  const Lacks before = caller.lab.lacks();
  const std::vector<Daemon*> daemons = daemons_of(caller.lab, request);
  for (Daemon* daemon : daemons) {
    daemon->is_held() ? daemon->resume() : daemon->kill(SIGTERM, false);
  }
  if (!daemons.empty()) co_return co_await wait_until_replaced(caller, before);
  Result<> restarted = of_first_meaning(
      request, [&caller](const Target& target) { return restart(caller.lab, target); });
  if (!restarted) co_return std::move(restarted).fault();
  co_return co_await wait_until_replaced(caller, before);
}

// But for what is in `said`, which grows by it.
Task<> say_what_is_ignored(Caller& caller, std::vector<std::string>& said) {
  for (const std::string& one : caller.lab.not_honoured()) {
    if (std::find(said.begin(), said.end(), one) != said.end()) continue;
    said.push_back(one);
    if (!(co_await send_line(caller.stream, {{"say", "not honoured: " + one}})).ok()) co_return;
  }
}

Task<Result<Line>> do_apply(Caller& caller, const Line& request) {
  const Lacks before = caller.lab.lacks();
  std::vector<std::string> said = caller.lab.not_honoured();
  const std::vector<std::string> files = words_in(request, "files");
  if (Result<> added = caller.lab.add_manifests(files, flag_in(request, "recursive")); !added) {
    co_return std::move(added).fault();
  }
  co_await caller.lab.until_losses_count();
  co_await say_what_is_ignored(caller, said);
  Result<Line> replaced = co_await wait_until_replaced(caller, before);
  co_await say_what_is_ignored(caller, said);  // control has had its say by now
  co_return replaced;
}

Result<const kube::Service*> find_service(Lab& lab, const Target& target) {
  std::vector<std::string> names;
  for (const kube::Service& service : lab.objects().services) {
    names.push_back(target.name_space.empty() ? service.metadata.name
                                              : service.metadata.full_name());
    if (is_meant(target, service.metadata, "Service")) return &service;
  }
  if (!target.kind.empty() && target.kind != "Service") {
    return unsupported(
        fmt::format("ports are opened to services, and {} is none", target.describe()));
  }
  const std::string wanted =
      target.name_space.empty() ? target.name : target.name_space + "/" + target.name;
  return missing(fmt::format("there is no service '{}'{}", wanted, did_you_mean(wanted, names)));
}

// Port 0: its first.
Result<SocketAddress> address_of(const kube::Service& service, int port) {
  if (service.cluster_ips.empty() || service.ports.empty()) {
    return unsupported(
        fmt::format("the service {} has no address of its own", service.metadata.full_name()));
  }
  std::vector<std::uint16_t> ports;
  for (const kube::ServicePort& one : service.ports) {
    if (port == 0 || one.port == port) return SocketAddress{service.cluster_ips[0], one.port};
    ports.push_back(one.port);
  }
  return missing(fmt::format("the service {} has no port {}; there are: {}",
                             service.metadata.full_name(), port, fmt::join(ports, ", ")));
}

// A connection to a service, made on the first node and handed to the caller; or its address
// alone, after which the caller stays and hears by the end of its own connection that the lab ends.
Task<Result<Line>> do_connect(Caller& caller, const Line& request) {
  const Result<const kube::Service*> service = of_first_meaning(
      request, [&caller](const Target& target) { return find_service(caller.lab, target); });
  if (!service) co_return service.fault();
  const Result<SocketAddress> address = address_of(**service, request.value("port", 0));
  if (!address) co_return address.fault();
  if (flag_in(request, "stay")) {
    const Result<> said =
        co_await send_line(caller.stream, {{"status", 0}, {"address", address->text()}});
    if (said) static_cast<void>((co_await hang_up(caller.stream)).ok());
    co_return Line{};
  }
  const NetworkNamespace& network = caller.lab.nodes().front().machine.network;
  Result<net::StreamPointer> stream = co_await net::within(
      caller.lab.loop(), seconds(5), connect_inside(caller.lab.loop(), network, *address));
  if (!stream) co_return std::move(stream).fault();
  const int socket = static_cast<net::SocketStream&>(**stream).descriptor();
  const Line answer{{"status", 0}, {"address", address->text()}};
  const std::array<int, 1> handed{socket};
  if (Result<> passed = send_with(caller.stream.descriptor(), json_text(answer) + "\n", handed);
      !passed) {
    co_return std::move(passed).fault();
  }
  co_return Line{};  // has been said already
}

using Command = Task<Result<Line>> (*)(Caller& caller, const Line& request);
struct NamedCommand {
  const char* name;
  Command run;
};
constexpr NamedCommand commands[] = {
    {"exec", do_exec},   {"status", do_status},   {"find", do_find},       {"kill", do_kill},
    {"apply", do_apply}, {"restart", do_restart}, {"connect", do_connect},
};

}  // namespace

Commands::Commands(Lab& lab, std::unique_ptr<net::UnixListener> listener,
                   std::function<void()> down)
    : lab_(lab), listener_(std::move(listener)), down_(std::move(down)) {}

Result<std::unique_ptr<Commands>> Commands::listen(Lab& lab, std::function<void()> down) {
  Result<std::unique_ptr<net::UnixListener>> listener =
      net::UnixListener::listen(lab.loop(), lab.paths().command_socket());
  if (!listener) return std::move(listener).fault();
  std::unique_ptr<Commands> made(new Commands(lab, std::move(*listener), std::move(down)));
  lab.loop().start(made->callers_, made->accept_all());
  return made;
}

Task<> Commands::accept_all() {
  for (;;) {
    Result<net::UnixStreamPointer> stream = co_await listener_->accept();
    if (!stream) co_return;
    lab_.loop().start(callers_, serve(std::move(*stream)));
  }
}

Task<> Commands::serve(net::UnixStreamPointer stream) {
  Result<IpcRequest> request = co_await read_request(*stream);
  if (!request) co_return;
  const std::string name = text_in(request->line, "command");
  if (name == "down") {
    static_cast<void>((co_await send_line(*stream, {{"status", 0}})).ok());
    down_();
    co_return;
  }
  Caller caller{.lab = lab_, .stream = *stream, .passed = std::move(request->descriptors)};
  Result<Line> answer = invalid("the lab knows no command '" + name + "'");
  for (const NamedCommand& command : commands) {
    if (name == command.name) answer = co_await command.run(caller, request->line);
  }
  if (!answer) {
    answer = Line{{"status", 1},
                  {"error", answer.fault().describe()},
                  {"missing", answer.fault().kind == FaultKind::missing}};
  }
  if (answer->is_null()) co_return;
  static_cast<void>((co_await send_line(*stream, std::move(*answer))).ok());
}

Task<> Commands::close() {
  listener_->close();
  co_await callers_.close();
}

}  // namespace fairlead::lab
