// The fields of a message's head or trailer section (RFC 9110 §5): in order, names compared without
// regard to case, repeated names kept apart. A field is two views; whose bytes they are is said by
// the way in which it was added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/lifetime.h"

namespace fairlead::http {

// Names that the proxy itself acts on, so that looking one up compares a byte.
enum class FieldName : std::uint8_t {
  other,
  connection,
  content_length,
  expect,
  host,
  http2_settings,
  keep_alive,
  proxy_connection,
  te,
  trailer,
  transfer_encoding,
  upgrade,
  user_agent,
  x_envoy_original_path,
  x_envoy_peer_metadata,
  x_envoy_peer_metadata_id,
  x_envoy_upstream_service_time,
  x_fairlead_undelivered,
  x_forwarded_client_cert,
  x_forwarded_for,
  x_forwarded_proto,
  x_request_id,
  server,
  date,
  grpc_status,
};
static_assert(static_cast<unsigned>(FieldName::grpc_status) < 32);  // for FieldNames

// A set of them.
class FieldNames {
 public:
  constexpr FieldNames() = default;
  constexpr FieldNames(FieldName name) : bits_(1U << static_cast<unsigned>(name)) {}

  constexpr FieldNames& operator|=(FieldNames other) {
    bits_ |= other.bits_;
    return *this;
  }
  [[nodiscard]] constexpr FieldNames without(FieldNames other) const {
    return {bits_ & ~other.bits_};
  }
  [[nodiscard]] constexpr bool meets(FieldNames other) const { return (bits_ & other.bits_) != 0; }

 private:
  constexpr FieldNames(std::uint32_t bits) : bits_(bits) {}
  std::uint32_t bits_ = 0;
};
constexpr FieldNames operator|(FieldNames left, FieldNames right) {
  return left |= right;
}
constexpr FieldNames operator|(FieldName left, FieldName right) {
  return FieldNames(left) | FieldNames(right);
}

[[nodiscard]] FieldName field_name(std::string_view name);
// `other` for what is not listed. Without regard to case; `name` is a token.

[[nodiscard]] bool same_name(std::string_view left, std::string_view right);
// ASCII without regard to case.

struct Field {
  std::string_view name;
  std::string_view value;
  FieldName known = FieldName::other;
};

class Fields {
 public:
  Fields() = default;
  Fields(Fields&&) noexcept = default;
  Fields& operator=(Fields&&) noexcept = default;
  // Moving leaves every view good, of fields and of kept text alike. Copying would not: see
  // clone().
  [[nodiscard]] Fields clone() const;
  // Owns all of its bytes.

  void add(std::string_view name, std::string_view value);
  // At the end. Views only: the caller's bytes must live as long as these fields.
  void add(const Field& field) {
    fields_.push_back(field);
    names_ |= field.known;
  }
  void rebase(const char* from, const char* to);
  // All names and values are views into bytes at `from`, of which `to` has a copy: into that now.
  void add_copy(std::string_view name, std::string_view value);
  // The same, with bytes of our own.
  void set(const Field& field) {
    if (has(field.known)) {
      replace(field);
    } else {
      add(field);
    }
  }
  // Of a name that is known. In the place of the first of this name, or at the end; others of this
  // name go.
  void set_copy(std::string_view name, std::string_view value);
  // The same, with bytes of our own, of any name.
  std::size_t remove(std::string_view name);
  std::size_t remove(FieldNames names) { return has(names) ? remove_all(names) : 0; }
  // How many there were.
  template <class Unwanted>
  void remove_if(Unwanted unwanted);
  // `unwanted` may look at these fields: it is asked about all before one goes.
  void clear();
  // Also forgets kept text. Memory stays, for the next message.
  void release();
  // clear(), and memory goes too.

  std::string_view keep(std::string_view text) LIFETIMEBOUND;
  // A copy of `text` that lives until clear(), release() or the end of these fields.
  char* keep_space(std::size_t size) LIFETIMEBOUND;
  // Room for so many bytes, that live as long.

  [[nodiscard]] const Field* find(std::string_view name) const LIFETIMEBOUND;
  [[nodiscard]] const Field* find(FieldName name) const LIFETIMEBOUND;
  // The first; null when there is none. Good until the fields change.
  [[nodiscard]] std::string_view value(std::string_view name) const;
  [[nodiscard]] std::string_view value(FieldName name) const;
  // Of the first; empty when there is none.
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] bool has(FieldNames names) const { return names_.meets(names); }
  // Any of them.

  [[nodiscard]] std::size_t size() const { return fields_.size(); }
  [[nodiscard]] bool empty() const { return fields_.empty(); }
  [[nodiscard]] const Field& operator[](std::size_t at) const LIFETIMEBOUND { return fields_[at]; }
  [[nodiscard]] const Field* begin() const LIFETIMEBOUND { return fields_.data(); }
  [[nodiscard]] const Field* end() const LIFETIMEBOUND { return fields_.data() + fields_.size(); }

 private:
  void replace(const Field& field);
  std::size_t remove_all(FieldNames names);
  struct Chunk {
    std::unique_ptr<char[]> bytes;
    std::size_t size = 0;
  };
  std::vector<Field> fields_;
  FieldNames names_;           // that the fields have: most look-ups are of what is not there
  std::vector<Chunk> chunks_;  // text fills the last one
  std::size_t used_ = 0;       // of the last chunk
};

template <class Unwanted>
void Fields::remove_if(Unwanted unwanted) {
  std::vector<Field> kept;
  for (const Field& field : fields_) {
    if (!unwanted(field)) kept.push_back(field);
  }
  names_ = {};
  for (const Field& field : kept) names_ |= field.known;
  fields_.swap(kept);
}

}  // namespace fairlead::http
