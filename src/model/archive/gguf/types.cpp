#include "model/archive/gguf/types.h"

namespace nib::model {
namespace {

constexpr uint32_t kNoFileType = 1024;  // "guessed"
constexpr GgmlType kTypes[] = {{0, "F32", 1, 4, Dtype::kF32, 0},
                               {1, "F16", 1, 2, Dtype::kF16, 1},
                               {30, "BF16", 1, 2, Dtype::kBF16, 32},
                               {2, "Q4_0", 32, 18, {}, 2, 1, 0},
                               {3, "Q4_1", 32, 20, {}, 3, 2, 0},
                               {6, "Q5_0", 32, 22, {}, 8, 1, 0},
                               {7, "Q5_1", 32, 24, {}, 9, 2, 0},
                               {8, "Q8_0", 32, 34, {}, 7, 1, 0},
                               {kGgmlMxfp4, "MXFP4", 32, 17, {}, 38},
                               {9, "Q8_1", 32, 36, {}, kNoFileType},
                               {10, "Q2_K", 256, 84, {}, 10, 2, 80},
                               {11, "Q3_K", 256, 110, {}, 12, 1, 108},
                               {12, "Q4_K", 256, 144, {}, 15, 2, 0},
                               {13, "Q5_K", 256, 176, {}, 17, 2, 0},
                               {14, "Q6_K", 256, 210, {}, 18, 1, 208},
                               {15, "Q8_K", 256, 292, {}, kNoFileType},
                               {16, "IQ2_XXS", 256, 66, {}, 19},
                               {17, "IQ2_XS", 256, 74, {}, 20},
                               {18, "IQ3_XXS", 256, 98, {}, 23},
                               {19, "IQ1_S", 256, 50, {}, 24},
                               {20, "IQ4_NL", 32, 18, {}, 25, 1, 0},
                               {21, "IQ3_S", 256, 110, {}, 26},
                               {22, "IQ2_S", 256, 82, {}, 28},
                               {23, "IQ4_XS", 256, 136, {}, 30, 1, 0},
                               {24, "I8", 1, 1, Dtype::kI8, kNoFileType},
                               {25, "I16", 1, 2, Dtype::kI16, kNoFileType},
                               {26, "I32", 1, 4, Dtype::kI32, kNoFileType},
                               {27, "I64", 1, 8, Dtype::kI64, kNoFileType},
                               {28, "F64", 1, 8, Dtype::kF64, kNoFileType},
                               {29, "IQ1_M", 256, 56, {}, 31},
                               {34, "TQ1_0", 256, 54, {}, 36},
                               {35, "TQ2_0", 256, 66, {}, 37},
                               {40, "NVFP4", 64, 36, {}, 39}};

}  // namespace

const GgmlType* findGgmlType(uint32_t id) {
  for (const GgmlType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

const GgmlType* findGgmlType(Dtype dense) {
  for (const GgmlType& type : kTypes) {
    if (type.dense == dense) return &type;
  }
  return nullptr;
}

bool haveFiniteScales(const GgmlType& type, std::span<const std::byte> blocks) {
  if (type.id == kGgmlMxfp4) {
    for (size_t at = 0; at < blocks.size(); at += type.bytes) {
      if (blocks[at] == std::byte{0xff}) return false;
    }
    return true;
  }
  for (size_t at = type.scales_at; at + 2 * type.scales <= blocks.size(); at += type.bytes) {
    for (size_t half = 0; half < type.scales; ++half) {
      // The exponent of a half.
      if ((blocks[at + 2 * half + 1] & std::byte{0x7c}) == std::byte{0x7c}) return false;
    }
  }
  return true;
}

}  // namespace nib::model
