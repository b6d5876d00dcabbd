# The distribution's libraries, each found once. In the release build the static archive is taken
# where there is one: resident memory is mostly what the dynamic linker maps and relocates.
function(fairlead_library name)
  # fairlead_library(name STEM...): an imported target `name` over lib<STEM> (static first when asked).
  add_library(lib::${name} INTERFACE IMPORTED GLOBAL)
  foreach(stem ${ARGN})
    if(FAIRLEAD_STATIC)
      find_library(found_${stem} NAMES lib${stem}.a ${stem} REQUIRED)
    else()
      find_library(found_${stem} NAMES ${stem} REQUIRED)
    endif()
    mark_as_advanced(found_${stem})
    target_link_libraries(lib::${name} INTERFACE ${found_${stem}})
  endforeach()
endfunction()

# fmt and spdlog come without archives: the release compiles fmt's definitions once, as its own
# library, and spdlog's headers instead (they are seen by base/log.cc alone).
if(FAIRLEAD_STATIC)
  add_library(fmt_definitions STATIC ${CMAKE_SOURCE_DIR}/cmake/fmt.cc)
  add_library(lib::fmt INTERFACE IMPORTED GLOBAL)
  target_link_libraries(lib::fmt INTERFACE fmt_definitions)
  add_library(lib::spdlog INTERFACE IMPORTED GLOBAL)
  target_compile_definitions(lib::spdlog INTERFACE SPDLOG_FMT_EXTERNAL)
else()
  fairlead_library(fmt fmt)
  fairlead_library(spdlog spdlog)
  target_compile_definitions(lib::spdlog INTERFACE SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
endif()
target_link_libraries(lib::spdlog INTERFACE lib::fmt)
fairlead_library(xxhash xxhash)
fairlead_library(yaml yaml)
fairlead_library(openssl ssl crypto)
fairlead_library(nghttp2 nghttp2)
fairlead_library(protobuf protobuf)
fairlead_library(re2 re2)
# Debian 13's re2 is built on Abseil, and an archive does not say what it needs. The linker takes
# what it uses.
if(FAIRLEAD_STATIC)
  get_filename_component(beside_re2 ${found_re2} DIRECTORY)
  file(GLOB abseil ${beside_re2}/libabsl_*.a)
  target_link_libraries(lib::re2 INTERFACE ${abseil})
endif()
fairlead_library(mnl mnl)
# No static libnftables exists, and only the commands that write kernel tables need it: it is opened
# with dlopen by nft/, so nothing links it.
target_link_libraries(lib::openssl INTERFACE ${CMAKE_DL_LIBS})
