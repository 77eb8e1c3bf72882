# ashlar::ashlar: what a user links. Headers, dependencies, and what the build found. Included by this project's build,
# where ASHLAR_TARGET is a library of it, and by an installed copy's ashlarConfig.cmake, where it is an imported one.
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(fmt 9.1 REQUIRED)
find_package(Threads REQUIRED)
# A run then needs no library of fmt; programs of headers alone compile a second longer.
option(ASHLAR_FMT_HEADER_ONLY "Take fmt from its headers, in place of its library" OFF)

target_include_directories(${ASHLAR_TARGET} INTERFACE ${ASHLAR_INCLUDE_DIR})
target_compile_features(${ASHLAR_TARGET} INTERFACE cxx_std_20)
target_link_libraries(${ASHLAR_TARGET} INTERFACE Eigen3::Eigen nlohmann_json::nlohmann_json Threads::Threads
  $<IF:$<BOOL:${ASHLAR_FMT_HEADER_ONLY}>,fmt::fmt-header-only,fmt::fmt>)

if(ASHLAR_OPENMP)
  find_package(OpenMP COMPONENTS CXX)
  if(OpenMP_CXX_FOUND)
    target_link_libraries(${ASHLAR_TARGET} INTERFACE OpenMP::OpenMP_CXX)
  endif()
endif()
if(ASHLAR_ONEDNN)
  find_path(ASHLAR_DNNL_INCLUDE dnnl.h)
  find_library(ASHLAR_DNNL_LIBRARY dnnl)
  if(ASHLAR_DNNL_INCLUDE AND ASHLAR_DNNL_LIBRARY)
    target_compile_definitions(${ASHLAR_TARGET} INTERFACE ASHLAR_WITH_ONEDNN=1)
    target_link_libraries(${ASHLAR_TARGET} INTERFACE ${ASHLAR_DNNL_LIBRARY})
  endif()
endif()
if(ASHLAR_MPI)
  # Only the C interface: the header alone, no wrapper compiler.
  enable_language(C)
  find_package(MPI COMPONENTS C)
  if(MPI_C_FOUND)
    target_compile_definitions(${ASHLAR_TARGET} INTERFACE ASHLAR_WITH_MPI=1 OMPI_SKIP_MPICXX=1 MPICH_SKIP_MPICXX=1)
    target_link_libraries(${ASHLAR_TARGET} INTERFACE MPI::MPI_C)
  endif()
endif()
