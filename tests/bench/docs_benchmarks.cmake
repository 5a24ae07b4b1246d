# cmake -DNIBBLE=... -DSOURCE=... [-DPLANT=ON] [-DWRITE=ON] -P docs_benchmarks.cmake: the text between the markers of
# docs/benchmarks.md must equal the output of `nibble bench --table` for bench/results. WRITE writes the text, PLANT
# changes a digit of it before the comparison.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/../cmake/docs_part.cmake")

file(GLOB results "${SOURCE}/bench/results/*.json")
list(SORT results)
if(NOT results)
  message(FATAL_ERROR "no results in bench/results")
endif()
set(tables "")
foreach(result IN LISTS results)
  execute_process(COMMAND "${NIBBLE}" bench --table "${result}" OUTPUT_VARIABLE table RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "nibble bench --table ${result} failed: ${status}")
  endif()
  # The file's name, "<date>-<device>-<suite>.json", gives the suite without parsing the whole file.
  get_filename_component(name "${result}" NAME)
  string(REGEX REPLACE "^.*-([a-z]+)\\.json$" "\\1" suite "${name}")
  string(APPEND tables "### Suite ${suite}\n\n[${name}](../bench/results/${name})\n\n${table}\n")
endforeach()
docs_part("docs/benchmarks.md" "bench/results" "\n${tables}" "${WRITE}")
if(PLANT)
  string(REGEX REPLACE "^([^%]*)[0-9] %" "\\1x %" shown "${shown}")
endif()
if(NOT WRITE AND NOT shown STREQUAL "\n${tables}")
  message(FATAL_ERROR "the tables of docs/benchmarks.md are not those of bench/results; write them:\n"
                      "  cmake -DNIBBLE=build/release/bin/nibble -DSOURCE=. -DWRITE=ON "
                      "-P tests/bench/docs_benchmarks.cmake")
endif()
