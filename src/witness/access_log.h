// What an Envoy's access log tells of a request. An Envoy keeps no records, so this is the evidence
// that there is: the text format that control sends (Istio's). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "explain/evidence.h"
#include "witness/gather.h"

namespace fairlead::witness {

[[nodiscard]] std::vector<explain::ProxyRecord> records_from_access_log(std::string_view log,
                                                                        const std::string& proxy,
                                                                        const Wanted& wanted);
// Of each wanted line, in the log's order; `wanted` is told the line's x-request-id. Lines of any
// other kind are passed over. The format names no listener, no filter chain, and no count of
// attempts: these stay empty.

}  // namespace fairlead::witness
