# Tests: every tests/<ring>/test_*.c is one cmocka program, labelled by its ring; every tests/fuzz/fuzz_*.c is one
# program that runs its corpus and mutations of it.

pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
if(NOT CMOCKA_FOUND)
  message(STATUS "cmocka: absent, so are the tests")
  return()
endif()

set(REIN_RINGS unit ops grad golden fault learn)
set(REIN_TESTS_DIR ${CMAKE_CURRENT_SOURCE_DIR}/tests)

add_library(rein_test_flags INTERFACE)
target_include_directories(rein_test_flags INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/src ${REIN_TESTS_DIR})
target_compile_definitions(rein_test_flags INTERFACE REIN_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}"
                           REIN_BINARY="${CMAKE_CURRENT_BINARY_DIR}/rein")
# the tests call internal functions, which the static library still shows
target_link_libraries(rein_test_flags INTERFACE rein_static rein_flags rein_optional PkgConfig::JANSSON
                      PkgConfig::NETTLE Threads::Threads m)

file(GLOB REIN_TEST_SUPPORT CONFIGURE_DEPENDS ${REIN_TESTS_DIR}/support/*.c)

function(rein_test ring source timeout)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source} ${REIN_TEST_SUPPORT})
  target_link_libraries(${name} PRIVATE rein_test_flags PkgConfig::CMOCKA)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/tests)
  add_test(NAME ${ring}.${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  set_tests_properties(${ring}.${name} PROPERTIES LABELS ${ring} TIMEOUT ${timeout} SKIP_RETURN_CODE 77
                       ENVIRONMENT "CMOCKA_MESSAGE_OUTPUT=TAP")
endfunction()

foreach(ring IN LISTS REIN_RINGS)
  file(GLOB sources CONFIGURE_DEPENDS ${REIN_TESTS_DIR}/${ring}/test_*.c)
  set(timeout 300)
  if(ring STREQUAL learn)
    set(timeout 1200)
  endif()
  foreach(source IN LISTS sources)
    rein_test(${ring} ${source} ${timeout})
  endforeach()
endforeach()

# the environments once more in double precision, for episodes that run free of the recorded states
if(TARGET test_env_free_run)
  target_compile_definitions(test_env_free_run PRIVATE REIN_ENV_REAL=double)
endif()
