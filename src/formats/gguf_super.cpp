#include "formats/gguf_super.h"

#include <nibble/formats.h>

namespace nib::gguf_super {
namespace {

// Bytes of the parts of a super-block. Formats whose codes have more than one place have `high` beside `low`.
struct Places {
  uint32_t format, bytes, low, high, scales, d;
};
constexpr Places kPlaces[] = {{NIB_FORMAT_Q2_K, 84, 16, 0, 0, 80},      {NIB_FORMAT_Q3_K, 110, 32, 0, 96, 108},
                              {NIB_FORMAT_Q4_K, 144, 16, 0, 4, 0},      {NIB_FORMAT_Q5_K, 176, 48, 16, 4, 0},
                              {NIB_FORMAT_Q6_K, 210, 0, 128, 192, 208}, {NIB_FORMAT_IQ4_XS, 136, 8, 0, 4, 0}};

const Places& placesOf(uint32_t format) {
  for (const Places& places : kPlaces) {
    if (places.format == format) return places;
  }
  return kPlaces[0];
}

// Bits of byte `byte` from bit `bit` on.
BitField field(uint32_t byte, uint32_t bit, uint32_t bits, uint32_t shift) {
  return {uint64_t(byte) * 8 + bit, bits, shift};
}

}  // namespace

uint32_t blockBytes(uint32_t format) { return placesOf(format).bytes; }
uint32_t placeD(uint32_t format) { return placesOf(format).d * 8; }
uint32_t placeDmin(uint32_t format) { return (placesOf(format).d + 2) * 8; }

uint32_t placeCode(uint32_t format, uint32_t j, BitField* fields) {
  const Places& p = placesOf(format);
  const uint32_t l = j % 32;
  switch (format) {
    case NIB_FORMAT_Q2_K:
    case NIB_FORMAT_Q3_K:
      fields[0] = field(p.low + j / 128 * 32 + l, j % 128 / 32 * 2, 2, 0);
      fields[1] = field(p.high + l, j / 32, 1, 2);
      return format == NIB_FORMAT_Q3_K ? 2 : 1;
    case NIB_FORMAT_Q4_K:
    case NIB_FORMAT_Q5_K:
      fields[0] = field(p.low + j / 64 * 32 + l, j / 32 % 2 * 4, 4, 0);
      fields[1] = field(p.high + l, j / 32, 1, 4);
      return format == NIB_FORMAT_Q5_K ? 2 : 1;
    case NIB_FORMAT_Q6_K:
      fields[0] = field(p.low + j / 128 * 64 + j / 32 % 2 * 32 + l, j % 128 / 64 * 4, 4, 0);
      fields[1] = field(p.high + j / 128 * 32 + l, j % 128 / 32 * 2, 2, 4);
      return 2;
    default:  // iq4_xs
      fields[0] = field(p.low + j / 32 * 16 + j % 16, l / 16 * 4, 4, 0);
      return 1;
  }
}

uint32_t placeScale(uint32_t format, uint32_t j, BitField* fields) {
  const Places& p = placesOf(format);
  switch (format) {
    case NIB_FORMAT_Q2_K: fields[0] = field(p.scales + j, 0, 4, 0); return 1;
    case NIB_FORMAT_Q3_K:
      fields[0] = field(p.scales + j % 8, j / 8 * 4, 4, 0);
      fields[1] = field(p.scales + 8 + j % 4, j / 4 * 2, 2, 4);
      return 2;
    case NIB_FORMAT_Q6_K: fields[0] = field(p.scales + j, 0, 8, 0); return 1;
    case NIB_FORMAT_IQ4_XS:
      fields[0] = field(p.scales + j / 2, j % 2 * 4, 4, 0);
      fields[1] = field(2, j * 2, 2, 4);
      return 2;
    default:  // q4_k, q5_k
      fields[0] = j < 4 ? field(p.scales + j, 0, 6, 0) : field(p.scales + 4 + j, 0, 4, 0);
      fields[1] = field(p.scales + j - 4, 6, 2, 4);
      return j < 4 ? 1 : 2;
  }
}

uint32_t placeMinimum(uint32_t format, uint32_t j, BitField* fields) {
  const Places& p = placesOf(format);
  if (format == NIB_FORMAT_Q2_K) {
    fields[0] = field(p.scales + j, 4, 4, 0);
    return 1;
  }
  fields[0] = j < 4 ? field(p.scales + 4 + j, 0, 6, 0) : field(p.scales + 4 + j, 4, 4, 0);
  fields[1] = field(p.scales + j, 6, 2, 4);
  return j < 4 ? 1 : 2;
}

}  // namespace nib::gguf_super
