# cmake -D source=... -D work=... -D generator=... -D make=... -D cxx=... [-D launcher=...] [-D flags=...]
#       -D vulkan=ON|OFF [-D glslang=...] -P partial.cmake
# A build with few formats, as a game would make it, configures, builds, and passes its own tests and self-test.
cmake_minimum_required(VERSION 3.22)

# Every kind of format but mean: scaled with zero points, a codebook, floats, ggml's blocks.
set(formats "int4\\;nf4\\;q8_0\\;fp8")
set(tree "${work}")
file(REMOVE_RECURSE "${tree}")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "failed (${failed}): ${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# Little optimized: it is built for one short run.
run("${CMAKE_COMMAND}" -S "${source}" -B "${tree}" -G "${generator}" "-DCMAKE_MAKE_PROGRAM=${make}"
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1 "-DCMAKE_CXX_COMPILER=${cxx}" "-DCMAKE_CXX_FLAGS=${flags}"
    "-DCMAKE_CXX_COMPILER_LAUNCHER=${launcher}" "-DNIBBLE_FORMATS=${formats}" "-DNIBBLE_VULKAN=${vulkan}"
    "-DNIBBLE_GLSLANG=${glslang}" "-DNIBBLE_MODEL=${vulkan}" -DNIBBLE_BENCH=OFF -DNIBBLE_EXAMPLES=OFF
    -DNIBBLE_INSTALL=OFF)
set(targets nibble_tests_cpu nibble_tool)
if(vulkan)
  list(APPEND targets nibble_tests_gpu)
endif()
run("${CMAKE_COMMAND}" --build "${tree}" --parallel 2 --target ${targets})
run("${tree}/bin/nibble_tests_cpu")
run("${tree}/bin/nibble" selftest --device cpu --every 20)
foreach(op int8_gemm dynamic_gemm)
  if(NOT output MATCHES "${op} [^\n]*skipped \\(every case needs a format that this build lacks\\)")
    message(FATAL_ERROR "the self-test does not say that it has no case of ${op} without int8:\n${output}")
  endif()
endforeach()
run("${tree}/bin/nibble" selftest --help)
if(NOT output MATCHES "q8_0" OR output MATCHES "q4_0")
  message(FATAL_ERROR "the tool names other formats than ${formats}:\n${output}")
endif()
if(vulkan)
  run("${tree}/bin/nibble" selftest --every 20)
  set(ENV{NIBBLE_TEST_EVERY} 16)
  run("${tree}/bin/nibble_tests_gpu")
endif()
