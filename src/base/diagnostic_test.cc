#include "base/diagnostic.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(Diagnostic, ProtectsUntilSomebodyHasJudged) {
  EXPECT_EQ(Diagnostic{}.effect, Effect::protects);
  EXPECT_EQ(Effect{}, Effect::protects);
}

TEST(Diagnostic, IsDescribedWithWhatIsKnown) {
  Diagnostic one{.resource = "Listener a", .field = "filter_chains[0]", .reason = "too much"};
  EXPECT_EQ(one.describe(), "Listener a: filter_chains[0]: too much");
  one.reason.clear();
  one.origin = {.file = "envoy.yaml", .line = 24};
  EXPECT_EQ(one.describe(), "Listener a: filter_chains[0] (envoy.yaml:24)");
  one.field.clear();
  EXPECT_EQ(one.describe(), "Listener a (envoy.yaml:24)");
}

TEST(Diagnostic, EffectsHaveNames) {
  for (const Effect effect : {Effect::protects, Effect::decides, Effect::observes, Effect::tunes}) {
    EXPECT_EQ(effect_from(name_of(effect)), effect);
  }
  EXPECT_EQ(effect_from("protect"), std::nullopt);
}

}  // namespace
}  // namespace fairlead
