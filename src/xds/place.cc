#include "xds/place.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <cctype>

#include "xds/decode_parts.h"
#include "xds/effects.h"

namespace fairlead::xds {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::UnknownFieldSet;

bool is_of_the_library(const Descriptor& type) {
  return type.file()->package() == "google.protobuf";
}

void note_unknown_here(const Place& place, const Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  const UnknownFieldSet& unknown = message.GetReflection()->GetUnknownFields(message);
  std::vector<int> noted;
  for (int i = 0; i < unknown.field_count(); ++i) {
    const int number = unknown.field(i).number();
    if (std::find(noted.begin(), noted.end(), number) != noted.end()) continue;
    const std::optional<FieldEffect> field = effect_of(type, number);
    if (field && is_inert(type, *field, unknown.field(i))) continue;
    noted.push_back(number);
    if (field) {
      place.in(field->name).note({}, field->effect);
    } else {
      place.in(fmt::format("field {}", number)).note_nobodys({});
    }
  }
}

// Settings of single filters, by the filters' names: each is what its type is.
void note_filter_settings(const Place& place, const Message& message,
                          const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* key = field.message_type()->map_key();
  const FieldDescriptor* value = field.message_type()->map_value();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    const auto* any =
        dynamic_cast<const wire::Any*>(&entry.GetReflection()->GetMessage(entry, value));
    if (any == nullptr) continue;
    const std::string name = entry.GetReflection()->GetString(entry, key);
    place.in(name).note(any->type_url(), effect_of_any(*any));
  }
}

std::string camel_case(std::string_view name) {
  std::string made;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '_' && i + 1 < name.size()) {
      made += static_cast<char>(std::toupper(static_cast<unsigned char>(name[++i])));
    } else {
      made += name[i];
    }
  }
  return made;
}

// One step of a path, "filters[1]" or "node": the child, or the node itself when there is none.
document::Node step(const document::Node& node, std::string_view word) {
  const std::string_view name = word.substr(0, word.find('['));
  document::Node child = node.get(name);
  if (!child.present()) child = node.get(camel_case(name));
  if (!child.present() || name.size() == word.size()) return child;
  const auto position = static_cast<std::size_t>(std::atoi(word.data() + name.size() + 1));
  return child.is_list() && position < child.size() ? child.at(position) : child;
}

// The deepest value on `path` that the text has.
document::Node locate(document::Node node, std::string_view path) {
  while (!path.empty()) {
    const std::string_view word = path.substr(0, path.find('.'));
    document::Node next = step(node, word);
    if (!next.present()) next = node.get(path);  // a name with dots in it
    if (!next.present()) return node;
    node = std::move(next);
    path.remove_prefix(std::min(path.size(), word.size() + 1));
  }
  return node;
}

int line_number_of(const document::Node& node) {
  return node.key_line() > 0 ? node.key_line() : node.line();
}

std::string line_of(const document::Node& node) {
  return fmt::format("{}:{}", node.file(), line_number_of(node));
}

}  // namespace

void Report::note(Note note) {
  notes_.push_back(std::move(note));
}

config::Closed Report::Note::told() const {
  if (what.empty()) return path;
  return path.empty() ? what : fmt::format("{}: {}", path, what);
}

void Report::take_back(const std::string& path) {
  std::erase_if(notes_, [&](const Note& note) { return note.path == path; });
}

Origin Report::origin_of(const std::string& path) const {
  if (!root_.present()) return {};
  const document::Node node = locate(root_, path);
  return {.file = node.file(), .line = line_number_of(node)};
}

Fault Report::refused(const std::string& path, std::string_view why) {
  Diagnostic one{
      .resource = resource_, .field = path, .reason = std::string(why), .origin = origin_of(path)};
  std::string where = resource_;
  if (root_.present()) {
    const std::string above = root_.field();
    where = line_of(locate(root_, path));
    if (!above.empty()) one.field = path.empty() ? above : above + "." + path;
  }
  faults_.push_back(one);
  if (!one.field.empty()) where += ": " + one.field;
  return invalid(fmt::format("{}: {}", where, why));
}

void Report::keep(const document::Node& node, const Fault& fault) {
  const std::string where = node.where() + ": ";
  const bool tells_where = fault.message.starts_with(where);
  faults_.push_back({.resource = resource_,
                     .field = node.field(),
                     .reason = tells_where ? fault.message.substr(where.size()) : fault.message,
                     .origin = {.file = node.file(), .line = line_number_of(node)}});
}

std::vector<config::Unhonoured> Report::unhonoured() const {
  std::vector<config::Unhonoured> list;
  list.reserve(notes_.size());
  for (const Note& note : notes_) {
    list.push_back({.resource = resource_,
                    .field = note.path,
                    .reason = note.what,
                    .effect = note.effect,
                    .unknown = note.unknown,
                    .origin = origin_of(note.path)});
  }
  return list;
}

config::Closed Report::claim(const std::string& path) {
  config::Closed first;
  for (Note& note : notes_) {
    if (note.effect != Effect::protects || note.claimed) continue;
    const bool here = path.empty() || note.path == path ||
                      (note.path.starts_with(path) && note.path[path.size()] == '.');
    if (!here) continue;
    note.claimed = true;
    // The least and not the first: maps have no order.
    if (config::Closed one = note.told(); first.empty() || one < first) first = std::move(one);
  }
  return first;
}

std::string Place::path() const {
  if (above_ == nullptr) return {};
  std::string path = above_->path();
  if (!path.empty()) path += '.';
  path += field_;
  if (position_ >= 0) path += fmt::format("[{}]", position_);
  return path;
}

Fault Place::refused(std::string_view why) const {
  return report_->refused(path(), why);
}

const Descriptor* Place::type() const {
  if (type_ != nullptr || above_ == nullptr) return type_;
  const Descriptor* above = above_->type();
  const FieldDescriptor* field =
      above == nullptr ? nullptr : above->FindFieldByName(std::string(field_));
  return field == nullptr ? nullptr : field->message_type();
}

Effect Place::effect() const {
  const Descriptor* above = above_ == nullptr ? nullptr : above_->type();
  if (above == nullptr) return Effect::protects;
  const std::optional<FieldEffect> field = effect_of(*above, field_);
  return field ? field->effect : Effect::protects;
}

void Place::note(std::string_view what) const {
  note(what, effect());
}

void Place::note(std::string_view what, Effect effect) const {
  report_->note({.path = path(), .what = std::string(what), .effect = effect});
}

void Place::note_nobodys(std::string_view what) const {
  report_->note({.path = path(), .what = std::string(what), .unknown = true});
}

config::Closed Place::claim() const {
  return report_->notes().empty() ? config::Closed() : report_->claim(path());
}

config::Closed Place::close(std::string_view what) const {
  note(what, Effect::protects);
  return claim();
}

void Place::take_back_note() const {
  report_->take_back(path());
}

bool Place::has_notes_below() const {
  const std::vector<Report::Note>& notes = report_->notes();
  if (notes.empty()) return false;
  const std::string start = path() + '.';
  return std::any_of(notes.begin(), notes.end(),
                     [&](const Report::Note& note) { return note.path.starts_with(start); });
}

void Place::note_unknown(const Message& message) const {
  if (is_of_the_library(*message.GetDescriptor())) return;
  holds(*message.GetDescriptor());
  note_unknown_here(*this, message);
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (field->name() == "typed_per_filter_config") {
      note_filter_settings(in(field->name()), message, *field);
    }
    if (field->is_map()) continue;
    if (is_of_the_library(*field->message_type())) continue;
    if (!field->is_repeated()) {
      in(field->name()).note_unknown(reflection.GetMessage(message, field));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      in(field->name(), i).note_unknown(reflection.GetRepeatedMessage(message, field, i));
    }
  }
}

}  // namespace fairlead::xds
