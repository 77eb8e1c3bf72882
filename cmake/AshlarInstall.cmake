# find_package(ashlar) after `cmake --install`: headers, and the files that define the target (tests/install).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(ashlar_package ${CMAKE_INSTALL_LIBDIR}/cmake/ashlar)
configure_package_config_file(cmake/ashlarConfig.cmake.in ashlarConfig.cmake
  INSTALL_DESTINATION ${ashlar_package} PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(ashlarConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(DIRECTORY include/ashlar DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_BINARY_DIR}/ashlarConfig.cmake ${PROJECT_BINARY_DIR}/ashlarConfigVersion.cmake
  cmake/AshlarTarget.cmake cmake/AshlarCompiled.cmake cmake/AshlarEmulator.cmake cmake/AshlarCuda.cmake
  DESTINATION ${ashlar_package})
install(DIRECTORY cmake/instances DESTINATION ${ashlar_package})
