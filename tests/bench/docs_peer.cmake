# cmake -DPYTHON=python3 -DSOURCE=... [-DPLANT=ON] [-DWRITE=ON] -P docs_peer.cmake: the text between the markers of
# docs/benchmarks.md must equal the output of bench/peer/compare.py for bench/peer/results. WRITE writes the text, PLANT
# changes a digit of it before the comparison.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/../cmake/docs_part.cmake")

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
  string(APPEND tables "${table}\n")
endforeach()
docs_part("docs/benchmarks.md" "bench/peer/results" "\n${tables}" "${WRITE}")
if(PLANT)
  string(REGEX REPLACE "[0-9] \\(" "x (" shown "${shown}")
endif()
if(NOT WRITE AND NOT shown STREQUAL "\n${tables}")
  message(FATAL_ERROR "the peer's table of docs/benchmarks.md is not that of bench/peer/results; after a new result, "
                      "write it:\n"
                      "  cmake -DPYTHON=python3 -DSOURCE=. -DWRITE=ON -P tests/bench/docs_peer.cmake")
endif()
