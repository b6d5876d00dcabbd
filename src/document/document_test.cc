#include "document/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::document {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Document one(const std::string& text, const std::string& file = "a.yaml") {
  Result<std::vector<Document>> read = parse(text, file);
  EXPECT_TRUE(read.ok()) << (read.ok() ? "" : read.fault().describe());
  if (!read.ok()) return {};
  EXPECT_EQ(read->size(), 1U);
  return read->empty() ? Document{} : read->front();
}

std::string refusal(const std::string& text, const std::string& file = "a.yaml",
                    const Limits& limits = {}) {
  Result<std::vector<Document>> read = parse(text, file, Format::automatic, limits);
  return read.ok() ? "read" : read.fault().message;
}

const char* const service = R"(kind: Service
metadata:
  name: reviews
  labels: {app: reviews, "a/b": x}
spec:
  ports:
  - port: 9080
    name: http
  - name: admin
    port: 15000
)";

TEST(Document, EachValueKnowsItsLineItsColumnAndItsPath) {
  const Document document = one(service);
  const Node root = document.root();
  EXPECT_EQ(root.field(), "");
  EXPECT_EQ(root.line(), 1);
  const Node port = root.get("spec").get("ports").at(1).get("port");
  EXPECT_EQ(port.where(), "a.yaml:10: spec.ports[1].port");
  EXPECT_EQ(port.column(), 11);
  EXPECT_EQ(port.as_integer().value(), 15000);
  EXPECT_EQ(root.get("metadata").get("labels").get("a/b").where(),
            "a.yaml:4: metadata.labels[\"a/b\"]");
  EXPECT_EQ(root.get("spec").get("ports").line(), 7);
  EXPECT_EQ(root.get("spec").get("ports").key_line(), 6);
}

TEST(Document, JsonHasTheSamePlaces) {
  const Document document =
      one("{\n  \"spec\": {\n    \"ports\": [\n      {\"port\": 80\n,\"name\": \"x\\n\"},\n"
          "      [1\n]]}}\n",
          "a.json");
  const Node ports = document.root().get("spec").get("ports");
  EXPECT_EQ(ports.line(), 3);
  EXPECT_EQ(ports.column(), 14);
  const Node port = ports.at(0).get("port");
  EXPECT_EQ(port.where(), "a.json:4: spec.ports[0].port");
  EXPECT_EQ(port.column(), 16);
  EXPECT_EQ(ports.at(0).get("name").line(), 5);
  EXPECT_EQ(ports.at(0).get("name").as_text().value(), "x\n");
  EXPECT_EQ(ports.at(1).at(0).where(), "a.json:6: spec.ports[1][0]");
}

TEST(Document, AFaultSaysFileLineFieldAndBothSides) {
  const Document document = one(service);
  const Node first = document.root().get("spec").get("ports").at(0);
  EXPECT_EQ(first.get("name").as_integer(1, 65535).fault().message,
            "a.yaml:8: spec.ports[0].name: expected an integer from 1 to 65535, found the string "
            "\"http\"");
  EXPECT_EQ(first.get("port").as_integer(1, 80).fault().message,
            "a.yaml:7: spec.ports[0].port: expected an integer from 1 to 80, found the integer "
            "9080");
  EXPECT_EQ(first.get("port").as_text().fault().message,
            "a.yaml:7: spec.ports[0].port: expected a string, found the integer 9080 (in quotes it "
            "is a string: \"9080\")");
  EXPECT_EQ(first.get("targetPort").get("deep").as_text().fault().message,
            "a.yaml:7: spec.ports[0].targetPort.deep: expected a string, found nothing");
  EXPECT_EQ(document.root().get("spec").as_list().fault().message,
            "a.yaml:6: spec: expected a list, found an object of 1 field");
}

TEST(Document, ScalarsMeanWhatTheyMeanToKubernetes) {
  const Document document = one(R"(
yes: yes
on: on
quoted: "yes"
single: '80'
octal: 0644
hex: 0x1F
binary: 0b11
newer: 0o17
grouped: 1_000
eight: 08
negative: -7
float: 1.5e3
half: .5
version: 1.2.3
date: 2026-11-24
null1: ~
null2:
null3: null
tilde: "~"
inf: .inf
dash: "-"
sha: 12e5
word: -x
tagged: !!str 80
block: |
  80
big: 18446744073709551615
)");
  const auto kind = [&](const char* key) { return document.root().get(key).kind(); };
  const auto integer = [&](const char* key) {
    const Result<std::int64_t> value = document.root().get(key).as_integer();
    return value.ok() ? value.value() : -1;
  };
  EXPECT_EQ(kind("yes"), Kind::boolean);
  EXPECT_TRUE(document.root().get("yes").as_boolean().value());
  EXPECT_TRUE(document.root().get("on").as_boolean().value());
  EXPECT_EQ(kind("quoted"), Kind::text);
  EXPECT_EQ(kind("single"), Kind::text);
  EXPECT_EQ(integer("octal"), 0644);
  EXPECT_EQ(integer("hex"), 31);
  EXPECT_EQ(integer("binary"), 3);
  EXPECT_EQ(integer("newer"), 15);
  EXPECT_EQ(integer("grouped"), 1000);
  EXPECT_EQ(kind("eight"), Kind::number);
  EXPECT_EQ(integer("eight"), 8);
  EXPECT_EQ(integer("negative"), -7);
  EXPECT_EQ(kind("float"), Kind::number);
  EXPECT_EQ(integer("float"), 1500);
  EXPECT_EQ(document.root().get("half").as_number().value(), 0.5);
  EXPECT_FALSE(document.root().get("half").as_integer().ok());
  EXPECT_EQ(kind("version"), Kind::text);
  EXPECT_EQ(kind("date"), Kind::text);
  for (const char* key : {"null1", "null2", "null3"}) {
    EXPECT_EQ(kind(key), Kind::null) << key;
    EXPECT_TRUE(document.root().get(key).present());
    EXPECT_FALSE(document.root().get(key).given());
  }
  EXPECT_EQ(kind("tilde"), Kind::text);
  EXPECT_EQ(kind("inf"), Kind::number);
  EXPECT_EQ(kind("sha"), Kind::number);
  EXPECT_EQ(kind("word"), Kind::text);
  EXPECT_EQ(kind("tagged"), Kind::text);
  EXPECT_EQ(document.root().get("block").as_text().value(), "80\n");
  EXPECT_EQ(kind("big"), Kind::integer);
  EXPECT_THAT(document.root().get("big").as_integer().fault().message,
              HasSubstr("expected an integer of 64 bits"));
}

TEST(Document, SeveralDocumentsAndEmptyOnesLeftOut) {
  const auto read =
      parse("# nothing\n---\na: 1\n---\n---\n# still nothing\n---\nb: 2\n...\n---\n", "a.yaml");
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ(read->at(0).root().get("a").line(), 3);
  EXPECT_EQ(read->at(1).root().get("b").line(), 8);
  for (const char* empty : {"", "\n\n", "# only a comment\n", "---\n", "\xEF\xBB\xBF"}) {
    const auto none = parse(empty, "a.yaml");
    ASSERT_TRUE(none.ok()) << empty << none.fault().message;
    EXPECT_TRUE(none->empty()) << empty;
  }
  const auto none = parse(" \n", "a.json");
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
}

TEST(Document, CopiesOfAliasesKnowTheirOwnPath) {
  const Document document = one(R"(base: &base
  image: x
  ports: [1, 2]
a: *base
&key b: *key
c:
  <<: *base
  image: y
d:
  <<: [{x: 1}, {x: 2, z: 3}]
)");
  const Node root = document.root();
  EXPECT_EQ(root.get("a").get("ports").at(1).where(), "a.yaml:3: a.ports[1]");
  EXPECT_EQ(root.get("base").get("ports").at(1).field(), "base.ports[1]");
  EXPECT_EQ(root.get("b").text(), "b");
  EXPECT_EQ(root.get("c").get("image").text(), "y");
  EXPECT_EQ(root.get("c").get("ports").at(0).field(), "c.ports[0]");
  EXPECT_EQ(root.get("c").size(), 2U);
  EXPECT_EQ(write_json(root.get("d")), R"({"x":1,"z":3})");
}

TEST(Document, AFieldGivenTwiceIsRefusedNamingBothLines) {
  EXPECT_EQ(refusal("a: 1\nspec:\n  x: 1\n  y: 2\n  x: 3\n"),
            "a.yaml:5:3: the field \"x\" is given twice in spec, first in line 3");
  EXPECT_EQ(refusal("{\"a\": 1,\n \"a\": 2}", "a.json"),
            "a.json:2:2: the field \"a\" is given twice, first in line 1");
  std::string many;
  for (int i = 0; i < 100; ++i) many += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(refusal(many + "k40: 2\n"),
            "a.yaml:101:1: the field \"k40\" is given twice, first in line 41");
  EXPECT_EQ(refusal(many), "read");
}

TEST(Document, WhatIsNoYamlIsRefusedWithItsLine) {
  EXPECT_THAT(refusal("a: 1\nb: c: d\n"), HasSubstr("a.yaml:2:5: this is no YAML"));
  EXPECT_THAT(refusal("a: [1, 2\nb: 3\n"), HasSubstr("this is no YAML"));
  EXPECT_THAT(refusal("a: \"open\n"), HasSubstr("this is no YAML"));
  EXPECT_THAT(refusal("a: 1\n  b: 2\n"), HasSubstr("a.yaml:2"));
  EXPECT_THAT(refusal("a: *nobody\n"), HasSubstr("a.yaml:1"));
  EXPECT_THAT(refusal("a: &a [*a]\n"), HasSubstr("an alias to what it stands in"));
  EXPECT_THAT(refusal("? [1, 2]\n: 3\n"), HasSubstr("expected the name of a field, found a list"));
  EXPECT_THAT(refusal("a: 1\n? : 2\n"), HasSubstr("expected the name of a field, found an object"));
  EXPECT_THAT(refusal("a: 1\n~: 2\n"), HasSubstr("expected the name of a field, found nothing"));
  EXPECT_THAT(refusal("a: 'open\n\nb: c\n"), HasSubstr("this is no YAML"));
  EXPECT_THAT(refusal("a: 1\n\tb: 2\n"),
              AllOf(HasSubstr("a.yaml:2:"), HasSubstr("this is no YAML"),
                    HasSubstr("; a tab stands at the beginning of the line: spaces belong there")));
  EXPECT_THAT(refusal("a: 1\n{{- if .x }}\nb: 2\n{{ end }}\n"),
              HasSubstr("; this looks like a template: render it first, as helm template does"));
  EXPECT_THAT(refusal("a: !weird 1\n"), HasSubstr("the tag !weird on \"1\" is not understood"));
  EXPECT_THAT(refusal("a: !!int x\n"), HasSubstr("is not understood"));
  EXPECT_THAT(refusal("<<: 5\n"), HasSubstr("expected an object to merge"));
  EXPECT_THAT(refusal("just: one\n--- not\nmapping: two\n"), HasSubstr("a.yaml:"));
  EXPECT_THAT(refusal(std::string("a: b\x04\nc: d\n")), "a.yaml:1:5: the control character 0x04");
  EXPECT_THAT(refusal("a: \xC3\x28\n"), "a.yaml:1:4: not UTF-8");
}

TEST(Document, WhatIsNoJsonIsRefusedWithItsLine) {
  EXPECT_THAT(refusal("{\n\"a\": 1,\n}", "a.json"), HasSubstr("a.json:3:"));
  EXPECT_THAT(refusal("{\n\"a\": 1,\n}", "a.json"), HasSubstr("this is no JSON: syntax error"));
  EXPECT_THAT(refusal("{\"a\": 01}", "a.json"), HasSubstr("this is no JSON"));
  EXPECT_THAT(refusal("{} {}", "a.json"), HasSubstr("this is no JSON"));
  EXPECT_THAT(refusal("{\"a\": \"\xC3\x28\"}", "a.json"), HasSubstr("this is no JSON"));
  EXPECT_THAT(refusal("{\"a\": 1", "stdin"), HasSubstr("this is no JSON"));
  EXPECT_EQ(refusal("{a: 1, b: [x, y]}", "flow"), "read");  // YAML's own way of braces
  EXPECT_EQ(refusal("{\"\\u0041\\ud83d\\ude00\": \"\\/\"}", "a.json"), "read");
}

TEST(Document, LimitsHoldAgainstHostileInput) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    std::string line = "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) line += (j ? ", *a" : "*a") + std::to_string(i - 1);
    laughs += line + "]\n";
  }
  EXPECT_THAT(refusal(laughs), HasSubstr("aliases repeat more than 100000 values"));
  EXPECT_THAT(refusal(laughs), HasSubstr("a.yaml:5:"));
  EXPECT_THAT(refusal(std::string(100000, '[')), HasSubstr("levels deep"));
  EXPECT_THAT(refusal(std::string(100000, '['), "a.json"), HasSubstr("levels deep"));
  std::string dashes;
  for (int i = 0; i < 10000; ++i) dashes += "- ";
  EXPECT_THAT(refusal(dashes), HasSubstr("levels deep"));
  EXPECT_EQ(refusal(std::string(64, '[') + std::string(64, ']'), "a.json"), "read");
  Limits small;
  small.nodes = 3;
  EXPECT_THAT(refusal("[1, 2, 3]", "a.yaml", small), HasSubstr("more than 3 values"));
  small.bytes = 4;
  EXPECT_THAT(refusal("[1, 2, 3]", "a.yaml", small), HasSubstr("9 bytes are more than the 4"));
}

TEST(Document, FieldsKnowWhichNobodyAskedFor) {
  const Document document = one(service);
  Fields fields(document.root());
  EXPECT_TRUE(fields.take("kind").present());
  EXPECT_FALSE(fields.take("status").present());
  std::vector<std::string> rest;
  for (const Node& node : fields.rest()) rest.push_back(node.key());
  EXPECT_THAT(rest, ElementsAre("metadata", "spec"));
}

TEST(Document, WritesTheSameValuesAsJson) {
  const Document document = one("a: [1, -2, 1.5, yes, ~, \"1\", .inf]\nb: {c: é}\n");
  EXPECT_EQ(write_json(document.root()), R"({"a":[1,-2,1.5,true,null,"1",".inf"],"b":{"c":"é"}})");
}

TEST(Document, AbsentNodesOfNoDocumentAreHarmless) {
  const Node node;
  EXPECT_FALSE(node.present());
  EXPECT_EQ(node.get("a").get("b/c").field(), "a[\"b/c\"]");
  EXPECT_EQ(node.as_text().fault().message, "expected a string, found nothing");
  EXPECT_EQ(Document().root().line(), 0);
}

TEST(Yaml, ATemplateInTheFlowIsNamedAsSuch) {
  EXPECT_THAT(refusal("metadata:\n  name: {{ .Release.Name }}\nspec: 1\n"),
              HasSubstr("; this looks like a template: render it first"));
}

}  // namespace
}  // namespace fairlead::document
