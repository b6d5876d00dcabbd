#include "proxy/flags.h"

#include <array>

namespace fairlead::proxy {
namespace {

struct Words {
  Flag flag;
  const char* brief;
  const char* full;
};

constexpr std::array<Words, 17> flag_words{{
    {Flag::no_healthy_upstream, "UH", "NoHealthyUpstream"},
    {Flag::upstream_connection_failure, "UF", "UpstreamConnectionFailure"},
    {Flag::upstream_overflow, "UO", "UpstreamOverflow"},
    {Flag::no_route_found, "NR", "NoRouteFound"},
    {Flag::upstream_retry_limit_exceeded, "URX", "UpstreamRetryLimitExceeded"},
    {Flag::no_cluster_found, "NC", "NoClusterFound"},
    {Flag::downstream_connection_termination, "DC", "DownstreamConnectionTermination"},
    {Flag::upstream_request_timeout, "UT", "UpstreamRequestTimeout"},
    {Flag::upstream_remote_reset, "UR", "UpstreamRemoteReset"},
    {Flag::upstream_connection_termination, "UC", "UpstreamConnectionTermination"},
    {Flag::duration_timeout, "DT", "DurationTimeout"},
    {Flag::stream_idle_timeout, "SI", "StreamIdleTimeout"},
    {Flag::downstream_protocol_error, "DPE", "DownstreamProtocolError"},
    {Flag::upstream_protocol_error, "UPE", "UpstreamProtocolError"},
    {Flag::local_reset, "LR", "LocalReset"},
    {Flag::overload, "OM", "OverloadManagerTerminated"},
    {Flag::protection_not_enforced, "PNE", "ProtectionNotEnforced"},
}};

void append(std::string& out, Flag flags, const char* Words::* form) {
  if (flags == Flag::none) {
    out += '-';
    return;
  }
  bool first = true;
  for (const Words& one : flag_words) {
    if (!has(flags, one.flag)) continue;
    if (!first) out += ',';
    out += one.*form;
    first = false;
  }
}

}  // namespace

void append_short(std::string& out, Flag flags) {
  append(out, flags, &Words::brief);
}

void append_long(std::string& out, Flag flags) {
  append(out, flags, &Words::full);
}

}  // namespace fairlead::proxy
