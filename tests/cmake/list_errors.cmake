# cmake -D source=... -D work=... -D generator=... -D make=... -D cxx=... -P list_errors.cmake
# Mistakes in kernels.list are configure errors that name the line and the mistake.
cmake_minimum_required(VERSION 3.22)

file(REMOVE_RECURSE "${work}")
file(COPY "${source}/CMakeLists.txt" "${source}/cmake" "${source}/shaders" "${source}/src" "${source}/include"
     DESTINATION "${work}/source")
file(READ "${source}/shaders/kernels.list" list)
string(REGEX MATCHALL "\n" line_ends "${list}")
list(LENGTH line_ends lines)
math(EXPR next "${lines} + 1")

function(configure)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${work}/source" -B "${work}/build" -G "${generator}" "-DCMAKE_MAKE_PROGRAM=${make}"
            "-DCMAKE_CXX_COMPILER=${cxx}" -DNIBBLE_VULKAN=OFF -DNIBBLE_KIT=OFF -DNIBBLE_MODEL=OFF -DNIBBLE_TESTS=OFF
            -DNIBBLE_TOOLS=OFF -DNIBBLE_BENCH=OFF -DNIBBLE_EXAMPLES=OFF -DNIBBLE_INSTALL=OFF ${ARGN}
    RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")  # CMake breaks lines where it likes
  set(failed "${failed}" PARENT_SCOPE)
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect_error line expected)
  file(WRITE "${work}/source/shaders/kernels.list" "${list}${line}\n")
  configure()
  string(FIND "${output}" "kernels.list:${next}: ${expected}" found)
  if(NOT failed OR found EQUAL -1)
    message(FATAL_ERROR "'${line}' should be an error '${expected}' of line ${next}, but:\n${output}")
  endif()
endfunction()

configure()
if(failed)
  message(FATAL_ERROR "the list as it is does not configure:\n${output}")
endif()
expect_error("format nosuch 1000" "no src/formats/nosuch.cpp")
expect_error("format int8 1000" "a format needs a new name")
expect_error("format nosuch 1" "a format needs a new name and a new id")
expect_error("format nosuch" "expected 'format NAME ID")
expect_error("format nosuch 1000 sorted" "KIND sorted is none of")
expect_error("op nosuch" "no src/ops/nosuch.cpp")
expect_error("op nosuch quick" "expected 'op NAME [fast|fast-eigen]'")
expect_error("kernel nosuch * - vulkan1.1 -" "no shaders/ops/nosuch.comp")
expect_error("kernel reduce - - vulkan1.1 -" "a second module named reduce")
expect_error("kernel nosuch:OTHER * - vulkan1.1 -" "no shaders/ops/nosuch.comp")
expect_error("kernel reduce:other - - vulkan1.1 -" "NAME reduce:other")
expect_error("bounded int8_gemm:SMOOTH - - vulkan1.1 -" "a second module named int8_gemm_smooth")
expect_error("kernel int8_gemm:SMOOTH - OTHER vulkan1.1 -" "kernel int8_gemm_smooth is both kernel and bounded")
expect_error("kernel int8:GEMM - OTHER vulkan1.1 -" "kernel int8_gemm has another source, int8_gemm.comp")
expect_error("kernel reduce - other vulkan1.1 -" "VARIANT other")
expect_error("kernel reduce - OTHER opengl -" "TARGET opengl")
expect_error("kernel reduce - OTHER vulkan1.1 float64" "unknown need float64")
expect_error("kernel reduce int9 OTHER vulkan1.1 -" "no format int9")
expect_error("kernel reduce - OTHER vulkan1.1" "expected 'kernel NAME FORMATS VARIANT TARGET NEEDS")
expect_error("kernel sum - OTHER vulkan1.1 -" "kernel sum is named after no op")
expect_error("kernel sum - OTHER vulkan1.1 - nosuch" "no op nosuch above this line")
expect_error("kernal reduce - OTHER vulkan1.1 -" "a line begins with format, op or kernel")

file(WRITE "${work}/source/shaders/kernels.list" "${list}")
configure(-DNIBBLE_FORMATS=int9)
if(NOT failed OR NOT output MATCHES "NIBBLE_FORMATS names int9")
  message(FATAL_ERROR "NIBBLE_FORMATS=int9 should be an error, but:\n${output}")
endif()

# Too many modules: one kernel whose variants alone exceed the budget.
configure(-DNIBBLE_FORMATS=)
foreach(i RANGE 400)
  string(APPEND list "kernel reduce - V${i} vulkan1.1 - quantize\n")
endforeach()
file(WRITE "${work}/source/shaders/kernels.list" "${list}")
configure()
if(NOT failed OR NOT output MATCHES "more than the budget of 400")
  message(FATAL_ERROR "more than 400 modules should be an error, but:\n${output}")
endif()
