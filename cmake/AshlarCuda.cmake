# Kernels for NVIDIA GPUs. Host code never sees a kernel: launchers are declared in the operations' host headers and
# instantiated in small .cu files, one an operation, so that each is compiled once and in parallel.
set(CMAKE_CUDA_ARCHITECTURES "90a" CACHE STRING "GPU architectures")
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

# ashlar_cuda_instances(TARGET FILES...): compiles explicit instantiations (see cmake/instances) into a static library.
# A user who composes a mask or a type of their own lists one more file.
function(ashlar_cuda_instances target)
  add_library(${target} STATIC ${ARGN})
  target_include_directories(${target} PUBLIC ${ASHLAR_INCLUDE_DIR})
  # CMake 3.25 passes no C++20 flag to nvcc 13.
  target_compile_options(${target} PRIVATE -std=c++20 --expt-relaxed-constexpr "SHELL:--Werror all-warnings"
    "SHELL:-Xptxas --warn-on-spills,--warning-as-error")
  set_target_properties(${target} PROPERTIES CUDA_STANDARD_REQUIRED OFF)
  target_compile_definitions(${target} PUBLIC ASHLAR_WITH_CUDA=1)
  target_link_libraries(${target} PUBLIC CUDA::cudart CUDA::cublasLt)
endfunction()

file(GLOB ASHLAR_INSTANCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/instances/*.cu)
ashlar_cuda_instances(ashlar_cuda ${ASHLAR_INSTANCES})
