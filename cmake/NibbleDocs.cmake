# Target nibble_docs: doxygen's reference of the public headers, in build/<preset>/docs. It exists only if doxygen and
# awk are installed and the sources include docs/. Warnings are errors.
find_program(NIBBLE_DOXYGEN NAMES doxygen)
find_program(NIBBLE_AWK NAMES awk mawk gawk)
mark_as_advanced(NIBBLE_DOXYGEN NIBBLE_AWK)
if(NOT NIBBLE_DOXYGEN OR NOT NIBBLE_AWK OR NOT EXISTS "${PROJECT_SOURCE_DIR}/docs/Doxyfile.in")
  return()
endif()
set(NIBBLE_DOCS_DIR "${PROJECT_BINARY_DIR}/docs")
set(NIBBLE_DOXYFILE "${NIBBLE_DOCS_DIR}/Doxyfile")
file(GLOB headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/nibble/*.h"
  "${PROJECT_SOURCE_DIR}/include/nibble/ops/*.h")
list(APPEND headers "${NIBBLE_GENERATED}/include/nibble/formats.h")
list(TRANSFORM headers PREPEND "\"")
list(TRANSFORM headers APPEND "\"")
list(JOIN headers " " NIBBLE_DOCS_INPUT)
configure_file("${PROJECT_SOURCE_DIR}/docs/Doxyfile.in" "${NIBBLE_DOXYFILE}" @ONLY)
add_custom_target(nibble_docs
  COMMAND "${NIBBLE_DOXYGEN}" "${NIBBLE_DOXYFILE}"
  COMMENT "Reference of the headers: ${NIBBLE_DOCS_DIR}/index.html"
  VERBATIM)
