# nibble calibrate on the command line, and quantize with its result: NIBBLE the tool, SOURCE the project, SCRATCH a
# folder for output.
cmake_minimum_required(VERSION 3.22)
set(name model.layers.3.mlp.down_proj)
set(data "${SOURCE}/tests/data/activations/${name}.npy")
set(model "${SOURCE}/tests/data/tiny-kjv-llama")
file(REMOVE_RECURSE "${SCRATCH}")
file(MAKE_DIRECTORY "${SCRATCH}")

# run(RC_WANTED ARGS...): sets out and err.
macro(run wanted)
  execute_process(COMMAND "${NIBBLE}" ${ARGN} RESULT_VARIABLE rc OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT rc EQUAL ${wanted})
    message(FATAL_ERROR "nibble ${ARGN}: exit ${rc}, expected ${wanted}\n${out}\n${err}")
  endif()
endmacro()

# Checks for one line on stderr that contains `text`, and no file.
macro(refused rc text file)
  run(${rc} ${ARGN})
  string(REGEX REPLACE "\n$" "" line "${err}")
  if(line MATCHES "\n" OR NOT line MATCHES "${text}" OR EXISTS "${file}")
    message(FATAL_ERROR "expected one line with '${text}' and no ${file}, got:\n${err}")
  endif()
endmacro()

macro(same a b)
  file(SHA256 "${SCRATCH}/${a}" hash_a)
  file(SHA256 "${SCRATCH}/${b}" hash_b)
  if(NOT hash_a STREQUAL hash_b)
    message(FATAL_ERROR "${a} and ${b} differ")
  endif()
endmacro()

# The default device and the CPU write the same file, by tensor and by channel.
foreach(granularity tensor channel)
  run(0 calibrate --data "${data}" --granularity ${granularity} --range mse --asym -o "${SCRATCH}/${granularity}.json")
  run(0 calibrate --data "${data}" --granularity ${granularity} --range mse --asym
      -o "${SCRATCH}/${granularity}_cpu.json" --device cpu)
  same(${granularity}.json ${granularity}_cpu.json)
endforeach()
refused(2 "exists; --force" "" calibrate --data "${data}" -o "${SCRATCH}/tensor.json")
run(0 calibrate --data "${data}" --range mse --asym -o "${SCRATCH}/tensor.json" --force --json)
string(JSON range GET "${out}" tensors ${name} range)
if(NOT range STREQUAL "mse")
  message(FATAL_ERROR "--json says range ${range}")
endif()

# Other ranges computed from CALIB.json equal those computed from the data.
run(0 calibrate --merge "${SCRATCH}/tensor.json" --range entropy-ort -o "${SCRATCH}/again.json")
run(0 calibrate --data "${data}" --range entropy-ort -o "${SCRATCH}/fresh.json")
same(again.json fresh.json)
# The same data cannot be merged twice; merging loses moving averages.
refused(1 "twice" "${SCRATCH}/no.json" calibrate --merge "${SCRATCH}/tensor.json" "${SCRATCH}/fresh.json"
        -o "${SCRATCH}/no.json")
run(0 calibrate --data "${data}" --samples 3 --seq-len 64 --seed 5 -o "${SCRATCH}/some.json")
run(0 calibrate --merge "${SCRATCH}/some.json" "${SCRATCH}/tensor.json" -o "${SCRATCH}/both.json")
run(0 calibrate --merge "${SCRATCH}/tensor.json" "${SCRATCH}/some.json" -o "${SCRATCH}/both_other.json")
refused(1 "order of the data" "${SCRATCH}/no.json" calibrate --merge "${SCRATCH}/both.json" --range ema
        -o "${SCRATCH}/no.json")
file(READ "${SCRATCH}/both.json" json)
string(JSON tokens GET "${json}" tensors ${name} tokens)
if(NOT tokens EQUAL 1216)  # 1024 and three times 64
  message(FATAL_ERROR "merged: ${tokens} tokens")
endif()

# Wrong arguments give one line.
refused(2 "--range" "${SCRATCH}/no.json" calibrate --data "${data}" --range guess -o "${SCRATCH}/no.json")
refused(2 "--range" "${SCRATCH}/no.json" calibrate --data "${data}" --range percentile:101 -o "${SCRATCH}/no.json")
refused(2 "--data" "${SCRATCH}/no.json" calibrate -o "${SCRATCH}/no.json")
refused(2 "--compare" "${SCRATCH}/no.json" calibrate --data "${data}")
refused(1 "README.md" "${SCRATCH}/no.json" calibrate --data "${SOURCE}/README.md" -o "${SCRATCH}/no.json")
refused(1 "config.json" "" inspect "${model}/config.json")

# The page is self-contained.
run(0 inspect "${SCRATCH}/tensor.json" "--html=${SCRATCH}/tensor.html")
file(READ "${SCRATCH}/tensor.html" page)
if(page MATCHES "https?://|<script|<link|src=" OR NOT page MATCHES "<svg" OR NOT page MATCHES ">percentile:99.99<"
   OR NOT page MATCHES "class=\"chosen\"")
  message(FATAL_ERROR "tensor.html is not a self-contained page with a drawing")
endif()
refused(2 "exists; --force" "" inspect "${SCRATCH}/tensor.json" "--html=${SCRATCH}/tensor.html")

# The static scale of the one module with a range equals the file's.
set(others --include down_proj --exclude "[qkvo]_proj" --exclude "(gate|up)_proj" --exclude "layers\\.[01245]\\.")
foreach(type int8 fp8)
  run(0 quantize "${model}" -o "${SCRATCH}/${type}" --type ${type} --activations ${type}-static
      --calib "${SCRATCH}/tensor.json" ${others})
  file(READ "${SCRATCH}/${type}/config.json" config)
  string(JSON dynamic GET "${config}" quantization_config config_groups group_0 input_activations dynamic)
  string(JSON strategy GET "${config}" quantization_config config_groups group_0 input_activations strategy)
  string(JSON symmetric GET "${config}" quantization_config config_groups group_0 input_activations symmetric)
  if(dynamic OR NOT strategy STREQUAL "tensor" OR (type STREQUAL "int8" AND symmetric)
     OR (type STREQUAL "fp8" AND NOT symmetric))
    message(FATAL_ERROR "${type}: input_activations dynamic ${dynamic}, strategy ${strategy}, symmetric ${symmetric}")
  endif()
  run(0 inspect "${SCRATCH}/${type}" --json)
  string(JSON last LENGTH "${out}" tensors)
  math(EXPR last "${last} - 1")
  set(inputs "")
  foreach(i RANGE ${last})
    string(JSON tensor GET "${out}" tensors ${i} name)
    if(tensor MATCHES "\\.input_(scale|zero)")
      string(JSON dtype GET "${out}" tensors ${i} dtype)
      string(JSON shape GET "${out}" tensors ${i} shape 0)
      list(APPEND inputs "${tensor} ${dtype} ${shape}")
      if(type STREQUAL "int8" AND tensor MATCHES "scale")
        string(JSON scale GET "${out}" tensors ${i} max)
        file(READ "${SCRATCH}/tensor.json" json)
        string(JSON expected GET "${json}" tensors ${name} scale)
        if(NOT scale EQUAL expected)
          message(FATAL_ERROR "${tensor} is ${scale}, ${expected} in the calibration")
        endif()
      endif()
    endif()
  endforeach()
  set(expected "${name}.input_scale F32 1")
  if(type STREQUAL "int8")
    list(APPEND expected "${name}.input_zero_point I8 1")
  endif()
  list(SORT inputs)
  if(NOT inputs STREQUAL expected)
    message(FATAL_ERROR "${type}: ${inputs}, expected ${expected}")
  endif()
endforeach()
# Quantized again with activations by token, the old scales are gone.
run(0 quantize "${SCRATCH}/int8" -o "${SCRATCH}/token" --type int8 --activations int8-token ${others})
run(0 inspect "${SCRATCH}/token" --names)
if(out MATCHES "input_scale")
  message(FATAL_ERROR "an input_scale is left over")
endif()
refused(1 "has no range for its input" "${SCRATCH}/no" quantize "${model}" -o "${SCRATCH}/no"
        --type int8 --activations int8-static --calib "${SCRATCH}/tensor.json")
refused(1 "--granularity tensor" "${SCRATCH}/no" quantize "${model}" -o "${SCRATCH}/no"
        --type int8 --activations int8-static --calib "${SCRATCH}/channel.json")
refused(2 "needs --calib" "${SCRATCH}/no" quantize "${model}" -o "${SCRATCH}/no" --type int8 --activations int8-static)
refused(1 "int8 activations go with int8" "${SCRATCH}/no" quantize "${model}" -o "${SCRATCH}/no" --type int4
        --activations int8-static --calib "${SCRATCH}/tensor.json" ${others})
file(REMOVE_RECURSE "${SCRATCH}")
