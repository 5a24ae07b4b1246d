# cmake -DNIBBLE=... -DSOURCE=... [-DPLANT=ON] [-DWRITE=ON] -P readme_table.cmake: the text between the README's markers
# must be what `nibble bench --table` makes of bench/results. WRITE puts it there instead, PLANT falsifies it first.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/../cmake/readme_part.cmake")

file(GLOB results "${SOURCE}/bench/results/*.json")
list(FILTER results EXCLUDE REGEX "-gemm[-.]")  # hundreds of rows, for who asks
list(SORT results)
if(NOT results)
  message(FATAL_ERROR "no results in bench/results")
endif()
execute_process(COMMAND "${NIBBLE}" bench --table ${results} OUTPUT_VARIABLE table RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "nibble bench --table failed: ${status}")
endif()
readme_part("bench/results" "${table}" "${WRITE}")
if(PLANT)
  string(REGEX REPLACE "^([^%]*)[0-9] %" "\\1x %" shown "${shown}")
endif()
if(NOT WRITE AND NOT shown STREQUAL table)
  message(FATAL_ERROR "the table of README.md is not that of bench/results; after a new result, write it:\n"
                      "  cmake -DNIBBLE=build/release/bin/nibble -DSOURCE=. -DWRITE=ON "
                      "-P tests/bench/readme_table.cmake")
endif()
