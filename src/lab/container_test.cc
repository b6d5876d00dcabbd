#include "lab/container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::lab {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

kube::Pod shop_pod() {
  kube::Pod pod;
  pod.metadata.name = "cart-1";
  pod.metadata.name_space = "shop";
  pod.metadata.labels["app"] = "cart";
  pod.spec.node_name = "node1";
  pod.status.pod_ips = {*IpAddress::parse("10.244.1.2"), *IpAddress::parse("fd00::2")};
  kube::Container container;
  container.name = "app";
  container.image = "registry:5000/shop/cart:v3";
  container.ports = {{.name = "http", .port = 8080}, {.name = "dns", .port = 53}};
  container.ports[1].protocol = kube::Protocol::udp;
  pod.spec.containers = {container};
  return pod;
}

Plan planned(const kube::Pod& pod, const Images& images = {}, const kube::Objects& objects = {}) {
  Result<Plan> plan = plan_container(pod, pod.spec.containers.front(), images, objects);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.fault().describe());
  return plan.ok() ? *plan : Plan{};
}

TEST(Words, AreSplitAsAShellSplitsASimpleCommand) {
  EXPECT_THAT(*split_words("a  'b c' \"d\\\"e\" f\\ g ''"),
              ElementsAre("a", "b c", "d\"e", "f g", ""));
  EXPECT_THAT(*split_words("  "), ElementsAre());
  EXPECT_FALSE(split_words("a 'b").ok());
}

TEST(Expansion, FollowsKubernetes) {
  const std::map<std::string, std::string, std::less<>> known{{"A", "1"}, {"B", "2"}};
  EXPECT_EQ(expand("$(A)-$(B)-$(C)", known), "1-2-$(C)");
  EXPECT_EQ(expand("$$(A) $A $", known), "$(A) $A $");
  EXPECT_EQ(expand("$(A", known), "$(A");
}

TEST(Command, IsTheManifestsThenTheAnnotationsThenTheMappingsThenTheSampleApp) {
  kube::Pod pod = shop_pod();
  Images images;
  EXPECT_THAT(planned(pod, images).words, ElementsAre("fairlead", "sample-app", "--port", "8080"));
  EXPECT_EQ(planned(pod, images).source, CommandSource::sample);

  ASSERT_TRUE(images.add("registry:5000/shop/cart=serve --all").ok());
  pod.spec.containers[0].args = {"--port", "$(PORT)"};
  pod.spec.containers[0].env = {{.name = "PORT", .value = "80"}};
  EXPECT_THAT(planned(pod, images).words, ElementsAre("serve", "--all", "--port", "80"));

  pod.metadata.annotations[command_annotation] = "other thing";
  EXPECT_THAT(planned(pod, images).words, ElementsAre("other", "thing", "--port", "80"));
  pod.metadata.annotations[command_annotation] = "some/image=x\nregistry:5000/shop/cart:v3=exact";
  EXPECT_THAT(planned(pod, images).words, ElementsAre("exact", "--port", "80"));

  pod.spec.containers[0].command = {"/bin/own"};
  EXPECT_THAT(planned(pod, images).words, ElementsAre("/bin/own", "--port", "80"));
  EXPECT_EQ(planned(pod, images).source, CommandSource::manifest);
}

TEST(Images, AreReadFromAFileAndSayWhichLineIsWrong) {
  Images images;
  ASSERT_TRUE(images.add_file("# shop\n\ncart=serve\n", "images.txt").ok());
  EXPECT_THAT(*images.command_of("cart:v1"), ElementsAre("serve"));
  EXPECT_EQ(images.command_of("other"), nullptr);
  const Result<> wrong = images.add_file("cart=serve\nnonsense\n", "images.txt");
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.fault().message, HasSubstr("images.txt:2"));
}

TEST(Environment, HoldsFieldsKeysAndWhatComesFromAWholeMap) {
  kube::Pod pod = shop_pod();
  kube::Objects objects;
  kube::ConfigMap map;
  map.metadata.name = "settings";
  map.metadata.name_space = "shop";
  map.data = {{"COLOUR", "blue"}, {"SIZE", "9"}};
  objects.config_maps.push_back(map);
  kube::Container& container = pod.spec.containers[0];
  container.env_from = {{.name = "settings", .prefix = "S_"}};
  container.env = {
      {.name = "IP", .value = kube::FieldReference{"status.podIP"}},
      {.name = "APP", .value = kube::FieldReference{"metadata.labels['app']"}},
      {.name = "SIZE", .value = kube::KeyReference{.name = "settings", .key = "SIZE"}},
      {.name = "GONE",
       .value = kube::KeyReference{.name = "nowhere", .key = "x", .optional = true}},
      {.name = "BOTH", .value = "$(APP) at $(IP)"},
  };
  const std::vector<std::string> environment = planned(pod, {}, objects).environment;
  EXPECT_THAT(environment, Contains("S_COLOUR=blue"));
  EXPECT_THAT(environment, Contains("SIZE=9"));
  EXPECT_THAT(environment, Contains("BOTH=cart at 10.244.1.2"));
  EXPECT_THAT(environment, Not(Contains(HasSubstr("GONE"))));

  container.env = {{.name = "GONE", .value = kube::KeyReference{.name = "nowhere", .key = "x"}}};
  const Result<Plan> plan = plan_container(pod, container, {}, objects);
  ASSERT_FALSE(plan.ok());
  EXPECT_THAT(plan.fault().describe(), HasSubstr("ConfigMap shop/nowhere"));
}

kube::Objects shop_services() {
  kube::Objects objects;
  kube::Service service;
  service.metadata.name_space = "shop";
  service.metadata.name = "price-list";
  service.cluster_ips = {*IpAddress::parse("10.96.1.2"), *IpAddress::parse("fd00:10:96::102")};
  service.ports = {{.name = "http-web", .port = 80},
                   {.name = "dns", .port = 53, .protocol = kube::Protocol::udp}};
  objects.services.push_back(service);
  service.metadata.name = "six";
  service.cluster_ips = {*IpAddress::parse("fd00:10:96::103")};
  service.ports = {{.port = 9}};
  objects.services.push_back(service);
  service.metadata.name = "each";
  service.headless = true;
  service.cluster_ips.clear();
  objects.services.push_back(service);
  service.metadata = {.name_space = "other", .name = "elsewhere"};
  service.headless = false;
  service.cluster_ips = {*IpAddress::parse("10.96.1.4")};
  objects.services.push_back(service);
  return objects;
}

TEST(Environment, NamesTheServicesOfThePodsNamespace) {
  EXPECT_THAT(
      service_links(shop_services(), "shop"),
      ElementsAre(
          Pair("PRICE_LIST_PORT", "tcp://10.96.1.2:80"),
          Pair("PRICE_LIST_PORT_53_UDP", "udp://10.96.1.2:53"),
          Pair("PRICE_LIST_PORT_53_UDP_ADDR", "10.96.1.2"),
          Pair("PRICE_LIST_PORT_53_UDP_PORT", "53"), Pair("PRICE_LIST_PORT_53_UDP_PROTO", "udp"),
          Pair("PRICE_LIST_PORT_80_TCP", "tcp://10.96.1.2:80"),
          Pair("PRICE_LIST_PORT_80_TCP_ADDR", "10.96.1.2"),
          Pair("PRICE_LIST_PORT_80_TCP_PORT", "80"), Pair("PRICE_LIST_PORT_80_TCP_PROTO", "tcp"),
          Pair("PRICE_LIST_SERVICE_HOST", "10.96.1.2"), Pair("PRICE_LIST_SERVICE_PORT", "80"),
          Pair("PRICE_LIST_SERVICE_PORT_DNS", "53"), Pair("PRICE_LIST_SERVICE_PORT_HTTP_WEB", "80"),
          Pair("SIX_PORT", "tcp://[fd00:10:96::103]:9"),
          Pair("SIX_PORT_9_TCP", "tcp://[fd00:10:96::103]:9"),
          Pair("SIX_PORT_9_TCP_ADDR", "fd00:10:96::103"), Pair("SIX_PORT_9_TCP_PORT", "9"),
          Pair("SIX_PORT_9_TCP_PROTO", "tcp"), Pair("SIX_SERVICE_HOST", "fd00:10:96::103"),
          Pair("SIX_SERVICE_PORT", "9")));
}

TEST(Environment, NamesServicesUnlessThePodSaysOtherwise) {
  kube::Pod pod = shop_pod();
  pod.spec.containers[0].env = {{.name = "WHERE", .value = "$(SIX_SERVICE_HOST)"},
                                {.name = "SIX_PORT", .value = "its own"}};
  const kube::Objects objects = shop_services();
  EXPECT_THAT(planned(pod, {}, objects).environment,
              IsSupersetOf({"WHERE=fd00:10:96::103", "SIX_PORT=its own", "SIX_SERVICE_PORT=9"}));
  pod.spec.service_links = false;
  const std::vector<std::string> without = planned(pod, {}, objects).environment;
  EXPECT_THAT(without, IsSupersetOf({"WHERE=$(SIX_SERVICE_HOST)", "SIX_PORT=its own"}));
  EXPECT_THAT(without, Not(Contains(StartsWith("SIX_SERVICE"))));
}

TEST(DownwardApi, KnowsItsFieldsAndSaysWhenItDoesNot) {
  const kube::Pod pod = shop_pod();
  EXPECT_EQ(field_of(pod, "metadata.name"), "cart-1");
  EXPECT_EQ(field_of(pod, "status.podIPs"), "10.244.1.2,fd00::2");
  EXPECT_EQ(field_of(pod, "metadata.labels['none']"), "");
  EXPECT_EQ(field_of(pod, "spec.somethingElse"), std::nullopt);
}

}  // namespace
}  // namespace fairlead::lab
