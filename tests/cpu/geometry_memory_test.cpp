// nibGetMemory: the size of every range and the offset of every part of every op, by formula and as literal numbers.
#include <nibble/formats.h>

#include "memory_checks.h"

using namespace nib;
using namespace nib::tests;

namespace nib::tests {
#define NIB_OP_ROW(name) extern const OpTest kOpTest_##name;
#include "ops.inc"
#undef NIB_OP_ROW
}  // namespace nib::tests

TEST_CASE("nibGetMemory sizes every op's ranges by the formulas of its layout, for every shape") {
#define NIB_OP_ROW(name) kOpTest_##name.memory();
#include "ops.inc"
#undef NIB_OP_ROW
}

// The same as literal numbers.
TEST_CASE("nibGetMemory gives these sizes") {
  NibMemory memory{sizeof(NibMemory)};
  if (nibFormatById(NIB_FORMAT_INT4) != nullptr) {
    // 3 x 100 in groups of 32: 50 bytes of codes a row make 13 words = 52 bytes; 156 bytes, so scales at 256; 4 groups
    // a row, 12 scales of 2 bytes = 24; zeros at 512, 12 bytes.
    const NibQuantizeDesc d =
        quantizeDesc(3, 100, weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F16),
                     NIB_TYPE_F16);
    REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
    CHECK(memory.part[NIB_PART_CODES].size_bytes == 156);
    CHECK(memory.part[NIB_PART_SCALES].offset_bytes == 256);
    CHECK(memory.part[NIB_PART_SCALES].size_bytes == 24);
    CHECK(memory.part[NIB_PART_ZEROS].offset_bytes == 512);
    CHECK(memory.part[NIB_PART_ZEROS].size_bytes == 12);
    CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 524);
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == 600);
  }
  if (nibFormatById(NIB_FORMAT_NF4) != nullptr) {
    // 3 x 43 flat in blocks of 64: 129 codes in 17 words; 3 scales.
    const NibDequantizeDesc d =
        dequantizeDesc(3, 43, weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 0, NIB_WEIGHTS_FLAT), NIB_TYPE_BF16);
    REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
    CHECK(memory.part[NIB_PART_CODES].size_bytes == 68);
    CHECK(memory.part[NIB_PART_SCALES].size_bytes == 12);
    CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 268);
    // 129 elements of 2 bytes, whole words.
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 260);
  }
  if (nibFormatById(NIB_FORMAT_INT8) != nullptr) {
    // 5 x 7 per row: 2 words a row = 40 bytes; 5 half scales = 10 bytes, 12 as words. bfloat16 results: rows of 8, the
    // last without its tail: 4 * 8 + 7 = 39 elements, 78 bytes, 80 as words.
    const NibDequantizeDesc d =
        dequantizeDesc(5, 7, weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16), NIB_TYPE_BF16);
    REQUIRE(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
    CHECK(memory.part[NIB_PART_CODES].size_bytes == 40);
    CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 268);
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 80);
  }
}
