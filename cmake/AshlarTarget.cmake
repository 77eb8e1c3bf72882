# ashlar::ashlar: what a user links. Headers, dependencies, and what the build found.
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(Threads REQUIRED)

add_library(ashlar INTERFACE)
add_library(ashlar::ashlar ALIAS ashlar)
target_include_directories(ashlar INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_compile_features(ashlar INTERFACE cxx_std_20)
target_link_libraries(ashlar INTERFACE Eigen3::Eigen nlohmann_json::nlohmann_json Threads::Threads)

if(ASHLAR_OPENMP)
  find_package(OpenMP COMPONENTS CXX)
  if(OpenMP_CXX_FOUND)
    target_link_libraries(ashlar INTERFACE OpenMP::OpenMP_CXX)
  endif()
endif()
if(ASHLAR_ONEDNN)
  find_path(ASHLAR_DNNL_INCLUDE dnnl.h)
  find_library(ASHLAR_DNNL_LIBRARY dnnl)
  if(ASHLAR_DNNL_INCLUDE AND ASHLAR_DNNL_LIBRARY)
    target_compile_definitions(ashlar INTERFACE ASHLAR_WITH_ONEDNN=1)
    target_link_libraries(ashlar INTERFACE ${ASHLAR_DNNL_LIBRARY})
  endif()
endif()
if(ASHLAR_MPI)
  # Only the C interface: the header alone, no wrapper compiler.
  enable_language(C)
  find_package(MPI COMPONENTS C)
  if(MPI_C_FOUND)
    target_compile_definitions(ashlar INTERFACE ASHLAR_WITH_MPI=1 OMPI_SKIP_MPICXX=1 MPICH_SKIP_MPICXX=1)
    target_link_libraries(ashlar INTERFACE MPI::MPI_C)
  endif()
endif()

# What the project's own programs are compiled with. Not fast-math: NaN must stay NaN.
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
