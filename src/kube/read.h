// From documents to Kubernetes' objects. Strict where Kubernetes' API server is strict, and never
// silent: what is not honoured is listed.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/lifetime.h"
#include "base/origin.h"
#include "base/result.h"
#include "document/document.h"
#include "kube/objects.h"

namespace fairlead::kube {

inline constexpr const char* origin_annotation = "fairlead/origin";
// An object's Origin, encoded, in what write() makes. read() takes it from there when it is there;
// else from the object's own place in its file.

// A kind or a field that was given and is not honoured.
struct Ignored {
  Origin origin;       // the object, with the line of the field
  std::string field;   // "spec.sessionAffinity"; empty when the whole object is ignored
  std::string reason;  // "unknown field", or why: "images are not pulled"
  bool operator==(const Ignored&) const = default;

  [[nodiscard]] std::string describe() const;
  // "Service default/reviews (shop.yaml:31): spec.sessionAffinity: REASON"
};

struct Reading {
  Objects objects;
  std::vector<Ignored> ignored;  // in the order met
};

[[nodiscard]] Result<Reading> read(const std::vector<document::Document>& documents);
// All objects of all documents, `kind: List` unfolded, in the order met within each kind. Refused
// with file, line, field and what was expected: the first value that Kubernetes would refuse, and
// an object named twice (both places are said).

[[nodiscard]] Reading read(const std::vector<document::Document>& documents,
                           std::vector<Fault>& faults);
// The same with all that faults_of() gives. Without any, the reading is whole.

[[nodiscard]] std::vector<Fault> faults_of(const std::vector<document::Document>& documents);
// The first fault of each broken object, in the order met: what a person wants to see at once.
// Empty when read() succeeds.

void for_each_object(const Objects& objects,
                     const std::function<void(const char* kind, const Metadata& object)>& visit);
// Kind by kind, each in its order.

// Readings of one file each, put together for as long as this lives: what read() would give for the
// documents of all, in this order, without reading any again.
class Joined {
 public:
  explicit Joined(std::vector<Reading*> readings);
  // Moves their objects here.
  ~Joined();
  // Gives each its own back.
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;

  [[nodiscard]] const Objects& objects() const LIFETIMEBOUND { return all_; }
  [[nodiscard]] bool unique() const;
  // Whether no object is named in two of them. read() says where.

 private:
  std::vector<Reading*> readings_;
  std::vector<std::vector<std::size_t>> sizes_;  // of each reading's lists
  Objects all_;
};

}  // namespace fairlead::kube
