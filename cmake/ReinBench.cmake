# Benchmarks of parts: every bench/bench_*.c and tests/ops/bench_*.c is a program of the target `benchmarks`, which
# `make bench` builds and runs. They see internal headers, as tests do. libxsmm, where present, is what the kernels
# are measured against.

add_custom_target(benchmarks)
find_path(REIN_XSMM_INCLUDE_DIR libxsmm.h)
find_library(REIN_XSMM_LIBRARY xsmm)
find_library(REIN_XSMM_NOBLAS_LIBRARY xsmmnoblas)

file(GLOB sources CONFIGURE_DEPENDS bench/bench_*.c tests/ops/bench_*.c)
foreach(source IN LISTS sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/bench)
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
  target_compile_definitions(${name} PRIVATE $<TARGET_PROPERTY:rein_optional,INTERFACE_COMPILE_DEFINITIONS>)
  target_include_directories(${name} SYSTEM PRIVATE
                             $<TARGET_PROPERTY:rein_optional,INTERFACE_SYSTEM_INCLUDE_DIRECTORIES>)
  target_link_libraries(${name} PRIVATE rein_static rein_flags PkgConfig::JANSSON PkgConfig::NETTLE Threads::Threads)
  # libxsmm is static only; its BLAS calls are answered by libxsmmnoblas, which never runs for the shapes used
  if(REIN_XSMM_INCLUDE_DIR AND REIN_XSMM_LIBRARY AND REIN_XSMM_NOBLAS_LIBRARY)
    target_compile_definitions(${name} PRIVATE REIN_HAVE_XSMM=1)
    target_include_directories(${name} SYSTEM PRIVATE ${REIN_XSMM_INCLUDE_DIR})
    target_link_libraries(${name} PRIVATE ${REIN_XSMM_LIBRARY} ${REIN_XSMM_NOBLAS_LIBRARY} ${CMAKE_DL_LIBS} m)
  endif()
  add_dependencies(benchmarks ${name})
endforeach()
