#include "base/json_text.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(JsonText, TakesWhateverBytes) {
  EXPECT_EQ(json_text(nlohmann::json{{"file", "a\xff.yaml"}}), "{\"file\":\"a\xef\xbf\xbd.yaml\"}");
  EXPECT_EQ(json_text(nlohmann::json{{"a", "\xc3"}}, 1), "{\n \"a\": \"\xef\xbf\xbd\"\n}");
}

TEST(JsonText, TellsWhatFits) {
  EXPECT_TRUE(fits_json("größer \"x\"\n"));
  EXPECT_TRUE(fits_json("\xef\xbf\xbd"));
  for (const char* text : {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf"})
    EXPECT_FALSE(fits_json(text));
}

TEST(JsonText, ReadsMembersOfTheKindThatIsWanted) {
  const nlohmann::json object{{"text", "a"}, {"number", 7U}, {"below", -7}};
  EXPECT_EQ(text_at(object, "text"), "a");
  EXPECT_EQ(text_at(object, "number"), "");
  EXPECT_EQ(number_at(object, "number"), 7U);
  for (const char* key : {"below", "text", "none"}) EXPECT_EQ(number_at(object, key), 0U) << key;
  EXPECT_EQ(text_at(nlohmann::ordered_json(), "text"), "");
}

}  // namespace
}  // namespace fairlead
