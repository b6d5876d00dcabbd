#include "explain/render.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "explain/test_shop.h"

namespace fairlead::explain {
namespace {

using testing::path_in;
using testing::shop;
using testing::world_from;

std::string shown(const char* from, const char* to) {
  return '\n' + render(path_in(world_from(shop()), from, to), {});
}

TEST(Render, WithSidecars) {
  EXPECT_EQ(shown("productpage", "http://reviews:9080/reviews/0"), R"(
arrives at default/reviews-v1 (1/2) or default/reviews-v2 (1/2)
default/productpage → http://reviews:9080/reviews/0                                         world 42

default/productpage
  from      pod with a fairlead sidecar                                                           42
            10.244.1.3 on node1
            Pod default/productpage (shop.yaml:54)
  name      reviews is 10.96.0.12                                                                 42
            found as reviews.default.svc.cluster.local, the first of 4 names to try
            Service default/reviews (shop.yaml:13)
  capture   taken to the proxy, port 15001                                                        42
            nft fairlead-capture outbound 13 (all other outbound): meta l4proto tcp jump
              redirect-outbound
            nft fairlead-capture redirect-outbound 1 (to the proxy, outbound): meta l4proto tcp
              redirect to :15001

default/productpage, its proxy
  listener  0.0.0.0_9080                                                                          42
            virtualOutbound hands over what dialled 10.96.0.12:9080
            built into fairlead
  chain     http, as HTTP: the first bytes are HTTP/1.1                                           42
            built into fairlead
  route     9080, host reviews.default.svc.cluster.local:9080, route default                      42
            Service default/reviews (shop.yaml:13)
  cluster   outbound|9080||reviews.default.svc.cluster.local                                      42
            Service default/reviews (shop.yaml:13)
  endpoint  one of 2, the less busy of two at random                                              42
            1/2  10.244.1.5:9080  default/reviews-v1
            1/2  10.244.2.5:9080  default/reviews-v2
            not  10.244.2.6:9080  default/reviews-v3: not ready
            Service default/reviews (shop.yaml:13)

default/reviews-v1  1/2
  capture   taken to the proxy, port 15006                                                        42
            nft fairlead-capture inbound 3 (all other inbound): meta l4proto tcp jump
              redirect-inbound
            nft fairlead-capture redirect-inbound 1 (to the proxy, inbound): meta l4proto tcp
              redirect to :15006

default/reviews-v1, its proxy
  listener  virtualInbound                                                                        42
            built into fairlead
  chain     0.0.0.0_9080, as HTTP: the first bytes are HTTP/1.1                                   42
            Service default/each (shop.yaml:49)
  route     inbound|9080||, host inbound|http|9080, route default                                 42
            Service default/each (shop.yaml:49)
  cluster   inbound|9080||                                                                        42
            Service default/each (shop.yaml:49)
  delivery  handed to the app at 10.244.1.5:9080, from 127.0.0.6                                  42
            nft fairlead-capture outbound 1 (the proxy hands a connection to the app): ip saddr
              127.0.0.6 oifname "lo" return
            Service default/each (shop.yaml:49)

default/reviews-v1
  app       the app answers on port 9080 (web)                                                    42
            Pod default/reviews-v1 (shop.yaml:70)

and in the same way at default/reviews-v2 (1/2)
)");
}

TEST(Render, WithoutSidecars) {
  EXPECT_EQ(shown("outsider", "http://plain:8000/"), R"(
arrives at default/loner, if something listens on port 8000
default/outsider → http://plain:8000/                                                       world 42

default/outsider
  from      pod without a sidecar                                                                 42
            10.244.1.8 on node1
            Pod default/outsider (shop.yaml:133)
  name      plain is 10.96.0.15                                                                   42
            found as plain.default.svc.cluster.local, the first of 4 names to try
            Service default/plain (shop.yaml:40)
  capture   nothing is captured here: there is no sidecar                                         42

node node1
  kernel    10.96.0.15:8000 becomes 10.244.1.7:8000, default/loner                                42
            nft fairlead-services services 9: meta mark vmap @counts
            nft fairlead-services one-of-1 1 (one endpoint at random): meta l4proto tcp dnat ip to
              ip daddr . meta l4proto . tcp dport . numgen random mod 1 map @endpoints4
            Service default/plain (shop.yaml:40)

default/loner
  app       whatever listens on port 8000                                                         42
            no container declares port 8000: only the request itself tells
            Pod default/loner (shop.yaml:118)
)");
}

TEST(Render, TheCauseStandsFirst) {
  EXPECT_EQ(shown("productpage", "http://review:9080/"), R"(
does not arrive: NXDOMAIN: there is no service 'review' in namespace default; near it: reviews
default/productpage → http://review:9080/                                                   world 42

default/productpage
  from      pod with a fairlead sidecar                                                           42
            10.244.1.3 on node1
            Pod default/productpage (shop.yaml:54)
  name      review is no name that the node's DNS knows                                           42
            NXDOMAIN: there is no service 'review' in namespace default
            NXDOMAIN: there is no namespace 'review'
            NXDOMAIN: there is nothing of the name review.cluster.local
            REFUSED: review is no name of this cluster, and nobody outside is asked
            ends here
)");
}

std::size_t columns(const std::string& line) {
  std::size_t count = 0;
  for (const char letter : line) {
    if ((static_cast<unsigned char>(letter) & 0xC0U) != 0x80U) ++count;
  }
  return count;
}

TEST(Render, NoLineIsWiderThanAsked) {
  for (const std::size_t width : {100U, 80U}) {
    for (const char* to : {"http://reviews:9080/", "http://reviews:9999/", "ratings:7000"}) {
      const std::string text =
          render(path_in(world_from(shop()), "productpage", to), {.width = width});
      std::size_t at = 0;
      while (at < text.size()) {
        const std::size_t end = text.find('\n', at);
        const std::string line = text.substr(at, end - at);
        EXPECT_LE(columns(line), width) << line;
        at = end + 1;
      }
    }
  }
}

TEST(Render, ColourIsOnlyAdded) {
  const Path path = path_in(world_from(shop()), "productpage", "http://reviews:9080/");
  std::string plain;
  bool escape = false;
  for (const char letter : render(path, {.colour = true})) {
    if (letter == '\x1b') escape = true;
    if (!escape) plain += letter;
    if (letter == 'm') escape = false;
  }
  EXPECT_EQ(plain, render(path, {}));
  EXPECT_EQ(render(path, {}).find('\x1b'), std::string::npos);
}

TEST(Json, SaysTheSame) {
  const Path path = path_in(world_from(shop()), "productpage", "http://reviews:9080/");
  const auto json = nlohmann::json::parse(render_json(path));
  EXPECT_EQ(json["verdict"], "arrives");
  EXPECT_EQ(json["from"], "default/productpage");
  EXPECT_EQ(json["scheme"], "http");
  EXPECT_EQ(json["world"], "42");
  EXPECT_EQ(json["hops"].size(), path.hops.size());
  EXPECT_EQ(json["branches"].size(), 2U);
  EXPECT_EQ(json["branches"][0]["share"], 0.5);
  const auto& capture = json["hops"][2];
  EXPECT_EQ(capture["stage"], "capture");
  EXPECT_EQ(capture["rules"][1]["table"], "inet fairlead-capture");
  EXPECT_EQ(capture["rules"][1]["text"], "meta l4proto tcp redirect to :15001");
  const auto& endpoint = json["hops"][7];
  EXPECT_EQ(endpoint["refused"][0]["why"], "not ready");
  EXPECT_EQ(endpoint["refused"][0]["object"]["file"], "shop.yaml");
  EXPECT_EQ(endpoint["object"]["kind"], "Service");
  EXPECT_FALSE(json.contains("evidence"));
}

TEST(Json, OfWhatDoesNotArrive) {
  const Path path = path_in(world_from(shop()), "productpage", "http://empty:9081/");
  const auto json = nlohmann::json::parse(render_json(path));
  EXPECT_EQ(json["verdict"], "does not arrive");
  EXPECT_EQ(json["cause"], path.failure);
  EXPECT_TRUE(json["branches"].empty());
}

}  // namespace
}  // namespace fairlead::explain
