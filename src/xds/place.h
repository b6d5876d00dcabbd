// Where in a resource a reader stands, and what it found there that is not honoured. For this room
// alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "base/lifetime.h"
#include "base/result.h"
#include "config/snapshot.h"
#include "document/document.h"

namespace google::protobuf {
class Descriptor;
class Message;
}  // namespace google::protobuf

namespace fairlead::xds {

// What was found in one resource.
class Report {
 public:
  Report() = default;
  explicit Report(document::Node root) : root_(std::move(root)) {}
  // With the text that the resource was read from, so that places are lines of it.

  void name(std::string resource) { resource_ = std::move(resource); }
  // "Listener virtualOutbound"
  struct Note {
    std::string path;
    std::string what;  // empty: the field as such
    Effect effect = Effect::protects;
    bool unknown = false;                       // Envoy has no such field
    bool claimed = false;                       // a part is closed for it
    [[nodiscard]] config::Closed told() const;  // "filters[0]: envoy.filters.network.rbac"
  };
  void note(Note note);
  void take_back(const std::string& path);
  [[nodiscard]] Fault refused(const std::string& path, std::string_view why);
  // "Listener a: filter_chains[0]: WHY", or "FILE:LINE: filter_chains[0]: WHY". It is kept among
  // the faults.
  void keep(const document::Node& node, const Fault& fault);
  // What a value of the text is refused for, among the faults.
  [[nodiscard]] const std::vector<Diagnostic>& faults() const LIFETIMEBOUND { return faults_; }
  // In the order in which they were found.
  [[nodiscard]] config::Closed claim(const std::string& path);
  // As Place::claim().

  [[nodiscard]] const std::vector<Note>& notes() const LIFETIMEBOUND { return notes_; }
  [[nodiscard]] std::vector<config::Unhonoured> unhonoured() const;

 private:
  [[nodiscard]] Origin origin_of(const std::string& path) const;

  std::vector<Diagnostic> faults_;
  std::string resource_;
  document::Node root_;  // absent when there is no text
  std::vector<Note> notes_;
};

// A frame for each message on the way down; a path is made only when somebody asks.
class Place {
 public:
  explicit Place(Report& report LIFETIMEBOUND) : report_(&report) {}
  [[nodiscard]] Place in(std::string_view field) const LIFETIMEBOUND {
    return {*report_, this, field, -1};
  }
  [[nodiscard]] Place in(std::string_view field, int position) const LIFETIMEBOUND {
    return {*report_, this, field, position};
  }

  [[nodiscard]] std::string path() const;
  [[nodiscard]] Fault refused(std::string_view why) const;
  [[nodiscard]] Report& report() const { return *report_; }
  void note(std::string_view what = {}) const;
  void note(std::string_view what, Effect effect) const;
  // What is here is not honoured. `effect`: what it would do; else what the proto says of the
  // field.
  void note_nobodys(std::string_view what) const;
  // What is here is no field of Envoy's.
  void holds(const google::protobuf::Descriptor& type) const { type_ = &type; }
  // A message of that type is here, and the classes of its fields are in its proto.
  void take_back_note() const;
  // What is here is honoured after all.
  void note_unknown(const google::protobuf::Message& message) const;
  // Everything in `message` and below it that is not in our subset and not inert. What an Any holds
  // is for whoever unpacks it.
  [[nodiscard]] config::Closed claim() const;
  // What protects and is not honoured here or below, unless a part within closes for it already:
  // the first of it, as what the part here is closed for. Empty: none.
  [[nodiscard]] config::Closed close(std::string_view what) const;
  // What is here cannot be had, and so nothing may pass: noted, and what the part is closed for.
  [[nodiscard]] bool has_notes_below() const;
  // Whether something in what is here was noted before.

 private:
  Place(Report& report, const Place* above, std::string_view field, int position)
      : report_(&report), above_(above), field_(field), position_(position) {}

  [[nodiscard]] const google::protobuf::Descriptor* type() const;
  [[nodiscard]] Effect effect() const;

  Report* report_;
  mutable const google::protobuf::Descriptor* type_ = nullptr;
  const Place* above_ = nullptr;
  std::string_view field_;
  int position_ = -1;
};

}  // namespace fairlead::xds
