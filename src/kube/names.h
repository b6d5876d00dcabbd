// What may be a name: Kubernetes' own rules, each with the words that say what was expected.
#pragma once

#include <string_view>

namespace fairlead::kube {

struct Rule {
  bool (*holds)(std::string_view text);
  const char* expected;  // "a DNS label (…)", to follow "expected"
};

extern const Rule dns_label;        // RFC 1123: a-z, 0-9, '-', at most 63
extern const Rule dns_name;         // labels joined by dots, at most 253
extern const Rule service_label;    // a DNS label that starts with a letter (RFC 1035)
extern const Rule label_key;        // [PREFIX/]NAME, as keys of labels and annotations
extern const Rule label_value;      // empty, or as the NAME of a key
extern const Rule port_name;        // of a container's port: at most 15, at least one letter
extern const Rule variable_name;    // of the environment
extern const Rule path_inside;      // of a file in a volume: it stays there
extern const Rule file_key;         // of a ConfigMap or a Secret
extern const Rule absolute_path;    // starts with '/'
extern const Rule field_path;       // of fieldRef: the fields of a pod that are served
extern const Rule host_or_pattern;  // a DNS name, or one behind "*."
extern const Rule not_empty;

}  // namespace fairlead::kube
