#include "http/h1_framing.h"

#include "http/list.h"
#include "http/validate.h"

namespace fairlead::http {

KnownFields::KnownFields(const Fields& fields) {
  for (const Field& field : fields) {
    switch (field.known) {
      case FieldName::other:
        break;
      case FieldName::host:
        host = &field, ++hosts;
        break;
      case FieldName::content_length:
        length = &field, ++lengths;
        break;
      case FieldName::transfer_encoding:
        coding = &field, ++codings;
        break;
      case FieldName::connection:
        connection(field.value);
        break;
      case FieldName::upgrade:
        upgrade = &field;
        break;
      case FieldName::expect:
        expects_continue = expects_continue || list_names(field.value, "100-continue");
        break;
      default:
        break;
    }
  }
}

void KnownFields::connection(std::string_view value) {
  if (same_name(value, "keep-alive")) {
    keep_alive = true;
    return;
  }
  close = close || list_names(value, "close");
  keep_alive = keep_alive || list_names(value, "keep-alive");
  upgrades = upgrades || list_names(value, "upgrade");
}

std::optional<Refused> framing_of(const KnownFields& fields, Version version,
                                  std::optional<BodyFraming>& framing) {
  if (fields.codings > 0) {
    const std::string_view coding = fields.coding->value;
    if (fields.lengths > 0) {
      return Refused{400, "both Transfer-Encoding and Content-Length say where the body ends"};
    }
    if (version == Version::http10) return Refused{400, "HTTP/1.0 has no Transfer-Encoding"};
    if (fields.codings > 1) return Refused{400, "Transfer-Encoding comes more than once"};
    if (same_name(coding, "chunked")) {
      framing = BodyFraming::chunked();
      return {};
    }
    const std::size_t last = coding.rfind(',');
    const bool ends_chunked =
        last != std::string_view::npos && list_names(coding.substr(last + 1), "chunked");
    if (ends_chunked && !list_names(coding.substr(0, last), "chunked")) {
      return Refused{501, "the transfer coding " + printable(coding) + " is not understood"};
    }
    return Refused{400, "Transfer-Encoding " + printable(coding) + " does not end in one chunked"};
  }
  if (fields.lengths == 0) return {};
  if (fields.lengths > 1) return Refused{400, "Content-Length comes more than once"};
  const std::string_view text = fields.length->value;
  const std::optional<std::uint64_t> length = parse_decimal(text);
  if (!length) return Refused{400, "Content-Length is " + printable(text) + ", not one number"};
  if (*length > largest_body) {
    return Refused{400, "Content-Length is " + printable(text) + ", and at most " +
                            std::to_string(largest_body) + " bytes can come"};
  }
  framing = BodyFraming::sized(*length);
  return {};
}

}  // namespace fairlead::http
