# Tests: every tests/<ring>/test_*.c is one cmocka program, labelled by its ring; every tests/fuzz/fuzz_*.c is one
# program that runs its corpus and mutations of it; scripts cover what needs a compiler at test time.

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
# which optional libraries are in it, for the tests that need one
target_compile_definitions(rein_test_flags INTERFACE $<TARGET_PROPERTY:rein_optional,INTERFACE_COMPILE_DEFINITIONS>)
target_include_directories(rein_test_flags SYSTEM INTERFACE
                           $<TARGET_PROPERTY:rein_optional,INTERFACE_SYSTEM_INCLUDE_DIRECTORIES>)
# the tests call internal functions, which the static library still shows
target_link_libraries(rein_test_flags INTERFACE rein_static rein_flags PkgConfig::JANSSON PkgConfig::NETTLE
                      Threads::Threads m)

# everything that the thread sanitizer should see
add_custom_target(threaded_tests)

# a library, so that a program takes only the helpers it uses
file(GLOB REIN_TEST_SUPPORT CONFIGURE_DEPENDS ${REIN_TESTS_DIR}/support/*.c)
add_library(rein_test_support STATIC ${REIN_TEST_SUPPORT})
set_target_properties(rein_test_support PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(rein_test_support PRIVATE rein_test_flags)

function(rein_test ring source timeout)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source} ${ARGN})
  target_link_libraries(${name} PRIVATE rein_test_flags)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/tests)
  add_test(NAME ${ring}.${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  set(labels ${ring})
  file(STRINGS ${source} threaded REGEX "rein_pool_new|pthread_create" LIMIT_COUNT 1)
  if(threaded)
    list(APPEND labels threads)
    add_dependencies(threaded_tests ${name})
  endif()
  set_tests_properties(${ring}.${name} PROPERTIES LABELS "${labels}" TIMEOUT ${timeout} SKIP_RETURN_CODE 77
                       ENVIRONMENT "CMOCKA_MESSAGE_OUTPUT=TAP")
endfunction()

foreach(ring IN LISTS REIN_RINGS)
  file(GLOB sources CONFIGURE_DEPENDS ${REIN_TESTS_DIR}/${ring}/test_*.c)
  set(timeout 900) # only against tests that hang: a busy machine under a sanitizer takes its time
  if(ring STREQUAL learn)
    set(timeout 1200)
  endif()
  foreach(source IN LISTS sources)
    rein_test(${ring} ${source} ${timeout})
    get_filename_component(name ${source} NAME_WE)
    target_link_libraries(${name} PRIVATE rein_test_support PkgConfig::CMOCKA)
  endforeach()
endforeach()

# the environments once more in double precision, for episodes that run free of the recorded states
if(TARGET test_env_free_run)
  target_compile_definitions(test_env_free_run PRIVATE REIN_ENV_REAL=double)
endif()
foreach(name IN ITEMS test_cli test_cli_tabular test_cli_sweep test_cli_tokenizer)
  if(TARGET ${name})
    add_dependencies(${name} rein)
  endif()
endforeach()

file(GLOB sources CONFIGURE_DEPENDS ${REIN_TESTS_DIR}/fuzz/fuzz_*.c)
foreach(source IN LISTS sources)
  rein_test(fuzz ${source} 300 ${REIN_TESTS_DIR}/fuzz/driver.c)
endforeach()

# libraries of environments, for the tests that load them: they see the public headers alone
file(GLOB sources CONFIGURE_DEPENDS ${REIN_TESTS_DIR}/plugins/*.c examples/plugin/*.c)
foreach(source IN LISTS sources)
  get_filename_component(name ${source} NAME_WE)
  add_library(plugin_${name} MODULE ${source})
  target_include_directories(plugin_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/include)
  target_link_libraries(plugin_${name} PRIVATE rein_flags)
  set_target_properties(plugin_${name} PROPERTIES PREFIX "" SUFFIX .so OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/plugins)
  foreach(test IN ITEMS test_plugin test_filter)
    if(TARGET ${test})
      add_dependencies(${test} plugin_${name})
    endif()
  endforeach()
endforeach()
foreach(test IN ITEMS test_plugin test_filter)
  if(TARGET ${test})
    target_compile_definitions(${test} PRIVATE REIN_PLUGINS="${CMAKE_CURRENT_BINARY_DIR}/plugins")
  endif()
endforeach()

# examples are for readers first, but they have to build and to run
file(GLOB sources CONFIGURE_DEPENDS examples/*.c)
foreach(source IN LISTS sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE rein_static rein_flags m)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/examples)
  add_test(NAME examples.${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  set_tests_properties(examples.${name} PROPERTIES LABELS examples TIMEOUT 300)
endforeach()

# ---- what needs a compiler: public headers alone, programs against the installed copy -------------------------------

if(NOT REIN_SANITIZE)
  include(CheckLanguage)
  check_language(CXX)
  set(compilers "CC=${CMAKE_C_COMPILER}")
  if(CMAKE_CXX_COMPILER)
    list(APPEND compilers "CXX=${CMAKE_CXX_COMPILER}")
  endif()
  add_test(NAME unit.headers COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/test_headers.sh)
  set_tests_properties(unit.headers PROPERTIES LABELS unit TIMEOUT 300 ENVIRONMENT "${compilers}")
  if(REIN_SHARED)
    add_test(NAME install.programs
             COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/test_install.sh ${CMAKE_CURRENT_BINARY_DIR})
    set_tests_properties(install.programs PROPERTIES LABELS install TIMEOUT 300 ENVIRONMENT "${compilers}")
  endif()
endif()
