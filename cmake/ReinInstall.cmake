# Installation: libraries, headers, rein.pc and the CMake package `rein` with targets rein::rein (shared) and
# rein::rein-static. Nothing in it names the build or source directory.

include(CMakePackageConfigHelpers)

set(REIN_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/rein)
install(DIRECTORY include/rein DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# one export each: a consumer of the shared library needs none of the libraries inside the static one
set_target_properties(rein_static PROPERTIES EXPORT_NAME rein-static)
install(TARGETS rein_static EXPORT rein-static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT rein-static NAMESPACE rein:: FILE rein-static.cmake DESTINATION ${REIN_CMAKE_DIR})
if(REIN_SHARED)
  set_target_properties(rein_shared PROPERTIES EXPORT_NAME rein)
  install(TARGETS rein_shared EXPORT rein-shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT rein-shared NAMESPACE rein:: FILE rein-shared.cmake DESTINATION ${REIN_CMAKE_DIR})
endif()

configure_package_config_file(cmake/rein-config.cmake.in rein-config.cmake INSTALL_DESTINATION ${REIN_CMAKE_DIR}
                              NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(rein-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/rein-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/rein-config-version.cmake
        DESTINATION ${REIN_CMAKE_DIR})

# rein.pc finds itself through ${pcfiledir}, so an installed tree may be moved
file(RELATIVE_PATH REIN_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" REIN_PC_PREFIX "${REIN_PC_PREFIX}")
list(TRANSFORM REIN_OPTIONAL_LIBRARIES REPLACE "^([A-Za-z0-9_]+)$" "-l\\1" OUTPUT_VARIABLE REIN_PC_OPTIONAL)
list(JOIN REIN_PC_OPTIONAL " " REIN_PC_OPTIONAL)
configure_file(cmake/rein.pc.in rein.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/rein.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
