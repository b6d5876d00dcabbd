#include "http/message.h"

namespace fairlead::http {

std::string_view name_of(Version version) {
  switch (version) {
    case Version::http10:
      return "HTTP/1.0";
    case Version::http11:
      return "HTTP/1.1";
    case Version::http2:
      return "HTTP/2";
  }
  return "HTTP/1.1";
}

RequestHead RequestHead::clone() const {
  RequestHead copy;
  copy.fields = fields.clone();
  copy.method = copy.fields.keep(method);
  copy.target = copy.fields.keep(target);
  copy.scheme = copy.fields.keep(scheme);
  copy.authority = copy.fields.keep(authority);
  copy.path = copy.fields.keep(path);
  copy.version = version;
  copy.body = body;
  copy.keep_alive = keep_alive;
  copy.expect_continue = expect_continue;
  copy.upgrade = copy.fields.keep(upgrade);
  return copy;
}

ResponseHead ResponseHead::clone() const {
  ResponseHead copy;
  copy.fields = fields.clone();
  copy.status = status;
  copy.reason = copy.fields.keep(reason);
  copy.version = version;
  copy.body = body;
  copy.body_omitted = body_omitted;
  copy.keep_alive = keep_alive;
  copy.upgrade = copy.fields.keep(upgrade);
  return copy;
}

bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

std::string_view reason_of(std::uint16_t status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return {};
  }
}

}  // namespace fairlead::http
