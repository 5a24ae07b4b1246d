// The CPU references: slow, obvious, complete. They share only the description structs and the format descriptors with
// the GPU path.
#ifndef NIB_REFERENCE_REFERENCE_H
#define NIB_REFERENCE_REFERENCE_H

#include <nibble/nibble.h>

#include <atomic>

#include "formats/cache_row.h"
#include "formats/dense.h"
#include "formats/geometry.h"
#include "formats/nested.h"
#include "formats/scale_store.h"
#include "formats/super.h"
#include "numerics/exact.h"
#include "numerics/hadamard.h"

namespace nib {

void quantizeReference(const NibQuantizeDesc& desc, const HostRun& run);
void dequantizeReference(const NibDequantizeDesc& desc, const HostRun& run);
void repackReference(const NibRepackDesc& desc, const HostRun& run);
void minmaxReference(const NibMinMaxDesc& desc, const HostRun& run);
void convertReference(const NibConvertDesc& desc, const HostRun& run);
void gatherReference(const NibGatherDesc& desc, const HostRun& run);
void errorsReference(const NibErrorsDesc& desc, const HostRun& run);
void histogramReference(const NibHistogramDesc& desc, const HostRun& run);
void logHistogramReference(const NibLogHistogramDesc& desc, const HostRun& run);
void momentsReference(const NibMomentsDesc& desc, const HostRun& run);
// Elements from row to row; of int8 results bytes.
struct NormStrides {
  uint32_t source, residual, result;
};
void normReference(const NibNormDesc& desc, const NormStrides& strides, const HostRun& run);
// Elements from row to row, and the scale of scores. A quantized cache has words from row to row.
struct AttentionShape {
  uint32_t source_stride, key_stride, value_stride, result_stride;
  float scale;
  CacheRow row;  // of a quantized cache
};
void attentionReference(const NibAttentionDesc& desc, const AttentionShape& shape, const HostRun& run);
void lossReference(const NibLossDesc& desc, const HostRun& run);
void selectReference(const NibSelectDesc& desc, const HostRun& run);
void mixReference(const NibMixDesc& desc, const HostRun& run);
// Elements from row to row; second: 0 = one row.
struct ElementwiseStrides {
  uint32_t source, second, result;
};
void elementwiseReference(const NibElementwiseDesc& desc, const ElementwiseStrides& strides, const HostRun& run);
// Elements of a token, of its rotated part, and from token to token.
struct RopeSizes {
  uint32_t cols, rotary, source, result;
};
void ropeReference(const NibRopeDesc& desc, const RopeSizes& sizes, const HostRun& run);
// Elements from token to token, and from row to row of a dense cache.
struct AppendStrides {
  uint32_t source, cache;
  CacheRow row;  // of a quantized cache
};
void appendReference(const NibAppendDesc& desc, const AppendStrides& strides, const HostRun& run);
void hessianReference(const NibHessianDesc& desc, uint32_t source_stride, const HostRun& run);
// Sizes that follow from a description of NIB_OP_HADAMARD.
struct HadamardShape {
  uint32_t source_stride, result_stride;  // elements from row to row
  uint32_t size;                          // of a block
  hadamard::Matrix matrix;
  float factor;  // of results
};
inline constexpr uint32_t kHadamardKept = 4096;  // the longest block that needs no scratch on the CPU
void hadamardReference(const NibHadamardDesc& desc, const HadamardShape& shape, const HostRun& run);
void factorReference(const NibFactorDesc& desc, uint32_t block, const HostRun& run);
// Sizes that follow from a description of NIB_OP_GPTQ.
struct GptqShape {
  Geometry g;              // MEASURE: zeros
  uint32_t source_stride;  // elements from row to row
  uint32_t block;          // columns of a run
  uint32_t errors_stride;  // from column to column of the errors in scratch, which are [block, rows]
  // In AUX: a word per column, which the kernels derive from the order; the errors.
  uint64_t order_offset, errors_offset, aux_bytes;

  bool measures() const { return g.format == nullptr; }
};
void gptqReference(const NibGptqDesc& desc, const GptqShape& shape, const HostRun& run);
// Sizes that follow from a description of NIB_OP_SEARCH.
struct SearchShape {
  Geometry g;
  uint32_t source_stride;  // elements from row to row
  uint32_t most;           // rows of a run; COLUMNS: columns
  uint32_t steps;          // candidates
  float step;              // from one to the next
};
// Candidates for the scale of a group, and their partial sums of errors: of squared ones the first four.
inline constexpr uint32_t kScaleSums = 16;
struct ScaleCandidates {
  uint32_t count;
  StoredScale scale[NIB_SEARCH_MAX_STEPS];
  float sum[kScaleSums][NIB_SEARCH_MAX_STEPS];
};
// Up to kScalePiece elements of a group, the first of which belongs to partial sum 0.
inline constexpr uint32_t kScalePiece = 256;
struct ScalePiece {
  const float* x;
  uint32_t count;
  uint32_t first_col;
  // HESSIAN: exponent fields of the group's largest magnitude, and of the largest entry of its diagonal; 0 = H is the
  // identity. The second one is for the reference alone.
  int32_t absmax_exponent, hessian_exponent;
};
// Adds the errors of such elements.
struct ScaleErrors {
  void (*add)(const void* user, const ScalePiece& piece, ScaleCandidates* candidates);
  const void* user;
};
// errors: NULL, or a faster function that gives the same sums.
void searchReference(const NibSearchDesc& desc, const SearchShape& shape, const HostRun& run,
                     const ScaleErrors* errors = nullptr);

namespace reference {

// H of NIB_OP_SEARCH; NULL without HESSIAN.
inline const uint32_t* hessianOf(const HostRun& run) {
  return partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_INPUT, NIB_PART_HESSIAN);
}
// The exponent field of the unit of H's entries in columns first..first + count-1. 0 = they are the identity.
int32_t hessianExponent(const uint32_t* hessian, uint32_t cols, uint32_t first, uint32_t count);

// A scale and its zero point as decoding uses them. zeros NULL: no zero points. nested: the offset and the scales of
// blocks; NULL: no double quantization.
inline StoredScale loadScale(const FormatDesc& format, const NibWeights& weights, const void* scales, const void* zeros,
                             const uint32_t* nested, uint64_t index) {
  StoredScale scale{};
  if (format.super.blocks != 0) {
    return superScale(format.super, loadStored(scales, 1, index), zeros != nullptr ? loadStored(zeros, 1, index) : 0u,
                      nested[index / format.super.blocks]);
  }
  if (nested != nullptr) {
    scale.scale_bits =
        nestedScale(static_cast<const uint8_t*>(scales)[index], nested[1 + index / kNestedBlock], nested[0]);
    return scale;
  }
  const uint32_t stored = loadStored(scales, scaleBytes(weights.scale_type), index);
  scale.scale_bits = ruledScale(scaleFromStored(stored, weights.scale_type), format.signed_scales);
  scale.zero = format.zeroFromStored(zeros != nullptr ? loadStored(zeros, zeroBytes(format), index) : 0u, weights);
  return scale;
}

// Minimum and maximum of finite values as order-preserving keys.
struct Extent {
  uint32_t low = 0xffffffffu;
  uint32_t high = 0;
  uint32_t nonfinite = 0;

  void add(uint32_t bits) {
    if (exact::nibIsNonFinite(bits)) {
      ++nonfinite;
      return;
    }
    const uint32_t key = exact::nibKey(bits);
    low = key < low ? key : low;
    high = key > high ? key : high;
  }
  uint32_t minBits() const { return low > high ? 0u : exact::nibUnkey(low); }
  uint32_t maxBits() const { return low > high ? 0u : exact::nibUnkey(high); }
  uint32_t absmaxBits() const {
    const uint32_t a = minBits() & 0x7fffffffu;
    const uint32_t b = maxBits() & 0x7fffffffu;
    return a > b ? a : b;
  }
};

// Counts into a NibStatus (NULL: nowhere) from parallel bodies. The lock is contended only by bad data.
class StatusCounter {
 public:
  explicit StatusCounter(NibStatus* status) : status_(status) {}
  void nonFinite(uint64_t element) {
    if (status_ == nullptr) return;
    lock();
    ++status_->nonfinite_count;
    const uint32_t inverted = ~uint32_t(element);
    if (inverted > status_->first_nonfinite_not) status_->first_nonfinite_not = inverted;
    flag_.clear(std::memory_order_release);
  }
  void saturated() {
    if (status_ == nullptr) return;
    lock();
    ++status_->saturated_count;
    flag_.clear(std::memory_order_release);
  }
  void outliers(uint32_t count) {
    if (status_ == nullptr) return;
    lock();
    status_->outlier_count += count;
    flag_.clear(std::memory_order_release);
  }

 private:
  void lock() {
    while (flag_.test_and_set(std::memory_order_acquire)) {
    }
  }
  NibStatus* status_;
  std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
};

// Calls body(i) for i in [0, count), on the caller's threads if `parallel` has them.
template <class Body>
void forEach(const NibParallelFor* parallel, uint32_t count, Body& body) {
  if (parallel == nullptr || parallel->run == nullptr) {
    for (uint32_t i = 0; i < count; ++i) body(i);
    return;
  }
  parallel->run(
      parallel->parallel_user, count, [](void* user, uint32_t i) { (*static_cast<Body*>(user))(i); }, &body);
}

}  // namespace reference
}  // namespace nib
#endif
