#include "lab/app/request_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/split.h"
#include "http/validate.h"

namespace fairlead::lab::app {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decoded(std::string_view text) {
  std::string made;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int high = text[at] == '%' && at + 2 < text.size() ? hex_value(text[at + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[at + 2]) : -1;
    if (low >= 0) {
      made += static_cast<char>(high * 16 + low);
      at += 2;
    } else {
      made += text[at] == '+' ? ' ' : text[at];
    }
  }
  return made;
}

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0)) return {};
  return value;
}

std::optional<Duration> duration_of(std::string_view text) {
  double scale = 1;
  if (text.ends_with("ms")) {
    scale = 0.001;
    text.remove_suffix(2);
  } else if (text.ends_with('s')) {
    text.remove_suffix(1);
  } else if (text.ends_with('m')) {
    scale = 60;
    text.remove_suffix(1);
  }
  constexpr double longest = 24.0 * 3600;
  const std::optional<double> seconds = number_of(text);
  if (!seconds || *seconds * scale > longest) return {};
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*seconds * scale));
}

Fault unclear(std::string_view name, std::string_view value, std::string_view expected) {
  return invalid(fmt::format("the parameter {} is {}; expected is {}", name, http::printable(value),
                             expected));
}

Fault unclear_variable(const char* name, std::string_view value, std::string_view expected) {
  return invalid(
      fmt::format("the variable {} is {}; expected is {}", name, http::printable(value), expected));
}

// "A:1,B:2" as one call, which asks for the next.
std::string call_of_chain(std::string_view chain) {
  const std::size_t comma = std::min(chain.find(','), chain.size());
  std::string call = fmt::format("http://{}/", chain.substr(0, comma));
  if (comma < chain.size()) call += fmt::format("?chain={}", chain.substr(comma + 1));
  return call;
}

Result<> take(RequestSpec& spec, std::string_view name, const std::string& value) {
  if (name == "call") {
    spec.calls_said = true;
    if (value != "none") spec.calls.push_back(value);
  } else if (name == "chain") {
    spec.calls_said = true;
    if (!value.empty()) spec.calls.push_back(call_of_chain(value));
  } else if (name == "delay") {
    const std::optional<Duration> delay = duration_of(value);
    if (!delay) return unclear(name, value, "a time like 250ms or 2s, of at most a day");
    spec.delay = *delay;
  } else if (name == "fail") {
    const std::optional<double> share = number_of(value);
    if (!share || *share > 1) return unclear(name, value, "a share between 0 and 1");
    spec.fail = *share;
  } else if (name == "status") {
    const std::optional<std::uint64_t> status = http::parse_decimal(value);
    if (!status || *status < 200 || *status > 599) {
      return unclear(name, value, "a status between 200 and 599");
    }
    spec.status = static_cast<std::uint16_t>(*status);
  } else if (name == "bytes") {
    spec.bytes = http::parse_decimal(value);
    if (!spec.bytes) return unclear(name, value, "a number of bytes");
  } else if (name == "chunked") {
    spec.chunked = value != "0";
  }
  return done();
}

bool is_version(std::string_view word) {
  return word.size() > 1 && word.front() == 'v' &&
         std::all_of(word.begin() + 1, word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void guess_from_name(AppSettings& settings) {
  std::string service;
  for (const std::string_view word : split(settings.pod, '-')) {
    if (is_version(word)) {
      if (settings.version.empty()) settings.version = word;
      break;
    }
    service += (service.empty() ? "" : "-") + std::string(word);
  }
  if (settings.version.empty()) service = settings.pod.substr(0, settings.pod.find('-'));
  if (settings.service.empty()) settings.service = service;
}

std::vector<std::string> calls_of(const std::string& service, const std::string& version) {
  if (service == "productpage") {
    return {"http://details:9080/details/0", "http://reviews:9080/reviews/0"};
  }
  if (service == "reviews" && is_version(version) && version != "v1") {
    return {"http://ratings:9080/ratings/0"};
  }
  return {};
}

// The URLs of APP_CALLS.
Result<std::vector<std::string>> calls_in(const std::string& variable) {
  std::vector<std::string> calls;
  for (const std::string_view call : split(variable, ' ')) {
    if (call.empty()) continue;
    if (const Result<CallTarget> target = target_of(call); !target) {
      return unclear_variable("APP_CALLS", variable,
                              "a list of URLs like http://ratings:9080/, with blanks between: " +
                                  target.fault().describe());
    }
    calls.emplace_back(call);
  }
  return calls;
}

Result<std::vector<std::uint16_t>> ports_in(const std::string& variable) {
  if (variable.empty()) return std::vector<std::uint16_t>();
  const std::optional<std::uint64_t> port = http::parse_decimal(variable);
  if (port && *port <= std::numeric_limits<std::uint16_t>::max()) {
    return std::vector{static_cast<std::uint16_t>(*port)};
  }
  return unclear_variable("PORT", variable, "a port from 1 to 65535, or 0 for a free one");
}

}  // namespace

Result<AppSettings> settings_from(const Environment& environment) {
  const auto value = [&](const char* name) { return environment(name).value_or(""); };
  AppSettings settings;
  settings.service = value("APP_NAME");
  settings.version = value("APP_VERSION");
  settings.pod = value("POD_NAME");
  if (settings.pod.empty()) settings.pod = value("HOSTNAME");
  settings.name_space = value("POD_NAMESPACE");
  guess_from_name(settings);
  if (const std::optional<std::string> calls = environment("APP_CALLS")) {
    Result<std::vector<std::string>> urls = calls_in(*calls);
    if (!urls) return std::move(urls).fault();
    settings.calls = std::move(*urls);
  } else {
    settings.calls = calls_of(settings.service, settings.version);
  }
  Result<std::vector<std::uint16_t>> ports = ports_in(value("PORT"));
  if (!ports) return std::move(ports).fault();
  settings.ports = std::move(*ports);
  return settings;
}

Result<RequestSpec> request_spec_from(std::string_view query) {
  RequestSpec spec;
  for (const std::string_view pair : split(query, '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string value = decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (Result<> taken = take(spec, pair.substr(0, equals), value); !taken) {
      return std::move(taken).fault();
    }
  }
  return spec;
}

Result<CallTarget> target_of(std::string_view url) {
  constexpr std::string_view scheme = "http://";
  std::string_view rest = url;
  if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  const std::size_t slash = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view named = rest.substr(0, slash);
  const std::optional<http::Authority> authority = http::parse_authority(named);
  if (!authority) return invalid("no host to call in " + http::printable(url));
  std::string_view host = authority->host;
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  CallTarget target{.host = std::string(host),
                    .port = authority->port.value_or(80),
                    .authority = std::string(named)};
  const std::string_view path = rest.substr(slash);
  if (rest.size() == url.size() && named.ends_with(':')) {
    return invalid("only http is called, not " + http::printable(url));
  }
  if (!path.empty()) target.path = (path.front() == '?' ? "/" : "") + std::string(path);
  if (!http::is_target(target.path)) return invalid("no path to call in " + http::printable(url));
  return target;
}

bool is_passed_on(std::string_view field) {
  constexpr std::array<std::string_view, 14> fields{
      "x-request-id", "traceparent",  "tracestate",        "baggage",
      "b3",           "x-b3-traceid", "x-b3-spanid",       "x-b3-parentspanid",
      "x-b3-sampled", "x-b3-flags",   "x-ot-span-context", "x-cloud-trace-context",
      "end-user",     "authorization"};
  return std::find(fields.begin(), fields.end(), field) != fields.end();
}

}  // namespace fairlead::lab::app
