#include "xds/place.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <cctype>

#include "xds/proto/seen.pb.h"

namespace fairlead::xds {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::UnknownFieldSet;

// The name that the message's option `seen` gives a number; empty for none.
std::string_view name_in(std::string_view seen, int number) {
  const std::string wanted = "=" + std::to_string(number);
  while (!seen.empty()) {
    const std::string_view item = seen.substr(0, seen.find(','));
    if (item.ends_with(wanted)) return item.substr(0, item.size() - wanted.size());
    seen.remove_prefix(std::min(seen.size(), item.size() + 2));  // and ", "
  }
  return {};
}

std::string name_of_unknown(const Descriptor& type, int number) {
  const std::string_view name = name_in(type.options().GetExtension(wire::seen), number);
  return name.empty() ? fmt::format("field {}", number) : std::string(name);
}

bool is_of_the_library(const Descriptor& type) {
  return type.file()->package() == "google.protobuf";
}

void note_unknown_here(const Place& place, const Message& message) {
  const UnknownFieldSet& unknown = message.GetReflection()->GetUnknownFields(message);
  std::vector<int> noted;
  for (int i = 0; i < unknown.field_count(); ++i) {
    const int number = unknown.field(i).number();
    if (std::find(noted.begin(), noted.end(), number) != noted.end()) continue;
    noted.push_back(number);
    place.in(name_of_unknown(*message.GetDescriptor(), number)).note();
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

void Report::note(const std::string& path, std::string_view what, Effect effect) {
  notes_.push_back({path, std::string(what), effect});
}

void Report::take_back(const std::string& path) {
  std::erase_if(notes_, [&](const Note& note) { return note.path == path; });
}

Origin Report::origin_of(const std::string& path) const {
  if (!root_.present()) return {};
  const document::Node node = locate(root_, path);
  return {.file = node.file(), .line = line_number_of(node)};
}

Fault Report::refused(const std::string& path, std::string_view why) const {
  std::string where = resource_;
  if (root_.present()) {
    const std::string above = root_.field();
    const std::string place = line_of(locate(root_, path));
    where = above.empty() ? place : fmt::format("{}: {}", place, above);
    if (!above.empty() && !path.empty()) return invalid(fmt::format("{}.{}: {}", where, path, why));
  }
  if (path.empty()) return invalid(fmt::format("{}: {}", where, why));
  return invalid(fmt::format("{}: {}: {}", where, path, why));
}

std::vector<config::Unhonoured> Report::unhonoured() const {
  std::vector<config::Unhonoured> list;
  for (const Note& note : notes_) {
    list.push_back({.resource = resource_,
                    .field = note.path,
                    .reason = note.what,
                    .effect = note.effect,
                    .origin = origin_of(note.path)});
  }
  return list;
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

void Place::note(std::string_view what, Effect effect) const {
  report_->note(path(), what, effect);
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
  note_unknown_here(*this, message);
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
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
