# A short run of the fuzzer, built separately with clang: -DCLANG=clang++ -DSOURCE=... -DWORK=folder -DSECONDS=N.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}/found")
set(flags -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all
          "-I${SOURCE}/src")

# Some packages of clang lack its runtimes.
file(WRITE "${WORK}/empty.cpp"
  "extern \"C\" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }\n")
execute_process(COMMAND "${CLANG}" ${flags} "${WORK}/empty.cpp" -o "${WORK}/empty"
                OUTPUT_QUIET ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message("SKIPPED: ${CLANG} cannot link a fuzzer (Debian: libclang-rt-14-dev)")
  return()
endif()

set(sources "${SOURCE}/tests/fuzz/safetensors_fuzz.cpp")
foreach(name safetensors_header json_scanner dtype error utf8)
  list(APPEND sources "${SOURCE}/src/model/archive/${name}.cpp")
endforeach()
execute_process(COMMAND "${CLANG}" ${flags} ${sources} -o "${WORK}/fuzz" ERROR_VARIABLE errors RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the fuzzer does not build:\n${errors}")
endif()
execute_process(COMMAND "${WORK}/fuzz" -max_total_time=${SECONDS} -timeout=5 -rss_limit_mb=512 -print_final_stats=1
                        "-artifact_prefix=${WORK}/" "${WORK}/found" "${SOURCE}/tests/fuzz/corpus"
                OUTPUT_VARIABLE out ERROR_VARIABLE out RESULT_VARIABLE status)
string(REGEX MATCH "number_of_executed_units: [0-9]+" units "${out}")
if(NOT status EQUAL 0 OR NOT units MATCHES "[0-9][0-9][0-9]$")
  message(FATAL_ERROR "the fuzzer ended with ${status}:\n${out}")
endif()
message("${units}")
