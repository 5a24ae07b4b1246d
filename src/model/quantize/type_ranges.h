// Keeps values and scales from being lost in a type of too small a range: fp16 has neither more than 65504 nor less
// than 2^-24.
#ifndef NIB_MODEL_QUANTIZE_TYPE_RANGES_H
#define NIB_MODEL_QUANTIZE_TYPE_RANGES_H

#include "model/decode.h"
#include "model/quantize/selection.h"

#include <cstdint>

#include <functional>
#include <span>

namespace nib::model {

// The largest magnitudes of a tensor's groups. NaN and infinities are left out, and groups of zeros.
struct GroupMagnitudes {
  float smallest = 0;  // 0 = all groups are zeros
  float largest = 0;
};

// Not thread-safe.
class TypeRanges {
 public:
  // container: of the output.
  TypeRanges(const TimedDevice& device, const ModelView& view, const Container& container);
  // Changes a decision that would lose numbers, and says so in its note. A weight whose scales fp16 holds with less
  // precision than bfloat16 gets fp32 scales, where type and container take them; otherwise it stays dense if such a
  // scale would be zero or infinite. A tensor with values beyond fp16 is not cast to it. May read the whole tensor.
  // Throws.
  void fit(const ModelView::Tensor& tensor, Decision& decision);

 private:
  // Belongs to the tensor, or to the matrix that the decision quantizes.
  GroupMagnitudes magnitudes(const ModelView::Tensor& tensor, const Decision& decision, uint64_t group);
  // Its elements, dense, in order.
  void forEachChunk(const ModelView::Tensor& tensor, const Decision& decision, Dtype dtype,
                    const std::function<void(std::span<const std::byte>)>& take);
  void fitScales(const ModelView::Tensor& tensor, Decision& decision);
  void fitCast(const ModelView::Tensor& tensor, Decision& decision);

  TimedDevice device_;
  const ModelView& view_;
  const Container& container_;
  Decoder decoder_;
};

}  // namespace nib::model
#endif
