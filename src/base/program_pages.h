// Memory that starting up has used and serving does not need.
#pragma once

namespace fairlead {

void give_back_program_pages();
// For a process that has started and will now do one small part of what it can. Unmaps, without
// forgetting their place, the pages of code and constants of the program and its libraries, and
// returns free heap memory. What is still needed comes back from the page cache with the next
// touch, for some microseconds in all; what is not needed counts as resident no longer. Safe beside
// running threads.

}  // namespace fairlead
