# librein: one set of objects, a static and a shared library.

set(REIN_LIBRARY_SOURCES ${REIN_ALL_SOURCES})
list(FILTER REIN_LIBRARY_SOURCES EXCLUDE REGEX "/src/cli/")
rein_isa_flags(${REIN_LIBRARY_SOURCES})
include(ReinModels)
list(APPEND REIN_LIBRARY_SOURCES ${REIN_MODELS_SOURCE})

# What was built, for rein_build_info and the config.json of every run. Kept in a header of its own that one source
# includes, so that a new commit does not rebuild the library.
set(REIN_GENERATED_DIR ${CMAKE_CURRENT_BINARY_DIR}/generated)
add_custom_target(rein_build_id ALL
  COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${CMAKE_CURRENT_SOURCE_DIR} -DVERSION=${PROJECT_VERSION}
          -DOPTIONS=${CMAKE_BUILD_TYPE} -DSANITIZE=${REIN_SANITIZE} -DOUTPUT=${REIN_GENERATED_DIR}/rein_build.h
          -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/build_id.cmake
  BYPRODUCTS ${REIN_GENERATED_DIR}/rein_build.h
  COMMENT "Build id" VERBATIM)

add_library(rein_objects OBJECT ${REIN_LIBRARY_SOURCES})
add_dependencies(rein_objects rein_build_id)
set_target_properties(rein_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(rein_objects PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src ${REIN_GENERATED_DIR}
                           PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include)
target_link_libraries(rein_objects PRIVATE rein_flags rein_optional PkgConfig::JANSSON PkgConfig::NETTLE
                      Threads::Threads)
# calls between Rein's own functions may be inlined and go direct although the objects fit a shared library
check_c_compiler_flag(-fno-semantic-interposition REIN_HAS_NO_INTERPOSITION)
if(REIN_HAS_NO_INTERPOSITION)
  target_compile_options(rein_objects PRIVATE -fno-semantic-interposition)
endif()

get_target_property(REIN_OPTIONAL_LIBRARIES rein_optional INTERFACE_LINK_LIBRARIES)
if(NOT REIN_OPTIONAL_LIBRARIES)
  set(REIN_OPTIONAL_LIBRARIES)
endif()

function(rein_library target kind)
  add_library(${target} ${kind} $<TARGET_OBJECTS:rein_objects>)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME rein LINKER_LANGUAGE C)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PRIVATE ${REIN_OPTIONAL_LIBRARIES} PkgConfig::JANSSON
                        PkgConfig::NETTLE Threads::Threads ${CMAKE_DL_LIBS} m)
endfunction()

rein_library(rein_static STATIC)
if(REIN_SHARED)
  rein_library(rein_shared SHARED)
  set_target_properties(rein_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  # symbols of static dependencies stay inside
  target_link_options(rein_shared PRIVATE LINKER:--exclude-libs,ALL
                      LINKER:--version-script=${CMAKE_CURRENT_SOURCE_DIR}/cmake/rein.map)
  set_target_properties(rein_shared PROPERTIES LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cmake/rein.map)
  if(REIN_SANITIZE)
    target_link_options(rein_shared PRIVATE -fsanitize=${REIN_SANITIZE})
  else()
    target_link_options(rein_shared PRIVATE LINKER:--no-undefined)
  endif()
endif()
