# Build rules for shaders: nibble_kernel_table for those in shaders/kernels.list, nibble_embed_shader for others.
include_guard()

# Remove loads and stores of local variables, about a sixth of the compiler's SPIR-V. These passes inline nothing and
# change no arithmetic.
set(NIBBLE_SPIRV_PASSES --eliminate-local-single-block --eliminate-local-single-store --eliminate-local-multi-store
                        --eliminate-dead-code-aggressive)

# One build rule: GLSL SOURCE -> SPIRV, and CPP, which defines nib::kSpirv_<SYMBOL>[]. VALIDATE: the installed tools
# know the module's instructions, so they optimize and validate it.
function(nibble_shader_rule)
  cmake_parse_arguments(PARSE_ARGV 0 arg "VALIDATE" "COMPILER;SOURCE;TARGET;SPIRV;CPP;SYMBOL" "INCLUDES;DEFINES")
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
    OUTPUT "${arg_SPIRV}" "${arg_CPP}"
    COMMAND "${arg_COMPILER}" -V --quiet -g0 --target-env ${arg_TARGET} "-I${PROJECT_SOURCE_DIR}/shaders"
            ${arg_INCLUDES} ${arg_DEFINES} --depfile "${arg_SPIRV}.d" -o "${arg_SPIRV}" "${arg_SOURCE}"
    ${shrink}
    ${validate}
    COMMAND "${CMAKE_COMMAND}" -D "spirv=${arg_SPIRV}" -D "cpp=${arg_CPP}" -D "symbol=${arg_SYMBOL}"
            -P "${PROJECT_SOURCE_DIR}/cmake/embed.cmake"
    MAIN_DEPENDENCY "${arg_SOURCE}"
    DEPENDS "${PROJECT_SOURCE_DIR}/cmake/embed.cmake" "${arg_COMPILER}"
    DEPFILE "${arg_SPIRV}.d"
    COMMENT "SPIR-V ${shown}"
    VERBATIM)
endfunction()

# nibble_kernel_table(SUFFIX [DEFINES D...] [VARIANT_DEFINES VARIANT D...] [FORMATS F...])
# Adds the library nibble_kernels_SUFFIX: kKernelTable and kKernelCount. DEFINES recompiles every module with them,
# VARIANT_DEFINES only the modules of that variant; other modules are those of the default table (library nibble_spirv),
# which must be created first. With FORMATS, rows of other formats have no module. A program links nibble_core with one
# such library.
function(nibble_kernel_table suffix)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEFINES;VARIANT_DEFINES;FORMATS")
  set(changed_variant "")
  if(arg_VARIANT_DEFINES)
    list(POP_FRONT arg_VARIANT_DEFINES changed_variant)
  endif()
  set(generated "${NIBBLE_GENERATED}/kernels/${suffix}")
  set(own "")
  foreach(kernel IN LISTS NIBBLE_KERNELS)
    set(modules_of_${kernel} "")
  endforeach()
  set(rows "")
  set(spirv_files "")
  set(shares FALSE)
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

    set(symbol "-")
    set(spirv "-")
    if(arg_FORMATS AND NOT FORMAT STREQUAL "-" AND NOT FORMAT IN_LIST arg_FORMATS)
      # not in this table
    elseif(SPIRV AND NOT defines)
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
        list(APPEND modules_of_${NAME} "${cpp}")
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
        nibble_shader_rule(COMPILER "${COMPILER}" SOURCE "${SOURCE}" TARGET ${TARGET} SPIRV "${spirv}" CPP "${cpp}"
                           SYMBOL ${symbol} INCLUDES ${includes} DEFINES ${defines} ${validate})
        list(APPEND own "${cpp}")
        list(APPEND modules_of_${NAME} "${cpp}")
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

  # The table contains the modules' sizes, so it is written at build time.
  nibble_write("${generated}/kernel_table.rows" "${rows}")
  set(table "${generated}/kernel_table.cpp")
  add_custom_command(
    OUTPUT "${table}"
    COMMAND "${CMAKE_COMMAND}" -D "rows=${generated}/kernel_table.rows" -D "cpp=${table}"
            -P "${PROJECT_SOURCE_DIR}/cmake/kernel_table.cmake"
    DEPENDS "${PROJECT_SOURCE_DIR}/cmake/kernel_table.cmake" "${generated}/kernel_table.rows" ${spirv_files}
    COMMENT "Kernel table ${suffix}"
    VERBATIM)

  # The modules of a kernel are compiled together: starting the compiler takes longer than reading an array.
  set(groups "")
  foreach(kernel IN LISTS NIBBLE_KERNELS)
    if(modules_of_${kernel})
      set(group "${generated}/modules_${kernel}.cpp")
      set(includes "")
      foreach(cpp IN LISTS modules_of_${kernel})
        get_filename_component(name "${cpp}" NAME)
        string(APPEND includes "#include \"${name}\"\n")
      endforeach()
      nibble_write("${group}" "${includes}")
      set_source_files_properties("${group}" PROPERTIES OBJECT_DEPENDS "${modules_of_${kernel}}")
      list(APPEND groups "${group}")
    endif()
  endforeach()
  set_source_files_properties(${own} PROPERTIES HEADER_FILE_ONLY ON)
  list(APPEND own ${groups})

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
  # Makefile generators copy the rules of the default modules into every library whose table needs them. This dependency
  # keeps two of them from running the same rule at once.
  add_dependencies(nibble_kernels_${suffix} nibble_spirv)
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
                     SPIRV "${generated}/${arg_NAME}.spv" CPP "${generated}/${arg_NAME}.spv.cpp" SYMBOL ${arg_NAME}
                     DEFINES ${arg_DEFINES} INCLUDES ${arg_INCLUDES})
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
