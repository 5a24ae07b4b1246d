# cmake -DPYTHON=python3 -DSOURCE=... [-DPLANT=ON] [-DWRITE=ON] -P readme_peer.cmake: the text between the README's
# markers must be what bench/peer/compare.py makes of bench/peer/results. WRITE puts it there instead, PLANT falsifies
# it first.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/../cmake/readme_part.cmake")

file(GLOB results "${SOURCE}/bench/peer/results/*.json")
list(SORT results)
if(NOT results)
  message(FATAL_ERROR "no results in bench/peer/results")
endif()
set(tables "")
foreach(result IN LISTS results)
  execute_process(COMMAND "${PYTHON}" "${SOURCE}/bench/peer/compare.py" --table "${result}"
                  OUTPUT_VARIABLE table RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "compare.py --table ${result} failed: ${status}")
  endif()
  list(APPEND tables "${table}")
endforeach()
list(JOIN tables "\n" table)
readme_part("bench/peer/results" "${table}" "${WRITE}")
if(PLANT)
  string(REGEX REPLACE "[0-9] \\(" "x (" shown "${shown}")
endif()
if(NOT WRITE AND NOT shown STREQUAL table)
  message(FATAL_ERROR "the peer's table of README.md is not that of bench/peer/results; after a new result, write it:\n"
                      "  cmake -DPYTHON=python3 -DSOURCE=. -DWRITE=ON -P tests/bench/readme_peer.cmake")
endif()
