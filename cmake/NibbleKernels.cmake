# Reads shaders/kernels.list (its grammar is in its header) and makes all that follows from it: sources, the public
# NibFormat enum, the format and op tables, the SPIR-V modules and the kernel tables.
#
# Sets NIBBLE_GENERATED        folder of generated files: include/ public, src/ private
#      NIBBLE_LISTED_SOURCES   C++ files of the listed formats and ops
#      NIBBLE_KERNELS          kernel names, each once
#      NIBBLE_MODULES          module names in table order; of module M: NIBBLE_M_<M>_NAME, _SOURCE, _FORMAT, _FORMAT_ID,
#                              _VARIANT, _TARGET, _NEEDS, _COMPILER or _SPIRV (neither: left out)
#      NIBBLE_CAN_COMPILE      there is a shader compiler
# Gives nibble_kernel_table(SUFFIX ...) and nibble_embed_shader(TARGET FILE ...).
include_guard()

set(NIBBLE_LIST "${PROJECT_SOURCE_DIR}/shaders/kernels.list")
set(NIBBLE_GENERATED "${PROJECT_BINARY_DIR}/generated")
set(NIBBLE_SPIRV_OUT "${PROJECT_BINARY_DIR}/spirv")
set(NIBBLE_MODULE_BUDGET 400)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${NIBBLE_LIST}")

# Writes only what differs, so that a new configure run rebuilds nothing by itself.
function(nibble_write file content)
  set(old "")
  if(EXISTS "${file}")
    file(READ "${file}" old)
  endif()
  if(NOT old STREQUAL content)
    file(WRITE "${file}" "${content}")
  endif()
endfunction()

# Runs in the reader's scope: skip = TRUE if a file of the current line is missing and that is allowed.
macro(nibble_need_files)
  set(skip FALSE)
  foreach(needed ${ARGN})
    if(NOT EXISTS "${PROJECT_SOURCE_DIR}/${needed}")
      if(NIBBLE_ALLOW_MISSING)
        message(STATUS "nibble: ${where}: left out, no ${needed}")
        set(skip TRUE)
      else()
        message(FATAL_ERROR "nibble: ${where}: no ${needed}, which this line needs:\n  ${line}")
      endif()
    endif()
  endforeach()
endmacro()

function(nibble_read_list)
  file(READ "${NIBBLE_LIST}" text)
  # These three would be CMake list syntax; only comments hold them.
  string(REGEX REPLACE "[][;]" "," text "${text}")
  string(REPLACE "\n" ";" lines "${text}")

  set(all_formats "")
  set(formats "")
  set(ops "")
  set(kernels "")
  set(modules "")
  set(sources "")
  set(enum "")
  set(number 0)
  foreach(line IN LISTS lines)
    math(EXPR number "${number} + 1")
    set(where "shaders/kernels.list:${number}")
    string(REGEX REPLACE "#.*" "" line "${line}")
    string(REGEX MATCHALL "[^ \t\r]+" words "${line}")
    list(LENGTH words count)
    if(count EQUAL 0)
      continue()
    endif()
    list(POP_FRONT words kind)

    if(kind STREQUAL "format")
      if(NOT count EQUAL 3)
        message(FATAL_ERROR "nibble: ${where}: expected 'format NAME ID':\n  ${line}")
      endif()
      list(GET words 0 name)
      list(GET words 1 id)
      if(NOT id MATCHES "^[1-9][0-9]*$" OR name IN_LIST all_formats OR DEFINED name_of_${id})
        message(FATAL_ERROR "nibble: ${where}: a format needs a new name and a new id above 0:\n  ${line}")
      endif()
      set(name_of_${id} ${name})
      set(id_of_${name} ${id})
      list(APPEND all_formats ${name})
      string(TOUPPER "${name}" upper)
      string(APPEND enum "  NIB_FORMAT_${upper} = ${id},\n")
      if(NIBBLE_FORMATS AND NOT name IN_LIST NIBBLE_FORMATS)
        continue()
      endif()
      nibble_need_files(src/formats/${name}.cpp shaders/formats/${name}/format.glsl)
      if(NOT skip)
        list(APPEND formats ${name})
        list(APPEND sources src/formats/${name}.cpp)
      endif()

    elseif(kind STREQUAL "op")
      if(NOT count EQUAL 2)
        message(FATAL_ERROR "nibble: ${where}: expected 'op NAME':\n  ${line}")
      endif()
      nibble_need_files(src/ops/${words}.cpp src/cpu/${words}.cpp)
      if(NOT skip)
        list(APPEND ops ${words})
        list(APPEND sources src/ops/${words}.cpp src/cpu/${words}.cpp)
      endif()

    elseif(kind STREQUAL "kernel")
      if(NOT count EQUAL 6)
        message(FATAL_ERROR "nibble: ${where}: expected 'kernel NAME FORMATS VARIANT TARGET NEEDS':\n  ${line}")
      endif()
      list(GET words 0 name)
      list(GET words 1 of_formats)
      list(GET words 2 variant)
      list(GET words 3 target)
      list(GET words 4 needs)
      if(NOT target MATCHES "^vulkan1\\.[1-9]$")
        message(FATAL_ERROR "nibble: ${where}: TARGET ${target} is none of vulkan1.1, vulkan1.2, ...:\n  ${line}")
      endif()
      if(NOT variant MATCHES "^(-|[A-Z][A-Z0-9_]*)$")
        message(FATAL_ERROR "nibble: ${where}: VARIANT ${variant} is neither - nor a macro in capitals:\n  ${line}")
      endif()
      string(REPLACE "," ";" needs "${needs}")
      string(REPLACE "," ";" of_formats "${of_formats}")
      if(needs STREQUAL "-")
        set(needs "")
      endif()
      foreach(need IN LISTS needs)
        if(NOT need MATCHES "^(subgroup|storage16|f16|dot4|coopmat)$")
          message(FATAL_ERROR "nibble: ${where}: unknown need ${need}:\n  ${line}")
        endif()
      endforeach()
      nibble_need_files(shaders/ops/${name}.comp shaders/ops/${name}.h)
      if(skip)
        continue()
      endif()

      if(of_formats STREQUAL "*")
        set(of_formats ${formats})
      elseif(NOT of_formats STREQUAL "-")
        foreach(format IN LISTS of_formats)
          if(NOT format IN_LIST all_formats)
            message(FATAL_ERROR "nibble: ${where}: no format ${format} above this line:\n  ${line}")
          endif()
        endforeach()
      endif()
      # Ascending id within a line.
      set(keyed "")
      foreach(format IN LISTS of_formats)
        if(format STREQUAL "-" OR format IN_LIST formats)
          list(APPEND keyed "${id_of_${format}}:${format}")
        endif()
      endforeach()
      list(SORT keyed COMPARE NATURAL)

      foreach(entry IN LISTS keyed)
        string(REGEX REPLACE ".*:" "" format "${entry}")
        set(module ${name})
        if(NOT format STREQUAL "-")
          string(APPEND module "_${format}")
        endif()
        if(NOT variant STREQUAL "-")
          string(APPEND module "_${variant}")
        endif()
        string(TOLOWER "${module}" module)
        if(module IN_LIST modules)
          message(FATAL_ERROR "nibble: ${where}: a second module named ${module}:\n  ${line}")
        endif()
        list(APPEND modules ${module})
        list(APPEND kernels ${name})
        foreach(field NAME=name FORMAT=format VARIANT=variant TARGET=target NEEDS=needs)
          string(REGEX MATCH "(.*)=(.*)" field "${field}")
          set(NIBBLE_M_${module}_${CMAKE_MATCH_1} "${${CMAKE_MATCH_2}}" PARENT_SCOPE)
        endforeach()
        set(NIBBLE_M_${module}_SOURCE "${PROJECT_SOURCE_DIR}/shaders/ops/${name}.comp" PARENT_SCOPE)
        set(NIBBLE_M_${module}_FORMAT_ID "${id_of_${format}}" PARENT_SCOPE)
      endforeach()

    else()
      message(FATAL_ERROR "nibble: ${where}: a line begins with format, op or kernel:\n  ${line}")
    endif()
  endforeach()

  foreach(format IN LISTS NIBBLE_FORMATS)
    if(NOT format IN_LIST all_formats)
      message(FATAL_ERROR "nibble: NIBBLE_FORMATS names ${format}, which shaders/kernels.list does not have")
    endif()
  endforeach()
  list(LENGTH modules count)
  if(count GREATER NIBBLE_MODULE_BUDGET)
    message(FATAL_ERROR "nibble: shaders/kernels.list makes ${count} modules, more than the budget of ${NIBBLE_MODULE_BUDGET}")
  endif()
  if(count EQUAL 0 OR NOT formats OR NOT ops)
    message(FATAL_ERROR "nibble: shaders/kernels.list leaves no format, no op or no kernel to build")
  endif()

  # Every id is in the public enum, also of formats that this build drops: ids are permanent.
  nibble_write("${NIBBLE_GENERATED}/include/nibble/formats.h" "\
// Weight formats and their permanent numbers. Written by the build from shaders/kernels.list: do not edit.
#ifndef NIBBLE_FORMATS_H
#define NIBBLE_FORMATS_H

typedef enum NibFormat {
${enum}  NIB_FORMAT_MAX_ENUM = 0x7fffffff
} NibFormat;

#endif
")

  set(keyed "")
  foreach(format IN LISTS formats)
    list(APPEND keyed "${id_of_${format}}:${format}")
  endforeach()
  list(SORT keyed COMPARE NATURAL)
  set(declared "")
  set(rows "")
  foreach(entry IN LISTS keyed)
    string(REGEX REPLACE ".*:" "" format "${entry}")
    string(APPEND declared "extern const FormatDesc kFormat_${format};\n")
    string(APPEND rows "  &kFormat_${format},\n")
  endforeach()
  list(LENGTH formats count)
  nibble_write("${NIBBLE_GENERATED}/src/format_table.cpp" "\
// Written by the build from shaders/kernels.list: do not edit.
#include \"formats/format.h\"

namespace nib {
${declared}
const FormatDesc* const kFormats[] = {
${rows}};
const uint32_t kFormatCount = ${count};
}  // namespace nib
")

  set(rows "// Written by the build from shaders/kernels.list: do not edit.\n")
  foreach(op IN LISTS ops)
    string(APPEND rows "NIB_OP_ROW(${op})\n")
  endforeach()
  nibble_write("${NIBBLE_GENERATED}/src/ops.inc" "${rows}")

  set(counts "")
  set(names ${kernels})
  list(REMOVE_DUPLICATES names)
  foreach(name IN LISTS names)
    set(of_name ${kernels})
    list(FILTER of_name INCLUDE REGEX "^${name}$")
    list(LENGTH of_name count)
    list(APPEND counts "${name} ${count}")
  endforeach()
  list(JOIN counts ", " counts)
  list(LENGTH modules count)
  if(NIBBLE_VULKAN)
    message(STATUS "nibble: ${count} of at most ${NIBBLE_MODULE_BUDGET} modules: ${counts}")
  endif()

  list(TRANSFORM sources PREPEND "${PROJECT_SOURCE_DIR}/")
  list(APPEND sources "${NIBBLE_GENERATED}/src/format_table.cpp")
  set(NIBBLE_LISTED_SOURCES "${sources}" PARENT_SCOPE)
  set(NIBBLE_KERNELS "${names}" PARENT_SCOPE)
  set(NIBBLE_MODULES "${modules}" PARENT_SCOPE)
  set(NIBBLE_LISTED_FORMATS "${formats}" PARENT_SCOPE)
  set(NIBBLE_LISTED_OPS "${ops}" PARENT_SCOPE)
endfunction()

# The C++ side of every kernel's interface in one table, for tests: shaders/ops/NAME.h with NAME_SPEC and NamePush.
function(nibble_write_interfaces)
  set(includes "")
  set(specs "")
  set(rows "")
  foreach(name IN LISTS NIBBLE_KERNELS)
    string(TOUPPER "${name}" upper)
    string(REGEX MATCHALL "[^_]+" parts "${name}")
    set(camel "")
    foreach(part IN LISTS parts)
      string(SUBSTRING "${part}" 0 1 first)
      string(SUBSTRING "${part}" 1 -1 rest)
      string(TOUPPER "${first}" first)
      string(APPEND camel "${first}${rest}")
    endforeach()
    string(APPEND includes "#include \"shaders/ops/${name}.h\"\n")
    string(APPEND specs "inline constexpr SpecRow kSpec_${name}[] = {${upper}_SPEC(NIB_INTERFACE_ROW)};\n")
    string(APPEND rows "    {\"${name}\", sizeof(${camel}Push), kSpec_${name}, sizeof kSpec_${name} / sizeof(SpecRow)},\n")
  endforeach()
  nibble_write("${NIBBLE_GENERATED}/src/kernel_interfaces.h" "\
// Written by the build from shaders/kernels.list: do not edit.
#ifndef NIB_KERNEL_INTERFACES_H
#define NIB_KERNEL_INTERFACES_H

#include <bit>
#include <cstddef>
#include <cstdint>

${includes}
namespace nib {

struct SpecRow {
  std::uint32_t id;
  const char* type;  // as written: uint, int, float, nib_bool
  const char* name;
  std::uint32_t bits;  // of the default
};

struct KernelInterface {
  const char* name;
  std::size_t push_bytes;
  const SpecRow* spec;
  std::size_t spec_count;
};

// One NAME_SPEC as SpecRows.
#define NIB_INTERFACE_ROW(id, type, name, value) {id, #type, #name, std::bit_cast<std::uint32_t>(static_cast<type>(value))},
${specs}
inline constexpr KernelInterface kKernelInterfaces[] = {
${rows}};

}  // namespace nib
#endif
")
endfunction()

# Whether `compiler` takes a shader that uses `what`; the module is left in `spirv`.
function(nibble_probe_shader compiler spirv source what result)
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
    nibble_probe_shader("${compiler}" "${probe}/coopmat.spv" "${nibble_coopmat_probe}" coopmat has_coopmat)
    nibble_probe_shader("${compiler}" "${probe}/dot.spv" "${nibble_dot_probe}" dot has_dot)
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
    message(FATAL_ERROR "nibble: no glslangValidator or glslang found (Debian: glslang-tools). Set NIBBLE_GLSLANG to one, "
                        "or NIBBLE_SPIRV_DIR to a folder of ready SPIR-V modules, or configure with -DNIBBLE_VULKAN=OFF")
  endif()

  if(EXISTS "${NIBBLE_SPIRV_DIR}/VERSION")
    file(STRINGS "${NIBBLE_SPIRV_DIR}/VERSION" version LIMIT_COUNT 1)
    if(NOT version VERSION_EQUAL PROJECT_VERSION)
      message(FATAL_ERROR "nibble: NIBBLE_SPIRV_DIR holds modules of nibble ${version}, these are the sources of ${PROJECT_VERSION}")
    endif()
  endif()

  set(left_out "")
  set(unchecked "")
  foreach(module IN LISTS NIBBLE_MODULES)
    set(is_coopmat FALSE)
    if("coopmat" IN_LIST NIBBLE_M_${module}_NEEDS)
      set(is_coopmat TRUE)
    endif()
    # Tests compile modules with other defines also where the ready ones serve the library.
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
    # Whoever made the modules has validated them.
  elseif(NOT NIBBLE_SPIRV_VAL)
    message(STATUS "nibble: no spirv-val, so SPIR-V is not validated")
  elseif(unchecked)
    message(STATUS "nibble: not validated, ${NIBBLE_SPIRV_VAL} is too old for them: ${unchecked}")
  endif()
endfunction()

# One build rule: GLSL `source` -> `spirv`, validated, and `cpp`, which defines nib::kSpirv_<symbol>[].
function(nibble_shader_rule)
  cmake_parse_arguments(PARSE_ARGV 0 arg "VALIDATE" "COMPILER;SOURCE;TARGET;SPIRV;CPP;SYMBOL" "INCLUDES;DEFINES")
  list(TRANSFORM arg_INCLUDES PREPEND "-I")
  list(TRANSFORM arg_DEFINES PREPEND "-D")
  set(validate "")
  if(arg_VALIDATE AND NIBBLE_SPIRV_VAL)
    set(validate COMMAND "${NIBBLE_SPIRV_VAL}" --target-env ${arg_TARGET} "${arg_SPIRV}")
  endif()
  file(RELATIVE_PATH shown "${PROJECT_BINARY_DIR}" "${arg_SPIRV}")
  add_custom_command(
    OUTPUT "${arg_SPIRV}" "${arg_CPP}"
    COMMAND "${arg_COMPILER}" -V --quiet -g0 --target-env ${arg_TARGET} "-I${PROJECT_SOURCE_DIR}/shaders" ${arg_INCLUDES}
            ${arg_DEFINES} --depfile "${arg_SPIRV}.d" -o "${arg_SPIRV}" "${arg_SOURCE}"
    ${validate}
    COMMAND "${CMAKE_COMMAND}" -D "spirv=${arg_SPIRV}" -D "cpp=${arg_CPP}" -D "symbol=${arg_SYMBOL}"
            -P "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
    MAIN_DEPENDENCY "${arg_SOURCE}"
    DEPENDS "${PROJECT_SOURCE_DIR}/cmake/embed.cmake" "${arg_COMPILER}"
    DEPFILE "${arg_SPIRV}.d"
    COMMENT "SPIR-V ${shown}"
    VERBATIM)
endfunction()

# nibble_kernel_table(SUFFIX [DEFINES D...] [VARIANT_DEFINES VARIANT D...])
# Makes the library nibble_kernels_SUFFIX: kKernelTable and kKernelCount. With DEFINES every module is compiled anew with
# them, with VARIANT_DEFINES those of that variant; modules without new defines are the ones of the first, default table
# (library nibble_spirv), not compiled again. A program links nibble_core with one such library.
function(nibble_kernel_table suffix)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEFINES;VARIANT_DEFINES")
  set(changed_variant "")
  if(arg_VARIANT_DEFINES)
    list(POP_FRONT arg_VARIANT_DEFINES changed_variant)
  endif()
  set(generated "${NIBBLE_GENERATED}/kernels/${suffix}")
  set(own "")
  set(rows "")
  set(spirv_files "")
  set(shares FALSE)
  file(MAKE_DIRECTORY "${generated}" "${NIBBLE_SPIRV_OUT}")
  if(NOT suffix STREQUAL "default")
    file(MAKE_DIRECTORY "${NIBBLE_SPIRV_OUT}/${suffix}")
  endif()

  foreach(module IN LISTS NIBBLE_MODULES)
    foreach(field NAME SOURCE FORMAT FORMAT_ID VARIANT TARGET NEEDS COMPILER SPIRV VALIDATE)
      set(${field} "${NIBBLE_M_${module}_${field}}")
    endforeach()
    set(defines ${arg_DEFINES})
    if(changed_variant AND VARIANT STREQUAL changed_variant)
      list(APPEND defines ${arg_VARIANT_DEFINES})
    endif()

    set(symbol "-")
    set(spirv "-")
    if(SPIRV AND NOT defines)
      set(spirv "${SPIRV}")
      set(symbol ${module})
      if(suffix STREQUAL "default")
        set(cpp "${generated}/${module}.cpp")
        add_custom_command(
          OUTPUT "${cpp}"
          COMMAND "${CMAKE_COMMAND}" -D "spirv=${SPIRV}" -D "cpp=${cpp}" -D "symbol=${module}"
                  -P "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
          DEPENDS "${PROJECT_SOURCE_DIR}/cmake/embed.cmake" "${SPIRV}"
          VERBATIM)
        list(APPEND own "${cpp}")
      else()
        set(shares TRUE)
      endif()
    elseif(COMPILER)
      if(suffix STREQUAL "default" OR defines)
        set(symbol ${module})
        set(spirv "${NIBBLE_SPIRV_OUT}/${module}.spv")
        if(NOT suffix STREQUAL "default")
          string(APPEND symbol "_${suffix}")
          set(spirv "${NIBBLE_SPIRV_OUT}/${suffix}/${module}.spv")
        endif()
        set(cpp "${generated}/${module}.cpp")
        set(includes "")
        if(NOT FORMAT STREQUAL "-")
          set(includes "${PROJECT_SOURCE_DIR}/shaders/formats/${FORMAT}")
        endif()
        if(NOT VARIANT STREQUAL "-")
          list(PREPEND defines "${VARIANT}=1")
        endif()
        set(validate "")
        if(VALIDATE)
          set(validate VALIDATE)
        endif()
        nibble_shader_rule(COMPILER "${COMPILER}" SOURCE "${SOURCE}" TARGET ${TARGET} SPIRV "${spirv}" CPP "${cpp}"
                           SYMBOL ${symbol} INCLUDES ${includes} DEFINES ${defines} ${validate})
        list(APPEND own "${cpp}")
      else()
        set(symbol ${module})
        set(spirv "${NIBBLE_SPIRV_OUT}/${module}.spv")
        set(shares TRUE)
      endif()
    endif()

    string(TOLOWER "${VARIANT}" variant)
    string(REPLACE "-" "" variant "${variant}")
    set(features "")
    foreach(need IN LISTS NEEDS)
      string(TOUPPER "${need}" need)
      list(APPEND features "NIB_FEATURE_${need}")
    endforeach()
    list(JOIN features " | " features)
    if(features STREQUAL "")
      set(features 0)
    endif()
    if(FORMAT_ID STREQUAL "")
      set(FORMAT_ID 0)
    endif()
    string(APPEND rows "\"${module}\", \"${NAME}\", ${FORMAT_ID}, \"${variant}\", ${features}\t${symbol}\t${spirv}\n")
    if(NOT spirv STREQUAL "-")
      list(APPEND spirv_files "${spirv}")
    endif()
  endforeach()

  if(suffix STREQUAL "default")
    set_property(GLOBAL PROPERTY NIBBLE_SPIRV_FILES "${spirv_files}")
  endif()

  # Sizes are known when the modules are built, so the table is written then.
  nibble_write("${generated}/kernel_table.rows" "${rows}")
  set(table "${generated}/kernel_table.cpp")
  add_custom_command(
    OUTPUT "${table}"
    COMMAND "${CMAKE_COMMAND}" -D "rows=${generated}/kernel_table.rows" -D "cpp=${table}"
            -P "${PROJECT_SOURCE_DIR}/cmake/kernel_table.cmake"
    DEPENDS "${PROJECT_SOURCE_DIR}/cmake/kernel_table.cmake" "${generated}/kernel_table.rows" ${spirv_files}
    COMMENT "Kernel table ${suffix}"
    VERBATIM)

  if(suffix STREQUAL "default")
    nibble_library(nibble_spirv OBJECT ${own})
    nibble_library(nibble_kernels_default OBJECT "${table}")
    target_link_libraries(nibble_kernels_default PRIVATE nibble_api)
  else()
    nibble_library(nibble_kernels_${suffix} STATIC "${table}" ${own})
    target_link_libraries(nibble_kernels_${suffix} PRIVATE nibble_api)
    if(shares)
      target_sources(nibble_kernels_${suffix} PRIVATE $<TARGET_OBJECTS:nibble_spirv>)
    endif()
  endif()
  # Makefiles copy the rules of the default modules into every library whose table needs them; then they must be done
  # before, not run twice at once.
  add_dependencies(nibble_kernels_${suffix} nibble_spirv)
endfunction()

# nibble_embed_shader(CXX_TARGET FILE [NAME x] [TARGET vulkan1.1] [DEFINES D...])
# Compiles one more shader, which is in no table, into CXX_TARGET: nib::kSpirv_x[] and nib::kSpirvWords_x, declared by
# the generated header "x.spv.h". x is the file's name without its ending if no other is given.
function(nibble_embed_shader cxx_target file)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "NAME;TARGET" "DEFINES")
  if(NOT arg_TARGET)
    set(arg_TARGET vulkan1.1)
  endif()
  if(NOT arg_NAME)
    get_filename_component(arg_NAME "${file}" NAME_WE)
  endif()
  get_filename_component(source "${file}" ABSOLUTE)
  set(generated "${NIBBLE_GENERATED}/shaders/${cxx_target}")
  file(MAKE_DIRECTORY "${generated}")
  nibble_shader_rule(COMPILER "${NIBBLE_COMPILER}" SOURCE "${source}" TARGET ${arg_TARGET} VALIDATE
                     SPIRV "${generated}/${arg_NAME}.spv" CPP "${generated}/${arg_NAME}.spv.cpp" SYMBOL ${arg_NAME}
                     DEFINES ${arg_DEFINES})
  nibble_write("${generated}/${arg_NAME}.spv.h" "\
#pragma once
#include <cstdint>
namespace nib {
extern const std::uint32_t kSpirv_${arg_NAME}[];
extern const std::uint32_t kSpirvWords_${arg_NAME};
}  // namespace nib
")
  target_sources(${cxx_target} PRIVATE "${generated}/${arg_NAME}.spv.cpp")
  target_include_directories(${cxx_target} PRIVATE "${generated}")
endfunction()

nibble_read_list()
set(NIBBLE_CAN_COMPILE FALSE)
if(NIBBLE_VULKAN)
  nibble_write_interfaces()
  nibble_find_compilers()
endif()
