# cmake -DPYTHON=python3 -DSOURCE=... [-DPLANT=ON] -P kv.cmake: the table of docs/kv.md must be made from
# bench/results/kv/cpu.json. PLANT changes a number first.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND "${PYTHON}" "${SOURCE}/tests/docs/kv.py" table "${SOURCE}/bench/results/kv/cpu.json"
                OUTPUT_VARIABLE made RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "kv.py failed: ${status}")
endif()
file(READ "${SOURCE}/docs/kv.md" page)
if(PLANT)
  string(REGEX REPLACE "0\\.0[0-9]" "0.99" page "${page}")
endif()
string(FIND "${page}" "<!-- kv: begin -->\n${made}<!-- kv: end -->" at)
if(at EQUAL -1)
  message(FATAL_ERROR "docs/kv.md is not made from bench/results; put this between its marks:\n${made}")
endif()
