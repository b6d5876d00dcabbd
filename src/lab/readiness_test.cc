#include "lab/readiness.h"

#include <gtest/gtest.h>

namespace fairlead::lab {
namespace {

using Kind = Readiness::Kind;

kube::PodStatus status_with(kube::PodPhase phase, kube::ContainerStatus app) {
  app.name = "app";
  app.image = "shop/cart";
  kube::PodStatus status{.phase = phase};
  status.conditions = {{.type = "Ready", .status = app.ready ? "True" : "False"}};
  status.containers = {std::move(app)};
  return status;
}

TEST(Readiness, OfWhatIsWell) {
  EXPECT_EQ(readiness_of(status_with(kube::PodPhase::running, {.ready = true})).kind, Kind::ready);
  EXPECT_EQ(readiness_of(status_with(kube::PodPhase::succeeded, {})).kind, Kind::over);
  EXPECT_EQ(readiness_of(status_with(kube::PodPhase::pending, {})),
            (Readiness{.kind = Kind::waiting, .why = "is not ready"}));
}

TEST(Readiness, OfWhatAProbeHoldsBackSaysWhatTheProbeMet) {
  kube::PodStatus status = status_with(kube::PodPhase::running, {.state = kube::Running{}});
  status.conditions[0].message = "container app: readiness probe: it answered 503";
  EXPECT_EQ(readiness_of(status),
            (Readiness{.kind = Kind::waiting,
                       .why = "is not ready: container app: readiness probe: it answered 503",
                       .container = "app"}));
}

TEST(Readiness, OfWhatHasFailedNamesTheContainerAndItsEnd) {
  kube::PodStatus status = status_with(
      kube::PodPhase::failed, {.state = kube::Terminated{.exit_code = 3, .reason = "Error"}});
  EXPECT_EQ(readiness_of(status), (Readiness{.kind = Kind::hopeless,
                                             .why = "has failed: its container app ended with 3",
                                             .container = "app"}));
  status.init_containers = {
      {.name = "migrate",
       .state = kube::Terminated{.exit_code = 137, .signal = 9, .reason = "Error"}}};
  EXPECT_EQ(readiness_of(status).why,
            "has failed: its init container migrate was ended by signal 9");
}

TEST(Readiness, OfWhatCannotBeginSaysWhatItLacks) {
  kube::PodStatus status = status_with(kube::PodPhase::pending, {});
  status.message = "there is no ConfigMap default/settings";
  EXPECT_EQ(readiness_of(status),
            (Readiness{.kind = Kind::hopeless,
                       .why = "cannot start: there is no ConfigMap default/settings"}));
  const kube::Terminated ended{.exit_code = 128, .reason = "StartError: there is no program 'x'"};
  status = status_with(
      kube::PodPhase::running,
      {.state = kube::Waiting{.reason = cannot_be_created, .message = start_trouble(ended)}});
  EXPECT_EQ(readiness_of(status).kind, Kind::hopeless);
  EXPECT_EQ(readiness_of(status).why,
            "cannot start: its container app (image shop/cart): there is no program 'x'");
  EXPECT_EQ(describe_ending(ended), "cannot start: there is no program 'x'");
}

TEST(Readiness, OfWhatCrashesIsToWaitOnAndToNameIt) {
  const kube::Waiting pause{.reason = "CrashLoopBackOff", .message = "ended with 1"};
  kube::ContainerStatus app{.restart_count = 1, .state = pause};
  EXPECT_EQ(readiness_of(status_with(kube::PodPhase::running, app)).container, "")
      << "once is none";
  app.restart_count = 2;
  EXPECT_EQ(readiness_of(status_with(kube::PodPhase::running, app)),
            (Readiness{.kind = Kind::waiting,
                       .why = "is not ready: its container app crashes again and again",
                       .container = "app"}));
  app = {.ready = true, .restart_count = 7, .state = kube::Running{}};
  EXPECT_EQ(readiness_of(status_with(kube::PodPhase::running, app)).kind, Kind::ready);
}

}  // namespace
}  // namespace fairlead::lab
