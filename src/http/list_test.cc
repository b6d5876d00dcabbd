#include "http/list.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fairlead::http {
namespace {

std::vector<std::string> elements(std::string_view list) {
  std::vector<std::string> all;
  for (std::string_view one = next_element(list); !one.empty(); one = next_element(list)) {
    all.emplace_back(one);
  }
  EXPECT_TRUE(list.empty());
  return all;
}

TEST(List, ElementsAreTakenWithoutWhiteSpaceAndEmptyOnes) {
  using All = std::vector<std::string>;
  EXPECT_EQ(elements(""), All{});
  EXPECT_EQ(elements(" \t, ,,"), All{});
  EXPECT_EQ(elements("a"), All{"a"});
  EXPECT_EQ(elements(",a b ,\tc/1\t,"), (All{"a b", "c/1"}));
}

TEST(List, AnElementIsFoundWhole) {
  EXPECT_TRUE(list_names("gzip, Trailers", "trailers"));
  EXPECT_FALSE(list_names("gzip, trailersx", "trailers"));
  EXPECT_FALSE(list_names("", "trailers"));
}

TEST(List, LinesAreOneList) {
  Fields fields;
  fields.add("TE", "deflate");
  fields.add("a", "trailers");
  EXPECT_FALSE(list_names(fields, FieldName::te, "trailers"));
  EXPECT_EQ(whole_list(fields, FieldName::te), "deflate");
  fields.add("te", "");
  fields.add("te", "x, trailers");
  EXPECT_TRUE(list_names(fields, FieldName::te, "trailers"));
  EXPECT_EQ(whole_list(fields, FieldName::te), "deflate,x, trailers");
  EXPECT_EQ(whole_list(fields, FieldName::upgrade), "");
}

}  // namespace
}  // namespace fairlead::http
