// fairlead path: where a call goes, and why; with --live, the evidence beside it.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/near.h"
#include "cli/commands.h"
#include "cli/live.h"
#include "explain/path.h"
#include "explain/render.h"
#include "http/fields.h"
#include "http/validate.h"
#include "kube/read.h"
#include "lab/check.h"
#include "lab/fabric.h"
#include "lab/manifests.h"
#include "lab/paths.h"
#include "lab/target.h"
#include "registry/files.h"

namespace fairlead::cli {
namespace {

constexpr int arrives = 0;
constexpr int differs = 1;
constexpr int does_not_arrive = 3;
constexpr int cannot_be_known = 5;

struct Options {
  std::string from;
  std::string to;
  std::string lab;
  std::vector<std::string> files;
  bool recursive = false;
  std::vector<std::string> inject;
  std::vector<std::string> headers;
  std::string method = "GET";
  bool live = false;
  bool json = false;
  bool strict = false;
};

int complain(const Fault& fault) {
  std::fprintf(stderr, "fairlead path: %s\n", fault.describe().c_str());
  return wrong_use;
}

// ── which world ─────────────────────────────────────────────────────────────────────────────────

struct Ground {
  mesh::WorldPointer world;
  std::optional<lab::Found> lab;
  std::vector<std::string> notes;
};

// Of each directory, the folders in it that nobody enters.
std::vector<std::string> inner_folders(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<std::string> folders;
  for (const std::string& path : paths) {
    std::error_code error;
    for (auto entry = fs::directory_iterator(path, error); !error && entry != fs::end(entry);
         entry.increment(error)) {
      const bool hidden = entry->path().filename().string().starts_with('.');
      if (!hidden && entry->is_directory(error)) folders.push_back(entry->path().string());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::string text_of(const mesh::Ignored& each) {
  const kube::Ignored ignored{.origin = each.origin, .field = each.field, .reason = each.reason};
  return "not honoured: " + ignored.describe();
}

std::vector<std::string> notes_of_files(const Options& options, const mesh::World& world) {
  const std::vector<std::string> left =
      options.recursive ? std::vector<std::string>() : inner_folders(options.files);
  std::vector<std::string> notes;
  notes.reserve(left.size() + world.ignored.size());
  for (const std::string& folder : left) {
    notes.push_back(fmt::format("{} is a folder in a folder, and was not read", folder));
  }
  for (const mesh::Ignored& each : world.ignored) notes.push_back(text_of(each));
  return notes;
}

Result<> check_namespaces(const Options& options, const mesh::World& world) {
  for (const std::string& name : options.inject) {
    const auto& known = world.namespaces;
    if (name == "all" || std::find(known.begin(), known.end(), name) != known.end()) continue;
    return missing(fmt::format("--inject {}: these files have no such namespace{}", name,
                               did_you_mean(name, known)));
  }
  return done();
}

std::vector<nft::Prefix> ranges_of_labs() {
  std::vector<nft::Prefix> ranges;
  for (const std::string& text : lab::all_ranges()) {
    if (const Result<nft::Prefix> range = nft::parse_prefix(text); range) ranges.push_back(*range);
  }
  return ranges;
}

// Its addresses were given out as a lab does: nobody else has one in a lab's ranges.
bool is_addressed_as_a_lab(const mesh::World& world) {
  const std::vector<nft::Prefix> ranges = ranges_of_labs();
  const auto is_ours = [&](const IpAddress& address) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const nft::Prefix& range) {
      return address.family() == range.address.family() &&
             address.within(range.address, range.length);
    });
  };
  return std::all_of(world.nodes.begin(), world.nodes.end(), [&](const mesh::Node& node) {
    return std::all_of(node.addresses.begin(), node.addresses.end(), is_ours);
  });
}

// `lab up` would refuse them, and for that reason.
Result<> check_as_a_lab(const Options& options, const mesh::World& world) {
  if (!is_addressed_as_a_lab(world)) return done();
  const Result<kube::Reading> reading = lab::read_manifests(options.files);
  return reading ? lab::check_manifests(reading->objects) : Result<>(reading.fault());
}

// A lab's machines have a second address, of which no manifest knows.
mesh::WorldPointer with_all_addresses_of_machines(const mesh::WorldPointer& world) {
  auto complete = std::make_shared<mesh::World>(*world);
  for (std::size_t i = 0; i < complete->workloads.size(); ++i) {
    const mesh::Workload& workload = complete->workloads[i];
    if (workload.kind != mesh::WorkloadKind::vm || workload.addresses.size() != 1) continue;
    const lab::Addresses both = lab::vm_addresses(workload.addresses.front().bytes()[3]);
    if (workload.addresses.front() != both.v4) continue;
    complete->workloads.edit(
        i, [&](mesh::Workload& machine) { machine.addresses.push_back(both.v6); });
  }
  return complete;
}

Result<Ground> world_of_files(const Options& options) {
  kube::ClusterSettings settings{.control = lab::control_addresses().all()};
  for (const std::string& name : options.inject) {
    if (name == "all") {
      settings.injection.all = true;
    } else {
      settings.injection.namespaces.insert(name);
    }
  }
  Result<mesh::WorldPointer> world = registry::read_world_as_if_running(options.files, settings);
  if (!world) return std::move(world).fault();
  if (Result<> there = check_namespaces(options, **world); !there) return std::move(there).fault();
  if (Result<> sound = check_as_a_lab(options, **world); !sound) return std::move(sound).fault();
  return Ground{.world = with_all_addresses_of_machines(*world),
                .lab = {},
                .notes = notes_of_files(options, **world)};
}
Result<Ground> world_of_lab(const Options& options) {
  Result<lab::Found> found = lab::find_lab(options.lab);
  if (!found) {
    Fault fault = std::move(found).fault();
    if (options.lab.empty()) fault.message += "; without a lab, --files FILE... follows manifests";
    return fault;
  }
  Result<mesh::WorldPointer> world = registry::read_world({found->paths.objects()});
  if (!world) return std::move(world).fault();
  std::vector<std::string> notes;
  for (const mesh::Ignored& each : (*world)->contested) notes.push_back(text_of(each));
  return Ground{.world = with_all_addresses_of_machines(*world),
                .lab = std::move(*found),
                .notes = std::move(notes)};
}

// ── the question ────────────────────────────────────────────────────────────────────────────────

using Header = std::pair<std::string, std::string>;

// Why such a field cannot be sent; empty: it can.
std::string why_not_sent(const Header& header) {
  const auto& [name, value] = header;
  if (!http::is_token(name)) return fmt::format("'{}' is no name of a header field", name);
  if (!http::is_field_value(value)) {
    return fmt::format("{} is no value of a header field", http::printable(value));
  }
  if (http::same_name(name, "host") && !http::parse_authority(value)) {
    return fmt::format("HOST or HOST:PORT is expected, not {}", http::printable(value));
  }
  if (http::same_name(name, "content-length") || http::same_name(name, "transfer-encoding")) {
    return "the request is sent without a body, and cannot announce one";
  }
  if (http::same_name(name, "x-request-id")) {
    return "the request gets one of its own, by which it is found again";
  }
  return {};
}

Result<Header> header_of(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0) {
    return invalid(fmt::format("-H {}: NAME: VALUE is expected", http::printable(text)));
  }
  Header header{text.substr(0, colon), text.substr(colon + 1)};
  std::string& value = header.second;
  value.erase(0, value.find_first_not_of(' '));
  value.erase(value.find_last_not_of(' ') + 1);
  const std::string why = why_not_sent(header);
  if (!why.empty()) return invalid(fmt::format("-H {}: {}", http::printable(text), why));
  return header;
}

Result<std::vector<Header>> headers_of(const Options& options) {
  std::vector<Header> headers;
  headers.reserve(options.headers.size());
  for (const std::string& text : options.headers) {
    Result<Header> header = header_of(text);
    if (!header) return std::move(header).fault();
    headers.push_back(std::move(*header));
  }
  return headers;
}

// A lab's nodes have the files of the machine that it runs on.
explain::ResolverSettings resolver_of_this_machine() {
  const Result<std::string> text = lab::read_file("/etc/resolv.conf");
  return explain::read_resolver_settings(text ? *text : std::string());
}

// Also with its kind before the name, as kubectl's users write it: deploy/web, shop/svc/web. A
// namespace may have such a word for its name.
Result<explain::Caller> caller_of(const mesh::World& world, const std::string& from) {
  Result<explain::Caller> caller = explain::find_caller(world, from);
  for (const lab::Target& meaning : lab::meanings_of(from)) {
    if (caller) break;
    if (meaning.kind.empty() || meaning.name.empty()) continue;
    caller = explain::find_caller(
        world, meaning.name_space.empty() ? meaning.name : meaning.name_space + '/' + meaning.name,
        meaning.kind);
  }
  return caller;
}

Result<explain::Call> call_of(const Options& options, const Ground& ground) {
  const mesh::World& world = *ground.world;
  Result<explain::Target> target = explain::parse_target(options.to);
  if (!target) return std::move(target).fault();
  Result<explain::Caller> caller = caller_of(world, options.from);
  if (!caller) return std::move(caller).fault();
  auto headers = headers_of(options);
  if (!headers) return std::move(headers).fault();
  if (!http::is_token(options.method)) {
    return invalid(fmt::format("-X '{}': a method is expected, like GET or POST", options.method));
  }
  if (options.method == "CONNECT") {
    return invalid(
        "-X CONNECT asks a proxy for a tunnel; tcp://HOST:PORT shows a connection's way");
  }
  const bool as_a_lab = is_addressed_as_a_lab(world);
  return explain::Call{
      .from = *caller,
      .to = std::move(*target),
      .method = options.method,
      .headers = std::move(*headers),
      .within = as_a_lab ? ranges_of_labs() : std::vector<nft::Prefix>(),
      .node_resolver = as_a_lab ? std::optional(resolver_of_this_machine()) : std::nullopt};
}

// ── the answer ──────────────────────────────────────────────────────────────────────────────────

explain::Style style_of_terminal() {
  explain::Style style;
  if (::isatty(STDOUT_FILENO) == 0) return style;
  style.colour = std::getenv("NO_COLOR") == nullptr;
  winsize size{};
  constexpr std::size_t narrowest = 60;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    style.width = std::clamp<std::size_t>(size.ws_col, narrowest, style.width);
  }
  return style;
}

int status_of(explain::Verdict verdict) {
  switch (verdict) {
    case explain::Verdict::arrives:
    case explain::Verdict::agrees:
      return arrives;
    case explain::Verdict::differs:
      return differs;
    case explain::Verdict::does_not_arrive:
    case explain::Verdict::did_not_arrive:
      return does_not_arrive;
    case explain::Verdict::cannot_be_known:
      return cannot_be_known;
  }
  return differs;
}

// In a lab, whether somebody listens at the end can be looked at.
explain::Path path_of(const Ground& ground, const explain::Call& call) {
  explain::Model model(ground.world);
  explain::Path path = explain::explain(model, call);
  if (!ground.lab) return path;
  std::vector<std::string> trouble;
  std::vector<explain::LookedAt> looked = look_at_listening(*ground.lab, path, trouble);
  for (explain::LookedAt& each : looked) model.put_listening(each.where, std::move(each.sockets));
  if (!looked.empty()) path = explain::explain(model, call);
  for (const std::string& each : trouble) path.notes.push_back("not looked at: " + each);
  return path;
}

int answer(const Options& options, const Ground& ground, const explain::Call& call) {
  explain::Path path = path_of(ground, call);
  path.notes.insert(path.notes.end(), ground.notes.begin(), ground.notes.end());
  std::optional<explain::Evidence> evidence;
  std::optional<explain::Judgement> judgement;
  const bool can_ask = call.from.workload == nullptr || call.from.workload->ended.empty();
  if (options.live && can_ask) {
    Result<explain::Evidence> gathered = gather_evidence(*ground.lab, call, path, *ground.world);
    if (!gathered) {
      std::fprintf(stderr, "fairlead path: %s\n", gathered.fault().describe().c_str());
      return differs;
    }
    evidence = std::move(*gathered);
    judgement = explain::lay_beside(path, *evidence, *ground.world);
  }
  const explain::Judgement* said = judgement ? &*judgement : nullptr;
  const std::string text = options.json
                               ? explain::render_json(path, evidence ? &*evidence : nullptr, said)
                               : explain::render(path, style_of_terminal(), said);
  std::fputs(text.c_str(), stdout);
  const int status = status_of(said ? said->verdict : explain::prediction_of(path));
  const bool judged = options.strict && status == arrives && !path.not_enforced.empty();
  return judged ? not_enforced : status;
}

int run(const Options& options) {
  if (options.live && !options.files.empty()) {
    return complain(invalid("--live asks what runs, and manifests alone do not run"));
  }
  Result<Ground> ground = options.files.empty() ? world_of_lab(options) : world_of_files(options);
  if (!ground) return complain(ground.fault());
  Result<explain::Call> call = call_of(options, *ground);
  if (!call) return complain(call.fault());
  return answer(options, *ground, *call);
}

}  // namespace

int run_path(const Arguments& arguments) {
  CLI::App app(
      "Tells where a call goes: names, kernel rules, proxies, and the object behind each decision.",
      "fairlead path");
  Options options;
  app.add_option("FROM", options.from,
                 "a pod, a workload, a VM, a node; NAMESPACE/NAME, and KIND/NAME as in deploy/web")
      ->required();
  app.add_option("URL", options.to, "http://HOST:PORT/PATH, tcp://HOST:PORT or HOST:PORT")
      ->required();
  CLI::Option* name =
      app.add_option("--name", options.lab, "the lab; may be left out when only one runs");
  CLI::Option* files = app.add_option("--files", options.files,
                                      "manifests, as if a lab ran them: none is needed, nor root");
  name->excludes(files);
  app.add_flag("-R,--recursive", options.recursive, recursive_help)->needs(files);
  app.add_option("--inject", options.inject,
                 "with --files: sidecars in these namespaces too, or `all`")
      ->needs(files)
      ->allow_extra_args(false);
  app.add_flag("--live", options.live, "send the request and lay what is seen beside each step");
  app.add_flag("--json", options.json, "as JSON: docs/path-json.md");
  app.add_flag("--strict", options.strict, strict_help);
  app.add_option("-H,--header", options.headers, "NAME: VALUE, of the request; may be repeated")
      ->allow_extra_args(false);
  app.add_option("-X,--method", options.method, "of the request (GET)");
  app.footer(
      "Exit status: 0 arrives, if its condition holds (with --live: and agrees); 1 what was seen\n"
      "differs, also when it did not arrive though predicted to, or for another reason; 2 wrong\n"
      "use; 3 does not arrive, the cause in the first line (with --live: as predicted); 4 with\n"
      "--strict: it arrives, and a policy that would judge it is not enforced; 5 cannot be known.");
  if (const auto status = ended_by_arguments(app, arguments)) return *status;
  if (options.recursive) options.files = manifests_of(true, options.files);
  return run(options);
}

}  // namespace fairlead::cli
