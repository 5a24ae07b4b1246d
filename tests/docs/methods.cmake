# cmake -DPYTHON=python3 -DSOURCE=... [-DPLANT=ON] -P methods.cmake: the tables of docs/methods.md must be made from
# bench/results/methods/cpu.json. PLANT changes a number first.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND "${PYTHON}" "${SOURCE}/tests/docs/methods.py" table "${SOURCE}/bench/results/methods/cpu.json"
                OUTPUT_VARIABLE made RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "methods.py failed: ${status}")
endif()
file(READ "${SOURCE}/docs/methods.md" page)
if(PLANT)
  string(REGEX REPLACE "0\\.0[0-9]" "0.99" page "${page}")
endif()
string(FIND "${page}" "<!-- methods: begin -->\n${made}<!-- methods: end -->" at)
if(at EQUAL -1)
  message(FATAL_ERROR "docs/methods.md is not made from bench/results; put this between its marks:\n${made}")
endif()
