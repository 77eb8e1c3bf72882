# ashlar_compile(TARGET): a static library of what no recipe changes (ashlar/instances.hpp). Programs that link TARGET
# take that from it instead of compiling it themselves, and compile in half the time. Without it,
# everything is in the headers.
function(ashlar_compile target)
  set(instances ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/instances)
  add_library(${target} STATIC ${instances}/host.cpp ${instances}/cpu_kernels.cpp ${instances}/plans.cpp
    ${instances}/plans_of_experts.cpp)
  target_link_libraries(${target} PUBLIC ashlar::ashlar)
  target_compile_definitions(${target} PRIVATE ASHLAR_COMPILED=2 INTERFACE ASHLAR_COMPILED=1)
endfunction()
