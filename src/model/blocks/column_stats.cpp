#include "model/blocks/column_stats.h"

#include "model/archive/error.h"

#include <algorithm>
#include <cmath>

namespace nib::model {
namespace {

std::vector<double> divided(const std::vector<double>& sums, uint64_t by) {
  std::vector<double> result(sums);
  for (double& value : result) value /= double(std::max<uint64_t>(by, 1));
  return result;
}

}  // namespace

void ColumnStats::add(const TimedDevice& device, const graph::Value& value, const kit::Range& range, uint32_t tokens) {
  constexpr uint64_t kPiece = 16u << 20;
  const graph::Shape& shape = value.shape;
  if (shape.type != NIB_TYPE_F32) throw Error("the inputs of " + value.name + " are not fp32");
  if (sums_.empty()) {
    sums_.resize(shape.cols);
    abs_sums_.resize(shape.cols);
    abs_max_.resize(shape.cols);
    abs_max_of_others_.resize(shape.cols);
  }
  const uint64_t row_bytes = uint64_t(shape.stride) * sizeof(float);
  const uint32_t most = uint32_t(std::max<uint64_t>(kPiece / row_bytes, 1));
  std::vector<float> rows(size_t(std::min(most, tokens)) * shape.stride);
  for (uint32_t first = 0; first < tokens; first += most) {
    const uint32_t count = std::min(most, tokens - first);
    device.download(*range.buffer, range.offset_bytes + first * row_bytes, rows.data(), count * row_bytes);
    for (uint32_t t = 0; t < count; ++t) {
      const float* const row = rows.data() + size_t(t) * shape.stride;
      const bool kept = sampled_ < samples_ && tokens_ + first + t >= all_tokens_ * sampled_ / samples_;
      for (uint32_t c = 0; c < shape.cols; ++c) {
        const float x = std::isfinite(row[c]) ? row[c] : 0.0f;
        sums_[c] += double(x);
        abs_sums_[c] += std::fabs(double(x));
        abs_max_[c] = std::max(abs_max_[c], std::fabs(x));
        if (!kept) abs_max_of_others_[c] = std::max(abs_max_of_others_[c], std::fabs(x));
      }
      if (kept) {
        sample_.insert(sample_.end(), row, row + shape.cols);
        ++sampled_;
      }
    }
  }
  tokens_ += tokens;
}

std::vector<double> ColumnStats::means() const { return divided(sums_, tokens_); }
std::vector<double> ColumnStats::absMeans() const { return divided(abs_sums_, tokens_); }

}  // namespace nib::model
