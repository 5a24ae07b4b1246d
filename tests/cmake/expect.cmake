# cmake -D status=N [-D prints=REGEX] -P expect.cmake -- COMMAND [ARGUMENT...]: the command ends with that status,
# and what it prints, to either stream, matches.
cmake_minimum_required(VERSION 3.22)

set(command "")
set(position 0)
set(inside FALSE)
while(position LESS CMAKE_ARGC)
  if(inside)
    list(APPEND command "${CMAKE_ARGV${position}}")
  elseif(CMAKE_ARGV${position} STREQUAL "--")
    set(inside TRUE)
  endif()
  math(EXPR position "${position} + 1")
endwhile()

execute_process(COMMAND ${command} RESULT_VARIABLE ended OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT ended STREQUAL status)
  message(FATAL_ERROR "ended with ${ended}, not ${status}:\n${output}")
endif()
if(DEFINED prints AND NOT output MATCHES "${prints}")
  message(FATAL_ERROR "does not print '${prints}':\n${output}")
endif()
