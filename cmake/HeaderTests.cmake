# Every header compiles alone, under g++ and clang++: an entry for each folder of include/ashlar (tests/guards/headers.sh).
# ASHLAR_ALL_HEADERS: clang++ takes each header alone as well, in place of a folder at a time, and headers that are some
# test's first include are not taken as compiled. g++ has OpenMP, where it is found, and clang++ has not.
option(ASHLAR_ALL_HEADERS "Compile every header alone with every compiler (minutes)" OFF)
if(ASHLAR_ALL_HEADERS)
  set(header_how all)
  set(header_how_clang all)
else()
  set(header_how untested)
  set(header_how_clang together)
endif()
set(header_script ${PROJECT_SOURCE_DIR}/tests/guards/headers.sh)
find_program(ASHLAR_CLANG NAMES clang++ clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14)

# What programs that use the library are compiled with; for commands with COMMAND_EXPAND_LISTS.
# /usr/include is there anyway, and in its place: naming it again breaks the order of system headers.
set(library_includes $<FILTER:$<TARGET_PROPERTY:ashlar,INTERFACE_INCLUDE_DIRECTORIES>,EXCLUDE,^/usr/include$>)
set(library_definitions $<TARGET_PROPERTY:ashlar,INTERFACE_COMPILE_DEFINITIONS>)
set(library_flags -std=c++20 -Wall -Wextra -Wshadow -Werror
  "-I$<JOIN:${library_includes},$<SEMICOLON>-isystem$<SEMICOLON>>"
  "$<$<BOOL:${library_definitions}>:-D$<JOIN:${library_definitions},$<SEMICOLON>-D>>")
set(emulator_flags -DASHLAR_CUDA_EMULATED=1 -Wno-unknown-pragmas)

if(CMAKE_CXX_FLAGS MATCHES "fsanitize")
  return()
endif()

function(header_test name how folder extension)
  add_test(NAME headers/${name} COMMAND ${header_script} ${how} ${PROJECT_SOURCE_DIR} ${folder} ${extension}
    ${ARGN} ${library_flags} COMMAND_EXPAND_LISTS)
  set_tests_properties(headers/${name} PROPERTIES TIMEOUT 1200)
endfunction()

file(GLOB header_folders CONFIGURE_DEPENDS LIST_DIRECTORIES true RELATIVE ${PROJECT_SOURCE_DIR}/include/ashlar
  ${PROJECT_SOURCE_DIR}/include/ashlar/*)
list(FILTER header_folders EXCLUDE REGEX "[.]hpp$|^emulator$")
foreach(folder ${header_folders} .)
  string(REPLACE . umbrella name ${folder})
  header_test(${name} ${header_how} ${folder} hpp ${CMAKE_CXX_COMPILER} ${OpenMP_CXX_FLAGS})
  if(ASHLAR_CLANG)
    header_test(${name}_clang ${header_how_clang} ${folder} hpp ${ASHLAR_CLANG})
  else()
    skipped_test(headers/${name}_clang "no clang++")
  endif()
endforeach()
foreach(headers device.cuh ops.cuh emulator.hpp)
  cmake_path(GET headers STEM folder)
  cmake_path(GET headers EXTENSION extension)
  string(SUBSTRING ${extension} 1 -1 extension)
  if(TARGET ashlar::emulator)
    header_test(${folder}_cuda ${header_how} ${folder} ${extension} ${CMAKE_CXX_COMPILER} ${OpenMP_CXX_FLAGS} ${emulator_flags})
  else()
    skipped_test(headers/${folder}_cuda "no Boost.Context")
  endif()
  if(TARGET ashlar::emulator AND ASHLAR_CLANG)
    header_test(${folder}_cuda_clang ${header_how_clang} ${folder} ${extension} ${ASHLAR_CLANG} ${emulator_flags})
  else()
    skipped_test(headers/${folder}_cuda_clang "no Boost.Context or no clang++")
  endif()
endforeach()
