#include "xds/effects.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "xds/envoy_fields.h"
#include "xds/wire.h"

namespace fairlead::xds {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FileDescriptor;
using testing::AllOf;
using testing::Contains;
using testing::Not;

// Every message of our protos, found through the files that lead to all of them.
std::vector<const Descriptor*> our_messages() {
  std::set<const FileDescriptor*> files;
  const std::function<void(const FileDescriptor*)> reach = [&](const FileDescriptor* file) {
    if (file->package() == "google.protobuf" || !files.insert(file).second) return;
    for (int i = 0; i < file->dependency_count(); ++i) reach(file->dependency(i));
  };
  for (const Descriptor* root : {wire::boot::Bootstrap::descriptor(),
                                 wire::discovery::DiscoveryRequest::descriptor(),
                                 wire::http::HttpConnectionManager::descriptor(),
                                 wire::tcp::TcpProxy::descriptor(),
                                 wire::file_log::FileAccessLog::descriptor(),
                                 wire::stream_log::StdoutAccessLog::descriptor(),
                                 wire::http_options::HttpProtocolOptions::descriptor(),
                                 wire::RBAC::descriptor(),
                                 wire::Router::descriptor(),
                                 wire::HTTPFault::descriptor(),
                                 wire::Cors::descriptor(),
                                 wire::TlsInspector::descriptor(),
                                 wire::HttpInspector::descriptor(),
                                 wire::OriginalDst::descriptor(),
                                 wire::UuidRequestIdConfig::descriptor(),
                                 wire::DownstreamConnectionsConfig::descriptor(),
                                 wire::UdpaTypedStruct::descriptor(),
                                 wire::XdsTypedStruct::descriptor(),
                                 wire::RawBuffer::descriptor(),
                                 wire::PreviousHostsPredicate::descriptor()}) {
    reach(root->file());
  }
  std::vector<const Descriptor*> messages;
  const std::function<void(const Descriptor*)> add = [&](const Descriptor* message) {
    if (message->options().map_entry()) return;
    messages.push_back(message);
    for (int i = 0; i < message->nested_type_count(); ++i) add(message->nested_type(i));
  };
  for (const FileDescriptor* file : files) {
    for (int i = 0; i < file->message_type_count(); ++i) add(file->message_type(i));
  }
  return messages;
}

TEST(Effects, EveryFieldOfOurMessagesHasOne) {
  const std::vector<const Descriptor*> messages = our_messages();
  EXPECT_GT(messages.size(), 90U);
  for (const Descriptor* message : messages) {
    for (int i = 0; i < message->field_count(); ++i) {
      EXPECT_TRUE(effect_of(*message, message->field(i)->name()))
          << message->full_name() << "." << message->field(i)->name()
          << " is in none of the options protects, decides, observes, tunes of its message";
    }
  }
}

TEST(Effects, EveryFieldThatEnvoyHasInOurMessagesHasOneByTheSameNumber) {
  for (const Descriptor* message : our_messages()) {
    for (const std::string& name : envoy_field_names(message->full_name())) {
      const int number = envoy_field(message->full_name(), name)->number;
      const auto* ours = message->FindFieldByName(name);
      const auto effect = effect_of(*message, name);
      EXPECT_TRUE(effect) << message->full_name() << "." << name << "=" << number;
      if (ours != nullptr) EXPECT_EQ(ours->number(), number) << ours->full_name();
      if (effect && ours == nullptr) EXPECT_EQ(effect->number, number) << name;
    }
  }
}

TEST(Effects, NoFieldHasTwo) {
  for (const Descriptor* message : our_messages()) {
    std::vector<std::string> names = field_names(*message);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end()) << message->full_name();
    for (const std::string& name : names) {
      const auto effect = effect_of(*message, name);
      EXPECT_EQ(effect->number == 0, message->FindFieldByName(name) != nullptr)
          << message->full_name() << "." << name;
    }
  }
}

TEST(Effects, ATypeThatNobodyHasJudgedProtects) {
  EXPECT_EQ(effect_of_type("type.googleapis.com/some.new.Filter"), Effect::protects);
  EXPECT_EQ(effect_of_type("envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"),
            Effect::protects);
  EXPECT_EQ(effect_of_type("type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"),
            Effect::decides);
  EXPECT_EQ(effect_of_type("envoy.config.trace.v3.ZipkinConfig"), Effect::observes);
  wire::UdpaTypedStruct wrapped;
  wrapped.set_type_url("type.googleapis.com/stats.PluginConfig");
  wire::Any any;
  any.PackFrom(wrapped);
  EXPECT_EQ(effect_of_any(any), Effect::observes);
  wrapped.set_type_url("type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC");
  any.PackFrom(wrapped);
  EXPECT_EQ(effect_of_any(any), Effect::protects);
}

TEST(EnvoyFields, TellWhatEnvoyHas) {
  const std::string cluster = "envoy.config.cluster.v3.Cluster";
  EXPECT_TRUE(is_envoys_message(cluster));
  EXPECT_FALSE(is_envoys_message("envoy.config.cluster.v3.Clust"));
  EXPECT_EQ(envoy_field(cluster, "outlier_detection")->number, 19);
  EXPECT_EQ(envoy_field(cluster, 19)->type, "envoy.config.cluster.v3.OutlierDetection");
  EXPECT_EQ(envoy_field(cluster, "wait_for_warm_on_init")->type, "google.protobuf.BoolValue");
  EXPECT_EQ(envoy_field("envoy.config.route.v3.VirtualHost", "require_tls")->zero, "NONE");
  EXPECT_TRUE(envoy_field(cluster, "health_checks")->repeated);
  EXPECT_FALSE(envoy_field(cluster, "outlier_detektion"));
  EXPECT_THAT(envoy_field_names(cluster), AllOf(Contains("name"), Not(Contains("nam"))));
}

}  // namespace
}  // namespace fairlead::xds
