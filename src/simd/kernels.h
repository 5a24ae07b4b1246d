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
// elements, a multiple of kScaleLanes. Reciprocals of zero scales are 0.
struct ScaleTrials {
  uint32_t count;
  const float *scale, *reciprocal;
  float* sum[4];
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

struct Kernels {
  const char* name;
  // c [m, n] = a [m, k] * b [k, n], or += if `add`; sums in any order, fused or not. NULL if built without Eigen.
  void (*multiply)(const Operand& a, const Operand& b, float* c, size_t c_stride, uint32_t m, uint32_t n, uint32_t k,
                   bool add);
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
};

// Thread-safe.
const Kernels& kernels();

// NULL if this build or this processor lacks it.
const Kernels* findKernels(const char* name);

extern const Kernels kKernels_base;
#if defined(NIB_SIMD_X86)
extern const Kernels kKernels_avx2;
extern const Kernels kKernels_avx512;
#endif

}  // namespace nib::simd
#endif
