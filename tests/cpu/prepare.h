// Fills the ranges that a case of the shared lists reads.
#ifndef NIB_TESTS_PREPARE_H
#define NIB_TESTS_PREPARE_H

#include <vector>

#include "../cases/cases.h"
#include "run_op.h"

namespace nib::tests {

// Scales that a program may hand over: ordinary ones of many sizes, and zeros, denormals, negative numbers, infinities
// and NaNs among them.
inline void fillScales(uint8_t* at, uint32_t type, size_t size_bytes, uint64_t seed) {
  cases::Random random(seed ^ 0x5ca1e5u);
  const uint32_t bytes = type == NIB_TYPE_F32 ? 4 : 2;
  for (size_t i = 0; i < size_bytes / bytes; ++i) {
    // As patterns of the type: an exponent near the middle, or anything.
    uint32_t bits = type == NIB_TYPE_F32   ? 0x38000000u + (random.bits() & 0x0fffffffu)
                    : type == NIB_TYPE_F16 ? 0x1000u + (random.bits() & 0x3fffu)
                                           : 0x3800u + (random.bits() & 0x0fffu);
    switch (random.below(16)) {
      case 0:
        bits = random.bits();
        break;
      case 1:
        bits = 0;
        break;
      case 2:
        bits = type == NIB_TYPE_F32 ? 0x03800000u + random.below(3) - 1u : 0x0380u + random.below(3) - 1u;
        break;
      case 3:
        bits |= type == NIB_TYPE_F32 ? 0x80000000u : 0x8000u;
        break;
    }
    std::memcpy(at + i * bytes, &bits, bytes);  // little-endian
  }
}

inline void fillBits(uint8_t* at, size_t size_bytes, uint64_t seed) {
  if (size_bytes == 0) return;
  const std::vector<uint32_t> words = cases::makeValues(cases::Recipe::kBits, (size_bytes + 3) / 4, seed);
  std::memcpy(at, words.data(), size_bytes);
}

inline void prepare(const cases::Case& c, Ranges& ranges) {
  const NibMemory& memory = ranges.memory;
  ranges.write(NIB_ROLE_INPUT, cases::makeInput(c, memory));
  ranges.write(NIB_ROLE_OUTPUT, cases::makeOutput(c, memory));
  const auto parameters = [&](uint32_t scale_type) {
    fillScales(ranges.scales(), scale_type, size_t(memory.part[NIB_PART_SCALES].size_bytes), c.seed);
    fillBits(ranges.zeros(), size_t(memory.part[NIB_PART_ZEROS].size_bytes), c.seed + 1);
  };
  if (memory.part[NIB_PART_STATUS].size_bytes != 0) ranges.clearStatus();
  if (c.op() == NIB_OP_INT8_GEMM || c.op() == NIB_OP_DYNAMIC_GEMM) {
    const cases::Images images = cases::makeImages(c, memory);
    ranges.write(NIB_ROLE_WEIGHTS, images.role[NIB_ROLE_WEIGHTS]);
    std::memcpy(ranges.bytes(NIB_ROLE_OUTPUT), images.role[NIB_ROLE_OUTPUT].data(), ranges.size(NIB_ROLE_OUTPUT));
  } else if (c.op() == NIB_OP_QUANTIZE) {
    if (c.desc.quantize.flags & NIB_QUANTIZE_GIVEN_SCALES) parameters(c.desc.quantize.weights.scale_type);
  } else if (c.op() == NIB_OP_DEQUANTIZE || c.op() == NIB_OP_GATHER) {
    fillBits(ranges.bytes(NIB_ROLE_WEIGHTS), size_t(memory.part[NIB_PART_CODES].size_bytes), c.seed + 2);
    parameters((c.op() == NIB_OP_GATHER ? c.desc.gather.weights : c.desc.dequantize.weights).scale_type);
  }
}

}  // namespace nib::tests
#endif
