# ashlar_program: what the project's own programs are compiled with. Not fast-math: NaN must stay NaN.
add_library(ashlar_program INTERFACE)
target_link_libraries(ashlar_program INTERFACE ashlar)
target_compile_options(ashlar_program INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Werror -fno-math-errno -fno-trapping-math>)
if(ASHLAR_NATIVE)
  target_compile_options(ashlar_program INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
endif()

execute_process(COMMAND git describe --always --dirty WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  OUTPUT_VARIABLE ASHLAR_BUILD OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(ASHLAR_BUILD)
  target_compile_definitions(ashlar_program INTERFACE ASHLAR_BUILD="${PROJECT_VERSION}-${ASHLAR_BUILD}")
endif()
