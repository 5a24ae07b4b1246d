# nibble quantize as a user runs it: NIBBLE the tool, MODEL a folder, SCRATCH a folder to work in.
# The CPU and the default device must write the same bytes; errors must leave nothing behind.
cmake_minimum_required(VERSION 3.22)

# run(RC_WANTED ARGS...): sets out and err.
macro(run wanted)
  execute_process(COMMAND "${NIBBLE}" ${ARGN} RESULT_VARIABLE rc OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT rc EQUAL ${wanted})
    message(FATAL_ERROR "nibble ${ARGN}: exit ${rc}, expected ${wanted}\n${out}\n${err}")
  endif()
endmacro()

function(same_folder a b)
  file(GLOB names_a RELATIVE "${a}" "${a}/*" "${a}/.*")
  file(GLOB names_b RELATIVE "${b}" "${b}/*" "${b}/.*")
  if(NOT names_a STREQUAL names_b OR NOT names_a)
    message(FATAL_ERROR "${a} holds ${names_a}, ${b} holds ${names_b}")
  endif()
  foreach(name IN LISTS names_a)
    file(SHA256 "${a}/${name}" hash_a)
    file(SHA256 "${b}/${name}" hash_b)
    if(NOT hash_a STREQUAL hash_b)
      message(FATAL_ERROR "${name} differs between ${a} and ${b}")
    endif()
  endforeach()
endfunction()

# One printable line on stderr that holds `text`, nothing on stdout.
function(one_line text)
  string(REGEX REPLACE "\n$" "" line "${err}")
  if(line MATCHES "\n" OR NOT line MATCHES "${text}" OR NOT out STREQUAL "")
    message(FATAL_ERROR "expected one line with '${text}', got:\n${err}\n${out}")
  endif()
endfunction()

# What the tool said while it quantized is what comparing the files says: sqnr_db of every tensor that changed.
function(same_errors report comparison)
  string(JSON last LENGTH "${report}" tensors)
  math(EXPR last "${last} - 1")
  foreach(i RANGE ${last})
    string(JSON name GET "${report}" tensors ${i} name)
    string(JSON sqnr GET "${report}" tensors ${i} sqnr_db)
    string(JSON mse GET "${report}" tensors ${i} mse)
    if(mse)
      set(sqnr_of_${name} "${sqnr} ${mse}")
    endif()
  endforeach()
  set(seen 0)
  string(JSON last LENGTH "${comparison}" tensors)
  math(EXPR last "${last} - 1")
  foreach(i RANGE ${last})
    string(JSON name GET "${comparison}" tensors ${i} name)
    if(NOT DEFINED sqnr_of_${name})
      continue()
    endif()
    string(JSON sqnr GET "${comparison}" tensors ${i} sqnr_db)
    string(JSON mse GET "${comparison}" tensors ${i} mse)
    if(NOT "${sqnr} ${mse}" STREQUAL "${sqnr_of_${name}}")
      message(FATAL_ERROR "${name}: compare says ${sqnr} dB, ${mse}; quantize said ${sqnr_of_${name}}")
    endif()
    math(EXPR seen "${seen} + 1")
  endforeach()
  if(seen LESS 30)
    message(FATAL_ERROR "only ${seen} tensors were compared")
  endif()
endfunction()

file(REMOVE_RECURSE "${SCRATCH}")
file(MAKE_DIRECTORY "${SCRATCH}")

foreach(way
    "int4:--type=int4"
    "int4_asym:--bits=4;--asym;--group-size=32"
    "int8:--type=int8"
    "w8a8:--type=int8;--activations=int8-token"
    "fp8:--type=fp8"
    "fp8_tensor:--type=fp8;--granularity=tensor;--activations=fp8-token"
    "mxfp4:--type=mxfp4"
    "nf4:--format=bnb"
    "fp4:--format=bnb;--type=fp4;--no-double-quant"
    "bf16:--format=safetensors;--type=BF16"
    "mixed:--rule=down_proj=int8;--exclude=layers.0.;--max-shard-size=1M")
  string(REGEX MATCH "^([^:]*):(.*)$" way "${way}")
  set(name ${CMAKE_MATCH_1})
  set(arguments ${CMAKE_MATCH_2})
  run(0 quantize "${MODEL}" -o "${SCRATCH}/${name}" ${arguments})
  run(0 quantize "${MODEL}" -o "${SCRATCH}/${name}_cpu" ${arguments} --device cpu --json)
  set(report "${out}")
  same_folder("${SCRATCH}/${name}" "${SCRATCH}/${name}_cpu")
  run(0 inspect "${SCRATCH}/${name}" --names)
  run(0 compare "${MODEL}" "${SCRATCH}/${name}" --json)
  same_errors("${report}" "${out}")
endforeach()

# A K of 704 is no multiple of 128.
run(0 quantize "${MODEL}" -o "${SCRATCH}/int4" --type int4 --force --device cpu)
if(NOT out MATCHES "K 704 is no multiple of 128: group 64")
  message(FATAL_ERROR "no word of the smaller group:\n${out}")
endif()
same_folder("${SCRATCH}/int4" "${SCRATCH}/int4_cpu")

# JSON alone on stdout.
run(0 quantize "${MODEL}" -o "${SCRATCH}/json" --type int4 --device cpu --json)
string(JSON count LENGTH "${out}" tensors)
string(JSON type GET "${out}" tensors 1 type)
if(NOT count EQUAL 57)
  message(FATAL_ERROR "${count} tensors in the report, expected 57")
endif()

# What is wrong is said in one line, and an earlier output stays.
run(1 quantize "${MODEL}" -o "${SCRATCH}/int4" --type int4 --device cpu)
one_line("--force")
same_folder("${SCRATCH}/int4" "${SCRATCH}/int4_cpu")
run(1 quantize "${MODEL}" -o "${SCRATCH}/none" --type int3 --device cpu)
one_line("compressed-tensors holds int4")
run(1 quantize "${SCRATCH}/missing" -o "${SCRATCH}/none" --device cpu)
one_line("missing")
run(2 quantize "${MODEL}" -o "${SCRATCH}/none" --type int5)
one_line("there is int8")
run(2 quantize "${MODEL}" -o "${SCRATCH}/none" --sym --asym)
one_line("exclude each other")
run(2 quantize "${MODEL}" -o "${SCRATCH}/none" --rule "(=int4")
one_line("regular expression")
run(2 quantize "${MODEL}" -o "${SCRATCH}/none" --group-size 24)
one_line("multiple of 16")
run(2 quantize "${MODEL}")
one_line("output")
run(1 quantize "${MODEL}" -o "${MODEL}" --force --device cpu)
file(GLOB left "${SCRATCH}/none*" "${SCRATCH}/*.partial")
if(left)
  message(FATAL_ERROR "left behind: ${left}")
endif()
file(REMOVE_RECURSE "${SCRATCH}")
