// Weights and activations whose dot products are exact in fp32 in any order of summation, so that float products can be
// compared byte for byte. Weights decode to small multiples of 1/8, scales are powers of two, activations are multiples
// of 1/2 from -1 to 1: for some thousands of columns every partial sum has fewer than 24 bits.
#ifndef NIB_PLAN_PROBE_EXACT_H
#define NIB_PLAN_PROBE_EXACT_H

#include <cstring>

#include "formats/dense.h"
#include "plan/probe.h"

namespace nib::probe {

// -1, -1/2, 0, 1/2 or 1, in any NibType.
inline void fillExact(void* data, uint32_t type, uint64_t size_bytes, uint32_t seed) {
  constexpr uint32_t kValues[] = {0xbf800000u, 0xbf000000u, 0u, 0x3f000000u, 0x3f800000u};
  Sequence sequence(seed);
  const uint64_t count = size_bytes / typeBytes(type);
  for (uint64_t i = 0; i < count; ++i) storeDense(data, type, i, kValues[(sequence.next() >> 8) % 5u]);
}

// The codes of a format that decode to multiples of 1/8 up to 8. For a format that only decodes to integers, all codes.
struct ExactCodes {
  uint8_t code[256];
  uint32_t count = 0;

  ExactCodes(const FormatDesc& format, const NibWeights& weights) {
    bool integers = true;
    for (uint32_t c = 0; c < 1u << format.info.bits; ++c) {
      integers = integers && isMultiple(valueOf(format, weights, c), 1.0f, 255.0f);
    }
    addMultiples(format, weights, integers ? 1.0f : 8.0f, integers ? 255.0f : 8.0f);
  }
  // Only the codes that decode to multiples of 1 / denominator up to `max`.
  ExactCodes(const FormatDesc& format, const NibWeights& weights, float denominator, float max) {
    addMultiples(format, weights, denominator, max);
  }

  static uint32_t valueOf(const FormatDesc& format, const NibWeights& weights, uint32_t c) {
    StoredScale one{};
    one.scale_bits = 0x3f800000u;
    one.zero = format.zeroFromStored(0, weights);
    return format.decode(c, one, weights);
  }

  void addMultiples(const FormatDesc& format, const NibWeights& weights, float denominator, float max) {
    for (uint32_t c = 0; c < 1u << format.info.bits; ++c) {
      if (isMultiple(valueOf(format, weights, c), denominator, max)) code[count++] = uint8_t(c);
    }
  }

  static bool isMultiple(uint32_t bits, float denominator, float max) {
    const float x = exact::floatOf(bits) * denominator;
    return x >= -max * denominator && x <= max * denominator && float(int32_t(x)) == x;
  }
};

// A scale from 1/8 to 1; sometimes 0, or one that is too small to be valid and counts as 0.
inline uint32_t exactScale(Sequence& sequence) {
  const uint32_t r = sequence.next() >> 8;
  return r % 16u == 0 ? 0u : r % 16u == 1 ? 0x03000000u : 0x3e000000u + (r / 16u % 4u << 23);
}

// Activations as 8-bit codes that decode to the values of fillExact, with scales of 1/2 and 1.
inline void fillExactInput(const NibWeights& input, void* data, uint64_t size_bytes, const NibMemoryPart& scales) {
  const ExactCodes exact(*findFormat(input.format), input, 2.0f, 1.0f);
  Sequence sequence(0x9e3779b9u);
  uint8_t* bytes = static_cast<uint8_t*>(data);
  for (uint64_t i = 0; i < size_bytes; ++i) bytes[i] = exact.code[(sequence.next() >> 8) % exact.count];
  const uint32_t size = scaleBytes(input.scale_type);
  for (uint64_t i = 0; i < scales.size_bytes / size; ++i) {
    const uint32_t one_or_half = sequence.next() & 0x100u ? 0x3f800000u : 0x3f000000u;
    saveStored(bytes + scales.offset_bytes, size, i, scaleToStored(one_or_half, input.scale_type));
  }
}

// A permutation that spreads neighbouring columns: multiples of a step that has no common divisor with cols.
inline void fillOrder(uint32_t* order, uint32_t cols) {
  const auto commonDivisor = [](uint32_t a, uint32_t b) {
    while (b != 0) {
      const uint32_t rest = a % b;
      a = b;
      b = rest;
    }
    return a;
  };
  uint32_t step = cols / 8 * 5 + 1;
  while (commonDivisor(step, cols) != 1) ++step;
  for (uint32_t k = 0; k < cols; ++k) order[k] = uint32_t((uint64_t(k) * step + cols / 3) % cols);
}

// Scales of 0 and of 1/8 to 1, some negative where they have signs, and minima of 0 to -1.
inline void fillExactSuperBlocks(const FormatDesc& format, const NibMemory& memory, const NibCpuBinding& binding,
                                 Sequence& sequence) {
  const auto part = [&](NibPart p) { return partOf<uint8_t>(memory, binding, NIB_ROLE_WEIGHTS, p); };
  constexpr uint8_t kSteps[] = {0, 1, 2, 4, 8};
  const bool has_sign = format.super.twos_complement || format.super.offset != 0;
  for (uint64_t i = 0; i < memory.part[NIB_PART_SCALES].size_bytes; ++i) {
    const uint32_t r = sequence.next() >> 8;
    const int32_t steps = kSteps[r % 5u];
    part(NIB_PART_SCALES)[i] = uint8_t((has_sign && r % 7u == 0 ? -steps : steps) + format.super.offset);
  }
  for (uint64_t i = 0; i < memory.part[NIB_PART_ZEROS].size_bytes; ++i)
    part(NIB_PART_ZEROS)[i] = uint8_t((sequence.next() >> 8) % 3u);
  uint32_t* nested = partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_NESTED);
  for (uint64_t i = 0; i < memory.part[NIB_PART_NESTED].size_bytes / 4; ++i) nested[i] = 0x38003000u;  // 1/2 and 1/8
}

inline void fillExactWeights(const NibWeights& weights, const NibMemory& memory, const NibCpuBinding& binding) {
  const auto part = [&](NibPart p) { return partOf<uint8_t>(memory, binding, NIB_ROLE_WEIGHTS, p); };
  const auto bytes = [&](NibPart p) { return memory.part[p].size_bytes; };
  if (weights.format == NIB_FORMAT_DENSE) {
    fillExact(part(NIB_PART_CODES), weights.scale_type, bytes(NIB_PART_CODES), 0xc2b2ae35u);
    return;
  }
  const FormatDesc& format = *findFormat(weights.format);
  const ExactCodes exact(format, weights);
  const bool some = exact.count < 1u << format.info.bits;
  fillBits(part(NIB_PART_CODES), bytes(NIB_PART_CODES), 0xc2b2ae35u);
  if (some) {
    // Only formats with codes of 4 or 8 bits come here.
    Sequence sequence(0xc2b2ae35u);
    const auto any = [&] { return uint32_t(exact.code[(sequence.next() >> 8) % exact.count]); };
    for (uint64_t i = 0; i < bytes(NIB_PART_CODES); ++i) {
      part(NIB_PART_CODES)[i] = uint8_t(format.info.bits == 8 ? any() : any() | any() << 4);
    }
  }
  Sequence sequence(0x7f4a7c15u);
  if (format.super.blocks != 0) return fillExactSuperBlocks(format, memory, binding, sequence);
  if (weights.flags & NIB_WEIGHTS_NESTED) {
    // Scale bytes that the dynamic map decodes to 0 and 1. The offset and the nested scales are 1/2.
    float value[256];
    const float unit[2] = {0.0f, 1.0f};
    uint8_t all[256];
    for (uint32_t i = 0; i < 256; ++i) all[i] = uint8_t(i);
    nibUnnestScales(all, unit, 256, value);
    uint8_t zero = 0, one = 255;
    for (uint32_t i = 0; i < 256; ++i) {
      if (value[i] == 0.0f) zero = uint8_t(i);
      if (value[i] == 1.0f) one = uint8_t(i);
    }
    for (uint64_t i = 0; i < bytes(NIB_PART_SCALES); ++i)
      part(NIB_PART_SCALES)[i] = sequence.next() & 0x100u ? one : zero;
    float* nested = partOf<float>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_NESTED);
    for (uint64_t i = 0; i < bytes(NIB_PART_NESTED) / 4; ++i) nested[i] = 0.5f;
  } else {
    const uint32_t size = scaleBytes(weights.scale_type);
    for (uint64_t i = 0; i < bytes(NIB_PART_SCALES) / size; ++i) {
      uint32_t stored = scaleToStored(exactScale(sequence), weights.scale_type);
      if (weights.scale_type == NIB_TYPE_F16 && exact::nibHalfToF32Bits(stored) < 0x33800000u) stored = 0;
      saveStored(part(NIB_PART_SCALES), size, i, stored);
    }
  }
  fillBits(part(NIB_PART_ZEROS), bytes(NIB_PART_ZEROS), 0x85ebca6bu);
  if (format.info.flags & NIB_FORMAT_MINIMUM)
    fillExact(part(NIB_PART_ZEROS), NIB_TYPE_F16, bytes(NIB_PART_ZEROS), 0x85ebca6bu);
}

}  // namespace nib::probe
#endif
