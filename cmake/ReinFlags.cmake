# Compiler flags shared by the library, the command and the tests.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_C_FLAGS_RELEASE "-O3")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(rein_flags INTERFACE)
target_compile_options(rein_flags INTERFACE -Wall -Wextra -Wshadow -Wmissing-prototypes -Wconversion
                       -Wno-unused-parameter)
# -ffp-contract=off: results must not depend on which multiply-adds a compiler chooses to fuse
target_compile_options(rein_flags INTERFACE -ffp-contract=off -fno-math-errno -fno-trapping-math)
if(REIN_WERROR)
  target_compile_options(rein_flags INTERFACE -Werror)
endif()
if(REIN_ASSERTS)
  target_compile_definitions(rein_flags INTERFACE REIN_ASSERTS=1)
endif()
if(REIN_SANITIZE)
  set(REIN_SANITIZE_FLAGS -fsanitize=${REIN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_compile_options(rein_flags INTERFACE ${REIN_SANITIZE_FLAGS})
  target_link_options(rein_flags INTERFACE -fsanitize=${REIN_SANITIZE})
endif()

# Sources named *_avx2.c, *_avx512.c and *_amx.c get their instruction set, and only they: one binary picks the
# level at run time. Elsewhere than on x86-64 they are compiled without flags, to nothing.
set(REIN_ISA_AVX2 -mavx2 -mfma)
# inner loops start on a cache line, or their speed hangs on what the linker put before them
set(REIN_ISA_AVX512 ${REIN_ISA_AVX2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -falign-functions=64 -falign-loops=64)
set(REIN_ISA_AMX ${REIN_ISA_AVX512} -mavx512bf16 -mamx-tile -mamx-bf16)

function(rein_isa_flags)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    return()
  endif()
  foreach(source IN LISTS ARGN)
    foreach(level AVX2 AVX512 AMX)
      string(TOLOWER ${level} suffix)
      if(source MATCHES "_${suffix}\\.c$")
        set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS ${REIN_ISA_${level}})
      endif()
    endforeach()
  endforeach()
endfunction()
