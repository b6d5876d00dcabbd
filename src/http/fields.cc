#include "http/fields.h"

#include <algorithm>
#include <cstring>

namespace fairlead::http {
namespace {

constexpr std::size_t first_chunk = 1024;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

// `text` is made of lower-case letters, digits and '-', and `name` is a token of the same size:
// then a byte with bit 5 set is that of `text` only if it is the same letter, digit or '-'.
// Word by word, and the last word overlaps the one before it.
bool same_word(std::string_view name, std::string_view text) {
  const auto same = [&]<class Word>(std::size_t at, Word low) {
    Word left = 0;
    Word right = 0;
    std::memcpy(&left, name.data() + at, sizeof(Word));
    std::memcpy(&right, text.data() + at, sizeof(Word));
    return (left | low) == right;
  };
  constexpr std::uint64_t low = 0x2020202020202020U;
  const std::size_t size = text.size();
  if (size >= sizeof(low)) {
    for (std::size_t at = 0; at + sizeof(low) < size; at += sizeof(low)) {
      if (!same(at, low)) return false;
    }
    return same(size - sizeof(low), low);
  }
  if (size >= sizeof(std::uint32_t)) {
    return same(0, std::uint32_t{0x20202020}) &&
           same(size - sizeof(std::uint32_t), std::uint32_t{0x20202020});
  }
  return same(0, std::uint16_t{0x2020});  // "te"
}

FieldName either(std::string_view name, std::string_view text, FieldName known) {
  return name.size() == text.size() && same_word(name, text) ? known : FieldName::other;
}

FieldName by_initial(std::string_view name) {
  switch (lower(name.front())) {
    case 'c':
      return name.size() == 10 ? either(name, "connection", FieldName::connection)
                               : either(name, "content-length", FieldName::content_length);
    case 'd':
      return either(name, "date", FieldName::date);
    case 'e':
      return either(name, "expect", FieldName::expect);
    case 'g':
      return either(name, "grpc-status", FieldName::grpc_status);
    case 'h':
      return name.size() == 4 ? either(name, "host", FieldName::host)
                              : either(name, "http2-settings", FieldName::http2_settings);
    case 'k':
      return either(name, "keep-alive", FieldName::keep_alive);
    case 'p':
      return either(name, "proxy-connection", FieldName::proxy_connection);
    case 's':
      return either(name, "server", FieldName::server);
    case 't':
      switch (name.size()) {
        case 2:
          return either(name, "te", FieldName::te);
        case 7:
          return either(name, "trailer", FieldName::trailer);
        default:
          return either(name, "transfer-encoding", FieldName::transfer_encoding);
      }
    case 'u':
      return name.size() == 7 ? either(name, "upgrade", FieldName::upgrade)
                              : either(name, "user-agent", FieldName::user_agent);
    case 'x':
      switch (name.size()) {
        case 12:
          return either(name, "x-request-id", FieldName::x_request_id);
        case 15:
          return either(name, "x-forwarded-for", FieldName::x_forwarded_for);
        case 17:
          return either(name, "x-forwarded-proto", FieldName::x_forwarded_proto);
        case 21:
          return lower(name[8]) == 'o'
                     ? either(name, "x-envoy-original-path", FieldName::x_envoy_original_path)
                     : either(name, "x-envoy-peer-metadata", FieldName::x_envoy_peer_metadata);
        case 22:
          return either(name, "x-fairlead-undelivered", FieldName::x_fairlead_undelivered);
        case 23:
          return either(name, "x-forwarded-client-cert", FieldName::x_forwarded_client_cert);
        case 24:
          return either(name, "x-envoy-peer-metadata-id", FieldName::x_envoy_peer_metadata_id);
        default:
          return either(name, "x-envoy-upstream-service-time",
                        FieldName::x_envoy_upstream_service_time);
      }
    default:
      return FieldName::other;
  }
}

// The sizes of the names that by_initial() knows, as bits.
constexpr std::uint32_t known_sizes = 1U << 2 | 1U << 4 | 1U << 6 | 1U << 7 | 1U << 10 | 1U << 11 |
                                      1U << 12 | 1U << 14 | 1U << 15 | 1U << 16 | 1U << 17 |
                                      1U << 21 | 1U << 22 | 1U << 23 | 1U << 24 | 1U << 29;

}  // namespace

bool same_name(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  for (std::size_t at = 0; at < left.size(); ++at) {
    if (left[at] != right[at] && lower(left[at]) != lower(right[at])) return false;
  }
  return true;
}

FieldName field_name(std::string_view name) {
  if (name.size() >= 32 || (known_sizes >> name.size() & 1U) == 0) return FieldName::other;
  return by_initial(name);
}

Fields Fields::clone() const {
  Fields copy;
  copy.fields_.reserve(fields_.size());
  for (const Field& field : fields_) {
    copy.add({copy.keep(field.name), copy.keep(field.value), field.known});
  }
  return copy;
}

void Fields::add(std::string_view name, std::string_view value) {
  add({name, value, field_name(name)});
}

void Fields::rebase(const char* from, const char* to) {
  const auto moved = [&](std::string_view text) {
    return std::string_view(to + (text.data() - from), text.size());
  };
  for (Field& field : fields_) {
    field.name = moved(field.name);
    field.value = moved(field.value);
  }
}

void Fields::add_copy(std::string_view name, std::string_view value) {
  add(keep(name), keep(value));
}

void Fields::replace(const Field& field) {
  Field* first = nullptr;
  bool again = false;
  for (Field& one : fields_) {
    if (one.known != field.known) continue;
    again = first != nullptr;
    if (!first) first = &one;
  }
  if (!first) return;
  *first = field;
  if (!again) return;
  std::erase_if(fields_,
                [&](const Field& one) { return &one != first && one.known == field.known; });
}

void Fields::set_copy(std::string_view name, std::string_view value) {
  const auto same = [&](const Field& field) { return same_name(field.name, name); };
  const auto first = std::find_if(fields_.begin(), fields_.end(), same);
  if (first == fields_.end()) {
    add_copy(name, value);
    return;
  }
  first->value = keep(value);
  fields_.erase(std::remove_if(first + 1, fields_.end(), same), fields_.end());
}

std::size_t Fields::remove(std::string_view name) {
  const FieldName known = field_name(name);
  if (known != FieldName::other) return remove(known);
  return std::erase_if(fields_, [&](const Field& field) { return same_name(field.name, name); });
}

std::size_t Fields::remove_all(FieldNames names) {
  names_ = names_.without(names);
  return std::erase_if(fields_, [&](const Field& field) { return names.meets(field.known); });
}

void Fields::clear() {
  fields_.clear();
  names_ = {};
  if (chunks_.size() > 1) chunks_.resize(1);
  used_ = 0;
}

void Fields::release() {
  fields_ = std::vector<Field>();
  names_ = {};
  chunks_ = std::vector<Chunk>();
  used_ = 0;
}

char* Fields::keep_space(std::size_t size) LIFETIMEBOUND {
  if (chunks_.empty() || chunks_.back().size - used_ < size) {
    const std::size_t made = std::max(size, first_chunk);
    chunks_.push_back({std::unique_ptr<char[]>(new char[made]), made});
    used_ = 0;
  }
  char* space = chunks_.back().bytes.get() + used_;
  used_ += size;
  return space;
}

std::string_view Fields::keep(std::string_view text) LIFETIMEBOUND {
  if (text.empty()) return {};
  char* space = keep_space(text.size());
  std::memcpy(space, text.data(), text.size());
  return {space, text.size()};
}

const Field* Fields::find(std::string_view name) const LIFETIMEBOUND {
  for (const Field& field : fields_) {
    if (same_name(field.name, name)) return &field;
  }
  return nullptr;
}

const Field* Fields::find(FieldName name) const LIFETIMEBOUND {
  if (!has(name)) return nullptr;
  for (const Field& field : fields_) {
    if (field.known == name) return &field;
  }
  return nullptr;
}

std::string_view Fields::value(std::string_view name) const {
  const Field* field = find(name);
  return field ? field->value : std::string_view{};
}

std::string_view Fields::value(FieldName name) const {
  const Field* field = find(name);
  return field ? field->value : std::string_view{};
}

}  // namespace fairlead::http
