#include "kube/names.h"

#include <algorithm>
#include <array>

namespace fairlead::kube {
namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}
bool is_alphanumeric(char c) {
  return is_letter(c) || is_digit(c);
}

bool all(std::string_view text, bool (*each)(char)) {
  return std::all_of(text.begin(), text.end(), each);
}

bool is_dns_label(std::string_view text) {
  const auto allowed = [](char c) { return is_lower(c) || is_digit(c) || c == '-'; };
  return !text.empty() && text.size() <= 63 && all(text, allowed) && text.front() != '-' &&
         text.back() != '-';
}

bool is_dns_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    const std::size_t dot = text.find('.');
    if (!is_dns_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_service_label(std::string_view text) {
  return is_dns_label(text) && is_lower(text.front());
}

bool is_label_name(std::string_view text) {
  const auto allowed = [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= 63 && all(text, allowed) &&
         is_alphanumeric(text.front()) && is_alphanumeric(text.back());
}

bool is_label_key(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return is_label_name(text);
  return is_dns_name(text.substr(0, slash)) && is_label_name(text.substr(slash + 1));
}

bool is_label_value(std::string_view text) {
  return text.empty() || is_label_name(text);
}

bool is_port_name(std::string_view text) {
  return text.size() <= 15 && is_dns_label(text) && text.find("--") == std::string_view::npos &&
         std::any_of(text.begin(), text.end(), is_lower);
}

bool is_variable_name(std::string_view text) {
  // Any printable character but '=', as Kubernetes takes since 1.30.
  const auto allowed = [](char c) { return c >= ' ' && c < 0x7f && c != '='; };
  return !text.empty() && all(text, allowed);
}

bool is_path_inside(std::string_view text) {
  if (text.empty() || text.front() == '/' || text.starts_with("..")) return false;
  while (!text.empty()) {
    const std::size_t slash = std::min(text.find('/'), text.size());
    if (text.substr(0, slash) == "..") return false;
    text.remove_prefix(std::min(slash + 1, text.size()));
  }
  return true;
}

bool is_file_key(std::string_view text) {
  const auto allowed = [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= 253 && all(text, allowed) && text != "." &&
         text.substr(0, 2) != "..";
}

bool is_absolute_path(std::string_view text) {
  return !text.empty() && text.front() == '/';
}

bool is_field_path(std::string_view text) {
  constexpr std::array<std::string_view, 9> served = {
      "metadata.name",  "metadata.namespace",      "metadata.uid", "spec.nodeName", "status.hostIP",
      "status.hostIPs", "spec.serviceAccountName", "status.podIP", "status.podIPs"};
  if (std::find(served.begin(), served.end(), text) != served.end()) return true;
  for (const std::string_view map : {"metadata.labels", "metadata.annotations"}) {
    if (text.substr(0, map.size()) != map) continue;
    const std::string_view rest = text.substr(map.size());
    if (rest.empty()) return true;  // all of them, in a downward API volume
    return rest.size() > 4 && rest.substr(0, 2) == "['" && rest.substr(rest.size() - 2) == "']" &&
           is_label_key(rest.substr(2, rest.size() - 4));
  }
  return false;
}

bool is_host_or_pattern(std::string_view text) {
  if (text == "*") return true;
  if (text.substr(0, 2) == "*.") text.remove_prefix(2);
  return is_dns_name(text);
}

bool is_not_empty(std::string_view text) {
  return !text.empty();
}

}  // namespace

const Rule dns_label = {is_dns_label,
                        "a DNS label (a-z, 0-9 and '-', at most 63, no '-' at the ends)"};
const Rule dns_name = {is_dns_name,
                       "a DNS name (labels of a-z, 0-9 and '-', joined by dots, at most 253)"};
const Rule service_label = {is_service_label,
                            "a DNS label that starts with a letter (a-z, 0-9 and '-', at most 63)"};
const Rule label_key = {
    is_label_key,
    "a label's key ([PREFIX/]NAME, NAME of letters, digits, '-', '_' and '.', at most 63)"};
const Rule label_value = {is_label_value,
                          "a label's value (letters, digits, '-', '_' and '.', at most 63)"};
const Rule port_name = {is_port_name,
                        "a port's name (a-z, 0-9 and '-', at most 15, at least one letter)"};
const Rule variable_name = {is_variable_name, "a variable's name (printable, without '=')"};
const Rule path_inside = {is_path_inside, "a relative path without '..'"};
const Rule file_key = {is_file_key, "a key (letters, digits, '-', '_' and '.', at most 253)"};
const Rule absolute_path = {is_absolute_path, "an absolute path"};
const Rule field_path = {is_field_path,
                         "a field of the pod (metadata.name, metadata.namespace, metadata.uid, "
                         "metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, "
                         "spec.serviceAccountName, status.hostIP, status.podIP, status.hostIPs, "
                         "status.podIPs)"};
const Rule host_or_pattern = {is_host_or_pattern, "a host name, or one behind '*.'"};
const Rule not_empty = {is_not_empty, "a string that is not empty"};

}  // namespace fairlead::kube
