// Rules for blobs whose scales were found by a search, whatever the search is: codes are the nearest ones with the
// stored scales, groups with a number that is not finite are zeros, and rows outside the run keep their bytes.
#ifndef NIB_TESTS_SEARCHED_MODEL_H
#define NIB_TESTS_SEARCHED_MODEL_H

#include <string>

#include "model_ops.h"

namespace nib::model {

// The code of the value nearest to x. The arithmetic is that of fp32: a difference, the product with a reciprocal.
inline uint32_t nearestCode(const Format& format, const Scale& scale, double x) {
  const double rcp = scale.value == 0.0 ? 0.0 : quotient(1.0, scale.value);
  const double y = fp32(fp32(x - scale.zero) * rcp);
  if (format.values != nullptr) {
    uint32_t code = 0;
    while (code < 15 && y >= (double(format.values[code]) + double(format.values[code + 1])) / 2) ++code;
    return code;
  }
  const double low = format.minimum() ? 0.0 : -format.middle();
  return uint32_t(std::fmax(std::fmin(halfEven(y), format.levels() + low), low) - low);
}

// Compares a blob after a run with what it was before. The message of the first fault, or nothing. status: that of the
// run, or NULL.
inline std::string checkSearched(const NibQuantizeDesc& d, const uint8_t* source, uint32_t n, const Bytes& before,
                                 const uint8_t* blob, const NibStatus* status) {
  const Layout l = layoutOf(d.rows, d.cols, d.weights);
  const Format& format = *l.format;
  const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
  const SuperModel& super = format.super;
  uint32_t nonfinite = 0, first_not = 0, largest_halves = 0;
  for (uint64_t row = 0; row < n; ++row) {
    for (uint64_t group = 0; group * l.group < l.cols; ++group) {
      const Scale scale = scaleAt(l, d.weights, blob, row * l.scales_per_row + group);
      const std::string where = "row " + std::to_string(row) + " group " + std::to_string(group) + ": ";
      bool finite = true;
      for (uint64_t col = group * l.group; col < l.cols && col < (group + 1) * l.group; ++col) {
        if (std::isfinite(load(source, d.source_type, row * stride + col))) continue;
        finite = false;
        ++nonfinite;
        first_not = std::max(first_not, ~uint32_t(row * l.cols + col));
      }
      if (!finite && (scale.value != 0 || scale.zero != 0)) return where + "not finite, and not zeros";
      for (uint64_t col = group * l.group; col < l.cols && col < (group + 1) * l.group; ++col) {
        uint32_t code = 0;
        for (uint32_t b = 0; b < format.bits; ++b) {
          const uint64_t bit = col * format.bits + b;
          code |= (uint32_t(blob[row * l.row_bytes + bit / 8]) >> (bit % 8) & 1u) << b;
        }
        const double x = finite ? load(source, d.source_type, row * stride + col) : 0.0;
        const uint32_t nearest = nearestCode(format, scale, x);
        if (code != nearest) {
          return where + "column " + std::to_string(col) + " has code " + std::to_string(code) + ", must be " +
                 std::to_string(nearest);
        }
      }
    }
    // Bits after the last code are 0.
    for (uint64_t bit = l.cols * format.bits; bit < l.row_bytes * 8; ++bit) {
      if (blob[row * l.row_bytes + bit / 8] >> (bit % 8) & 1u) return "padding of codes is not 0";
    }
    for (uint64_t group = 0; super.groups != 0 && group < l.scales_per_row; ++group) {
      const uint64_t index = row * l.scales_per_row + group;
      const uint8_t byte = blob[l.scales_offset + index];
      if (group * l.group >= l.cols) {
        if (byte != 0 || (l.zeros_bytes != 0 && blob[l.zeros_offset + index] != 0)) return "padding of scales is not 0";
        continue;
      }
      const int steps = super.twos_complement ? int(int8_t(byte)) : int(byte) - super.offset;
      const bool has_sign = super.twos_complement || super.offset != 0;
      if (steps < (has_sign ? -super.levels : 0) || steps >= super.levels + (has_sign ? 0 : 1))
        return "scale beyond levels";
      if (l.zeros_bytes != 0 && blob[l.zeros_offset + index] > super.levels) return "minimum beyond levels";
    }
  }
  const uint64_t halves = super.groups != 0 ? 2 * n * (l.scales_per_row / super.groups) : n * l.scales_per_row;
  for (uint64_t i = 0; i < halves; ++i) {
    const uint32_t half = loadBits(blob + (super.groups != 0 ? l.nested_offset : l.scales_offset) + i * 2, 2) & 0x7fffu;
    if (half >= 0x7c00u) return "a half is not finite";
    largest_halves += half == 0x7bffu ? 1 : 0;
  }
  if (status != nullptr && (status->nonfinite_count != nonfinite || status->first_nonfinite_not != first_not)) {
    return "counted " + std::to_string(status->nonfinite_count) + " that are not finite, must be " +
           std::to_string(nonfinite);
  }
  if (status != nullptr && status->saturated_count > largest_halves) return "counted more than saturated";
  // Other rows, and what lies between the parts.
  Bytes kept(blob, blob + before.size());
  const auto restore = [&](uint64_t offset, uint64_t row_bytes) {
    std::copy_n(before.begin() + std::ptrdiff_t(offset), n * row_bytes, kept.begin() + std::ptrdiff_t(offset));
  };
  restore(0, l.row_bytes);
  const uint64_t entry = super.groups != 0 ? 1 : 2;
  restore(l.scales_offset, l.scales_per_row * entry);
  if (super.groups == 0 && n == d.rows) {
    for (uint64_t i = l.scale_count * 2; i < l.scales_bytes; ++i) {
      if (kept[size_t(l.scales_offset + i)] != 0) return "padding of scales is not 0";
      kept[size_t(l.scales_offset + i)] = before[size_t(l.scales_offset + i)];
    }
  }
  if (l.zeros_bytes != 0) restore(l.zeros_offset, l.scales_per_row);
  if (super.groups != 0) restore(l.nested_offset, l.scales_per_row / super.groups * 4);
  return kept == before ? "" : "bytes outside the run's rows changed";
}

}  // namespace nib::model
#endif
