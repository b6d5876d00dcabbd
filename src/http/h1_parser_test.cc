#include "http/h1_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "http/test_transcript.h"

namespace fairlead::http {
namespace {

using test::transcribe_requests;
using test::transcribe_responses;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Case {
  std::string raw;
  std::string transcript;  // the beginning of what must come out
};

// Every message is given whole, byte by byte, and in two pieces at every place; all must agree.
template <class Transcribe>
void same_at_every_split(const std::string& raw, const Transcribe& transcribe) {
  const std::string_view bytes = raw;
  const std::string whole = transcribe({bytes});
  std::vector<std::string_view> single;
  single.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); ++at) single.push_back(bytes.substr(at, 1));
  EXPECT_EQ(whole, transcribe(single)) << "byte by byte: " << raw;
  for (std::size_t at = 0; at <= bytes.size(); ++at) {
    EXPECT_EQ(whole, transcribe({bytes.substr(0, at), bytes.substr(at)}))
        << "split at " << at << ": " << raw;
  }
}

void check_requests(const std::vector<Case>& cases, const Limits& limits = {}) {
  const auto transcribe = [&](const std::vector<std::string_view>& pieces) {
    return transcribe_requests(pieces, limits);
  };
  for (const Case& given : cases) {
    EXPECT_THAT(transcribe({given.raw}), StartsWith(given.transcript)) << given.raw;
    same_at_every_split(given.raw, transcribe);
  }
}

void check_responses(const std::vector<Case>& cases, const H1ResponseParser::Asked& asked = {},
                     const Limits& limits = {}) {
  const auto transcribe = [&](const std::vector<std::string_view>& pieces) {
    return transcribe_responses(pieces, asked, limits);
  };
  for (const Case& given : cases) {
    EXPECT_THAT(transcribe({given.raw}), StartsWith(given.transcript)) << given.raw;
    same_at_every_split(given.raw, transcribe);
  }
}

std::string host(const std::string& rest) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + rest;
}

TEST(Requests, WhatIsAllowedIsTaken) {
  check_requests({
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "head GET / a HTTP/1.1 none\nfields Host='a'\nend\n"},
      {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "head GET / a HTTP/1.1 none\n"},
      {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "head GET / a HTTP/1.1 none\n"},
      {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", "head GET / a HTTP/1.1 none\n"},
      {"GET /p?q=1 HTTP/1.0\r\n\r\n", "head GET /p?q=1  HTTP/1.0 none close\nend\n"},
      {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "head GET /  HTTP/1.0 none\n"},
      {host("Connection: close\r\n\r\n"), "head GET / a HTTP/1.1 none close\n"},
      {host("Connection: x, CLOSE\r\n\r\n"), "head GET / a HTTP/1.1 none close\n"},
      {host("Connection: keep-alive\r\nConnection: close\r\n\r\n"),
       "head GET / a HTTP/1.1 none close\n"},
      {host("A:b\r\nC: \t d e\t \r\nF:\r\n\r\n"),
       "head GET / a HTTP/1.1 none\nfields Host='a' A='b' C='d e' F=''\n"},
      {host("Name: caf\xc3\xa9\r\n\r\n"),
       "head GET / a HTTP/1.1 none\nfields Host='a' Name='caf\\xc3\\xa9'\n"},
      {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "head OPTIONS * a HTTP/1.1 none\n"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "head GET /  HTTP/1.1 none\n"},
      {"GET / HTTP/1.1\r\nhOsT: [fd00::1]:80\r\n\r\n", "head GET / [fd00::1]:80 HTTP/1.1 none\n"},
      {"M-SEARCH /x HTTP/1.1\r\nHost: a\r\n\r\n", "head M-SEARCH /x a HTTP/1.1 none\n"},
      {"GET /a{b}|\"c\" HTTP/1.1\r\nHost: a\r\n\r\n", "head GET /a{b}|\"c\" a HTTP/1.1 none\n"},
  });
}

TEST(Requests, TargetsInEveryForm) {
  check_requests({
      {"GET http://b:8080/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
       "head GET /x?y http:b:8080 HTTP/1.1 none\n"},
      {"GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n", "head GET / https:b HTTP/1.1 none\n"},
      {"GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "head GET /?q http:b HTTP/1.1 none\n"},
      {"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "head OPTIONS * http:b HTTP/1.1 none\n"},
      {"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nraw\r\n",
       "head CONNECT - b:443 HTTP/1.1 none\nfields Host='b:443'\nend\ndata 'raw\\x0d\\x0a'\nend\n"},
      {"CONNECT b HTTP/1.1\r\nHost: b\r\n\r\n", "failed 400 CONNECT names no host and port"},
      {"CONNECT http://b:1/ HTTP/1.1\r\nHost: b\r\n\r\n", "failed 400 CONNECT names no host"},
      {"CONNECT b:1 HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc",
       "failed 400 CONNECT with a body"},
      {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the target '*' is for OPTIONS alone"},
      {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the target 'x' is neither"},
      {"GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the target"},
      {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the URL 'http:///x' names no host"},
      {"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
       "failed 400 the URL 'http://u@a/' has user info"},
      {"GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the URL"},
      {"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the byte '#' in the request's target"},
      {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the byte '\\xc3'"},
      {std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28), "failed 400 the byte '\\x00'"},
  });
}

TEST(Requests, StartLinesThatAreRefused) {
  check_requests({
      {"GET /\r\n\r\n", "failed 400 a request line without an HTTP version"},
      {"GET\r\n\r\n", "failed 400 a request line of one word"},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the byte ' ' in the request's target"},
      {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the request line does not end in"},
      {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "failed 400 the request line does not end in"},
      {"GET / http/1.1\r\nHost: a\r\n\r\n", "failed 400 the request line does not end in"},
      {"GET / HTTP/1.1\nHost: a\n\n", "failed 400 the request line ends with LF alone"},
      {"GET / HTTP/1.1\rX\r\nHost: a\r\n\r\n", "failed 400 the request line does not end in"},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "failed 505 the version 'HTTP/2.0' is not spoken here"},
      {"GET / HTTP/01.1\r\nHost: a\r\n\r\n", "failed 400"},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "failed 505"},
      {"G\tT / HTTP/1.1\r\nHost: a\r\n\r\n", "failed 400 the byte '\\x09' in the request's method"},
      {"\tGET / HTTP/1.1\r\n\r\n", "failed 400 what comes is no HTTP request"},
      {"\x16\x03\x01", "failed 400 what comes is no HTTP request: it begins with '\\x16'"},
      {"\nGET / HTTP/1.1\r\n\r\n", "failed 400 what comes is no HTTP request"},
      {"\r\n\r\nGET / HTTP/1.1\r\n\r\n", "failed 400 what comes is no HTTP request"},
      {"\rGET / HTTP/1.1\r\n\r\n", "failed 400 a CR that does not end a line"},
      {std::string(33, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n", "failed 501 the method"},
  });
}

TEST(Requests, FieldLinesThatAreRefused) {
  check_requests({
      {host(" x\r\n\r\n"), "failed 400 a field line begins with white space"},
      {host("A: b\r\n c\r\n\r\n"), "failed 400 a field line begins with white space"},
      {host("A : b\r\n\r\n"), "failed 400 white space in or after the field name 'A'"},
      {host("A\t: b\r\n\r\n"), "failed 400 white space in or after the field name 'A'"},
      {host(": b\r\n\r\n"), "failed 400 a field without a name"},
      {host("Ab\r\n\r\n"), "failed 400 a field line without a colon"},
      {host("A(b): c\r\n\r\n"), "failed 400 the byte '(' in the field name 'A'"},
      {host("A: b\n\r\n"), "failed 400 a line ends with LF alone"},
      {host("\n"), "failed 400 a line ends with LF alone"},
      {host("A: b\rc\r\n\r\n"), "failed 400 a CR that does not end a line"},
      {host("A: b\r\r\n\r\n"), "failed 400 a CR that does not end a line"},
      {host("\rA: b\r\n\r\n"), "failed 400 a CR that does not end a line"},
      {host(std::string("A: b\0c\r\n\r\n", 10)),
       "failed 400 the control byte '\\x00' in the value"},
      {host("A: b\x7f\r\n\r\n"), "failed 400 the control byte '\\x7f' in the value of 'A'"},
      {host("A: b\x0b\r\n\r\n"), "failed 400 the control byte '\\x0b'"},
      {host("A\xc3: b\r\n\r\n"), "failed 400 the byte '\\xc3' in the field name"},
  });
}

TEST(Requests, ExactlyOneHost) {
  check_requests({
      {"GET / HTTP/1.1\r\n\r\n", "failed 400 an HTTP/1.1 request without the field Host"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "failed 400 the field Host comes more than"},
      {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "failed 400 the field Host comes more than"},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "failed 400 the field Host names no host: 'a b'"},
      {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "head GET / a,b HTTP/1.1"},
      {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "failed 400 the field Host names no host"},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "failed 400 the field Host names no host"},
      {"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", "failed 400 the field Host names no host"},
      {"GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", "failed 400 the field Host names no host"},
      {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "failed 400 the field Host names no host"},
      {"GET http://b/ HTTP/1.1\r\n\r\n", "failed 400 an HTTP/1.1 request without the field Host"},
  });
}

TEST(Requests, WhatFramesABodyIsNeverRepaired) {
  const auto post = [](const std::string& rest) { return "POST / HTTP/1.1\r\nHost: a\r\n" + rest; };
  check_requests({
      {post("Content-Length: 3\r\n\r\nabc"),
       "head POST / a HTTP/1.1 sized 3\nfields Host='a' Content-Length='3'\ndata 'abc'\nend\n"},
      {post("Content-Length: 0\r\n\r\n"), "head POST / a HTTP/1.1 sized 0\n"},
      {post("Content-Length: 00003\r\n\r\nabc"), "head POST / a HTTP/1.1 sized 3\n"},
      {post("Content-Length: 3, 3\r\n\r\nabc"), "failed 400 Content-Length is '3, 3'"},
      {post("Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
       "failed 400 Content-Length comes more than once"},
      {post("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
       "failed 400 Content-Length comes more than once"},
      {post("Content-Length: +3\r\n\r\nabc"), "failed 400 Content-Length is '+3', not one number"},
      {post("Content-Length: -3\r\n\r\nabc"), "failed 400 Content-Length"},
      {post("Content-Length: 3a\r\n\r\nabc"), "failed 400 Content-Length"},
      {post("Content-Length: 0x3\r\n\r\nabc"), "failed 400 Content-Length"},
      {post("Content-Length:\r\n\r\n"), "failed 400 Content-Length is ''"},
      {post("Content-Length: 18446744073709551616\r\n\r\n"), "failed 400 Content-Length"},
      {post("Content-Length : 3\r\n\r\nabc"), "failed 400 white space"},
      {post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
       "failed 400 both Transfer-Encoding and Content-Length"},
      {post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
       "failed 400 both Transfer-Encoding and Content-Length"},
      {post("Transfer-Encoding: identity\r\n\r\n"), "failed 400 Transfer-Encoding 'identity'"},
      {post("Transfer-Encoding: gzip\r\n\r\n"), "failed 400 Transfer-Encoding 'gzip'"},
      {post("Transfer-Encoding: gzip, chunked\r\n\r\n"), "failed 501 the transfer coding"},
      {post("Transfer-Encoding: chunked, gzip\r\n\r\n"), "failed 400 Transfer-Encoding"},
      {post("Transfer-Encoding: chunked, chunked\r\n\r\n"), "failed 400 Transfer-Encoding"},
      {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
       "failed 400 Transfer-Encoding comes more than once"},
      {post("Transfer-Encoding: xchunked\r\n\r\n"), "failed 400 Transfer-Encoding"},
      {post("Transfer-Encoding: \"chunked\"\r\n\r\n"), "failed 400 Transfer-Encoding"},
      {post("Transfer-Encoding: chunked;q=1\r\n\r\n"), "failed 400 Transfer-Encoding"},
      {post("Transfer-Encoding:\x0b"
            "chunked\r\n\r\n"),
       "failed 400 the control byte"},
      {post("Transfer-Encoding:\r\n chunked\r\n\r\n"), "failed 400 a field line begins with white"},
      {post("Transfer-Encoding:\r\n\r\n"), "failed 400 Transfer-Encoding ''"},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "failed 400 HTTP/1.0 has no Transfer-Encoding"},
  });
}

TEST(Requests, Chunks) {
  const auto chunked = [](const std::string& rest) {
    return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n" + rest;
  };
  const std::string head =
      "head POST / a HTTP/1.1 chunked\nfields Host='a' Transfer-Encoding='CHUNKED'\n";
  check_requests({
      {chunked("0\r\n\r\n"), head + "end\n"},
      {chunked("3\r\nabc\r\n0\r\n\r\n"), head + "data 'abc'\nend\n"},
      {chunked("3\r\nabc\r\n00A\r\n0123456789\r\n000\r\n\r\n"),
       head + "data 'abc0123456789'\nend\n"},
      {chunked("3;a;b=c;d=\"e\\\"f;\" ; g = h\r\nabc\r\n0;x\r\n\r\n"), head + "data 'abc'\nend\n"},
      {chunked("0\r\nX-Sum: 1\r\nY:\r\n\r\n"), head + "end X-Sum='1' Y=''\n"},
      {chunked("0\r\nContent-Length: 5\r\n\r\n"),
       head + "failed 400 the field 'Content-Length' may not come as a trailer"},
      {chunked("0\r\nHost: b\r\n\r\n"), head + "failed 400 the field 'Host'"},
      {chunked("0\r\nA: b\n\r\n"), head + "failed 400 a line ends with LF alone"},
      {chunked("0\r\n A: b\r\n\r\n"), head + "failed 400 a field line begins with white space"},
      {chunked("0000000000000000000003\r\nabc\r\n0\r\n\r\n"), head + "data 'abc'\nend\n"},
      {chunked("7fffffffffffffff\r\nabc"),
       head + "data 'abc'\nfailed 400 the connection ended inside a request's body"},
      // At once, whether the line ends or not.
      {chunked("8000000000000000"), head + "failed 400 a chunk's size is larger than"},
      {chunked("8000000000000000\r\nabc"), head + "failed 400 a chunk's size is larger than"},
      {chunked("fffffffffffffffff"), head + "failed 400 a chunk's size is larger than"},
      {chunked("00000000000000000010000000000000000;a"),
       head + "failed 400 a chunk's size is larger"},
      {chunked(std::string(1100, '0') + "1\r\n"),
       head + "failed 400 a chunk's size line is longer"},
      {chunked("\r\n"), head + "failed 400 a chunk without a size"},
      {chunked("x\r\n"), head + "failed 400 a chunk without a size"},
      {chunked(" 3\r\nabc\r\n"), head + "failed 400 a chunk without a size"},
      {chunked("-1\r\n"), head + "failed 400 a chunk without a size"},
      {chunked("0x3\r\nabc\r\n"), head + "failed 400 what follows a chunk's size is no extension"},
      {chunked("3 \r\nabc\r\n"), head + "failed 400 what follows a chunk's size is no extension"},
      {chunked("3;\r\nabc\r\n"), head + "failed 400 what follows a chunk's size is no extension"},
      {chunked("3;a=\r\nabc\r\n"), head + "failed 400 what follows a chunk's size"},
      {chunked("3;a=\"b\r\nabc\r\n"), head + "failed 400 what follows a chunk's size"},
      {chunked("3;a\nabc\r\n"), head + "failed 400 a chunk's size line ends with LF alone"},
      {chunked("3\nabc\r\n"), head + "failed 400 a chunk's size line ends with LF alone"},
      {chunked("3\rabc\r\n0\r\n\r\n"), head + "failed 400 a CR that does not end a chunk's size"},
      {chunked(std::string("3\0\r\nabc\r\n", 9)), head + "failed 400 a control byte in a chunk's"},
      {chunked("3\r\nabcd\r\n"), head + "data 'abc'\nfailed 400 a chunk is longer than its size"},
      {chunked("3\r\nabc\n0\r\n\r\n"), head + "data 'abc'\nfailed 400 a chunk is longer than its"},
      {chunked("3\r\nab\r\n0\r\n\r\n"), head + "data 'ab\\x0d'\nfailed 400 a chunk is longer"},
      {chunked("10000000000000000\r\n"), head + "failed 400 a chunk's size is larger than"},
  });
}

TEST(Requests, OneAfterTheOther) {
  check_requests({
      {"GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: "
       "2\r\n\r\nhi"
       "\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n",
       "head GET /a a HTTP/1.1 none\nfields Host='a'\nend\n"
       "head POST /b a HTTP/1.1 sized 2\nfields Host='a' Content-Length='2'\ndata 'hi'\nend\n"
       "head GET /c a HTTP/1.1 none\nfields Host='a'\nend\n"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: u\r\n\r\n"
       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
       "head POST / a HTTP/1.1 chunked\nfields Host='a' Transfer-Encoding='chunked'\ndata 'x'\n"
       "end T='u'\n"
       "head POST / a HTTP/1.1 chunked\nfields Host='a' Transfer-Encoding='chunked'\nend\n"
       "failed 400 the connection ended inside a request's head"},
  });
}

TEST(Requests, UpgradesAndExpectations) {
  check_requests({
      {host("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x01\x02"),
       "head GET / a HTTP/1.1 none upgrade=websocket\nfields Host='a' Connection='Upgrade' "
       "Upgrade='websocket'\nend\ndata '\\x01\\x02'\nend\n"},
      {host("Upgrade: websocket\r\n\r\n"), "head GET / a HTTP/1.1 none\n"},
      {host("Connection: upgrade\r\n\r\n"), "head GET / a HTTP/1.1 none\n"},
      {host("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"),
       "head GET / a HTTP/1.1 none upgrade=h2c\n"},
      {host("Connection: close\r\nUpgrade: foo/1\r\nConnection: x, Upgrade\r\nUpgrade:\r\n"
            "Upgrade: websocket,bar\r\n\r\n"),
       "head GET / a HTTP/1.1 none close upgrade=foo/1,websocket,bar\n"},
      {host("Connection: Upgrade\r\nUpgrade: \r\n\r\n"), "head GET / a HTTP/1.1 none\n"},
      {host("Expect: else\r\nExpect: more, 100-continue\r\nContent-Length: 1\r\n\r\nx"),
       "head GET / a HTTP/1.1 sized 1 expects\n"},
      {"GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n",
       "head GET /  HTTP/1.0 none\n"},
      {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
       "head PUT / a HTTP/1.1 sized 1 expects\n"},
      {"PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
       "head PUT / a HTTP/1.0 sized 1 close\n"},
  });
}

TEST(Requests, LimitsNameTheirStatus) {
  const Limits small{.target_bytes = 40,
                     .head_bytes = 120,
                     .fields = 3,
                     .trailer_bytes = 30,
                     .trailer_fields = 1,
                     .chunk_line_bytes = 12,
                     .chunk_extension_bytes = 10};
  const std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  check_requests(
      {
          {"GET /" + std::string(100, 'p') + " HTTP/1.1\r\nHost: a\r\n\r\n",
           "failed 414 the request line is longer than 104 bytes"},
          {"GET /" + std::string(200, 'p'), "failed 414"},
          {"GET /" + std::string(200, 'p') + "\n", "failed 414"},
          {host("A: " + std::string(90, 'v') + "\r\n\r\n"),
           "failed 431 the request's head is longer than 120 bytes"},
          {host("A: " + std::string(200, 'v')), "failed 431"},
          {host("A : " + std::string(200, 'v') + "\r\n"), "failed 431"},
          {host("A: b\r\nC: d\r\nE: f\r\n\r\n"),
           "failed 431 the request's head is made of more than 3"},
          {chunked + "0\r\nA: " + std::string(40, 't') + "\r\n\r\n",
           "head POST / a HTTP/1.1 chunked\nfields Host='a' Transfer-Encoding='chunked'\n"
           "failed 431 the trailers are longer than 30 bytes"},
          {chunked + "0\r\nA: b\r\nC: d\r\n\r\n",
           "head POST / a HTTP/1.1 chunked\nfields Host='a' Transfer-Encoding='chunked'\n"
           "failed 431 the trailers are made of more than 1"},
          {chunked + "000000000000001\r\n",
           "head POST / a HTTP/1.1 chunked\nfields Host='a' Transfer-Encoding='chunked'\n"
           "failed 400 a chunk's size line is longer than 12 bytes"},
          {chunked + "1;abcde\r\nx\r\n1;abcde\r\n",
           "head POST / a HTTP/1.1 chunked\nfields Host='a' Transfer-Encoding='chunked'\ndata 'x'\n"
           "failed 400 more than 10 bytes of chunk extensions"},
      },
      small);
}

TEST(Requests, AnEndInsideAMessageIsAFailure) {
  check_requests({
      {"", ""},
      {"\r\n", ""},
      {"GET / HT", "failed 400 the connection ended inside a request's head"},
      {host("A: b"), "failed 400 the connection ended inside a request's head"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab",
       "head POST / a HTTP/1.1 sized 3\nfields Host='a' Content-Length='3'\ndata 'ab'\n"
       "failed 400 the connection ended inside a request's body"},
  });
}

TEST(Requests, NothingComesAfterAFailure) {
  H1RequestParser parser;
  std::string_view bytes = "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(parser.next(bytes), H1Event::failed);
  const std::string why = parser.error().why;
  EXPECT_EQ(parser.next(bytes), H1Event::failed);
  EXPECT_EQ(parser.finish(), H1Event::failed);
  EXPECT_EQ(parser.error().why, why);
}

TEST(Requests, TheHeadOutlivesTheBytesAndCanBeMovedOut) {
  H1RequestParser parser;
  RequestHead taken;
  {
    std::string text = "POST http://b?q HTTP/1.1\r\nHost: a\r\nX-Long: " + std::string(3000, 'v') +
                       "\r\nContent-Length: 2\r\n\r\nhi";
    std::string_view bytes = text;
    ASSERT_EQ(parser.next(bytes), H1Event::head);
    EXPECT_EQ(bytes, "hi");
    taken = std::move(parser.head());
    ASSERT_EQ(parser.next(bytes), H1Event::data);
    ASSERT_EQ(parser.next(bytes), H1Event::end);
    text.assign(text.size(), '!');
  }
  std::string_view more = "GET /other HTTP/1.1\r\nHost: c\r\n\r\n";
  ASSERT_EQ(parser.next(more), H1Event::head);
  EXPECT_EQ(taken.method, "POST");
  EXPECT_EQ(taken.path, "/?q");
  EXPECT_EQ(taken.authority, "b");
  EXPECT_EQ(taken.fields.value("x-long"), std::string(3000, 'v'));
  EXPECT_EQ(parser.head().path, "/other");
}

TEST(Requests, BytesAfterAnUpgradeAreLeftToWhoKnowsWhatTheyAre) {
  H1RequestParser parser;
  std::string_view bytes =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nGET / HTTP/1.1";
  ASSERT_EQ(parser.next(bytes), H1Event::head);
  ASSERT_EQ(parser.next(bytes), H1Event::end);
  EXPECT_EQ(bytes, "GET / HTTP/1.1");
  parser.become_tunnel();
  ASSERT_EQ(parser.next(bytes), H1Event::data);
  EXPECT_EQ(parser.data(), "GET / HTTP/1.1");
  EXPECT_EQ(parser.finish(), H1Event::end);
}

// ── Responses ────────────────────────────────────────────────────────────────────────────────────

TEST(Responses, WhatIsAllowedIsTaken) {
  check_responses({
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
       "head 200 'OK' HTTP/1.1 sized 2\nfields Content-Length='2'\ndata 'hi'\nend\n"},
      {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "head 200 '' HTTP/1.1 sized 0\n"},
      {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "head 200 '' HTTP/1.1 sized 0\n"},
      {"HTTP/1.1 999 \xe4h\tno\r\nContent-Length: 0\r\n\r\n", "head 999 '\\xe4h\\x09no' HTTP/1.1"},
      {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "head 200 'OK' HTTP/1.0 sized 0 close\n"},
      {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
       "head 200 'OK' HTTP/1.0 sized 0\n"},
      {"HTTP/1.1 200 OK\r\n\r\nall of it",
       "head 200 'OK' HTTP/1.1 until_close close\n"
       "data 'all of it'\nend\n"},
      {"HTTP/1.1 204 No Content\r\n\r\n", "head 204 'No Content' HTTP/1.1 none\nend\n"},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
       "head 304 'Not Modified' HTTP/1.1 sized 7 omitted\nfields Content-Length='7'\nend\n"},
      {"HTTP/1.1 304 Not Modified\r\n\r\n", "head 304 'Not Modified' HTTP/1.1 none omitted\nend\n"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
       "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: 1\r\n\r\n",
       "interim 100 'Continue' HTTP/1.1 none\ninterim 103 'Early' HTTP/1.1 none\n"
       "head 200 'OK' HTTP/1.1 chunked\nfields Transfer-Encoding='chunked'\ndata 'hi'\n"
       "end T='1'\n"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 404 Not Found\r\nContent-Length: 0"
       "\r\n\r\n",
       "head 200 'OK' HTTP/1.1 sized 1\nfields Content-Length='1'\ndata 'a'\nend\n"
       "head 404 'Not Found' HTTP/1.1 sized 0\n"},
  });
}

TEST(Responses, WhatIsRefused) {
  check_responses({
      {"HTTP/2 200 OK\r\n\r\n", "failed 502 what comes is no HTTP/1 response"},
      {"HTTP/1.x 200 OK\r\n\r\n", "failed 502 no version and status"},
      {"HTTP/1.1 20 OK\r\n\r\n", "failed 502 no version and status"},
      {"HTTP/1.1 2\r\n\r\nand more that follows", "failed 502 no version and status"},
      {"HTTP/1.1 099 OK\r\n\r\n", "failed 502 no version and status"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "failed 502 no version and status"},
      {"HTTP/1.1 101\nraw", "failed 502 no version and status"},
      {"HTTP/1.1  200 OK\r\n\r\n", "failed 502 no version and status"},
      {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "failed 502 the status line ends with LF alone"},
      {"HTTP/1.1 200 O\x01K\r\n\r\n", "failed 502 the control byte"},
      {"SSH-2.0-OpenSSH\r\n", "failed 502 what comes is no HTTP/1 response: it begins with 'S'"},
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", "failed 502 what comes is no HTTP/1 response"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       "failed 502 both Transfer-Encoding and Content-Length"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
       "failed 502 Content-Length comes more than once"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
       "failed 502 Transfer-Encoding 'gzip'"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nx", "failed 502 the transfer"},
      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "failed 502 HTTP/1.0 has no"},
      {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
       "failed 502 the server changes the protocol without having been asked"},
      {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "failed 502 white space in or after the field name"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
       "head 200 'OK' HTTP/1.1 sized 3\nfields Content-Length='3'\ndata 'ab'\n"
       "failed 502 the connection ended inside a response's body"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
       "head 200 'OK' HTTP/1.1 chunked\nfields Transfer-Encoding='chunked'\ndata 'hi'\n"
       "failed 502 the connection ended inside a response's body"},
      {"", "failed 502 the server closed the connection without an answer"},
      {"HTTP/1.1 100 Continue\r\n\r\n",
       "interim 100 'Continue' HTTP/1.1 none\nfailed 502 the server closed the connection without"},
      {"HTTP/1.1 200 O", "failed 502 the connection ended inside a response's head"},
  });
}

TEST(Responses, ToHead) {
  check_responses(
      {
          {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
           "1\r\n\r\nx",
           "head 200 'OK' HTTP/1.1 sized 7 omitted\nfields Content-Length='7'\nend\n"
           "head 200 'OK' HTTP/1.1 sized 1\n"},
          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
           "head 200 'OK' HTTP/1.1 chunked omitted\nfields Transfer-Encoding='chunked'\nend\n"},
          {"HTTP/1.1 200 OK\r\n\r\n", "head 200 'OK' HTTP/1.1 none omitted\nend\n"},
      },
      {.head = true});
}

TEST(Responses, Tunnels) {
  check_responses(
      {
          {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
           "\x81\x05hello",
           "head 101 'Switching Protocols' HTTP/1.1 tunnel close upgrade=websocket\n"
           "fields Connection='upgrade' Upgrade='websocket'\ndata '\\x81\\x05hello'\nend\n"},
          {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: foo/1\r\nUpgrade: "
           "websocket\r\n\r\n",
           "head 101 'Switching' HTTP/1.1 tunnel close upgrade=foo/1,websocket\n"},
          {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: foo/2\r\n\r\n",
           "failed 502 the server changes to the protocol 'foo/2', and asked for was 'foo/1, "
           "websocket'"},
          {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\nUpgrade: "
           "x\r\n\r\n",
           "failed 502 the server changes to the protocol 'x'"},
          {"HTTP/1.1 101 Switching Protocols\r\n\r\n",
           "failed 502 the server changes the protocol without naming it"},
          {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: \r\n\r\n",
           "failed 502 the server changes the protocol without naming it"},
          {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
           "head 200 'OK' HTTP/1.1 sized 2\nfields Content-Length='2'\ndata 'no'\nend\n"},
      },
      {.upgrade = "foo/1, websocket"});
  check_responses({{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nraw bytes",
                    "head 200 'OK' HTTP/1.1 tunnel close\nfields Content-Length='2'\n"
                    "data 'raw bytes'\nend\n"},
                   {"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
                    "head 403 'No' HTTP/1.1 sized 2\nfields Content-Length='2'\ndata 'no'\nend\n"}},
                  {.connect = true});
}

TEST(Responses, Limits) {
  const Limits small{.head_bytes = 60, .fields = 2, .interim_responses = 2};
  const std::string interim = "HTTP/1.1 100 C\r\n\r\n";
  check_responses(
      {
          {"HTTP/1.1 200 " + std::string(80, 'r') + "\r\n\r\n",
           "failed 502 the response's head is longer than 60 bytes"},
          {"HTTP/1.1 200 OK\r\nA: " + std::string(80, 'v'), "failed 502 the response's head"},
          {"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nE: f\r\n\r\n",
           "failed 502 the response's head is made of more than 2"},
          {interim + interim + interim,
           "interim 100 'C' HTTP/1.1 none\ninterim 100 'C' HTTP/1.1 none\n"
           "failed 502 more than 2 interim responses"},
      },
      {}, small);
}

TEST(Responses, BytesThatNobodyAskedForAreAFailure) {
  H1ResponseParser parser;
  parser.expect({});
  std::string_view bytes = "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
  ASSERT_EQ(parser.next(bytes), H1Event::head);
  ASSERT_EQ(parser.next(bytes), H1Event::end);
  EXPECT_EQ(parser.next(bytes), H1Event::failed);
  EXPECT_THAT(parser.error().why, HasSubstr("without having been asked"));
}

}  // namespace
}  // namespace fairlead::http
