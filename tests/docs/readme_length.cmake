# cmake -DSOURCE=... [-DPLANT=ON] -P readme_length.cmake: README.md has at most 150 lines; more belongs in docs/. PLANT
# adds 150 lines.
cmake_minimum_required(VERSION 3.22)

set(most 150)
file(READ "${SOURCE}/README.md" text)
if(PLANT)
  string(REPEAT "a line\n" ${most} more)
  string(APPEND text "${more}")
endif()
string(REGEX REPLACE "[^\n]" "" ends "${text}")
string(LENGTH "${ends}" count)
if(count GREATER most)
  message(FATAL_ERROR "README.md has ${count} lines, at most ${most} are allowed: move something to docs/")
endif()
