// The kernel's table of services, told to people. Pure.
#pragma once

#include <string>
#include <vector>

#include "nft/read.h"
#include "nft/ruleset.h"

namespace fairlead::node {

[[nodiscard]] std::string show_services(const nft::Table& table,
                                        const std::vector<nft::Reading>& readings);
// A line for each service port and each endpoint of it:
//
//   SERVICE               ADDRESS          CONNECTIONS  ENDPOINTS
//   default/reviews:http  10.96.0.12:9080           12  10.244.1.5:9080  reviews-v1-7d4f
//                                                       10.244.2.6:9080  reviews-v2-5c6b
//   default/empty:http    10.96.0.99:80              3  none: connections are refused

[[nodiscard]] Result<std::string> show_services(nft::Kernel& kernel);
// As the kernel has it now. Without a table: a sentence that says so.

}  // namespace fairlead::node
