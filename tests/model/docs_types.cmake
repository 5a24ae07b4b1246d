# cmake -DNIBBLE=... -DSOURCE=... -DSCRATCH=... [-DWRITE=ON] -P docs_types.cmake: the table of docs/types.md must
# equal the results of `nibble quantize` on the sample model, except the seconds. WRITE writes it.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/../cmake/docs_part.cmake")

set(table "| type | scales per | container | bits per weight | SQNR dB | model MB | seconds |\n")
string(APPEND table "|---|---|---|---:|---:|---:|---:|\n")
foreach(row
    "int8|row|compressed-tensors|--type;int8"
    "int8|group 128|compressed-tensors|--type;int8;--group-size;128"
    "int8|row|bitsandbytes (LLM.int8)|--type;int8;--format;bnb"
    "fp8|row|compressed-tensors|--type;fp8"
    "fp8|tensor|compressed-tensors|--type;fp8;--granularity;tensor"
    "int4|group 32|compressed-tensors|--type;int4;--group-size;32"
    "int4|group 32, zero points|compressed-tensors|--type;int4;--group-size;32;--asym"
    "int4|group 64|compressed-tensors|--type;int4;--group-size;64"
    "int4|group 64, zero points|compressed-tensors|--type;int4;--group-size;64;--asym"
    "int4|group 128 (64 where K is 704)|compressed-tensors|--type;int4"
    "int4|row|compressed-tensors|--type;int4;--group-size;-1"
    "mxfp4|group 32|compressed-tensors|--type;mxfp4"
    "nf4|block 64|bitsandbytes|--type;nf4;--format;bnb;--no-double-quant"
    "nf4|block 64, double quantization|bitsandbytes|--type;nf4;--format;bnb"
    "nf4|block 128, double quantization|bitsandbytes|--type;nf4;--format;bnb;--group-size;128"
    "fp4|block 64, double quantization|bitsandbytes|--type;fp4;--format;bnb")
  string(REGEX MATCH "^([^|]*)\\|([^|]*)\\|([^|]*)\\|(.*)$" row "${row}")
  set(type "${CMAKE_MATCH_1}")
  set(scales "${CMAKE_MATCH_2}")
  set(container "${CMAKE_MATCH_3}")
  set(arguments "${CMAKE_MATCH_4}")
  execute_process(COMMAND "${NIBBLE}" quantize "${SOURCE}/tests/data/tiny-kjv-llama" -o "${SCRATCH}" --force --json
                          ${arguments}
                  OUTPUT_VARIABLE report ERROR_VARIABLE errors RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "nibble quantize ${arguments}: ${status}: ${errors}")
  endif()
  string(JSON bits GET "${report}" quantized bits_per_weight)
  string(JSON sqnr GET "${report}" quantized sqnr_db)
  string(JSON bytes GET "${report}" bytes_out)
  string(JSON seconds GET "${report}" seconds)
  string(JSON device GET "${report}" device)
  rounded("${bits}" 3 bits)
  rounded("${sqnr}" 2 sqnr)
  rounded("${seconds}" 1 seconds)
  math(EXPR tenths "(${bytes} + 50000) / 100000")
  math(EXPR whole "${tenths} / 10")
  math(EXPR tenths "${tenths} % 10")
  string(APPEND table "| ${type} | ${scales} | ${container} | ${bits} | ${sqnr} | ${whole}.${tenths} | ${seconds} |\n")
endforeach()
file(REMOVE_RECURSE "${SCRATCH}")
string(APPEND table "\nSeconds: the whole command on ${device}.\n")

# Seconds and device depend on the machine.
function(comparable text result)
  string(REGEX REPLACE "[0-9.]+ \\|\n" "|\n" text "${text}")
  string(REGEX REPLACE "\nSeconds:[^\n]*" "" text "${text}")
  set(${result} "${text}" PARENT_SCOPE)
endfunction()
docs_planted("${table}" 6)

docs_part("docs/types.md" "types" "${table}" "${WRITE}")
comparable("${table}" table_compared)
comparable("${shown}" shown_compared)
if(NOT WRITE AND NOT shown_compared STREQUAL table_compared)
  message(FATAL_ERROR "the table of docs/types.md is not that of nibble quantize; write it, then draw it:\n"
                      "  cmake -DNIBBLE=build/release/bin/nibble -DSOURCE=. -DSCRATCH=/tmp/types -DWRITE=ON "
                      "-P tests/model/docs_types.cmake\n"
                      "  python3 tests/docs/draw_types.py docs/types.md docs/types.svg\n"
                      "${table}")
endif()
