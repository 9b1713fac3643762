# Writes rein_build.h when its content changes. Run at every build.

find_program(GIT git)
set(id "")
if(GIT AND EXISTS "${SOURCE_DIR}/.git")
  execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} describe --always --dirty --tags OUTPUT_VARIABLE id
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(id STREQUAL "")
  set(id "v${VERSION}")
endif()

set(options "${OPTIONS}")
if(SANITIZE)
  string(APPEND options ", sanitizers ${SANITIZE}")
endif()

set(text "#define REIN_BUILD_VERSION \"${VERSION}\"
#define REIN_BUILD_ID \"${id}\"
#define REIN_BUILD_OPTIONS \"${options}\"
")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
