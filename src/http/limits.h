// How much of a message is taken before it is refused. Defaults are Envoy's where it has one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fairlead::http {

struct Limits {
  std::size_t target_bytes = std::size_t{16} * 1024;  // of a request line's target; else 414
  std::size_t head_bytes = std::size_t{60} * 1024;    // start line and fields; else 431
  std::size_t fields = 100;                           // else 431
  std::size_t trailer_bytes = std::size_t{8} * 1024;  // else 431
  std::size_t trailer_fields = 50;                    // else 431
  std::size_t chunk_line_bytes = 1024;                // size and extensions of one chunk
  std::size_t chunk_extension_bytes = std::size_t{16} * 1024;  // in all chunks of a message
  std::uint32_t interim_responses = 16;                        // 1xx before the response proper
  bool operator==(const Limits&) const = default;
};

}  // namespace fairlead::http
