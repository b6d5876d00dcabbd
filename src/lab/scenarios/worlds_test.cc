// Random worlds in labs: each call is made by a client of its own in the pod (getaddrinfo and plain
// sockets), judged by a small model of Kubernetes' semantics, and foretold and witnessed by
// `fairlead path --live`. The three may not disagree. `./dev worlds CALLS SEED` runs more of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <map>
#include <set>

#include "lab/scenarios/kubernetes_model.h"
#include "lab/scenarios/lab_under_test.h"
#include "lab/scenarios/world_maker.h"

namespace fairlead::lab {
namespace {

using nlohmann::json;
using worlds::Call;
using worlds::Expectation;
using worlds::Place;
using worlds::World;

constexpr std::size_t calls_a_world = 25;  // a lab takes seconds to come up

// Makes each call as an app would, and tells who answered.
constexpr const char* client_script = R"(
import json, socket, sys
def call(host, port, path):
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return {"stage": "name", "error": str(error)}
    trouble, connection = "", None
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(8)
        try:
            connection.connect(address)
            break
        except OSError as error:
            trouble, connection = str(error), None
    if connection is None:
        return {"stage": "connect", "error": trouble}
    authority = "[%s]" % host if ":" in host else host.rstrip(".")
    request = "GET %s HTTP/1.1\r\nHost: %s:%d\r\nConnection: close\r\n\r\n" % (path, authority, port)
    answer = b""
    try:
        connection.sendall(request.encode())
        while True:
            piece = connection.recv(65536)
            answer += piece
            if not piece or answer.startswith(b"GET "):
                break
    except OSError as error:
        trouble = str(error)
    if not answer:
        return {"stage": "answer", "error": trouble or "closed without a word"}
    if answer.startswith(b"GET "):
        return {"stage": "done", "echo": True}
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    start = body.find(b"{")
    told = {}
    try:
        told = json.loads(body[start:body.rfind(b"}") + 1])
    except ValueError:
        pass
    return {"stage": "done", "status": status, "pod": told.get("pod", ""), "said": body[:200].decode(errors="replace")}
print(json.dumps([call(*each) for each in json.loads(sys.argv[1])]))
)";

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

// What the three said of one call.
struct Account {
  Call call;
  json seen;       // by the client
  json path;       // of path --live --json
  int status = 0;  // of path
  std::string said;
  Expectation expected;
  const std::vector<Place>* places = nullptr;  // all that run
};

std::vector<Place> places_in(const json& status) {
  std::vector<Place> places;
  for (const json& pod : status.value("pods", json::array())) {
    Place place{.name = pod.value("namespace", "") + "/" + pod.value("name", "")};
    const std::string name = pod.value("name", "");
    place.app = name.substr(0, name.find('-'));
    place.node = pod.value("node", "");
    for (const json& address : pod.value("addresses", json::array())) {
      const std::string text = address.get<std::string>();
      (text.find(':') == std::string::npos ? place.v4 : place.v6) = text;
    }
    if (place.app.starts_with('a')) places.push_back(std::move(place));
  }
  return places;
}

void call_as_a_client(const LabUnderTest& lab, std::vector<Account>& accounts) {
  std::map<std::string, std::vector<Account*>> callers;
  for (Account& account : accounts) callers[account.call.from].push_back(&account);
  for (auto& [from, all] : callers) {
    json calls = json::array();
    for (const Account* each : all) {
      calls.push_back({each->call.host, each->call.port, each->call.path});
    }
    const Ran ran = lab.exec(from, {"python3", "-c", client_script, calls.dump()});
    const json told = json::parse(ran.out, nullptr, false);
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i]->seen = told.is_array() && told.size() == all.size()
                         ? told[i]
                         : json{{"stage", "no client"}, {"error", ran.error + ran.out}};
    }
  }
}

void follow_paths(const LabUnderTest& lab, std::vector<Account>& accounts, std::size_t first) {
  for (std::size_t i = first; i < accounts.size(); i += 2) {
    Account& account = accounts[i];
    const Ran ran = lab.path(account.call.from, account.call.url(), {"--live", "--json"});
    account.status = ran.status;
    account.path = json::parse(ran.out, nullptr, false);
    account.said = ran.error;
  }
}

// ── the judge ───────────────────────────────────────────────────────────────────────────────────

// Of a node's network, path knows a pod by the port that it declares; else it says whose network.
std::string name_of_end(const json& end, const Account& account) {
  const std::string workload = end.value("workload", "");
  if (!workload.empty()) return workload;
  const std::string address = end.value("address", "");
  for (const Place& place : *account.places) {
    const bool here =
        address.starts_with(place.v4 + ":") || address.starts_with("[" + place.v6 + "]:");
    if (here && account.expected.answerers.contains(place.name)) return place.name;
  }
  return address;
}

// Whom the path says may answer, of clients that take addresses as glibc does.
std::set<std::string> ends_of(const Account& account) {
  const json& path = account.path;
  std::set<std::string> ends;
  for (const json& end : path.value("ends", json::array())) {
    const std::string client = end.value("client", "");
    if (!client.empty() && client.find("glibc") == std::string::npos) continue;
    if (!end.value("failure", "").empty()) continue;
    ends.insert(name_of_end(end, account));
  }
  return ends;
}

std::string listed(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "nobody" : text;
}

// Whether the client's own experience is one of those that the model allows.
std::string disagreement_of_the_client(const Account& account) {
  const json& seen = account.seen;
  const std::string stage = seen.value("stage", "");
  if (stage == "no client") return "the client did not run: " + seen.value("error", "");
  const int status = seen.value("status", 0);
  const std::string pod = seen.value("pod", "");
  // Of an app that does not speak HTTP, a proxy that does says so in its place.
  const bool no_http = status == 502;
  const bool answered =
      stage == "done" && (seen.value("echo", false) || no_http || !pod.empty() || status == 200);
  const Expectation& expected = account.expected;
  if (!answered) {
    if (expected.answerers.empty() || expected.may_fail) return {};
    return fmt::format("the client got no answer ({}), and the model says: {}", seen.dump(),
                       listed(expected.answerers));
  }
  if (expected.answerers.empty()) {
    return fmt::format("the client got an answer ({}), and the model says that nobody answers",
                       seen.dump());
  }
  if (pod.empty()) return {};
  const bool known =
      std::any_of(expected.answerers.begin(), expected.answerers.end(),
                  [&](const std::string& name) { return name.substr(name.find('/') + 1) == pod; });
  return known ? ""
               : fmt::format("{} answered the client, and the model says: {}", pod,
                             listed(expected.answerers));
}

std::string disagreement_of_the_path(const Account& account) {
  const json& path = account.path;
  if (!path.is_object()) {
    return fmt::format("path ended with {}: {}", account.status, account.said);
  }
  const std::set<std::string> ends = ends_of(account);
  if (ends != account.expected.answerers) {
    return fmt::format("path says {} may answer ({}), and the model says: {}", listed(ends),
                       path.value("cause", ""), listed(account.expected.answerers));
  }
  const std::string verdict = path.value("verdict", "");
  if (verdict != "agrees" && verdict != "did not arrive") {
    return fmt::format("path --live says '{}': {}{}", verdict, path.value("difference", ""),
                       path.value("unknown", ""));
  }
  const bool arrived = path.value("arrived", false);
  if (arrived == account.expected.answerers.empty() && !account.expected.may_fail) {
    return fmt::format("path --live {}, and the model says: {}",
                       arrived ? "arrived" : "did not arrive: " + path.value("cause", ""),
                       listed(account.expected.answerers));
  }
  return {};
}

// The calls in the world of one seed.
struct Share {
  std::uint64_t seed = 0;
  std::uint64_t calls = 0;
};

class Worlds : public testing::TestWithParam<Share> {
 protected:
  // Up to that many calls in the world of that seed.
  static void try_world(std::uint64_t seed, std::size_t count) {
    const World world = worlds::make_world(seed);
    const std::string manifest = worlds::manifest_of(world);
    LabUnderTest lab(everyone().front());
    ASSERT_TRUE(lab.up(manifest)) << "seed " << seed << "\n" << lab.said() << "\n" << manifest;
    const std::vector<Place> places = places_in(lab.status());
    ASSERT_FALSE(places.empty());
    std::vector<Account> accounts;
    for (Call& call : worlds::make_calls(world, places, count)) {
      Account account{.call = std::move(call), .places = &places};
      account.expected = worlds::expect(world, places, account.call);
      accounts.push_back(std::move(account));
    }
    call_as_a_client(lab, accounts);
    std::future<void> half =
        std::async(std::launch::async, [&] { follow_paths(lab, accounts, 1); });
    follow_paths(lab, accounts, 0);
    half.get();
    std::string disagreements;
    for (const Account& account : accounts) {
      for (const std::string& why :
           {disagreement_of_the_client(account), disagreement_of_the_path(account)}) {
        if (why.empty()) continue;
        disagreements +=
            fmt::format("  {} to {}: {}\n", account.call.from, account.call.url(), why);
      }
    }
    EXPECT_EQ(disagreements, "") << "seed " << seed << ", " << count << " calls\n" << manifest;
  }
};

// Of `./dev worlds CALLS SEED`, else a hundred calls.
std::vector<Share> shares() {
  std::uint64_t left = number_from("FAIRLEAD_WORLDS_CALLS", 100);
  std::uint64_t seed = number_from("FAIRLEAD_WORLDS_SEED", 1);
  std::vector<Share> all;
  while (left > 0) {
    all.push_back({.seed = seed++, .calls = std::min<std::uint64_t>(calls_a_world, left)});
    left -= all.back().calls;
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Of, Worlds, testing::ValuesIn(shares()),
                         [](const auto& one) { return fmt::format("seed_{}", one.param.seed); });

TEST_P(Worlds, PathTheClientAndTheModelAgree) {
  try_world(GetParam().seed, GetParam().calls);
}

}  // namespace
}  // namespace fairlead::lab
