// Cases of int8 products.
#ifndef NIB_TESTS_INT8_CASES_H
#define NIB_TESTS_INT8_CASES_H

#include "cases.h"

namespace nib::cases {

void addInt8Gemm(std::vector<Case>& list, Extent extent);
// Of the formats that weights may have.
void addDynamicGemm(std::vector<Case>& list, const NibFormatInfo& info, Extent extent);
std::string dynamicName(const NibDynamicGemmDesc& d);
std::string int8Name(const NibInt8GemmDesc& d);

// What decides the path of a product, roughly.
uint64_t int8Kind(const NibInt8GemmDesc& d);
uint64_t dynamicKind(const NibDynamicGemmDesc& d);

}  // namespace nib::cases
#endif
