# cmake -D spirv=FILE -D cpp=FILE -D symbol=NAME -P embed.cmake: writes a SPIR-V file as the C++ array nib::kSpirv_NAME.
cmake_minimum_required(VERSION 3.22)
file(READ "${spirv}" hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR words "${digits} / 8")
math(EXPR rest "${digits} % 8")
string(SUBSTRING "${hex}" 0 8 magic)
if(NOT rest EQUAL 0 OR words LESS 5 OR NOT magic STREQUAL "03022307")
  message(FATAL_ERROR "${spirv} is no little-endian SPIR-V module")
endif()
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," hex "${hex}")
# Eight words per line.
string(REPEAT "0x........," 8 line)
string(REGEX REPLACE "(${line})" "\\1\n" hex "${hex}")
file(WRITE "${cpp}" "\
#include <cstdint>
namespace nib {
extern const std::uint32_t kSpirv_${symbol}[];
extern const std::uint32_t kSpirvWords_${symbol};
const std::uint32_t kSpirv_${symbol}[] = {
${hex}};
const std::uint32_t kSpirvWords_${symbol} = ${words};
}  // namespace nib
")
