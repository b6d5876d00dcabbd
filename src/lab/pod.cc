#include "lab/pod.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "base/log.h"
#include "kube/inject.h"
#include "lab/probe.h"
#include "lab/readiness.h"
#include "lab/volumes.h"
#include "xds/bootstrap.h"

namespace fairlead::lab {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration look_again = milliseconds(20);      // until a probe succeeds first
constexpr Duration worth_telling = seconds(2);         // of failing probes
constexpr Duration patience_with_ports = seconds(10);  // without any probe
constexpr Duration hook_limit = seconds(30);
constexpr Duration longest_pause = seconds(60);
constexpr Duration first_pause = milliseconds(500);
constexpr Duration prepare_again = milliseconds(500);
constexpr Duration well_again = seconds(10);  // after running that long, pauses begin anew
constexpr int never_started = 128;            // the exit code that Kubernetes shows then

bool was_proxy(const kube::Container& container) {
  return container.name == proxy_container;
}

std::string now_text() {
  return time_text(SystemClock().wall());
}

Task<Result<>> wait_for_end(ChildPointer child) {
  co_return co_await child->ended();
}

}  // namespace

std::string time_text(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::floor<seconds>(time)));
}

// ── one container ───────────────────────────────────────────────────────────────────────────────

ContainerRunner::ContainerRunner(PodRunner& pod, kube::Container spec, bool is_init)
    : pod_(pod), spec_(std::move(spec)), is_init_(is_init) {
  status_.name = spec_.name;
  status_.image = spec_.image;
  status_.state = kube::Waiting{.reason = "PodInitializing"};
}

bool ContainerRunner::has_succeeded() const {
  const auto* ended = std::get_if<kube::Terminated>(&status_.state);
  return ended != nullptr && ended->exit_code == 0 && ended->signal == 0;
}

void ContainerRunner::write_log(const std::string& line) {
  const std::string path = pod_.surroundings_.paths.log_of(pod_.pod_.metadata.name_space,
                                                           pod_.pod_.metadata.name, spec_.name);
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  const std::string text = "fairlead lab: " + line + "\n";
  if (file.valid()) static_cast<void>(!::write(file.number(), text.data(), text.size()));
}

Result<> ContainerRunner::start() {
  Result<Plan> plan =
      plan_container(pod_.pod_, spec_, pod_.surroundings_.images, pod_.surroundings_.objects);
  if (!plan) return std::move(plan).fault();
  if (plan->source == CommandSource::sample) {
    pod_.surroundings_.tell(fmt::format(
        "no command is known for the image {}: the built-in sample app answers in its place",
        spec_.image));
  }
  const kube::Metadata& metadata = pod_.pod_.metadata;
  const std::string path =
      pod_.surroundings_.paths.log_of(metadata.name_space, metadata.name, spec_.name);
  // Whoever the container runs as may open its standard output anew, as /dev/stdout.
  const Descriptor log(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  if (!log.valid()) return from_errno(errno, "opening " + path);
  ::fchmod(log.number(), 0666);
  plan_ = std::move(*plan);
  Root root = pod_.root_of(spec_);
  root.working_directory = plan_.working_directory;
  root.privileged = spec_.security.privileged;
  const Launch how{
      .network = &pod_.machine_.network,
      .root = std::move(root),
      .host_name = pod_.pod_.spec.hostname.empty() ? metadata.name : pod_.pod_.spec.hostname,
      .words = std::move(plan_.words),
      .environment = plan_.environment,
      .working_directory = plan_.working_directory,
      .uid = plan_.uid,
      .gid = plan_.gid,
      .capabilities = plan_.capabilities,
      .streams = {-1, log.number(), log.number()}};
  Result<Launched> launched = launch(how);
  if (!launched) return std::move(launched).fault();
  launched_ = std::move(*launched);
  child_ = pod_.surroundings_.children.adopt(launched_.pid);
  status_.state = kube::Running{.started_at = now_text()};
  status_.started = false;
  pod_.changed_();
  return done();
}

Launch ContainerRunner::inside() const {
  return {.network = &pod_.machine_.network,
          .join = pid(),
          .environment = plan_.environment,
          .working_directory = plan_.working_directory,
          .uid = plan_.uid,
          .gid = plan_.gid,
          .capabilities = plan_.capabilities};
}

void ContainerRunner::record_ending() {
  const std::string trouble = trouble_of(launched_);
  const Ending& ending = child_->ending();
  kube::Terminated ended{.exit_code = ending.signal == 0 ? ending.code : 128 + ending.signal,
                         .signal = ending.signal,
                         .reason = ending.code == 0 && ending.signal == 0 ? "Completed" : "Error",
                         .finished_at = now_text()};
  if (const auto* running = std::get_if<kube::Running>(&status_.state)) {
    ended.started_at = running->started_at;
  }
  if (!trouble.empty()) {
    ended.exit_code = never_started;
    ended.reason = "StartError: " + trouble;
    write_log(trouble);
  } else {
    begun_ = true;
  }
  failing_since_.reset();
  unready_.clear();
  status_.state = ended;
  status_.started = false;
}

void ContainerRunner::set_ready(bool ready) {
  if (status_.ready == ready) return;
  status_.ready = ready;
  readiness_.set(ready);
  pod_.changed_();
}

Task<> ContainerRunner::run_once() {
  started_ = pod_.surroundings_.loop.now();  // also of what cannot start: it, too, ends quickly
  if (Result<> started = start(); !started) {
    const std::string why = started.fault().describe();
    status_.state = kube::Terminated{
        .exit_code = never_started, .reason = "StartError: " + why, .finished_at = now_text()};
    write_log(why);
    pod_.changed_();
    co_return;
  }
  {
    Gate health;
    if (!is_init_ || spec_.sidecar) pod_.surroundings_.loop.start(health, watch_health());
    static_cast<void>((co_await child_->ended()).ok());
    co_await health.close();
  }
  record_ending();
  set_ready(false);
  pod_.changed_();
}

bool ContainerRunner::should_restart() const {
  if (is_stopping()) return false;
  if (spec_.sidecar || was_proxy(spec_)) return true;
  switch (pod_.pod_.spec.restart_policy) {
    case kube::RestartPolicy::always:
      return !is_init_ || !has_succeeded();
    case kube::RestartPolicy::on_failure:
      return !has_succeeded();
    case kube::RestartPolicy::never:
      return false;
  }
  return false;
}

bool ContainerRunner::is_over() const {
  return std::holds_alternative<kube::Terminated>(status_.state) && !should_restart();
}

Task<Result<>> ContainerRunner::until_hurried() {
  co_return co_await hurry_.after(hurry_.number());
}

Task<> ContainerRunner::pause_before_restart() {
  const Duration ran = pod_.surroundings_.loop.now() - started_;
  if (ran >= well_again) quick_ends_ = 0;
  // The first time at once, then half a second, one, two, ... a minute.
  Duration pause = Duration::zero();
  if (quick_ends_ > 0) {
    pause = std::min(longest_pause, Duration(first_pause * (1LL << std::min(quick_ends_ - 1, 8))));
  }
  ++quick_ends_;
  if (begun_) ++status_.restart_count;
  if (pause == Duration::zero()) co_return;
  if (const auto* ended = std::get_if<kube::Terminated>(&status_.state)) {
    const std::string trouble = start_trouble(*ended);
    status_.state =
        trouble.empty()
            ? kube::Waiting{.reason = "CrashLoopBackOff", .message = describe_ending(*ended)}
            : kube::Waiting{.reason = cannot_be_created, .message = trouble};
  }
  pod_.changed_();
  static_cast<void>((co_await net::within(pod_.surroundings_.loop, pause, until_hurried())).ok());
}

void ContainerRunner::try_again() {
  const auto* waiting = std::get_if<kube::Waiting>(&status_.state);
  if (waiting != nullptr && waiting->reason == cannot_be_created) hurry_.set(true);
}

Task<> ContainerRunner::keep() {
  while (!is_stopping()) {
    co_await run_once();
    if (!should_restart()) co_return;
    co_await pause_before_restart();
  }
}

Task<> ContainerRunner::until_ready() {
  while (!status_.ready && !is_stopping()) {
    const std::uint64_t seen = readiness_.number();
    if (!(co_await readiness_.after(seen)).ok()) co_return;
  }
}

Task<> ContainerRunner::stop(Duration grace) {
  const bool was_running = is_running();
  stopping_.set(true);
  hurry_.set(true);
  readiness_.set(status_.ready);  // whoever waits for readiness waits no more
  if (!was_running) co_return;
  const ChildPointer child = child_;
  if (spec_.pre_stop) {
    const Result<> ran =
        co_await net::within(pod_.surroundings_.loop, grace, run_hook(*spec_.pre_stop));
    if (!ran) write_log("preStop: " + ran.fault().describe());
  }
  const bool deaf = graceless_ && !heeds(child->pid(), SIGTERM);
  co_await end_in_time(deaf ? Duration::zero() : grace);
}

Task<> ContainerRunner::end_in_time(Duration grace) {
  if (!is_running()) co_return;
  const ChildPointer child = child_;
  child->signal_alone(SIGTERM);
  const Result<> ended = co_await net::within(pod_.surroundings_.loop, grace, wait_for_end(child));
  if (ended) co_return;
  child->signal(SIGKILL);  // what else runs in the container ends with its first process
  static_cast<void>((co_await child->ended()).ok());
}

void ContainerRunner::kill(int signal) {
  if (is_running()) child_->signal(signal);
}

// ── probes and hooks ────────────────────────────────────────────────────────────────────────────

Task<Result<>> ContainerRunner::probe(const kube::Probe& probe) {
  const NetworkNamespace& network = pod_.machine_.network;
  const IpAddress& ip = pod_.machine_.addresses.v4;
  net::Loop& loop = pod_.surroundings_.loop;
  const Duration limit = seconds(std::max(1, probe.timeout_seconds));
  if (const auto* run = std::get_if<kube::ExecAction>(&probe.action)) {
    co_return co_await net::within(loop, limit, run_inside(run->command));
  }
  if (const auto* http = std::get_if<kube::HttpAction>(&probe.action)) {
    const Result<std::uint16_t> port = port_of(http->port, spec_);
    if (!port) co_return port.fault();
    if (http->https) {  // whether it speaks TLS is not asked
      co_return co_await net::within(loop, limit, probe_tcp(loop, network, {ip, *port}));
    }
    co_return co_await net::within(loop, limit, probe_http(loop, network, {ip, *port}, *http));
  }
  const Result<std::uint16_t> port = port_of(std::get<kube::TcpAction>(probe.action).port, spec_);
  if (!port) co_return port.fault();
  co_return co_await net::within(loop, limit, probe_tcp(loop, network, {ip, *port}));
}

Task<Result<>> ContainerRunner::run_inside(std::vector<std::string> words) {
  if (!is_running() || words.empty()) co_return missing("the container does not run");
  Launch how = inside();
  how.words = std::move(words);
  Result<Launched> launched = launch(how);
  if (!launched) co_return std::move(launched).fault();
  const ChildPointer child = pod_.surroundings_.children.adopt(launched->pid);
  const Result<> ended = co_await child->ended();
  if (!ended) {
    child->signal(SIGKILL);
    co_return ended.fault();
  }
  const Ending& ending = child->ending();
  if (ending == Ending{}) co_return done();
  const std::string trouble = trouble_of(*launched);
  co_return Fault{
      .kind = FaultKind::denied,
      .message = trouble.empty() ? fmt::format("it ended with {}", ending.code) : trouble};
}

Task<Result<>> ContainerRunner::run_hook(const kube::Hook& hook) {
  net::Loop& loop = pod_.surroundings_.loop;
  if (const auto* sleep = std::get_if<kube::SleepAction>(&hook)) {
    co_return co_await loop.sleep(seconds(sleep->seconds));
  }
  if (const auto* run = std::get_if<kube::ExecAction>(&hook)) {
    co_return co_await run_inside(run->command);
  }
  kube::Probe once{.timeout_seconds = static_cast<int>(hook_limit / seconds(1))};
  if (const auto* http = std::get_if<kube::HttpAction>(&hook)) once.action = *http;
  if (const auto* tcp = std::get_if<kube::TcpAction>(&hook)) once.action = *tcp;
  co_return co_await probe(once);
}

Task<Result<>> ContainerRunner::probe_and_note(const char* kind, const kube::Probe& asked) {
  Result<> well = co_await probe(asked);
  const Instant now = pod_.surroundings_.loop.now();
  if (well) {
    failing_since_.reset();
  } else if (!failing_since_) {
    failing_since_ = now;
  }
  // Not a word on what only takes a moment to start.
  const bool tell = failing_since_ && now - *failing_since_ >= worth_telling;
  std::string why = tell ? fmt::format("{} probe: {}", kind, well.fault().describe()) : "";
  if (why != unready_) {
    unready_ = std::move(why);
    pod_.changed_();
  }
  co_return well;
}

// True as soon as it succeeds; false when it has failed for as long as the threshold allows.
Task<bool> ContainerRunner::wait_for_first(const kube::Probe& first) {
  net::Loop& loop = pod_.surroundings_.loop;
  const Duration allowed =
      seconds(std::max(1, first.period_seconds) * std::max(1, first.failure_threshold));
  const Instant began = loop.now();
  for (;;) {
    if ((co_await probe_and_note("startup", first)).ok()) co_return true;
    if (loop.now() - began >= allowed) co_return false;
    if (!(co_await loop.sleep(look_again)).ok()) co_return false;
  }
}

// Without any probe, a container with declared ports counts as started when they answer, or after a
// while in any case: a manifest without probes then serves from the first request on.
Task<> ContainerRunner::wait_for_ports() {
  net::Loop& loop = pod_.surroundings_.loop;
  const Instant began = loop.now();
  for (const kube::ContainerPort& port : spec_.ports) {
    if (port.protocol != kube::Protocol::tcp) continue;
    const kube::Probe tcp{.action = kube::TcpAction{.port = {.number = port.port}}};
    while (loop.now() - began < patience_with_ports) {
      if ((co_await probe(tcp)).ok()) break;
      if (!(co_await loop.sleep(look_again)).ok()) co_return;
    }
  }
}

Task<> ContainerRunner::watch_health() {
  net::Loop& loop = pod_.surroundings_.loop;
  if (spec_.post_start) {
    const Result<> ran = co_await net::within(loop, hook_limit, run_hook(*spec_.post_start));
    if (!ran) {
      write_log("postStart: " + ran.fault().describe());
      co_await end_in_time(pod_.grace());
      co_return;
    }
  }
  if (spec_.startup_probe) {
    const kube::Probe& startup = *spec_.startup_probe;
    if (startup.initial_delay_seconds > 0 &&
        !(co_await loop.sleep(seconds(startup.initial_delay_seconds))).ok()) {
      co_return;
    }
    if (!co_await wait_for_first(startup)) {
      if (is_running() && !is_stopping()) {
        write_log("it is ended, as its startup probe went on failing");
        co_await end_in_time(pod_.grace());
      }
      co_return;
    }
  } else if (!spec_.readiness_probe) {
    co_await wait_for_ports();
  }
  if (!is_running()) co_return;
  status_.started = true;
  pod_.changed_();
  co_await both(watch_readiness(), watch_liveness());
}

Task<Result<>> ContainerRunner::watch_readiness() {
  net::Loop& loop = pod_.surroundings_.loop;
  if (!spec_.readiness_probe) {
    set_ready(true);
    co_return done();
  }
  const kube::Probe& asked = *spec_.readiness_probe;
  if (!(co_await loop.sleep(seconds(asked.initial_delay_seconds))).ok()) co_return done();
  int good = 0;
  int bad = 0;
  for (;;) {
    const bool well = (co_await probe_and_note("readiness", asked)).ok();
    good = well ? good + 1 : 0;
    bad = well ? 0 : bad + 1;
    if (good >= std::max(1, asked.success_threshold)) set_ready(true);
    if (bad >= std::max(1, asked.failure_threshold)) set_ready(false);
    const Duration pause =
        status_.ready ? Duration(seconds(std::max(1, asked.period_seconds))) : look_again;
    if (!(co_await loop.sleep(pause)).ok()) co_return done();
  }
}

Task<Result<>> ContainerRunner::watch_liveness() {
  net::Loop& loop = pod_.surroundings_.loop;
  if (!spec_.liveness_probe) co_return done();
  const kube::Probe& asked = *spec_.liveness_probe;
  if (!(co_await loop.sleep(seconds(asked.initial_delay_seconds))).ok()) co_return done();
  int bad = 0;
  for (;;) {
    bad = (co_await probe(asked)).ok() ? 0 : bad + 1;
    if (bad >= std::max(1, asked.failure_threshold)) break;
    if (!(co_await loop.sleep(seconds(std::max(1, asked.period_seconds)))).ok()) co_return done();
  }
  if (is_stopping() || !is_running()) co_return done();
  write_log("it is ended, as its liveness probe went on failing");
  co_await end_in_time(pod_.grace());
  co_return done();
}

// ── the pod ─────────────────────────────────────────────────────────────────────────────────────

PodRunner::PodRunner(Surroundings& surroundings, kube::Pod pod, Machine machine,
                     std::function<void()> changed)
    : surroundings_(surroundings),
      pod_(std::move(pod)),
      machine_(std::move(machine)),
      changed_(std::move(changed)),
      start_time_(now_text()) {
  for (const kube::Container& container : pod_.spec.init_containers) {
    containers_.push_back(std::make_unique<ContainerRunner>(*this, container, true));
  }
  for (const kube::Container& container : pod_.spec.containers) {
    containers_.push_back(std::make_unique<ContainerRunner>(*this, container, false));
  }
  start_proxy_after_capture();
}

// Once connections are captured, whatever speaks needs the proxy: the pod's own init containers
// too.
void PodRunner::start_proxy_after_capture() {
  const auto named = [this](const char* name) {
    return std::find_if(containers_.begin(), containers_.end(),
                        [name](const auto& one) { return one->spec().name == name; });
  };
  const auto capture = named(kube::init_container_name);
  const auto proxy = named(proxy_container);
  if (capture == containers_.end() || proxy == containers_.end() || proxy < capture) return;
  std::rotate(capture + 1, proxy, proxy + 1);
}

PodRunner::~PodRunner() {
  std::error_code ignored;
  fs::remove_all(folder(), ignored);
}

std::string PodRunner::folder() const {
  return fmt::format("{}/pods/{}_{}_{}", work_folder, pod_.metadata.name_space, pod_.metadata.name,
                     pod_.metadata.uid);
}

bool PodRunner::is_sidecar(const ContainerRunner& container) const {
  return container.spec().sidecar || was_proxy(container.spec());
}

Result<> PodRunner::fill_volumes() {
  return write_volumes(folder() + "/volumes", pod_, surroundings_.objects);
}

void PodRunner::refresh() {
  hurry_.set(true);
  for (const auto& container : containers_) container->try_again();
  if (!trouble_.empty()) return;  // it has not begun
  const Result<> filled = fill_volumes();
  const std::string why = filled ? std::string() : filled.fault().describe();
  if (!why.empty() && why != stale_) {
    surroundings_.tell(fmt::format("the files of the pod {} stay as they were: {}",
                                   pod_.metadata.full_name(), why));
  }
  stale_ = why;
}

Result<> PodRunner::prepare() {
  std::error_code error;
  fs::create_directories(folder(), error);
  if (error) return from_errno(error.value(), "making " + folder());
  if (Result<> written = fill_volumes(); !written) return written;
  const std::string& name_space = pod_.metadata.name_space;
  const std::string search =
      fmt::format("search {0}.svc.cluster.local svc.cluster.local cluster.local", name_space);
  const std::string rest = fmt::format("\nnameserver {}\noptions ndots:5\n", dns_address);
  // The proxy also finds its control plane by a bare name, as on the page: istio-pilot:8080.
  const std::string proxy_search = search + " istio-system.svc.cluster.local";
  const std::string host = pod_.spec.hostname.empty() ? pod_.metadata.name : pod_.spec.hostname;
  const std::string full =
      pod_.spec.subdomain.empty()
          ? host
          : fmt::format("{0}.{1}.{2}.svc.cluster.local {0}", host, pod_.spec.subdomain, name_space);
  const std::string hosts = fmt::format(
      "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{0} {2}\n{1} {2}\n",
      machine_.addresses.v4.text(), machine_.addresses.v6.text(), full);
  for (const auto& [file, text] :
       {std::pair{"resolv.conf", search + rest}, std::pair{"resolv.proxy", proxy_search + rest},
        std::pair{"hosts", hosts}, std::pair{"hostname", host + "\n"}}) {
    if (Result<> written = write_file(folder() + "/" + file, text); !written) return written;
  }
  // Its own folder: the proxy also keeps its last good configuration there, over its restarts.
  const std::string home = folder() + "/proxy";
  fs::create_directories(home, error);
  ::chmod(home.c_str(), 0777);
  return write_file(home + "/" + fs::path(proxy_bootstrap).filename().string(), bootstrap());
}

std::string PodRunner::bootstrap() const {
  return xds::write_bootstrap({.pod = pod_.metadata.name,
                               .name_space = pod_.metadata.name_space,
                               .service_account = pod_.spec.service_account,
                               .addresses = machine_.addresses.all(),
                               .labels = {pod_.metadata.labels.begin(), pod_.metadata.labels.end()},
                               .control_host = control_addresses().v4.text()});
}

Root PodRunner::root_of(const kube::Container& container) const {
  Root root{.scratch = std::string(work_folder) + "/root",
            .programs = std::string(work_folder) + "/bin"};
  const char* resolver = was_proxy(container) ? "/resolv.proxy" : "/resolv.conf";
  root.binds = {{.source = folder() + resolver, .target = "/etc/resolv.conf"},
                {.source = folder() + "/hosts", .target = "/etc/hosts"},
                {.source = folder() + "/hostname", .target = "/etc/hostname"}};
  if (was_proxy(container)) {
    root.binds.push_back({.source = folder() + "/proxy",
                          .target = fs::path(proxy_bootstrap).parent_path().string()});
  }
  for (Bind& bind : binds_of(folder() + "/volumes", pod_, container)) {
    root.binds.push_back(std::move(bind));
  }
  return root;
}

ContainerRunner* PodRunner::find(std::string_view name) {
  for (const auto& container : containers_) {
    const bool first_app = name.empty() && !container->is_init() && !is_sidecar(*container);
    if (container->spec().name == name || first_app) return container.get();
  }
  return name.empty() && !containers_.empty() ? containers_.back().get() : nullptr;
}

void PodRunner::start() {
  surroundings_.loop.start(gate_, live());
}

// Whether the pod may go on.
Task<bool> PodRunner::run_init(ContainerRunner& container) {
  if (is_sidecar(container)) {
    surroundings_.loop.start(gate_, container.keep());
    co_await container.until_ready();
    co_return !stopping_;
  }
  for (;;) {
    co_await container.run_once();
    if (stopping_) co_return false;
    if (container.has_succeeded()) co_return true;
    if (pod_.spec.restart_policy == kube::RestartPolicy::never) co_return false;
    co_await container.pause_before_restart();
    if (stopping_) co_return false;
  }
}

Task<> PodRunner::run_apps() {
  Gate apps;
  for (const auto& container : containers_) {
    if (!container->is_init() && !is_sidecar(*container)) {
      surroundings_.loop.start(apps, container->keep());
    }
  }
  co_await apps.empty();
}

// What a pod needs may come later: a Secret, a ConfigMap, room on a disk.
Task<> PodRunner::prepare_until_it_can_begin() {
  while (!stopping_) {
    const Result<> prepared = prepare();
    const std::string why = prepared ? std::string() : prepared.fault().describe();
    if (why != trouble_) {
      trouble_ = why;
      changed_();
    }
    if (prepared) co_return;
    const Result<> hurried =
        co_await net::within(surroundings_.loop, prepare_again, until_hurried());
    if (!hurried && hurried.fault().kind == FaultKind::cancelled) co_return;
  }
}

Task<Result<>> PodRunner::until_hurried() {
  co_return co_await hurry_.after(hurry_.number());
}

Task<> PodRunner::live() {
  co_await prepare_until_it_can_begin();
  if (stopping_ || !trouble_.empty()) co_return;
  for (const auto& container : containers_) {
    const bool early = container->is_init() || is_sidecar(*container);
    if (early && !co_await run_init(*container)) {
      changed_();
      co_return;
    }
  }
  initialized_ = true;
  co_await run_apps();
  if (stopping_) co_return;
  // Its work is done: what only stood beside it goes too.
  for (auto container = containers_.rbegin(); container != containers_.rend(); ++container) {
    if (is_sidecar(**container)) co_await (*container)->stop(seconds(5));
  }
  changed_();
}

Duration PodRunner::grace() const {
  return seconds(pod_.spec.termination_grace_seconds);
}

void PodRunner::expect_no_grace() {
  for (const auto& container : containers_) container->expect_no_grace();
}

Task<> PodRunner::stop(Duration grace) {
  stopping_ = true;
  hurry_.set(true);
  Gate apps;
  for (const auto& container : containers_) {
    if (!is_sidecar(*container)) surroundings_.loop.start(apps, container->stop(grace));
  }
  co_await apps.empty();
  for (auto container = containers_.rbegin(); container != containers_.rend(); ++container) {
    if (is_sidecar(**container)) co_await (*container)->stop(grace);
  }
  co_await gate_.empty();
}

// An init container that failed and is not started again: the apps never are, either.
bool PodRunner::has_given_up(const ContainerRunner& container) const {
  return pod_.spec.restart_policy == kube::RestartPolicy::never &&
         std::holds_alternative<kube::Terminated>(container.status().state) &&
         !container.has_succeeded();
}

kube::PodStatus PodRunner::status() const {
  kube::PodStatus status;
  status.pod_ips = machine_.addresses.all();
  status.start_time = start_time_;
  status.message = trouble_;
  bool ready = initialized_;
  bool over = initialized_;
  bool begun = initialized_;
  bool well = true;
  bool hopeless = false;
  std::string unready;
  for (const auto& container : containers_) {
    auto& list = container->is_init() ? status.init_containers : status.containers;
    list.push_back(container->status());
    const bool app = !container->is_init() && !is_sidecar(*container);
    if (container->is_init() && !is_sidecar(*container))
      hopeless = hopeless || has_given_up(*container);
    if (app || is_sidecar(*container)) ready = ready && container->status().ready;
    if (app) begun = begun && container->has_begun();
    if (!container->unready().empty()) {
      unready += fmt::format("{}container {}: {}", unready.empty() ? "" : "; ",
                             container->spec().name, container->unready());
    }
    const bool ended = std::holds_alternative<kube::Terminated>(container->status().state) &&
                       pod_.spec.restart_policy != kube::RestartPolicy::always;
    if (app) over = over && ended;
    if (app) well = well && container->has_succeeded();
  }
  const auto word = [](bool holds) { return holds ? "True" : "False"; };
  status.phase = begun ? kube::PodPhase::running : kube::PodPhase::pending;
  if (over) status.phase = well ? kube::PodPhase::succeeded : kube::PodPhase::failed;
  if (hopeless) status.phase = kube::PodPhase::failed;
  status.conditions = {{.type = "PodScheduled", .status = "True"},
                       {.type = "Initialized", .status = word(initialized_)},
                       {.type = "ContainersReady", .status = word(ready)},
                       {.type = "Ready", .status = word(ready)}};
  if (ready) return status;
  for (kube::Condition& one : status.conditions) {
    if (one.type != "Ready" && one.type != "ContainersReady") continue;
    one.reason = "ContainersNotReady";
    one.message = unready;
  }
  return status;
}

}  // namespace fairlead::lab
