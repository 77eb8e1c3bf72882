# ashlar::emulator: the Cuda device on the host, each access of a kernel checked (docs/emulator.md). Linked in place of a
# library of kernels; there is none where Boost.Context is not found.
find_path(ASHLAR_BOOST_INCLUDE boost/context/detail/fcontext.hpp)
find_library(ASHLAR_BOOST_CONTEXT boost_context)
if(ASHLAR_BOOST_INCLUDE AND ASHLAR_BOOST_CONTEXT)
  add_library(ashlar_emulator INTERFACE)
  add_library(ashlar::emulator ALIAS ashlar_emulator)
  target_include_directories(ashlar_emulator SYSTEM INTERFACE ${ASHLAR_BOOST_INCLUDE})
  target_link_libraries(ashlar_emulator INTERFACE ashlar::ashlar ${ASHLAR_BOOST_CONTEXT})
  target_compile_definitions(ashlar_emulator INTERFACE ASHLAR_CUDA_EMULATED=1)
  target_compile_options(ashlar_emulator INTERFACE -Wno-unknown-pragmas)  # #pragma unroll is nvcc's
endif()
