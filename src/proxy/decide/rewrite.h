// What a rule changes in a request or a response, and where a redirect leads. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/listener.h"
#include "http/message.h"
#include "proxy/decide/match.h"

namespace fairlead::proxy {

[[nodiscard]] Result<> normalise_path(http::RequestHead& head);
// RFC 3986 §6.2.2 on the path, not the query: unreserved characters decoded, escapes in upper case,
// dot segments resolved, and a backslash is a slash, as for Envoy. A fault when it holds a broken
// escape, %00, or climbs above the root: answer 400. Nothing is allocated when the path is already
// so. Runs before match().

// What these write are views of `rule`: the head is good as long as the table is.
void rewrite_request(const Rule& rule, http::RequestHead& head);
// Path prefix, host, fields to add and to remove; the path and host before stand in Envoy's fields
// `x-envoy-original-path` and `-host`, where its access log looks for them. Once a request: do it
// before the first attempt.
void rewrite_response(const Rule& rule, http::ResponseHead& head);

[[nodiscard]] std::string redirect_location(const Rule& rule, const http::RequestHead& head);
// For routes of kind redirect.

}  // namespace fairlead::proxy
