# Guards: rules about the sources, checked as tests. `ctest -R guards`, `ctest -R compile_fail`, `ctest -R headers`.
set(guards ${CMAKE_CURRENT_SOURCE_DIR}/guards)

add_test(NAME guards/layers COMMAND ${guards}/layers.sh ${PROJECT_SOURCE_DIR})
add_test(NAME guards/vocabulary COMMAND ${guards}/vocabulary.sh ${PROJECT_SOURCE_DIR})
add_test(NAME guards/planted COMMAND ${guards}/planted.sh)
add_test(NAME guards/emits_nothing COMMAND ${guards}/emits_nothing.sh ${CMAKE_CXX_COMPILER} ${library_flags}
  COMMAND_EXPAND_LISTS)
set_tests_properties(guards/emits_nothing PROPERTIES TIMEOUT 300)

# Wrong compositions: each is refused with its sentence.
file(GLOB programs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/*.cpp)
foreach(program ${programs})
  cmake_path(GET program STEM name)
  add_test(NAME compile_fail/${name} COMMAND ${guards}/must_fail.sh ${program} ${CMAKE_CXX_COMPILER} ${library_flags}
    COMMAND_EXPAND_LISTS)
  set_tests_properties(compile_fail/${name} PROPERTIES TIMEOUT 300)
endforeach()

# An installed copy, found by a project of its own.
add_test(NAME install COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/install.sh ${PROJECT_BINARY_DIR}
  ${PROJECT_BINARY_DIR}/install_test ${CMAKE_CXX_COMPILER})
set_tests_properties(install PROPERTIES TIMEOUT 600)

# Kernels compile for the GPU without warnings and without spilling registers, wherever there is a compiler for it.
file(GLOB instances CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/instances/*.cu)
find_program(ASHLAR_NVCC nvcc HINTS /usr/local/cuda/bin)
foreach(instance ${instances})
  cmake_path(GET instance STEM name)
  if(ASHLAR_NVCC)
    add_test(NAME nvcc/${name} COMMAND ${guards}/nvcc.sh ${instance} ${ASHLAR_NVCC} ${PROJECT_SOURCE_DIR}/include)
    set_tests_properties(nvcc/${name} PROPERTIES TIMEOUT 600)
  else()
    skipped_test(nvcc/${name} "no nvcc")
  endif()
endforeach()
