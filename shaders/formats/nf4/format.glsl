// NF4: sixteen quantiles of the normal distribution times the absmax of a block. Eight codes to a word, the first in the
// low nibble. An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode.
#ifndef NIBBLE_FORMATS_NF4_GLSL
#define NIBBLE_FORMATS_NF4_GLSL

#include "common/exact.glsl"
#include "common/scale_store.glsl"
#include "formats/nf4/table.h"

#define NIB_BITS 4u
#define NIB_RUN 16

uint nibZeroToByte(uint zero) {
  return 0u;
}

uint nibZeroFromByte(uint stored, uint flags) {
  return 0u;
}

NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  return nibRoundFound(absmax_bits, scale_type, 0u);
}

struct NibEncoder {
  float rcp;    // 1/scale, 0 for the zero group: every x then lands on code 7, whose value is 0
  float bound;  // |x| from which every code is saturated, so that x * rcp need not overflow
};

NibEncoder nibMakeEncoderFromReciprocal(uint rcp_bits, uint zero, uint flags) {
  NibEncoder e;
  e.rcp = uintBitsToFloat(rcp_bits);
  e.bound = nibEncoderBound(rcp_bits);
  return e;
}

// Four comparisons down the tree of thresholds; a value on one takes the lower code.
uint nibEncode(float x, NibEncoder e, bool given) {
  if (given) x = clamp(x, -e.bound, e.bound);
  precise float y = x * e.rcp;
  bool b3 = y > uintBitsToFloat(NF4_T7);
  bool b2 = y > uintBitsToFloat(b3 ? NF4_T11 : NF4_T3);
  uint low1 = b2 ? NF4_T5 : NF4_T1;
  uint high1 = b2 ? NF4_T13 : NF4_T9;
  bool b1 = y > uintBitsToFloat(b3 ? high1 : low1);
  uint low00 = b1 ? NF4_T2 : NF4_T0;
  uint low01 = b1 ? NF4_T6 : NF4_T4;
  uint high00 = b1 ? NF4_T10 : NF4_T8;
  uint high01 = b1 ? NF4_T14 : NF4_T12;
  bool b0 = y > uintBitsToFloat(b3 ? (b2 ? high01 : high00) : (b2 ? low01 : low00));
  return (b3 ? 8u : 0u) | (b2 ? 4u : 0u) | (b1 ? 2u : 0u) | (b0 ? 1u : 0u);
}

struct NibDecoder {
  float scale;
};

// scale_bits: the stored scale as fp32, after nibRuledScale.
NibDecoder nibMakeDecoder(uint scale_bits, uint zero) {
  NibDecoder d;
  d.scale = uintBitsToFloat(scale_bits);
  return d;
}

// A tree of selections: a table in memory costs more on devices without indexed constants.
float nibNf4Value(uint code) {
  bool c0 = (code & 1u) != 0u;
  bool c1 = (code & 2u) != 0u;
  bool c2 = (code & 4u) != 0u;
  uint n00 = c0 ? NF4_V1 : NF4_V0;
  uint n01 = c0 ? NF4_V3 : NF4_V2;
  uint n10 = c0 ? NF4_V5 : NF4_V4;
  uint n11 = c0 ? NF4_V7 : NF4_V6;
  uint p00 = c0 ? NF4_V9 : NF4_V8;
  uint p01 = c0 ? NF4_V11 : NF4_V10;
  uint p10 = c0 ? NF4_V13 : NF4_V12;
  uint p11 = c0 ? NF4_V15 : NF4_V14;
  uint negative = c2 ? (c1 ? n11 : n10) : (c1 ? n01 : n00);
  uint positive = c2 ? (c1 ? p11 : p10) : (c1 ? p01 : p00);
  return uintBitsToFloat((code & 8u) != 0u ? positive : negative);
}

float nibDecode(uint code, NibDecoder d) {
  precise float value = nibNf4Value(code) * d.scale;
  return value;
}

// As fp32 bits, never -0. |table value| <= 1, so nothing overflows.
uint nibDecodeBits(uint code, NibDecoder d) {
  uint bits = floatBitsToUint(nibDecode(code, d));
  return (bits & 0x7fffffffu) == 0u ? 0u : bits;
}

#endif
