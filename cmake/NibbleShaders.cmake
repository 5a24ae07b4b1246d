# Build rules for shaders: nibble_kernel_table for those in shaders/kernels.list, nibble_embed_shader for others.
include_guard()

# Remove loads and stores of local variables, about a sixth of the compiler's SPIR-V. These passes inline nothing and
# change no arithmetic.
set(NIBBLE_SPIRV_PASSES --eliminate-local-single-block --eliminate-local-single-store --eliminate-local-multi-store
                        --eliminate-dead-code-aggressive)

# One build rule: GLSL SOURCE -> SPIRV. VALIDATE: the installed tools know the module's instructions, so they optimize
# and validate it.
function(nibble_shader_rule)
  cmake_parse_arguments(PARSE_ARGV 0 arg "VALIDATE" "COMPILER;SOURCE;TARGET;SPIRV" "INCLUDES;DEFINES")
  list(TRANSFORM arg_INCLUDES PREPEND "-I")
  list(TRANSFORM arg_DEFINES PREPEND "-D")
  set(shrink "")
  if(arg_VALIDATE AND NIBBLE_SPIRV_OPT)
    set(shrink COMMAND "${NIBBLE_SPIRV_OPT}" --target-env=${arg_TARGET} ${NIBBLE_SPIRV_PASSES}
                       "${arg_SPIRV}" -o "${arg_SPIRV}")
  endif()
  set(validate "")
  if(arg_VALIDATE AND NIBBLE_SPIRV_VAL)
    set(validate COMMAND "${NIBBLE_SPIRV_VAL}" --target-env ${arg_TARGET} "${arg_SPIRV}")
  endif()
  file(RELATIVE_PATH shown "${PROJECT_BINARY_DIR}" "${arg_SPIRV}")
  add_custom_command(
    OUTPUT "${arg_SPIRV}"
    COMMAND "${arg_COMPILER}" -V --quiet -g0 --target-env ${arg_TARGET} "-I${PROJECT_SOURCE_DIR}/shaders"
            ${arg_INCLUDES} ${arg_DEFINES} --depfile "${arg_SPIRV}.d" -o "${arg_SPIRV}" "${arg_SOURCE}"
    ${shrink}
    ${validate}
    MAIN_DEPENDENCY "${arg_SOURCE}"
    DEPENDS "${arg_COMPILER}"
    DEPFILE "${arg_SPIRV}.d"
    COMMENT "SPIR-V ${shown}"
    VERBATIM)
endfunction()

# nibble_kernel_table(SUFFIX [DEFINES D...] [VARIANT_DEFINES VARIANT D...] [FORMATS F...])
# Adds the library nibble_kernels_SUFFIX: kKernelTable and kKernelCount. DEFINES recompiles every module with them,
# VARIANT_DEFINES only the modules of that variant; other modules are those of the default table, which must be created
# first. With FORMATS, rows of other formats have no module. A program links nibble_core with one such library.
function(nibble_kernel_table suffix)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEFINES;VARIANT_DEFINES;FORMATS")
  set(changed_variant "")
  if(arg_VARIANT_DEFINES)
    list(POP_FRONT arg_VARIANT_DEFINES changed_variant)
  endif()
  set(generated "${NIBBLE_GENERATED}/kernels/${suffix}")
  set(rows "")
  set(spirv_files "")
  file(MAKE_DIRECTORY "${generated}" "${NIBBLE_SPIRV_OUT}")
  if(NOT suffix STREQUAL "default")
    file(MAKE_DIRECTORY "${NIBBLE_SPIRV_OUT}/${suffix}")
  endif()

  foreach(module IN LISTS NIBBLE_MODULES)
    foreach(field NAME SOURCE MACRO FORMAT FORMAT_ID VARIANT TARGET NEEDS COMPILER SPIRV VALIDATE)
      set(${field} "${NIBBLE_M_${module}_${field}}")
    endforeach()
    set(defines ${arg_DEFINES})
    if(changed_variant AND VARIANT STREQUAL changed_variant)
      list(APPEND defines ${arg_VARIANT_DEFINES})
    endif()

    set(spirv "-")
    if(arg_FORMATS AND NOT FORMAT STREQUAL "-" AND NOT FORMAT IN_LIST arg_FORMATS)
      # not in this table
    elseif(SPIRV AND NOT defines)
      set(spirv "${SPIRV}")
    elseif(COMPILER)
      set(spirv "${NIBBLE_SPIRV_OUT}/${module}.spv")
      if(suffix STREQUAL "default" OR defines)
        if(NOT suffix STREQUAL "default")
          set(spirv "${NIBBLE_SPIRV_OUT}/${suffix}/${module}.spv")
        endif()
        set(includes "")
        if(NOT FORMAT STREQUAL "-")
          set(includes "${PROJECT_SOURCE_DIR}/shaders/formats/${FORMAT}")
          list(PREPEND defines "NIB_FORMAT=${FORMAT_ID}")
        endif()
        foreach(macro IN ITEMS ${VARIANT} ${MACRO})
          if(NOT macro STREQUAL "-")
            list(PREPEND defines "${macro}=1")
          endif()
        endforeach()
        set(validate "")
        if(VALIDATE)
          set(validate VALIDATE)
        endif()
        nibble_shader_rule(COMPILER "${COMPILER}" SOURCE "${SOURCE}" TARGET ${TARGET} SPIRV "${spirv}"
                           INCLUDES ${includes} DEFINES ${defines} ${validate})
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
    string(APPEND rows "\"${module}\", \"${NAME}\", ${FORMAT_ID}, \"${variant}\", ${features}\t"
                       "${NIBBLE_K_${NAME}_SOURCE}\t${spirv}\n")
    if(NOT spirv STREQUAL "-")
      list(APPEND spirv_files "${spirv}")
    endif()
  endforeach()

  if(suffix STREQUAL "default")
    set_property(GLOBAL PROPERTY NIBBLE_SPIRV_FILES "${spirv_files}")
  endif()

  nibble_write("${generated}/kernel_table.rows" "${rows}")
  set(table "${generated}/kernel_table.cpp")
  if(NIBBLE_PACK_COMMAND)
    set(command ${NIBBLE_PACK_COMMAND} "${generated}/kernel_table.rows" "${table}")
  else()
    set(command "${CMAKE_COMMAND}" -D "rows=${generated}/kernel_table.rows" -D "cpp=${table}"
                -P "${PROJECT_SOURCE_DIR}/cmake/kernel_table.cmake")
  endif()
  add_custom_command(
    OUTPUT "${table}"
    COMMAND ${command}
    DEPENDS "${PROJECT_SOURCE_DIR}/cmake/kernel_table.cmake" "${PROJECT_SOURCE_DIR}/cmake/spirv_array.cmake"
            "${generated}/kernel_table.rows" ${NIBBLE_PACK_DEPENDS} ${spirv_files}
    COMMENT "Kernel table ${suffix}"
    VERBATIM)

  if(suffix STREQUAL "default")
    nibble_library(nibble_kernels_default OBJECT "${table}")
  else()
    nibble_library(nibble_kernels_${suffix} STATIC "${table}")
    # Makefile generators copy the rules of the default modules into every library whose table needs them. This
    # dependency keeps two of them from running the same rule at once.
    add_dependencies(nibble_kernels_${suffix} nibble_kernels_default)
  endif()
  target_link_libraries(nibble_kernels_${suffix} PRIVATE nibble_api)
endfunction()

# nibble_embed_shader(CXX_TARGET FILE [NAME x] [TARGET vulkan1.1] [DEFINES D...] [INCLUDES FOLDER...])
# Compiles a shader that is in no table into CXX_TARGET, as nib::kSpirv_x[] and nib::kSpirvWords_x; the generated header
# "x.spv.h" declares them. x is NAME, or the file's name without its extension.
function(nibble_embed_shader cxx_target file)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "NAME;TARGET" "DEFINES;INCLUDES")
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
                     SPIRV "${generated}/${arg_NAME}.spv" DEFINES ${arg_DEFINES} INCLUDES ${arg_INCLUDES})
  add_custom_command(
    OUTPUT "${generated}/${arg_NAME}.spv.cpp"
    COMMAND "${CMAKE_COMMAND}" -D "spirv=${generated}/${arg_NAME}.spv" -D "cpp=${generated}/${arg_NAME}.spv.cpp"
            -D "symbol=${arg_NAME}" -P "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
    DEPENDS "${PROJECT_SOURCE_DIR}/cmake/embed.cmake" "${PROJECT_SOURCE_DIR}/cmake/spirv_array.cmake"
            "${generated}/${arg_NAME}.spv"
    VERBATIM)
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
