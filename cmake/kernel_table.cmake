# cmake -D rows=FILE -D cpp=FILE -P kernel_table.cmake: converts rows "C++ FIELDS <tab> SYMBOL <tab> SPIR-V FILE" to
# kKernelTable. SYMBOL and file are "-" for a module that this build does not have.
cmake_minimum_required(VERSION 3.22)
file(STRINGS "${rows}" lines)
set(declared "")
set(table "")
list(LENGTH lines count)
foreach(line IN LISTS lines)
  string(REGEX MATCH "^(.*)\t(.*)\t(.*)$" line "${line}")
  set(fields "${CMAKE_MATCH_1}")
  set(symbol "${CMAKE_MATCH_2}")
  set(spirv "${CMAKE_MATCH_3}")
  if(symbol STREQUAL "-")
    string(APPEND table "  {${fields}, nullptr, 0},\n")
  else()
    file(SIZE "${spirv}" bytes)
    math(EXPR words "${bytes} / 4")
    string(APPEND declared "extern const uint32_t kSpirv_${symbol}[];\n")
    string(APPEND table "  {${fields}, kSpirv_${symbol}, ${words}},\n")
  endif()
endforeach()
file(WRITE "${cpp}" "\
#include <nibble/nibble.h>

#include \"plan/kernel_table.h\"

namespace nib {
${declared}
const KernelRow kKernelTable[] = {
${table}};
const uint32_t kKernelCount = ${count};
}  // namespace nib
")
