# Finds or makes nibble_pack_table, the program that packs SPIR-V modules while nibble is built.
#
# Sets NIBBLE_PACK_COMMAND   the command, empty = modules are embedded as they are
#      NIBBLE_PACK_DEPENDS   what must exist before it runs
include_guard()

set(NIBBLE_PACK_TABLE "" CACHE FILEPATH "nibble_pack_table, built for this machine, for a cross build")
mark_as_advanced(NIBBLE_PACK_TABLE)

set(NIBBLE_PACK_COMMAND "")
set(NIBBLE_PACK_DEPENDS "")
set(pack_sources "")
foreach(source pack.cpp pack_table.cpp)
  list(APPEND pack_sources "${PROJECT_SOURCE_DIR}/src/packing/${source}")
endforeach()
set(pack_includes "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/shaders")
# The program needs neither Vulkan nor the list of formats.
set(pack_defines NIB_NO_VULKAN NIB_NO_FORMATS_H)

if(NIBBLE_PACK_TABLE)
  set(NIBBLE_PACK_COMMAND "${NIBBLE_PACK_TABLE}")
  set(NIBBLE_PACK_DEPENDS "${NIBBLE_PACK_TABLE}")
elseif(NOT CMAKE_CROSSCOMPILING)
  add_executable(nibble_pack_table ${pack_sources})
  target_compile_features(nibble_pack_table PRIVATE cxx_std_20)
  target_include_directories(nibble_pack_table PRIVATE ${pack_includes})
  target_compile_definitions(nibble_pack_table PRIVATE ${pack_defines})
  if(NOT MSVC)
    # Debug builds pack the same modules.
    target_compile_options(nibble_pack_table PRIVATE -Wall -Wextra -O2)
  endif()
  set(NIBBLE_PACK_COMMAND nibble_pack_table)
  set(NIBBLE_PACK_DEPENDS nibble_pack_table)
else()
  find_program(NIBBLE_HOST_CXX NAMES c++ g++ clang++ NO_CMAKE_FIND_ROOT_PATH
               DOC "C++ compiler for programs of this machine, in a cross build; OFF = none")
  mark_as_advanced(NIBBLE_HOST_CXX)
  if(NIBBLE_HOST_CXX)
    set(program "${PROJECT_BINARY_DIR}/host/nibble_pack_table")
    if(CMAKE_HOST_WIN32)
      string(APPEND program ".exe")
    endif()
    file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/host")
    list(TRANSFORM pack_includes PREPEND "-I" OUTPUT_VARIABLE include_flags)
    list(TRANSFORM pack_defines PREPEND "-D" OUTPUT_VARIABLE define_flags)
    file(GLOB headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/packing/*.h")
    add_custom_command(OUTPUT "${program}"
      COMMAND "${NIBBLE_HOST_CXX}" -std=c++20 -O2 ${include_flags} ${define_flags} ${pack_sources} -o "${program}"
      DEPENDS ${pack_sources} ${headers}
      COMMENT "nibble_pack_table for this machine"
      VERBATIM)
    add_custom_target(nibble_host_programs DEPENDS "${program}")
    set(NIBBLE_PACK_COMMAND "${program}")
    set(NIBBLE_PACK_DEPENDS nibble_host_programs "${program}")
  else()
    message(STATUS "nibble: no C++ compiler for this machine (NIBBLE_HOST_CXX, or NIBBLE_PACK_TABLE), "
                   "so SPIR-V is embedded uncompressed")
  endif()
endif()
