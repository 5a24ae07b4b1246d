# Reads shaders/kernels.list (its header defines the grammar) and generates from it: source lists, the public NibFormat
# enum, the format and op tables, the SPIR-V modules and the kernel tables.
#
# Sets NIBBLE_GENERATED        folder of generated files: include/ public, src/ private
#      NIBBLE_LISTED_SOURCES   C++ files of the listed formats and ops
#      NIBBLE_LISTED_CASES     C++ files of the ops' cases
#      NIBBLE_LISTED_FORMATS   names, as NIBBLE_LISTED_OPS
#      NIBBLE_FAST_OPS         names of ops with fast CPU kernels, whose files are NIBBLE_FAST_SOURCES and, with Eigen,
#                              NIBBLE_FAST_EIGEN_SOURCES
#      NIBBLE_KERNELS          kernel names, each once; for kernel K: NIBBLE_K_<K>_SOURCE, the name of its .comp and .h
#      NIBBLE_MODULES          module names in table order; for module M: NIBBLE_M_<M>_NAME, _SOURCE, _MACRO, _FORMAT,
#                              _FORMAT_ID, _VARIANT, _TARGET, _NEEDS, _COMPILER or _SPIRV (neither: left out)
#      NIBBLE_CAN_COMPILE      there is a shader compiler
# Defines nibble_kernel_table(SUFFIX ...) and nibble_embed_shader(TARGET FILE ...).
include_guard()

set(NIBBLE_LIST "${PROJECT_SOURCE_DIR}/shaders/kernels.list")
set(NIBBLE_GENERATED "${PROJECT_BINARY_DIR}/generated")
set(NIBBLE_SPIRV_OUT "${PROJECT_BINARY_DIR}/spirv")
set(NIBBLE_MODULE_BUDGET 400)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${NIBBLE_LIST}")

# Writes the file only if its content changes, so that a new configure run alone rebuilds nothing.
function(nibble_write file content)
  set(old "")
  if(EXISTS "${file}")
    file(READ "${file}" old)
  endif()
  if(NOT old STREQUAL content)
    file(WRITE "${file}" "${content}")
  endif()
endfunction()

include(NibbleList)
include(NibbleTables)
include(NibbleCompilers)
include(NibbleShaders)

nibble_read_list()
set(NIBBLE_CAN_COMPILE FALSE)
if(NIBBLE_VULKAN)
  nibble_write_interfaces()
  nibble_find_compilers()
  include(NibblePack)
endif()
