include_guard()

# nibble_expect_test(NAME LABEL STATUS PRINTS COMMAND...): the command ends with STATUS and prints what matches PRINTS.
# ctest's own PASS_REGULAR_EXPRESSION does not look at the status.
function(nibble_expect_test name label status prints)
  add_test(NAME ${name} COMMAND "${CMAKE_COMMAND}" -D "status=${status}" -D "prints=${prints}"
    -P "${PROJECT_SOURCE_DIR}/tests/cmake/expect.cmake" -- ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS ${label})
endfunction()
