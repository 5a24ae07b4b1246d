#include "simd/code_sums.h"

#include <nibble/formats.h>

#include <algorithm>
#include <new>

#include "simd/kernels.h"
#include "simd/rows.h"
#include "simd/run.h"

namespace nib::simd {
namespace {

using reference::Int8Operands;
using reference::kDotRows;

// Scales for which products and sums of floats are normal numbers, so that they round as the reference's.
bool isOrdinary(float scale) { return scale == 0.0f || (scale >= 0x1p-40f && scale <= 0x1p32f); }

class CodeSums final : public reference::ScaledSums {
 public:
  CodeSums(const Int8Product& p, const Int8Operands& o) : d_(p.desc), weights_(p.weights), o_(o), segment_(p.segment) {
    segments_ = p.desc.cols / segment_;
    bits_ = weights_.format->info.bits;
    flip_ = d_.weights.format == NIB_FORMAT_INT8 ? 0x80 : 0;
    center_ = bits_ == 8 ? 128 : 8;
  }

  static bool fits(const Int8Product& p) {
    const uint32_t bits = p.weights.format->info.bits;
    const bool whole = p.segment % 32 == 0 && p.desc.cols % p.segment == 0;
    const bool plain = p.desc.input.format == NIB_FORMAT_INT8 && (p.desc.input.flags & NIB_WEIGHTS_ASYMMETRIC) == 0 &&
                       p.desc.result_type != NIB_INT8_RESULT_I32;
    return kernels().dotCodes != nullptr && whole && plain && (bits == 4 || bits == 8);
  }

  // False if memory is lacking, or a scale is unusual.
  bool setTokens(const Geometry& input, uint32_t x_row, uint32_t x_count) {
    count_ = x_count;
    codes_ = allocate<int8_t>(size_t(x_count) * d_.cols);
    scales_ = allocate<float>(size_t(x_count) * segments_);
    totals_ = allocate<int32_t>(size_t(x_count) * segments_);
    w_scales_ = allocate<float>(segments_);
    w_zeros_ = allocate<int32_t>(segments_);
    sums_ = allocate<int32_t>(segments_);
    if (!codes_ || !scales_ || !totals_ || !w_scales_ || !w_zeros_ || !sums_) return false;
    std::fill_n(w_zeros_.get(), segments_, center_);  // the code that stands for 0, without a sign
    const uint8_t* const codes = static_cast<const uint8_t*>(o_.input_codes);
    for (uint32_t t = 0; t < x_count; ++t) {
      const int8_t* const from = reinterpret_cast<const int8_t*>(codes + uint64_t(x_row + t) * input.row_words * 4);
      arrange(from, codes_.get() + size_t(t) * d_.cols);
      for (uint32_t s = 0; s < segments_; ++s) {
        const uint32_t first = s * segment_;
        int32_t total = 0;
        for (uint32_t i = 0; i < segment_; ++i) total += from[first + i];
        totals_[size_t(t) * segments_ + s] = total;
        const uint64_t index = uint64_t(x_row + t) * input.scale_row_stride + first / input.group;
        float& scale = scales_[size_t(t) * segments_ + s];
        readScales(o_.input_scales, d_.input.scale_type, index, 1, false, &scale);
        if (!isOrdinary(scale)) return false;
      }
    }
    return true;
  }

  bool find(uint32_t w_row, uint32_t w_count, uint32_t (*y)[kDotRows]) const override {
    for (uint32_t r = 0; r < w_count; ++r) {
      if (!findRow(w_row + r, r, y)) return false;
    }
    return true;
  }

 private:
  // In the order that dotCodes takes.
  void arrange(const int8_t* from, int8_t* to) const {
    if (bits_ == 8) {
      std::copy(from, from + d_.cols, to);
      return;
    }
    const uint32_t unit = nibbleUnit(segment_);
    for (uint32_t i = 0; i < d_.cols; i += unit) {
      for (uint32_t k = 0; k < unit / 2; ++k) {
        to[i + k] = from[i + 2 * k];
        to[i + unit / 2 + k] = from[i + 2 * k + 1];
      }
    }
  }

  uint64_t scaleIndex(uint32_t row, uint32_t segment) const {
    return uint64_t(row) * weights_.scale_row_stride + segment * segment_ / weights_.group;
  }

  void loadScales(uint32_t row) const {
    const uint32_t type = d_.weights.scale_type;
    if (segments_ == 1 || segment_ == weights_.group) {
      return readScales(o_.weights_scales, type, scaleIndex(row, 0), segments_, false, w_scales_.get());
    }
    for (uint32_t s = 0; s < segments_; ++s) {
      readScales(o_.weights_scales, type, scaleIndex(row, s), 1, false, &w_scales_[s]);
    }
  }

  bool findRow(uint32_t row, uint32_t r, uint32_t (*y)[kDotRows]) const {
    const bool asymmetric = (d_.weights.flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
    const uint8_t* const zeros = static_cast<const uint8_t*>(o_.weights_zeros);
    loadScales(row);
    bool ordinary = true;
    for (uint32_t s = 0; s < segments_; ++s) ordinary &= isOrdinary(w_scales_[s]);
    if (!ordinary) return false;
    for (uint32_t s = 0; asymmetric && s < segments_; ++s) {
      const uint8_t stored = zeros[scaleIndex(row, s)];
      w_zeros_[s] = bits_ == 4 ? stored & 15 : stored ^ flip_;
    }
    const uint8_t* const codes = static_cast<const uint8_t*>(o_.weights_codes) + uint64_t(row) * weights_.row_words * 4;
    for (uint32_t t = 0; t < count_; ++t) {
      kernels().dotCodes(codes, bits_, flip_, segments_, segment_, codes_.get() + size_t(t) * d_.cols, sums_.get());
      const float* const x_scales = scales_.get() + size_t(t) * segments_;
      const int32_t* const totals = totals_.get() + size_t(t) * segments_;
      float sum = 0.0f;
      for (uint32_t s = 0; s < segments_; ++s) {
        const int32_t dot = int32_t(uint32_t(sums_[s]) - uint32_t(w_zeros_[s]) * uint32_t(totals[s]));
        sum += float(dot) * x_scales[s] * w_scales_[s];
      }
      y[t][r] = exact::bitsOf(sum);
    }
    return true;
  }

  const NibInt8GemmDesc& d_;
  const Geometry& weights_;
  const Int8Operands& o_;
  uint32_t segment_, segments_, bits_, count_ = 0;
  uint8_t flip_;
  int32_t center_;
  std::unique_ptr<int8_t[]> codes_;
  std::unique_ptr<float[]> scales_, w_scales_;
  std::unique_ptr<int32_t[]> totals_, w_zeros_, sums_;
};

}  // namespace

std::unique_ptr<reference::ScaledSums> makeCodeSums(const Int8Product& product, const Int8Operands& operands,
                                                    uint32_t x_row, uint32_t x_count) {
  if (!CodeSums::fits(product)) return nullptr;
  std::unique_ptr<CodeSums> sums(new (std::nothrow) CodeSums(product, operands));
  if (sums == nullptr || !sums->setTokens(product.input, x_row, x_count)) return nullptr;
  return sums;
}

}  // namespace nib::simd
