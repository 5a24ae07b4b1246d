#include <nibble/formats.h>

#include "selftest/inputs.h"

#include <algorithm>

#include "selftest/cases.h"

namespace nib::selftest {

Words makeBits(uint64_t size_bytes, uint64_t seed) { return makeValues(Recipe::kBits, wordsOf(size_bytes), seed); }

Words makeScales(uint32_t type, uint64_t size_bytes, uint64_t seed) {
  const uint64_t count = size_bytes / (type == NIB_TYPE_F32 ? 4 : type == NIB_TYPE_E8M0 ? 1 : 2);
  Random random(seed ^ 0x5ca1e);
  Words words(wordsOf(size_bytes), 0);
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t bits = 0x3a000000u + (random.bits() & 0x07ffffffu);
    const uint32_t kind = random.below(24);
    if (kind == 0) bits = 0;
    if (kind == 1) bits = 0x03000000u + (random.bits() & 0x00ffffffu);
    if (kind == 2) bits = random.bits() & 0x7fffffffu;
    if (kind == 3) bits = random.bits();
    if (type == NIB_TYPE_F32) {
      words[i] = bits;
    } else if (type == NIB_TYPE_E8M0) {
      words[i / 4] |= (kind < 4 ? bits >> 16 & 0xffu : 110 + random.below(30)) << (i % 4 * 8);
    } else {
      // The same spread over the type's own patterns.
      const uint32_t half_word = kind < 4 ? bits >> 16 : type == NIB_TYPE_F16 ? 0x1000u + (bits & 0x2fffu) : bits >> 16;
      words[i / 2] |= half_word << (i % 2 * 16);
    }
  }
  return words;
}

Words makeNumbers(Recipe recipe, uint32_t type, uint64_t size_bytes, uint64_t seed) {
  return makeDense(recipe, NibType(type), size_bytes / (type == NIB_TYPE_F32 ? 4 : 2), seed);
}

Words makeCodes(Recipe recipe, const NibWeights& weights, uint64_t size_bytes, uint64_t seed) {
  if (recipe != Recipe::kAlike) return makeBits(size_bytes, seed);
  const uint32_t word = weights.format == NIB_FORMAT_INT8    ? 0x81818181u
                        : weights.format == NIB_FORMAT_UINT8 ? 0x01010101u
                                                             : 0x11111111u;
  return Words(wordsOf(size_bytes), word);
}

void fillPart(Words& range, const NibMemoryPart& part, const Words& words) {
  if (part.size_bytes == 0) return;
  std::memcpy(reinterpret_cast<uint8_t*>(range.data()) + part.offset_bytes, words.data(), size_t(part.size_bytes));
}

void fillParameters(Words& range, const NibMemory& memory, uint32_t scale_type, uint64_t seed) {
  const NibMemoryPart& scales = memory.part[NIB_PART_SCALES];
  const NibMemoryPart& zeros = memory.part[NIB_PART_ZEROS];
  const NibMemoryPart& nested = memory.part[NIB_PART_NESTED];
  fillPart(
      range, scales,
      nested.size_bytes != 0 ? makeBits(scales.size_bytes, seed + 3) : makeScales(scale_type, scales.size_bytes, seed));
  fillPart(range, nested,
           makeScales(scale_type == NIB_TYPE_BYTE ? uint32_t(NIB_TYPE_F16) : scale_type, nested.size_bytes, seed));
  fillPart(range, zeros, makeBits(zeros.size_bytes, seed + 1));
}

Words quantizedNormal(uint32_t rows, uint32_t cols, const NibWeights& weights, uint64_t seed) {
  Case c;
  NibQuantizeDesc& d = c.describe<NibQuantizeDesc>(NIB_OP_QUANTIZE);
  d.rows = rows;
  d.cols = cols;
  d.source_type = NIB_TYPE_F32;
  d.weights = weights;
  c.recipe = Recipe::kNormal;
  c.seed = seed;
  c.n = rows;
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(c.desc(), nullptr, &memory) != NIB_SUCCESS) throw std::runtime_error("no weights for " + c.name());
  Images images = makeImages(c, memory);
  runReference(c, memory, images);
  return std::move(images.role[NIB_ROLE_WEIGHTS]);
}

void runOnHost(const NibOpDesc* desc, const NibCpuBinding& binding, uint32_t n, const std::string& what) {
  const NibRun run{sizeof(NibRun), n, 0, 0, UINT32_MAX, {}};
  if (nibCpuRun(desc, &binding, &run, nullptr, nullptr) != NIB_SUCCESS) throw std::runtime_error(what);
}

}  // namespace nib::selftest
