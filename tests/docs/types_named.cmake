# cmake -DSOURCE=... [-DPLANT=ON] -P types_named.cmake: docs/types.md names every format of shaders/kernels.list. PLANT
# adds a format that the page does not name.
cmake_minimum_required(VERSION 3.22)

file(READ "${SOURCE}/docs/types.md" page)
file(STRINGS "${SOURCE}/shaders/kernels.list" lines REGEX "^format ")
if(NOT lines)
  message(FATAL_ERROR "no formats in shaders/kernels.list")
endif()
if(PLANT)
  list(APPEND lines "format nosuch 1000")
endif()
foreach(line IN LISTS lines)
  string(REGEX REPLACE "^format +([^ ]+).*$" "\\1" name "${line}")
  string(FIND "${page}" "`${name}`" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "docs/types.md does not name the format `${name}`")
  endif()
endforeach()
