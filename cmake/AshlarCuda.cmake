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

# NCCL: headers and a library beside the CUDA Toolkit, in a Python package's folder, or where CMAKE_PREFIX_PATH says.
option(ASHLAR_NCCL "Ranks on GPUs exchange by NCCL, where it is found" ON)
if(ASHLAR_NCCL)
  find_path(ASHLAR_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(ASHLAR_NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${CUDAToolkit_LIBRARY_DIR})
endif()
# ashlar_use_nccl(TARGET): host code of TARGET's users uses NCCL, where it is found.
function(ashlar_use_nccl target)
  if(ASHLAR_NCCL AND ASHLAR_NCCL_INCLUDE AND ASHLAR_NCCL_LIBRARY)
    target_compile_definitions(${target} INTERFACE ASHLAR_WITH_NCCL=1)
    target_include_directories(${target} SYSTEM INTERFACE ${ASHLAR_NCCL_INCLUDE})
    target_link_libraries(${target} INTERFACE ${ASHLAR_NCCL_LIBRARY})
  endif()
endfunction()

file(GLOB ASHLAR_INSTANCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/instances/*.cu)
ashlar_cuda_instances(ashlar_cuda ${ASHLAR_INSTANCES})
ashlar_use_nccl(ashlar_cuda)
