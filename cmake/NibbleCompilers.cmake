# nibble_find_compilers(): chooses the compiler of each module, and finds modules that cannot be built or validated.
include_guard()

# Sets `result` to whether `compiler` compiles the shader text `source`; writes the module to `spirv`.
function(nibble_probe_shader compiler spirv source result)
  get_filename_component(dir "${spirv}" DIRECTORY)
  file(MAKE_DIRECTORY "${dir}")
  file(REMOVE "${spirv}")
  nibble_write("${spirv}.comp" "${source}")
  execute_process(COMMAND "${compiler}" -V --target-env vulkan1.3 -o "${spirv}" "${spirv}.comp"
                  RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(${result} FALSE PARENT_SCOPE)
  else()
    set(${result} TRUE PARENT_SCOPE)
  endif()
endfunction()

set(nibble_coopmat_probe "#version 450
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
layout(local_size_x = 32) in;
layout(set = 0, binding = 0) buffer Data { int data[]; };
void main() {
  coopmat<int, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator> c =
      coopmat<int, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator>(0);
  coopMatStore(c, data, 0, 8, gl_CooperativeMatrixLayoutRowMajor);
}
")
set(nibble_dot_probe "#version 450
#extension GL_EXT_integer_dot_product : require
layout(local_size_x = 32) in;
layout(set = 0, binding = 0) buffer Data { int data[]; };
void main() { data[0] += dotPacked4x8EXT(data[1], data[2]); }
")

function(nibble_find_compilers)
  find_program(NIBBLE_GLSLANG NAMES glslangValidator glslang DOC "GLSL compiler; OFF = none")
  find_program(NIBBLE_SPIRV_VAL NAMES spirv-val DOC "SPIR-V validator; OFF = none")
  find_program(NIBBLE_SPIRV_OPT NAMES spirv-opt DOC "Makes SPIR-V smaller; OFF = none")
  set(coopmat_compiler "")
  set(compilers "")
  foreach(compiler IN ITEMS "${NIBBLE_GLSLANG}" "${NIBBLE_GLSLANG_NEW}")
    if(NOT compiler)
      continue()
    endif()
    execute_process(COMMAND "${compiler}" --version RESULT_VARIABLE failed OUTPUT_VARIABLE version ERROR_QUIET)
    if(failed)
      message(FATAL_ERROR "nibble: ${compiler} is no working glslang; set NIBBLE_GLSLANG or NIBBLE_GLSLANG_NEW to one")
    endif()
    string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" version "${version}")
    list(APPEND compilers "${compiler}")
    list(LENGTH compilers index)
    set(probe "${PROJECT_BINARY_DIR}/probe/${index}")
    nibble_probe_shader("${compiler}" "${probe}/coopmat.spv" "${nibble_coopmat_probe}" has_coopmat)
    nibble_probe_shader("${compiler}" "${probe}/dot.spv" "${nibble_dot_probe}" has_dot)
    if(has_coopmat AND NOT coopmat_compiler)
      set(coopmat_compiler "${compiler}")
      set(coopmat_module "${probe}/coopmat.spv")
    endif()
    string(REPLACE "TRUE" "yes" words "KHR_cooperative_matrix ${has_coopmat}, EXT_integer_dot_product ${has_dot}")
    string(REPLACE "FALSE" "no" words "${words}")
    message(STATUS "nibble: ${compiler} ${version}: ${words}")
  endforeach()

  set(validates_coopmat FALSE)
  if(NIBBLE_SPIRV_VAL AND coopmat_compiler)
    execute_process(COMMAND "${NIBBLE_SPIRV_VAL}" --target-env vulkan1.3 "${coopmat_module}"
                    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    if(NOT failed)
      set(validates_coopmat TRUE)
    endif()
  endif()

  set(NIBBLE_CAN_COMPILE FALSE PARENT_SCOPE)
  if(compilers)
    list(GET compilers 0 first)
    set(NIBBLE_CAN_COMPILE TRUE PARENT_SCOPE)
    set(NIBBLE_COMPILER "${first}" PARENT_SCOPE)
  elseif(NOT NIBBLE_SPIRV_DIR)
    message(FATAL_ERROR "nibble: no glslangValidator or glslang found (Debian: glslang-tools). Set NIBBLE_GLSLANG to "
                        "one, or NIBBLE_SPIRV_DIR to a folder of ready SPIR-V modules, or configure with "
                        "-DNIBBLE_VULKAN=OFF")
  endif()

  if(EXISTS "${NIBBLE_SPIRV_DIR}/VERSION")
    file(STRINGS "${NIBBLE_SPIRV_DIR}/VERSION" version LIMIT_COUNT 1)
    if(NOT version VERSION_EQUAL PROJECT_VERSION)
      message(FATAL_ERROR "nibble: NIBBLE_SPIRV_DIR holds modules of nibble ${version}, "
                          "these are the sources of ${PROJECT_VERSION}")
    endif()
  endif()

  set(left_out "")
  set(unchecked "")
  foreach(module IN LISTS NIBBLE_MODULES)
    set(is_coopmat FALSE)
    if("coopmat" IN_LIST NIBBLE_M_${module}_NEEDS)
      set(is_coopmat TRUE)
    endif()
    # A compiler is set also if the library uses prebuilt modules, because tests compile them with other defines.
    if(compilers AND NOT is_coopmat)
      set(NIBBLE_M_${module}_COMPILER "${first}" PARENT_SCOPE)
      set(NIBBLE_M_${module}_VALIDATE TRUE PARENT_SCOPE)
    elseif(coopmat_compiler)
      set(NIBBLE_M_${module}_COMPILER "${coopmat_compiler}" PARENT_SCOPE)
      set(NIBBLE_M_${module}_VALIDATE ${validates_coopmat} PARENT_SCOPE)
      if(NOT validates_coopmat)
        list(APPEND unchecked ${module})
      endif()
    endif()
    if(NIBBLE_SPIRV_DIR)
      get_filename_component(ready "${NIBBLE_SPIRV_DIR}/${module}.spv" ABSOLUTE BASE_DIR "${CMAKE_BINARY_DIR}")
      if(EXISTS "${ready}")
        set(NIBBLE_M_${module}_SPIRV "${ready}" PARENT_SCOPE)
      elseif(is_coopmat)
        list(APPEND left_out ${module})
        set(NIBBLE_M_${module}_COMPILER "" PARENT_SCOPE)
      else()
        message(FATAL_ERROR "nibble: NIBBLE_SPIRV_DIR has no ${module}.spv (looked for ${ready})")
      endif()
    elseif(is_coopmat AND NOT coopmat_compiler)
      list(APPEND left_out ${module})
    endif()
  endforeach()
  list(JOIN left_out " " left_out)
  list(JOIN unchecked " " unchecked)
  if(left_out AND NIBBLE_SPIRV_DIR)
    message(STATUS "nibble: left out, not in NIBBLE_SPIRV_DIR: ${left_out}")
  elseif(left_out)
    message(STATUS "nibble: left out, they need a compiler with KHR_cooperative_matrix (NIBBLE_GLSLANG_NEW; "
                   "tools/get/glslang.sh gets one): ${left_out}")
  endif()
  if(NIBBLE_SPIRV_DIR)
    # Prebuilt modules were validated when they were built.
  elseif(NOT NIBBLE_SPIRV_VAL)
    message(STATUS "nibble: no spirv-val, so SPIR-V is not validated")
  elseif(unchecked)
    message(STATUS "nibble: not validated, ${NIBBLE_SPIRV_VAL} is too old for them: ${unchecked}")
  endif()
endfunction()
