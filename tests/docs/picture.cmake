# cmake -DPYTHON=python3 -DSOURCE=... [-DPLANT=ON] -P picture.cmake: docs/types.svg must equal the output of
# draw_types.py for docs/types.md. PLANT moves a point first.
cmake_minimum_required(VERSION 3.22)

execute_process(COMMAND "${PYTHON}" "${SOURCE}/tests/docs/draw_types.py" "${SOURCE}/docs/types.md"
                OUTPUT_VARIABLE drawn RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "draw_types.py failed: ${status}")
endif()
file(READ "${SOURCE}/docs/types.svg" shown)
if(PLANT)
  string(REGEX REPLACE "cx=\"[0-9]" "cx=\"9" shown "${shown}")
endif()
if(NOT shown STREQUAL drawn)
  message(FATAL_ERROR "docs/types.svg is not drawn from docs/types.md; draw it:\n"
                      "  python3 tests/docs/draw_types.py docs/types.md docs/types.svg")
endif()
