// Helpers for tests of ggml's super-blocks: 256 columns, made from values, or from the bytes that ggml has for them.
#ifndef NIB_TESTS_GOLDEN_SUPER_H
#define NIB_TESTS_GOLDEN_SUPER_H

#include <array>

#include "golden.h"

namespace nib::golden {

// The values of IQ4 codes.
inline constexpr float kIq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

inline NibWeights superBlocks(uint32_t format) {
  const bool halves = (nibFormatById(format)->flags & NIB_FORMAT_SUPER_BLOCKS) == 0;
  return tests::weights(format, NIB_GRANULARITY_GROUP, 0, 0, halves ? NIB_TYPE_F16 : NIB_TYPE_BYTE);
}

struct SuperBlob {
  Bytes scales, zeros;
  Words nested;
  std::vector<uint32_t> codes;  // one by one
  NibStatus status{};
};

inline std::vector<uint32_t> codesOf(const uint8_t* bytes, uint32_t bits, size_t count) {
  std::vector<uint32_t> codes(count);
  for (size_t i = 0; i < count * bits; ++i) codes[i / bits] |= uint32_t(bytes[i / 8] >> (i % 8) & 1u) << (i % bits);
  return codes;
}

// Quantizes one row. importance: a number per column, or nothing.
inline SuperBlob quantizeSuper(uint32_t format, const std::vector<float>& x,
                               const std::vector<float>& importance = {}) {
  NibQuantizeDesc desc = tests::quantizeDesc(1, uint32_t(x.size()), superBlocks(format), NIB_TYPE_F32, 0);
  if (!importance.empty()) desc.flags |= NIB_QUANTIZE_IMPORTANCE;
  tests::Ranges ranges(tests::asOp(desc));
  SuperBlob blob;
  if (!ranges.valid()) return blob;
  ranges.clearStatus();
  ranges.write(NIB_ROLE_INPUT, x);
  if (!importance.empty()) {
    std::memcpy(ranges.bytes(NIB_ROLE_AUX) + ranges.memory.part[NIB_PART_IMPORTANCE].offset_bytes, importance.data(),
                importance.size() * 4);
  }
  if (ranges.run(1) != NIB_SUCCESS || !ranges.guardsHold()) return blob;
  const auto bytes = [&](NibPart part) {
    const NibMemoryPart& p = ranges.memory.part[part];
    return ranges.read<uint8_t>(NIB_ROLE_WEIGHTS, p.offset_bytes, size_t(p.size_bytes));
  };
  blob.scales = bytes(NIB_PART_SCALES);
  blob.zeros = bytes(NIB_PART_ZEROS);
  const Bytes nested = bytes(NIB_PART_NESTED);
  blob.nested.resize(nested.size() / 4);
  std::memcpy(blob.nested.data(), nested.data(), nested.size());
  blob.codes = codesOf(bytes(NIB_PART_CODES).data(), nibFormatById(format)->bits, x.size());
  blob.status = ranges.status();
  return blob;
}

// The values of ggml's bytes: unpacked, and dequantized.
inline std::vector<float> valuesOfGgml(uint32_t format, const Bytes& packed, uint32_t cols = 256) {
  NibRepackDesc repack{NIB_OP_REPACK, sizeof(NibRepackDesc), NIB_REPACK_UNPACK,  1,
                       cols,          NIB_LAYOUT_GGUF,       superBlocks(format)};
  tests::Ranges unpacked(tests::asOp(repack));
  if (!unpacked.valid() || unpacked.size(NIB_ROLE_INPUT) != (packed.size() + 3) / 4 * 4) return {};
  unpacked.write(NIB_ROLE_INPUT, packed);
  if (unpacked.run(1) != NIB_SUCCESS || !unpacked.guardsHold()) return {};
  const NibDequantizeDesc desc = tests::dequantizeDesc(1, cols, superBlocks(format));
  tests::Ranges ranges(tests::asOp(desc));
  if (!ranges.valid()) return {};
  ranges.write(NIB_ROLE_WEIGHTS, unpacked.copy(NIB_ROLE_WEIGHTS));
  if (ranges.run(1) != NIB_SUCCESS || !ranges.guardsHold()) return {};
  return ranges.read<float>(NIB_ROLE_OUTPUT, 0, cols);
}

// 256 values that repeat those given.
inline std::vector<float> repeated(const std::vector<float>& x, size_t count = 256) {
  std::vector<float> all(count);
  for (size_t i = 0; i < count; ++i) all[i] = x[i % x.size()];
  return all;
}

}  // namespace nib::golden
#endif
