# cmake -D source=... -D work=... -D generator=... -D make=... -D cxx=... -D config=... [-D launcher=...] [-D flags=...]
#       -D spirv=DIR|"" [-D glslang=...] -P partial.cmake
# A build with few formats, as a game would make it, configures, builds without warnings, and passes its own tests and
# self-test. spirv: ready modules for a build with Vulkan; "" = a build without. On the quick list it takes the modules
# of the tree that it is a test of, and is compiled as that one is: with ccache, only what formats change is compiled.
# The long list has a build without Vulkan, and one of everything without Vulkan (consume_no_vulkan).
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

set(vulkan OFF)
if(spirv)
  set(vulkan ON)
endif()
run("${CMAKE_COMMAND}" -S "${source}" -B "${tree}" -G "${generator}" "-DCMAKE_MAKE_PROGRAM=${make}"
    "-DCMAKE_BUILD_TYPE=${config}" "-DCMAKE_CXX_COMPILER=${cxx}" "-DCMAKE_CXX_FLAGS=${flags}"
    "-DCMAKE_CXX_COMPILER_LAUNCHER=${launcher}" "-DNIBBLE_FORMATS=${formats}" "-DNIBBLE_VULKAN=${vulkan}"
    "-DNIBBLE_GLSLANG=${glslang}" "-DNIBBLE_SPIRV_DIR=${spirv}" -DNIBBLE_INSTALL=OFF)
run("${CMAKE_COMMAND}" --build "${tree}" --parallel 2 --target nibble_tests_cpu nibble_tool nibble_example_quantize)
# ccache repeats the warnings of objects that it has.
if(output MATCHES "[^\n]*warning:[^\n]*")
  message(FATAL_ERROR "a warning: ${CMAKE_MATCH_0}")
endif()
# Files that name no format. The floating-point modes run the same cases as the threads do.
set(filters "--source-file-exclude=*exact_test.cpp,*convert_model_test.cpp,*histogram_model_test.cpp"
    "--test-case-exclude=*FTZ and DAZ*")
run("${tree}/bin/nibble_tests_cpu" ${filters})
run("${tree}/bin/nibble_example_quantize")
run("${tree}/bin/nibble" devices)
run("${tree}/bin/nibble" selftest --device cpu --every 20)
# W4A8 is there: int4 brings int8, the format of its activations.
foreach(cell "dynamic_gemm +int4 " "int8_gemm +- ")
  if(NOT output MATCHES "${cell}")
    message(FATAL_ERROR "the self-test has no \"${cell}\":\n${output}")
  endif()
endforeach()
execute_process(COMMAND "${tree}/bin/nibble" selftest --type q4_0 RESULT_VARIABLE failed OUTPUT_VARIABLE output
                ERROR_VARIABLE output)
if(NOT failed OR NOT output MATCHES "there is int8, int4, nf4, fp8, q8_0\n")
  message(FATAL_ERROR "the tool names other formats than ${formats}:\n${output}")
endif()
file(REMOVE_RECURSE "${tree}")
