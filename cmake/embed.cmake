# cmake -D spirv=FILE -D cpp=FILE -D symbol=NAME -P embed.cmake: writes a SPIR-V file as the C++ array nib::kSpirv_NAME.
cmake_minimum_required(VERSION 3.22)
include("${CMAKE_CURRENT_LIST_DIR}/spirv_array.cmake")

spirv_array("${spirv}" words array)
file(WRITE "${cpp}" "\
#include <cstdint>
namespace nib {
extern const std::uint32_t kSpirv_${symbol}[];
extern const std::uint32_t kSpirvWords_${symbol};
const std::uint32_t kSpirv_${symbol}[] = {
${array}};
const std::uint32_t kSpirvWords_${symbol} = ${words};
}  // namespace nib
")
