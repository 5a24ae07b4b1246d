# Script: writes OUTPUT with kGitDescription, the state of the repository at SOURCE; "" if there is no repository.
# Writes only a changed file, to avoid rebuilding.
set(description "")
find_program(GIT git)
if(GIT)
  execute_process(COMMAND "${GIT}" describe --always --dirty --tags WORKING_DIRECTORY "${SOURCE}"
                  OUTPUT_VARIABLE description OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  # A source archive may be inside another repository, whose state is not nibble's.
  execute_process(COMMAND "${GIT}" rev-parse --show-toplevel WORKING_DIRECTORY "${SOURCE}"
                  OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  get_filename_component(here "${SOURCE}" REALPATH)
  if(NOT top STREQUAL here)
    set(description "")
  endif()
endif()
set(content "static const char kGitDescription[] = \"${description}\";\n")
set(old "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" old)
endif()
if(NOT old STREQUAL content)
  file(WRITE "${OUTPUT}" "${content}")
endif()
