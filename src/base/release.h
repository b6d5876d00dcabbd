// Room given back.
#pragma once

#include <string>

namespace fairlead {

inline void release(std::string& text) {
  // Leaves it empty and without room of its own on the heap. Assigning std::string() would not: a
  // short string is copied into the room that is there, which stays as large as it ever was.
  std::string().swap(text);
}

}  // namespace fairlead
