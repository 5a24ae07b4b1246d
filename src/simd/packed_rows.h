// Products of few tokens with rows of codes that are multiplied as they are: of 4 bits, or of 8 in two's complement,
// and with scales outside the sums.
#ifndef NIB_SIMD_PACKED_ROWS_H
#define NIB_SIMD_PACKED_ROWS_H

#include <algorithm>
#include <cmath>
#include <memory>

#include "reference/reference.h"
#include "simd/kernels.h"
#include "simd/rows.h"
#include "simd/run.h"

namespace nib::simd {

class PackedRows {
 public:
  // memory and binding as references take them.
  PackedRows(const NibWeights& weights, const Geometry& geometry, const NibMemory& memory, const NibCpuBinding& binding)
      : weights_(weights),
        g_(geometry),
        codes_(nib::partOf<uint8_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_CODES)),
        scales_(nib::partOf<uint8_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES)),
        zeros_(nib::partOf<uint8_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_ZEROS)) {
    const FormatDesc& format = *geometry.format;
    for (uint32_t code = 0; code < 1u << format.info.bits; ++code) {
      // Without zero points, all codes have the same.
      const StoredScale unit{0x3f800000u, zeros_ == nullptr ? format.zeroFromStored(0, weights) : 0, false,
                             0x3f800000u};
      const float value = exact::floatOf(format.decode(code, unit, weights));
      if (code < 16) value_[code] = value;
      signed_ &= value == float(int8_t(code));
    }
    const uint32_t type = weights.scale_type;
    const bool plain = (weights.flags & (NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED)) == 0 &&
                       (format.info.flags & NIB_FORMAT_MINIMUM) == 0 &&
                       (type == NIB_TYPE_F16 || type == NIB_TYPE_F32) &&
                       (weights.granularity == NIB_GRANULARITY_ROW || weights.granularity == NIB_GRANULARITY_GROUP);
    const uint32_t bits = format.info.bits;
    group_ = std::min(geometry.group, geometry.cols);
    fits_ = plain && kernels().dotGroups != nullptr && (bits == 4 || (bits == 8 && signed_)) && group_ % 32 == 0 &&
            geometry.cols % group_ == 0 && geometry.scale_row_stride != 0;
    groups_ = fits_ ? geometry.cols / group_ : 0;
  }

  bool fits() const { return fits_; }

  // Tokens in the order that the sums take. False if memory is lacking.
  bool setTokens(const float* const* tokens, uint32_t count) {
    tokens_ = allocate<float>(size_t(count) * g_.cols);
    sums_ = allocate<float>(size_t(count) * groups_);
    if (tokens_ == nullptr || sums_ == nullptr) return false;
    for (uint32_t t = 0; t < count; ++t) {
      float* const to = tokens_.get() + size_t(t) * g_.cols;
      if (g_.format->info.bits == 4) {
        for (uint32_t i = 0; i < g_.cols; i += 32) {
          for (uint32_t k = 0; k < 16; ++k) {
            to[i + k] = tokens[t][i + 2 * k];
            to[i + 16 + k] = tokens[t][i + 2 * k + 1];
          }
        }
      } else {
        std::copy(tokens[t], tokens[t] + g_.cols, to);
      }
      for (uint32_t g = 0; zeros_ != nullptr && g < groups_; ++g) {
        sums_[size_t(t) * groups_ + g] = kernels().sumOf(tokens[t] + size_t(g) * group_, group_);
      }
    }
    return true;
  }

  // Sums of the row with the first `count` tokens. False: some sum is not finite, and may be so only because scales are
  // outside.
  bool multiply(uint32_t row, uint32_t count, float* sums) const {
    float scale[kMostGroups], offset[kMostGroups];
    std::fill(sums, sums + count, 0.0f);
    const uint32_t bits = g_.format->info.bits;
    const uint8_t* const codes = codes_ + uint64_t(row) * g_.row_words * 4;
    for (uint32_t first = 0; first < groups_; first += kMostGroups) {
      const uint32_t groups = std::min(groups_ - first, kMostGroups);
      loadScales(uint64_t(row) * g_.scale_row_stride + first, groups, scale, offset);
      for (uint32_t t = 0; t < count; ++t) {
        sums[t] += kernels().dotGroups(codes + uint64_t(first) * group_ * bits / 8, bits == 4 ? value_ : nullptr, scale,
                                       groups, group_, tokens_.get() + size_t(t) * g_.cols + size_t(first) * group_);
        if (zeros_ != nullptr) sums[t] -= kernels().dot(offset, sums_.get() + size_t(t) * groups_ + first, groups);
      }
    }
    return std::all_of(sums, sums + count, [](float sum) { return std::isfinite(sum); });
  }

 private:
  static constexpr uint32_t kMostGroups = 256;

  void loadScales(uint64_t index, uint32_t count, float* scale, float* offset) const {
    readScales(scales_, weights_.scale_type, index, count, g_.format->signed_scales, scale);
    if (zeros_ == nullptr) return;
    for (uint32_t i = 0; i < count; ++i) {
      offset[i] = float(g_.format->zeroFromStored(zeros_[index + i], weights_)) * scale[i];
    }
  }

  const NibWeights& weights_;
  const Geometry& g_;
  const uint8_t *codes_, *scales_, *zeros_;
  float value_[16] = {};
  bool signed_ = true, fits_ = false;
  uint32_t group_ = 0, groups_ = 0;
  std::unique_ptr<float[]> tokens_, sums_;
};

}  // namespace nib::simd
#endif
