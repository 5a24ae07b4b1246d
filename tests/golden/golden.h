// Small runs whose bytes are derived by hand.
#ifndef NIB_TESTS_GOLDEN_H
#define NIB_TESTS_GOLDEN_H

#include <nibble/nibble.h>

#include <cstring>
#include <vector>

#include "../cpu/model.h"
#include "../cpu/run_op.h"

namespace nib::golden {

using Words = std::vector<uint32_t>;
using Bytes = std::vector<uint8_t>;

// Ends the test with a message in a build without the format.
#define NIB_GOLDEN_NEEDS(format)                          \
  if (nibFormatById(format) == nullptr) {                 \
    MESSAGE("skipped: " #format " is not in this build"); \
    return;                                               \
  }

// The blob of a quantized matrix; bytes that were not written are 0xa5.
struct Blob {
  Bytes codes, scales, zeros;
  NibStatus status{};

  Words codeWords() const { return wordsOf(codes); }
  Words scaleWords() const { return wordsOf(scales); }

 private:
  static Words wordsOf(const Bytes& bytes) {
    Words words(bytes.size() / 4);
    std::memcpy(words.data(), bytes.data(), words.size() * 4);
    return words;
  }
};

template <class T>
Blob quantize(uint32_t rows, uint32_t cols, const NibWeights& weights, NibType type, const std::vector<T>& source,
              const Bytes& given_scales = {}, const Bytes& given_zeros = {}) {
  const NibQuantizeDesc desc =
      tests::quantizeDesc(rows, cols, weights, type, given_scales.empty() ? 0u : uint32_t(NIB_QUANTIZE_GIVEN_SCALES));
  tests::Ranges ranges(tests::asOp(desc));
  Blob blob;
  if (!ranges.valid()) return blob;
  ranges.clearStatus();
  ranges.write(NIB_ROLE_INPUT, source);
  if (!given_scales.empty()) std::memcpy(ranges.scales(), given_scales.data(), given_scales.size());
  if (!given_zeros.empty()) std::memcpy(ranges.zeros(), given_zeros.data(), given_zeros.size());
  if (ranges.run(rows) != NIB_SUCCESS || !ranges.guardsHold()) return blob;
  const auto bytes = [&](NibPart part) {
    const NibMemoryPart& p = ranges.memory.part[part];
    return ranges.read<uint8_t>(NIB_ROLE_WEIGHTS, p.offset_bytes, size_t(p.size_bytes));
  };
  blob.codes = bytes(NIB_PART_CODES);
  blob.scales = bytes(NIB_PART_SCALES);
  blob.zeros = bytes(NIB_PART_ZEROS);
  blob.status = ranges.status();
  return blob;
}

inline Blob quantize(uint32_t rows, uint32_t cols, const NibWeights& weights, const std::vector<float>& source) {
  return quantize(rows, cols, weights, NIB_TYPE_F32, source);
}

// The fp32 patterns of a dequantized blob.
inline Words dequantize(uint32_t rows, uint32_t cols, const NibWeights& weights, const Bytes& codes,
                        const Bytes& scales, const Bytes& zeros = {}) {
  const NibDequantizeDesc desc = tests::dequantizeDesc(rows, cols, weights);
  tests::Ranges ranges(tests::asOp(desc));
  if (!ranges.valid()) return {};
  ranges.write(NIB_ROLE_WEIGHTS, codes);
  std::memcpy(ranges.scales(), scales.data(), scales.size());
  if (!zeros.empty()) std::memcpy(ranges.zeros(), zeros.data(), zeros.size());
  if (ranges.run(rows) != NIB_SUCCESS || !ranges.guardsHold()) return {};
  return ranges.words(NIB_ROLE_OUTPUT, 0, size_t(rows) * cols);
}

}  // namespace nib::golden
#endif
