// A lab as an object with verbs, driven by the program itself: as root, or as an ordinary user. It
// is taken down when it goes out of scope, and also when the test program crashes.
//
//   LabUnderTest lab(GetParam());
//   ASSERT_TRUE(lab.up(two_pods, {"--inject", "all"}));
//   EXPECT_THAT(lab.exec("client", {"curl", "-s", "http://web/"}).out, HasSubstr("\"web\""));
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fairlead::lab {

enum class Who { root, user };

[[nodiscard]] std::vector<Who> everyone();
// Root and an ordinary user when the tests run as root; else whoever runs them.
[[nodiscard]] std::string name_of(Who who);

[[nodiscard]] std::vector<std::string> real_envoys();
// The real Envoy to be put in the place of sidecars, as FAIRLEAD_ENVOY names it (`./dev test`
// fetches one); none without it.

struct Ran {
  int status = -1;  // -1: it did not end in time
  std::string out;
  std::string error;
};

using Words = std::vector<std::string>;

[[nodiscard]] Ran run_here(const Words& words);
// A command outside every lab, as whoever runs the tests.

// A program that goes on beside the test, with its own terminal if wished; killed when it goes out
// of scope.
class Beside {
 public:
  explicit Beside(const Words& words, bool terminal = false);
  ~Beside();
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

  [[nodiscard]] bool says(const std::string& text);
  // Waits until its output holds `text`. False: it ended, or did not say it in time.
  void type(const std::string& text) const;
  void resize(int rows, int columns) const;
  // Of its terminal.
  void signal(int number) const;
  [[nodiscard]] int wait();
  // Its exit status; -1 when a signal ended it, or when it did not end in time.
  [[nodiscard]] const std::string& output() const { return output_; }

 private:
  [[nodiscard]] bool read_some(int milliseconds);
  pid_t pid_ = -1;
  int streams_ = -1;
  std::string output_;
};

[[nodiscard]] bool comes_about(const std::function<bool()>& holds);
// Asked again and again, half a minute at most.

class LabUnderTest {
 public:
  explicit LabUnderTest(Who who);
  ~LabUnderTest();
  LabUnderTest(const LabUnderTest&) = delete;
  LabUnderTest& operator=(const LabUnderTest&) = delete;

  [[nodiscard]] bool up(const std::string& manifest, const Words& flags = {});
  // Writes the manifest, and waits until the lab is ready. False: said() tells why.
  [[nodiscard]] Ran try_up(const std::string& manifest, const Words& flags = {});
  [[nodiscard]] const std::string& said() const { return said_; }
  void write_manifest(const std::string& manifest) const;
  // Live: the lab watches the file.

  void renew_program();
  // From now on it is run from a new copy of the program, which takes the path of the one before as
  // a linker does it.

  [[nodiscard]] Ran run(const Words& words, const std::string& input = "") const;
  // `fairlead WORDS`, as this user.
  [[nodiscard]] Ran run_with(const std::string& variable, const Words& words) const;
  // The same with NAME=VALUE in its environment.
  [[nodiscard]] std::unique_ptr<Beside> start(const Words& words, bool terminal = false) const;
  // The same, beside the test.
  [[nodiscard]] Ran lab(const std::string& verb, const Words& words = {}) const;
  // `fairlead lab VERB --name THIS WORDS`.
  [[nodiscard]] Ran exec(const std::string& target, const Words& words,
                         const std::string& container = "") const;
  [[nodiscard]] Ran path(const std::string& from, const std::string& url,
                         const Words& flags = {}) const;
  [[nodiscard]] nlohmann::json status() const;
  // `lab status --json`.
  [[nodiscard]] nlohmann::json pod(const std::string& name) const;
  // What status() says of it; an empty object when there is none.
  [[nodiscard]] nlohmann::json record() const;
  // What `lab list --json` says of it.
  [[nodiscard]] bool wait_for(const Words& exec_words, const std::string& target,
                              const std::string& expected) const;
  // Until the command's output holds `expected`; a few seconds at most.

  [[nodiscard]] bool wait_for_status(
      const std::function<bool(const nlohmann::json&)>& expected) const;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string manifest_path() const { return folder_ + "/manifest.yaml"; }
  [[nodiscard]] std::string state() const;
  // Its state directory.

 private:
  Who who_;
  std::string name_;
  std::string folder_;
  std::string program_;
  int heir_ = -1;
  std::string said_;
};

// ── manifests ───────────────────────────────────────────────────────────────────────────────────

[[nodiscard]] std::string deployment(const std::string& name, int replicas,
                                     const std::string& node = "", const std::string& extra = "");
// Pods of the sample app on port 9080, on one node when it is named; `extra` goes into the pod's
// metadata, as in "annotations: {…}".
[[nodiscard]] std::string service(const std::string& name, const std::string& extra = "");
// Port 80 named http, to 9080; `extra` goes into the spec.

// ── load ────────────────────────────────────────────────────────────────────────────────────────

struct Load {
  int sent = 0;
  int lost = 0;
  std::string losses;  // why, a line each
};

enum class Connections { kept, fresh };

[[nodiscard]] Load load_while(const LabUnderTest& lab, const std::string& from,
                              const std::string& url, const std::function<void()>& happens,
                              Connections connections = Connections::kept);
// Eight clients in that pod send safe requests one after the other, on connections that they keep,
// or each on a fresh one, whose name is asked for anew: from before `happens` begins until it has
// returned.

}  // namespace fairlead::lab
