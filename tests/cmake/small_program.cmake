# cmake -D source=... -D work=... -D generator=... -D make=... -D cxx=... [-D launcher=...] -D spirv=DIR -D glslang=...
#       -P small_program.cmake
# A build with two formats and without calibration, as a game would make it: the example application, stripped, keeps
# within 0.6 MB, and an op that was left out is refused with a line that names NIBBLE_OPS.
cmake_minimum_required(VERSION 3.22)

set(most_bytes 600000)
set(ops quantize dequantize repack convert gather matmul int8_gemm dynamic_gemm norm attention select elementwise rope
        append)
list(JOIN ops "\\;" ops)
file(REMOVE_RECURSE "${work}")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "failed (${failed}): ${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

run("${CMAKE_COMMAND}" -S "${source}" -B "${work}" -G "${generator}" "-DCMAKE_MAKE_PROGRAM=${make}"
    -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_COMPILER=${cxx}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${launcher}"
    -DCMAKE_EXE_LINKER_FLAGS=-s "-DNIBBLE_FORMATS=int4\;int8" "-DNIBBLE_OPS=${ops}" "-DNIBBLE_GLSLANG=${glslang}"
    "-DNIBBLE_SPIRV_DIR=${spirv}" -DNIBBLE_KIT=OFF -DNIBBLE_MODEL=OFF -DNIBBLE_TOOLS=OFF -DNIBBLE_BENCH=OFF
    -DNIBBLE_TESTS=OFF -DNIBBLE_INSTALL=OFF)
run("${CMAKE_COMMAND}" --build "${work}" --parallel 2 --target nibble_example_app)
if(output MATCHES "[^\n]*warning:[^\n]*")
  message(FATAL_ERROR "a warning: ${CMAKE_MATCH_0}")
endif()
file(SIZE "${work}/bin/nibble_example_app" bytes)
if(bytes GREATER most_bytes)
  message(FATAL_ERROR "nibble_example_app has ${bytes} bytes, more than ${most_bytes}")
endif()
message(STATUS "nibble_example_app: ${bytes} bytes of at most ${most_bytes}")

run("${cxx}" -std=c++20 "-I${source}/include" "-I${work}/generated/include" "${source}/tests/cmake/left_out_op.cpp"
    "${work}/libnibble.a" -pthread -o "${work}/left_out_op")
run("${work}/left_out_op")
if(NOT output STREQUAL "histogram: the op is not in this build: add histogram to NIBBLE_OPS\n")
  message(FATAL_ERROR "a wrong message: ${output}")
endif()
file(REMOVE_RECURSE "${work}")
