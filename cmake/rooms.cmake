# A room is one folder of src/, one library, and the tests and fuzzers that stand beside its sources.
#
#   fairlead_room(http ROOMS base LIBRARIES nghttp2)
#
# compiles src/http/*.cc into the library `http`, src/http/*_test.cc into the program `http_test`,
# and each src/http/X_fuzz.cc into the fuzzer `http_X_fuzz` (with a short run among the tests).
# Rooms inside rooms are named with an underscore: proxy/decide is `proxy_decide`.
# OPTIMISED: also in Dev builds, because requests run through this room.
# SEPARATE: names of this room's sources collide, so the release compiles each by itself.
# TEST_ROOMS and TEST_LIBRARIES are for the tests alone. TEST_TIMEOUT is in seconds, for each test.
if(BUILD_TESTING)
  find_package(GTest REQUIRED)
endif()
find_package(Threads REQUIRED)
include(GoogleTest)

# Half of the time of a compile with sanitizers is the optimiser's. Rooms that serve requests keep it
# (OPTIMISED), and fuzzers want it everywhere; the other rooms and all tests do without in Dev builds.
# So with the checks of every pointer, a fifth of such a compile: null is seen by the address sanitizer
# too, and rooms that read bytes in place are those that serve requests.
function(fairlead_quick_to_compile target)
  if(NOT FAIRLEAD_FUZZ)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Dev>:-O0>)
    if(FAIRLEAD_SANITIZE MATCHES "undefined")
      target_compile_options(${target} PRIVATE -fno-sanitize=null,alignment)
    endif()
  endif()
endfunction()

# Half of the rest is reading: in Dev builds what nearly all include is read once, the standard library
# and fmt for those rooms, GoogleTest for tests. The rooms that serve requests read each source as it stands.
#
# CMake's own precompiled headers hold the absolute path of the checkout, so that no other checkout finds
# in the compiler cache what was compiled with them. Here the header lies in the build folder and is named
# from there, the preset sets PWD to /proc/self/cwd, which clang takes as its folder, and the times of the
# files that were read are left out: checkouts of one commit make the same bytes.
function(fairlead_read_once name)
  list(TRANSFORM ARGN REPLACE "(.+)" "#include \\1" OUTPUT_VARIABLE includes)
  list(JOIN includes "\n" includes)
  set(header ${CMAKE_BINARY_DIR}/read_once/${name}.h)
  file(CONFIGURE OUTPUT ${header} CONTENT "${includes}\n" @ONLY)
  set_source_files_properties(${header} PROPERTIES LANGUAGE CXX)
  add_library(read_once_${name} OBJECT ${header})
  fairlead_quick_to_compile(read_once_${name})
  target_compile_options(read_once_${name} PRIVATE "SHELL:-x c++-header" "SHELL:-Xclang -fno-pch-timestamp")
endfunction()

if(CMAKE_BUILD_TYPE STREQUAL "Dev" AND NOT FAIRLEAD_FUZZ)
  fairlead_read_once(rooms <fmt/format.h> <algorithm> <array> <chrono> <functional> <map> <memory> <optional>
                     <string> <string_view> <unordered_map> <utility> <variant> <vector>)
  if(BUILD_TESTING)
    fairlead_read_once(tests <gmock/gmock.h> <gtest/gtest.h>)
    target_link_libraries(read_once_tests PRIVATE GTest::gmock)
  endif()
endif()

# `of`: rooms or tests.
function(fairlead_quick target of)
  fairlead_quick_to_compile(${target})
  if(TARGET read_once_${of})
    set(compiled CMakeFiles/read_once_${of}.dir/read_once/${of}.h${CMAKE_CXX_OUTPUT_EXTENSION})
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -include-pch -Xclang ${compiled}"
                                             "SHELL:-Xclang -fno-pch-timestamp")
    get_target_property(sources ${target} SOURCES)
    set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/${compiled})
  endif()
endfunction()

function(fairlead_room name)
  cmake_parse_arguments(room "OPTIMISED;SEPARATE" "TEST_TIMEOUT" "ROOMS;LIBRARIES;SOURCES;TEST_ROOMS;TEST_LIBRARIES" ${ARGN})
  if(NOT room_TEST_TIMEOUT)
    set(room_TEST_TIMEOUT 60)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  file(GLOB tests CONFIGURE_DEPENDS *_test.cc)
  file(GLOB fuzzers CONFIGURE_DEPENDS *_fuzz.cc)
  file(GLOB benches CONFIGURE_DEPENDS *_bench.cc)
  list(REMOVE_ITEM sources ${tests} ${fuzzers} ${benches} "")
  list(APPEND sources ${room_SOURCES})
  if(sources)
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${name} PUBLIC ${room_ROOMS} ${room_LIBRARIES} Threads::Threads)
    # The release is built as a whole: a room's sources are joined, so that each header is read once.
    if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT room_SEPARATE)
      set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
      target_compile_options(${name} PRIVATE -Wno-shadow)  # of another source; Dev builds look at each
    endif()
    if(room_OPTIMISED)
      target_compile_options(${name} PRIVATE "$<$<CONFIG:Release>:-flto=thin$<SEMICOLON>-ffat-lto-objects>")
    else()
      fairlead_quick(${name} rooms)
    endif()
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${name} INTERFACE ${room_ROOMS} ${room_LIBRARIES})
  endif()
  if(BUILD_TESTING AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE ${name} ${room_TEST_ROOMS} ${room_TEST_LIBRARIES} GTest::gmock GTest::gtest_main)
    fairlead_quick(${name}_test tests)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
                         PROPERTIES TIMEOUT ${room_TEST_TIMEOUT})
  endif()
  if(BUILD_TESTING AND FAIRLEAD_SANITIZE MATCHES "address")
    foreach(source ${fuzzers})
      get_filename_component(stem ${source} NAME_WE)
      set(target ${name}_${stem})
      add_executable(${target} ${source})
      target_link_libraries(${target} PRIVATE ${name} ${room_TEST_ROOMS} GTest::gtest)
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
      set(seeds ${CMAKE_CURRENT_SOURCE_DIR}/${stem}_seeds)
      set(corpus ${CMAKE_CURRENT_BINARY_DIR}/${stem}_corpus)
      file(MAKE_DIRECTORY ${corpus})
      if(NOT EXISTS ${seeds})
        set(seeds "")
      endif()
      add_test(NAME ${name}.fuzz.${stem}
               COMMAND ${target} -max_total_time=3 -timeout=5 -rss_limit_mb=2048 -verbosity=0 ${corpus} ${seeds})
      set_tests_properties(${name}.fuzz.${stem} PROPERTIES TIMEOUT 60)
    endforeach()
  endif()
  if(benches)
    find_package(benchmark QUIET)
    if(benchmark_FOUND)
      add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
      target_link_libraries(${name}_bench PRIVATE ${name} ${room_TEST_ROOMS} benchmark::benchmark_main)
    endif()
  endif()
endfunction()
