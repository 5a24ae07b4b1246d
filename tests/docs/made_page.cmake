# cmake -DPYTHON=python3 -DSOURCE=... -DNAME=methods [-DPLANT=ON] -P made_page.cmake: the tables of docs/NAME.md must be
# made from bench/results/NAME/cpu.json by tests/docs/NAME.py. PLANT changes a number first.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND "${PYTHON}" "${SOURCE}/tests/docs/${NAME}.py" table "${SOURCE}/bench/results/${NAME}/cpu.json"
                OUTPUT_VARIABLE made RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${NAME}.py failed: ${status}")
endif()
file(READ "${SOURCE}/docs/${NAME}.md" page)
if(PLANT)
  string(REGEX REPLACE "0\\.0[0-9]" "0.99" page "${page}")
endif()
string(FIND "${page}" "<!-- ${NAME}: begin -->\n${made}<!-- ${NAME}: end -->" at)
if(at EQUAL -1)
  message(FATAL_ERROR "docs/${NAME}.md is not made from bench/results; put this between its marks:\n${made}")
endif()
