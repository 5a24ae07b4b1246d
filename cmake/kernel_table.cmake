# cmake -D rows=FILE -D cpp=FILE -P kernel_table.cmake: what nibble_pack_table does, with modules as they are, for
# builds that cannot run it. A row is "C++ FIELDS <tab> SOURCE <tab> SPIR-V FILE"; the file is "-" for a module that
# this build does not have.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/spirv_array.cmake")

file(STRINGS "${rows}" lines)
set(arrays "")
set(table "")
list(LENGTH lines count)
foreach(line IN LISTS lines)
  string(REGEX MATCH "^(.*)\t.*\t(.*)$" line "${line}")
  set(fields "${CMAKE_MATCH_1}")
  set(spirv "${CMAKE_MATCH_2}")
  if(spirv STREQUAL "-")
    string(APPEND table "  {${fields}, nullptr, 0, nullptr},\n")
  else()
    get_filename_component(name "${spirv}" NAME_WE)
    spirv_array("${spirv}" words array)
    string(APPEND arrays "const uint32_t kSpirv_${name}[] = {\n${array}};\n")
    string(APPEND table "  {${fields}, kSpirv_${name}, ${words}, nullptr},\n")
  endif()
endforeach()
file(WRITE "${cpp}" "\
#include <nibble/nibble.h>

#include \"plan/kernel_table.h\"

namespace nib {
namespace {
${arrays}}  // namespace
const KernelRow kKernelTable[] = {
${table}};
const uint32_t kKernelCount = ${count};
}  // namespace nib
")
