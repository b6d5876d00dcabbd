#include "http/h1_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>

#include "base/copy_text.h"
#include "http/list.h"
#include "http/validate.h"

namespace fairlead::http {
namespace {

constexpr std::size_t most_added =
    192;  // framing, Connection and the line ends, without their values

// Writes into room that was made before; never asks how much is left.
struct Pen {
  char* at;
  void put(std::string_view text) { at = copy_text(at, text); }
  void put(char c) { *at++ = c; }
  void line(std::string_view name, std::string_view value) {
    put(name);
    put(": ");
    put(value);
    put("\r\n");
  }
  void status(unsigned value) {  // of three digits
    at[0] = static_cast<char>('0' + value / 100 % 10);
    at[1] = static_cast<char>('0' + value / 10 % 10);
    at[2] = static_cast<char>('0' + value % 10);
    at += 3;
  }
  void number(std::uint64_t value) { at = std::to_chars(at, at + 20, value).ptr; }
};

// RFC 9110 §7.6.1, and what frames a message or is written in another way.
constexpr FieldNames hop_fields = FieldName::connection | FieldName::content_length |
                                  FieldName::http2_settings | FieldName::keep_alive |
                                  FieldName::proxy_connection | FieldName::te |
                                  FieldName::transfer_encoding | FieldName::upgrade;

// Which of a head's fields stay behind on this hop.
class HopFilter {
 public:
  HopFilter(const Fields& fields, FieldNames also) : fields_(fields), dropped_(hop_fields | also) {
    if (!fields.has(FieldName::connection)) return;
    for (const Field& field : fields) {
      if (field.known == FieldName::connection) nominates_ |= names_others(field.value);
    }
  }

  [[nodiscard]] bool passes(const Field& field) const {
    return !dropped_.meets(field.known) && (!nominates_ || !nominated(field.name));
  }

 private:
  static bool names_others(std::string_view list) {
    return !same_name(list, "keep-alive") && !same_name(list, "close") &&
           !same_name(list, "upgrade") && !same_name(list, "te");
  }
  [[nodiscard]] bool nominated(std::string_view name) const {
    return std::any_of(fields_.begin(), fields_.end(), [&](const Field& field) {
      return field.known == FieldName::connection && list_names(field.value, name);
    });
  }

  const Fields& fields_;
  FieldNames dropped_;
  bool nominates_ = false;
};

std::size_t room_for(const Fields& fields) {
  std::size_t size = 0;
  for (const Field& field : fields) size += field.name.size() + field.value.size() + 4;
  return size;
}

Pen begin(std::string& out, std::size_t room) {
  const std::size_t before = out.size();
  out.resize(before + room);
  return {out.data() + before};
}

void finish(std::string& out, const Pen& pen) {
  out.resize(static_cast<std::size_t>(pen.at - out.data()));
}

void write_fields(Pen& pen, const Fields& fields, FieldNames also_dropped) {
  const HopFilter hop(fields, also_dropped);
  for (const Field& field : fields) {
    if (hop.passes(field)) pen.line(field.name, field.value);
  }
}

void write_framing(Pen& pen, const BodyFraming& body) {
  if (body.kind == BodyFraming::Kind::sized) {
    pen.put("content-length: ");
    pen.number(body.size);
    pen.put("\r\n");
  } else if (body.kind == BodyFraming::Kind::chunked) {
    pen.put("transfer-encoding: chunked\r\n");
  }
}

std::string_view word_if(bool applies, std::string_view word) {
  return applies ? word : std::string_view{};
}

// "connection: a, b", from those that apply.
void write_connection(Pen& pen, std::initializer_list<std::string_view> words) {
  bool first = true;
  for (const std::string_view word : words) {
    if (word.empty()) continue;
    pen.put(first ? "connection: " : ", ");
    pen.put(word);
    first = false;
  }
  if (!first) pen.put("\r\n");
}

bool has_no_body(std::uint16_t status) {
  return status < 200 || status == 204;
}

}  // namespace

void write_request(std::string& out, const RequestHead& head, const H1WriteOptions& options) {
  const std::string_view target = head.is_connect() ? head.authority : head.path;
  const std::string_view upgrade = options.pass_upgrade ? head.upgrade : std::string_view{};
  Pen pen = begin(out, head.method.size() + target.size() + head.authority.size() + upgrade.size() +
                           room_for(head.fields) + most_added);
  pen.put(head.method);
  pen.put(' ');
  pen.put(target);
  pen.put(" HTTP/1.1\r\nhost: ");
  pen.put(head.authority);
  pen.put("\r\n");

  const bool chunked = options.body.kind == BodyFraming::Kind::chunked;
  write_fields(pen, head.fields, FieldName::host | (chunked ? FieldNames() : FieldName::trailer));
  write_framing(pen, options.body);
  const bool trailers = list_names(head.fields, FieldName::te, "trailers");
  if (trailers) pen.put("te: trailers\r\n");
  if (!upgrade.empty()) pen.line("upgrade", upgrade);
  write_connection(pen, {word_if(!upgrade.empty(), "upgrade"), word_if(trailers, "te"),
                         word_if(options.persist == Persist::close, "close")});
  pen.put("\r\n");
  finish(out, pen);
}

void write_response(std::string& out, const ResponseHead& head, const H1WriteOptions& options) {
  const std::string_view reason = head.reason.empty() ? reason_of(head.status) : head.reason;
  const std::string_view upgrade =
      options.pass_upgrade && head.status == 101 ? head.upgrade : std::string_view{};
  Pen pen = begin(out, reason.size() + upgrade.size() + room_for(head.fields) + most_added);
  pen.put("HTTP/1.1 ");
  pen.status(head.status);
  pen.put(' ');
  pen.put(reason);
  pen.put("\r\n");

  const bool chunked = options.body.kind == BodyFraming::Kind::chunked;
  write_fields(pen, head.fields, chunked ? FieldNames() : FieldName::trailer);
  if (!has_no_body(head.status)) {
    const bool empty = options.body.kind == BodyFraming::Kind::none && !head.body_omitted;
    write_framing(pen, empty ? BodyFraming::sized(0) : options.body);
  }
  if (!upgrade.empty()) pen.line("upgrade", upgrade);
  const bool close =
      options.persist == Persist::close || options.body.kind == BodyFraming::Kind::until_close;
  const bool say_keep_alive = !close && options.peer == Version::http10 && !head.interim();
  write_connection(
      pen, {word_if(!upgrade.empty(), "upgrade"), word_if(close && upgrade.empty(), "close"),
            word_if(say_keep_alive, "keep-alive")});
  pen.put("\r\n");
  finish(out, pen);
}

void write_chunk_start(std::string& out, std::uint64_t size) {
  std::array<char, 18> text{};
  char* const end = std::to_chars(text.data(), text.data() + 16, size, 16).ptr;
  end[0] = '\r';
  end[1] = '\n';
  out.append(text.data(), static_cast<std::size_t>(end - text.data()) + 2);
}

void write_chunk(std::string& out, std::string_view data) {
  if (data.empty()) return;
  write_chunk_start(out, data.size());
  out += data;
  out += "\r\n";
}

void write_last_chunk(std::string& out, const Fields* trailers) {
  out += "0\r\n";
  if (trailers) {
    for (const Field& field : *trailers) {
      if (forbidden_in_trailers(field.name)) continue;
      out += field.name;
      out += ": ";
      out += field.value;
      out += "\r\n";
    }
  }
  out += "\r\n";
}

}  // namespace fairlead::http
