// Inner loops in several instruction sets. The first use chooses the set: the best that the processor has, or for tests
// the one that the environment variable NIBBLE_CPU_SIMD names (base, avx2, avx512).
#ifndef NIB_SIMD_KERNELS_H
#define NIB_SIMD_KERNELS_H

#include <cstddef>
#include <cstdint>

namespace nib::simd {

// A row-major matrix of fp32.
struct Operand {
  const float* data;
  size_t stride;
  bool transposed = false;  // data holds the transposed matrix
};

constexpr uint32_t kStripRows = 4;   // of W, updated together
constexpr uint32_t kStripCols = 16;  // in registers

constexpr uint32_t kScaleLanes = 16;  // scales that are tried together

// Scales to try, and the sums of squared errors to which element i adds in sum[i % 4]: all arrays have `count`
// elements, a multiple of kScaleLanes. Reciprocals of zero scales are 0. rests: NULL, or [elements][count] differences
// between elements and the values of their codes, which are written instead of sums.
struct ScaleTrials {
  uint32_t count;
  const float *scale, *reciprocal;
  float* sum[4];
  float* rests;
};
// Errors of several scales in a piece of a group: e[i * lanes + l], `lanes` a multiple of kScaleLanes. Those below
// `least` count as 0; the others are multiplied by `unit`. Entry j of row i of H is h[i * stride + j].
constexpr uint32_t kFormSums = 16;
struct FormTrials {
  uint32_t count, lanes;
  float* e;
  float least, unit;
  const float* h;
  uint32_t stride;
  float* sum[kFormSums];  // of every 16th row
};
// Codes that are integers from low[i] to high[i].
struct IntegerCodes {
  const float *low, *high;
};
// Codes whose values are those of a float of few bits.
struct FloatCodes {
  uint32_t dropped_bits;  // of fp32's mantissa
  float least;            // normal number
  float unit;             // its ulp is that of denormal codes
  float largest;
};
// Codes whose value is value[0], or value[i + 1] for the last i with a quotient above bound[i].
struct TableCodes {
  uint32_t bounds;
  const float *bound, *value;
};

// Smallest and largest of a group's elements; a zero or a denormal number may have either sign. finite: no element is
// NaN or infinite; else the others mean nothing.
struct GroupExtent {
  float min, max;
  bool finite;
};
// Integer codes: clamp(round(x * reciprocal), low, high) + offset, with x limited to [-bound, bound] first.
struct IntegerCoder {
  float reciprocal, low, high, bound;
  int32_t offset;
};
// FP8 codes: |x| * reciprocal, at most `largest`, rounded as FloatCodes says. least_code: the code of `least`.
struct FloatCoder {
  FloatCodes codes;
  uint32_t least_code;
};
// Codes from thresholds: code[r] for the number r of thresholds below y, with y = x * reciprocal, or its magnitude if
// sign_bit is not 0; that bit is then set for x below zero, or for x whose sign is set if `zeros`.
struct StepCoder {
  static constexpr uint32_t kMost = 15;
  uint32_t steps;
  float above[kMost];
  uint8_t code[kMost + 1];
  uint8_t sign_bit;
  bool zeros;
};
// ggml's blocks: code = floor(clamp((x - minimum) * reciprocal) + half) limited to [0, levels], or, if absmax, the
// magnitude rounded half away from zero, at most 127, with the sign of x.
struct BlockCoder {
  float minimum, reciprocal, half;
  uint32_t levels;
  bool absmax;
};

// Groups whose scales are searched together, one per lane: element i of lane l is x[i * kSearchLanes + l]. count is a
// multiple of four. src/formats/group_search.h says what elements and weights may be.
constexpr uint32_t kSearchLanes = 16;
struct SearchLanes {
  uint32_t count;
  const float *x, *weight;
};
// Candidates (levels + first + step * k) / range for k = 0..count; the sum of errors, or of squared ones, decides.
struct RangeTrials {
  float first, step;
  uint32_t count;
  bool absolute;
};

// The value of each code at scale 1: of codes below 16, of two's complement, or of any.
struct CodeValues {
  enum Kind { kSixteen, kSigned, kAny } kind;
  float value[256];
};

// The six sums of an NibErrorTile, and its largest values, of kErrorElements pairs of finite numbers.
constexpr uint32_t kErrorElements = 1024;
struct ErrorSums {
  uint32_t max_error, max_error_index;  // index UINT32_MAX: no error
  uint32_t max_reference, max_candidate;
  float sum[6][2];
};

struct Kernels {
  const char* name;
  // c [m, n] = a [m, k] * b [k, n], or += if `add`; sums in any order, fused or not. NULL if built without Eigen.
  void (*multiply)(const Operand& a, const Operand& b, float* c, size_t c_stride, uint32_t m, uint32_t n, uint32_t k,
                   bool add);
  // The sum of x[i] * y[i] in any order, fused or not.
  float (*dot)(const float* x, const float* y, uint32_t count);
  // x[i] = exp(x[i] - the largest x), within 2^-20 of itself, and 0 below e^-87. Returns the sum.
  float (*exponentials)(float* x, uint32_t count);
  // rows[r][c] -= errors[i * kStripRows + r] * factor[i * factor_stride + c] for i = 0 .. count-1 in order, product and
  // difference rounded: kStripRows rows of kStripCols columns.
  void (*updateStrip)(const float* errors, const float* factor, uint32_t factor_stride, uint32_t count,
                      float* const* rows);
  // x[i] -= scale * y[i], product and difference rounded. They do not overlap.
  void (*subtractScaled)(float* x, float scale, const float* y, uint32_t count);
  // Quantizes `count` elements, a multiple of four, with each scale, and adds the squares of their errors, but those
  // below 2^-126. Every operation is rounded, in the order of NIB_OP_SEARCH.
  void (*tryIntegers)(const float* x, uint32_t count, const IntegerCodes& codes, const ScaleTrials& trials);
  void (*tryFloats)(const float* x, uint32_t count, const FloatCodes& codes, const ScaleTrials& trials);
  void (*tryTable)(const float* x, uint32_t count, const TableCodes& codes, const ScaleTrials& trials);
  // Adds e[i] * (2 * the sum of h[i][j] * e[j] over j < i + h[i][i] * e[i]) to sum[i % kFormSums].
  void (*addForms)(const FormTrials& trials);

  // Elements of fp16 in fp32, and back: rounded half to even. NaN stays a NaN.
  void (*widenHalves)(const uint16_t* from, uint32_t count, float* to);
  void (*narrowHalves)(const float* from, uint32_t count, uint16_t* to);

  // For the bench: as many of one instruction as the processor can do. `steps` times for each of peak_lanes lanes:
  // lane = lane * factor + add, or lane += the sum of four products of unsigned bytes of u and signed bytes of x.
  // NULL if the compiler has no vectors.
  uint32_t peak_lanes;
  void (*peakMultiplyAdds)(float factor, float add, uint32_t steps, float* lanes);
  void (*peakDots)(uint32_t u, uint32_t x, uint32_t steps, int32_t* lanes);

  // Arrays of codes below may be written to the next multiple of kCodeLanes, and arrays of elements read to there. All
  // are NULL if the compiler has no vectors.
  void (*findExtents)(const float* x, uint32_t groups, uint32_t group, GroupExtent* extents);
  void (*encodeIntegers)(const float* x, uint32_t count, const IntegerCoder& coder, uint8_t* codes);
  void (*encodeFloats)(const float* x, uint32_t count, float reciprocal, const FloatCoder& coder, uint8_t* codes);
  void (*encodeSteps)(const float* x, uint32_t count, float reciprocal, const StepCoder& coder, uint8_t* codes);
  // The scales, and minima, of fitRange, fitSigned and fitIq4 of src/formats/group_search.h. Candidate k is levels[k]
  // over the element farthest from 0, for fitSteps with its sign changed.
  void (*fitRanges)(const SearchLanes& lanes, float levels, const RangeTrials& trials, float* scales, float* minima);
  void (*fitSteps)(const SearchLanes& lanes, float reach, const float* levels, uint32_t candidates, float* scales);
  void (*fitTable)(const SearchLanes& lanes, const float* thresholds, const float* values, const float* levels,
                   uint32_t candidates, float* scales);
  void (*encodeBlock)(const float* x, uint32_t count, const BlockCoder& coder, uint8_t* codes);
  // y = (value[code] - zero) * scale, or value[code] * scale + minimum with zeros of no sign.
  void (*decodeValues)(const uint8_t* codes, uint32_t count, const CodeValues& values, float zero, float scale,
                       float* y);
  void (*decodeBlock)(const uint8_t* codes, uint32_t count, const CodeValues& values, float scale, float minimum,
                      float* y);
  // The sum of scale[g] * (the sum of value * x in group g) in any order, fused or not: `groups` groups of `group`
  // elements, a multiple of 32. packed: codes of 4 bits with the values value[16], or two's complement of 8 bits if
  // value is NULL. With 4 bits, x holds the elements of even columns, then those of odd ones, for each 32 columns.
  float (*dotGroups)(const uint8_t* packed, const float* value, const float* scale, uint32_t groups, uint32_t group,
                     const float* x);
  // `count` codes, a multiple of eight, <-> count * bits / 8 bytes, the first code in the lowest bits.
  void (*packCodes)(const uint8_t* codes, uint32_t count, uint32_t bits, uint8_t* packed);
  void (*unpackCodes)(const uint8_t* packed, uint32_t count, uint32_t bits, uint8_t* codes);
  // reference::AddDots.
  void (*addDots)(const int16_t* w, uint32_t w_count, const int16_t* x, uint32_t x_count, uint32_t stride,
                  uint32_t count, int32_t (*sums)[8]);
  // sums[g] = the sum of u * x in group g, modulo 2^32: `groups` groups of `group` elements, a multiple of 32; u are
  // codes of 4 or 8 bits without a sign, bytes after `flip` was applied to them. x of 4 bits: for each
  // nibbleUnit(group) columns the elements of even columns, then those of odd ones. NULL if the instruction set has no
  // such products.
  void (*dotCodes)(const uint8_t* packed, uint32_t bits, uint8_t flip, uint32_t groups, uint32_t group, const int8_t* x,
                   int32_t* sums);
  // Canonical elements, as nibCanonicalBits makes them: denormals become zeros, NaN the quiet one.
  void (*canonicalize)(float* x, uint32_t count);
  // nibSumBits and nibProductBits of canonical elements. False: some product is out of the range that floats round as
  // those functions do, and z is undefined. x, y and z may be the same.
  void (*addElements)(const float* x, const float* y, uint32_t count, float* z);
  bool (*multiplyElements)(const float* x, const float* y, uint32_t count, float* z);
  // first = x * cosine - y * sine, second = y * cosine + x * sine, likewise.
  bool (*rotatePairs)(const float* x, const float* y, const float* cosine, const float* sine, uint32_t count,
                      float* first, float* second);
  // z = activation(x) * y, within 2^-19 * |x * y| of it. x, y and z may be the same. activation: NibActivation.
  void (*gateElements)(uint32_t activation, const float* x, const float* y, uint32_t count, float* z);
  // x becomes limit * tanh(x / limit), within 2^-19 times that.
  void (*capElements)(float limit, float* x, uint32_t count);
  // Root mean squares: y = (x - mean) * factor * gain + bias; gain and bias may be NULL.
  float (*sumOf)(const float* x, uint32_t count);
  float (*sumOfSquares)(const float* x, float mean, uint32_t count);
  void (*normalize)(const float* x, float mean, float factor, const float* gain, const float* bias, uint32_t count,
                    float* y);
  // Sylvester's matrix of order `length`, a power of two, on each `length` of `count` elements.
  void (*butterflies)(float* x, uint32_t count, uint32_t length);
  // y = S x for x and y as [order, length], signs S[order][order] and orders that are multiples of four.
  void (*multiplySigns)(const float* signs, uint32_t order, const float* x, uint32_t length, float* y);
  // x and y are finite.
  void (*sumErrors)(const float* x, const float* y, ErrorSums* sums);
};
constexpr uint32_t kCodeLanes = 16;
constexpr uint32_t kNibbleUnit = 128;
// The columns of which dotCodes takes the even ones, then the odd ones, where groups have this many.
constexpr uint32_t nibbleUnit(uint32_t group) {
  return group % kNibbleUnit == 0 ? kNibbleUnit : group % (kNibbleUnit / 2) == 0 ? kNibbleUnit / 2 : kNibbleUnit / 4;
}

// Thread-safe.
const Kernels& kernels();

// NULL if this build or this processor lacks it.
const Kernels* findKernels(const char* name);
inline constexpr const char* kKernelSets[] = {"base", "avx2", "avx512", "avx512vnni"};

extern const Kernels kKernels_base;
#if defined(NIB_SIMD_X86)
extern const Kernels kKernels_avx2;
extern const Kernels kKernels_avx512;
extern const Kernels kKernels_avx512vnni;
#endif

}  // namespace nib::simd
#endif
