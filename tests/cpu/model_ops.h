// Whole ops by model.h: every byte of every range after a run, from the header's description of the layout alone.
#ifndef NIB_TESTS_MODEL_OPS_H
#define NIB_TESTS_MODEL_OPS_H

#include <nibble/formats.h>

#include <algorithm>
#include <vector>

#include "../../shaders/numerics/dynamic_map.h"
#include "model.h"

namespace nib::model {

using Bytes = std::vector<uint8_t>;

inline uint32_t sizeOf(uint32_t type) {
  return type == NIB_TYPE_F32 ? 4u : type == NIB_TYPE_E8M0 || type == NIB_TYPE_BYTE ? 1u : 2u;
}

inline uint32_t loadBits(const uint8_t* at, uint32_t bytes) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < bytes; ++i) bits |= uint32_t(at[i]) << (8 * i);
  return bits;
}

inline void storeBits(uint8_t* at, uint32_t bytes, uint32_t bits) {
  for (uint32_t i = 0; i < bytes; ++i) at[i] = uint8_t(bits >> (8 * i));
}

inline double load(const uint8_t* data, uint32_t type, uint64_t index) {
  return valueOf(type, loadBits(data + index * sizeOf(type), sizeOf(type)));
}

inline uint64_t roundUp(uint64_t value, uint64_t step) {
  return value % step == 0 ? value : value + step - value % step;
}

// The layout of a quantized matrix.
struct Layout {
  const Format* format;
  uint64_t rows, cols;  // FLAT: one row
  uint64_t group;       // elements of a row that share a scale
  uint64_t scales_per_row, scale_count;
  uint64_t row_bytes;
  uint64_t codes_bytes, scales_offset, scales_bytes, zeros_offset, zeros_bytes, blob_bytes;
  uint64_t nested_offset;  // 0 = none
  bool by_column, by_tensor;

  uint64_t scaleIndex(uint64_t row, uint64_t col) const {
    return by_tensor ? 0 : by_column ? col : row * scales_per_row + col / group;
  }
};

inline Layout layoutOf(uint64_t rows, uint64_t cols, const NibWeights& w) {
  Layout l{};
  l.format = formatOf(w.format);
  const bool flat = (w.flags & NIB_WEIGHTS_FLAT) != 0;
  l.rows = flat ? 1 : rows;
  l.cols = flat ? rows * cols : cols;
  l.by_column = w.granularity == NIB_GRANULARITY_COLUMN;
  l.by_tensor = w.granularity == NIB_GRANULARITY_TENSOR;
  l.group = l.cols;
  if (w.granularity == NIB_GRANULARITY_GROUP && w.group_size != UINT32_MAX) {
    l.group = w.group_size != 0 ? w.group_size : l.format->usual_group;
  }
  l.scales_per_row = roundUp(l.cols, l.group) / l.group;
  l.scale_count = l.by_tensor ? 1 : l.by_column ? l.cols : l.rows * l.scales_per_row;
  const uint64_t super_blocks = l.format->super.groups != 0 ? l.rows * (roundUp(l.cols, 256) / 256) : 0;
  if (super_blocks != 0) {
    l.scale_count = super_blocks * l.format->super.groups;
    l.scales_per_row = l.scale_count / l.rows;
  }
  // Three bits: rows are multiples of 32 codes.
  l.row_bytes = roundUp(l.cols * l.format->bits, 32 % l.format->bits == 0 ? 32 : 32 * l.format->bits) / 8;
  l.codes_bytes = l.rows * l.row_bytes;
  l.scales_bytes = roundUp(l.scale_count * sizeOf(w.scale_type), 4);
  l.zeros_bytes = w.flags & NIB_WEIGHTS_ASYMMETRIC ? roundUp(l.scale_count, 4)
                  : l.format->minimum()            ? roundUp(l.scale_count * (super_blocks != 0 ? 1 : 2), 4)
                                                   : 0;
  l.scales_offset = roundUp(l.codes_bytes, 256);
  const bool nested = (w.flags & NIB_WEIGHTS_NESTED) != 0;
  if (nested) l.scales_bytes = roundUp(l.scale_count, 4);
  l.zeros_offset = roundUp(l.scales_offset + l.scales_bytes, 256);
  l.blob_bytes = l.zeros_bytes != 0 ? l.zeros_offset + l.zeros_bytes : l.scales_offset + l.scales_bytes;
  if (nested) {
    l.nested_offset = roundUp(l.blob_bytes, 256);
    l.blob_bytes = l.nested_offset + 4 + roundUp(l.scale_count, 256) / 256 * 4;
  }
  if (super_blocks != 0) {
    l.nested_offset = roundUp(l.blob_bytes, 256);
    l.blob_bytes = l.nested_offset + super_blocks * 4;
  }
  return l;
}

// The dynamic map from the library's constants; nested_test.cpp compares these with the definition.
inline double mapValue(uint32_t code) {
  static const uint32_t kMap[256] = {NIB_DYNAMIC_MAP};
  return floatOfBits(kMap[code]);
}

inline double flushed(double v) { return std::fabs(v) < 0x1p-126 ? 0.0 : v; }

inline double ordinaryOrZero(double v) { return std::fabs(v) >= 0x1p-120 && std::isfinite(v) ? v : 0.0; }

// The scale and minimum of a group of a super-block.
inline Scale superScaleAt(const Layout& l, const uint8_t* blob, uint64_t index) {
  const SuperModel& super = l.format->super;
  const uint8_t* halves = blob + l.nested_offset + index / super.groups * 4;
  const double d = load(halves, NIB_TYPE_F16, 0), dmin = load(halves, NIB_TYPE_F16, 1);
  const uint8_t byte = blob[l.scales_offset + index];
  Scale scale;
  scale.value = std::isfinite(d) ? d * (super.twos_complement ? int(int8_t(byte)) : int(byte) - super.offset) : 0.0;
  if (l.format->minimum() && std::isfinite(dmin)) scale.zero = -dmin * blob[l.zeros_offset + index];
  return scale;
}

inline Scale scaleAt(const Layout& l, const NibWeights& w, const uint8_t* blob, uint64_t index) {
  if (l.format->super.groups != 0) return superScaleAt(l, blob, index);
  if (l.nested_offset != 0) {
    const double offset = load(blob + l.nested_offset, NIB_TYPE_F32, 0),
                 block = load(blob + l.nested_offset, NIB_TYPE_F32, 1 + index / 256);
    const double usable_block = block > 0 ? ordinaryOrZero(block) : 0.0;
    Scale scale;
    scale.value = ordinaryOrZero(fp32(flushed(fp32(mapValue(blob[l.scales_offset + index]) * usable_block)) + offset));
    return scale;
  }
  const double value = load(blob + l.scales_offset, w.scale_type, index);
  double zero = l.format->middle();
  if (l.format->blocks()) {
    Scale scale;
    const bool may_be_negative = l.format->ggml == GgmlScale::kExtreme;
    scale.value = std::isfinite(value) && (value > 0 || may_be_negative) ? value : 0.0;
    if (l.format->minimum()) scale.zero = load(blob + l.zeros_offset, NIB_TYPE_F16, index);
    if (!std::isfinite(scale.zero)) scale.zero = 0;
    return scale;
  }
  if (l.zeros_bytes != 0) {
    const uint32_t mask = (1u << l.format->bits) - 1u;
    zero = double(l.format->stored(blob[l.zeros_offset + index]) & mask);
  }
  return usable(value, zero);
}

// Double quantization of all scales: the offset is their mean, as multiples of 2^-22 of the largest's power of two;
// each scale minus the offset, divided by the largest magnitude in its block of 256, becomes the nearest entry of the
// map.
inline void nest(const Layout& l, Bytes& blob, const std::vector<Scale>& scales) {
  double largest = 0;
  for (const Scale& scale : scales) largest = std::fmax(largest, scale.value);
  double sum = 0;
  const double unit = largest > 0 ? std::ldexp(1.0, std::ilogb(largest) - 22) : 1.0;
  for (const Scale& scale : scales) sum += std::floor(scale.value / unit + 0.5);
  const double offset = flushed(quotient(fp32(sum), fp32(double(scales.size()))) * unit);
  storeBits(&blob[size_t(l.nested_offset)], 4, bitsOfFloat(float(offset)));
  for (size_t first = 0; first < scales.size(); first += 256) {
    const size_t end = std::min(first + 256, scales.size());
    double most = 0;
    for (size_t i = first; i < end; ++i) most = std::fmax(most, std::fabs(flushed(fp32(scales[i].value - offset))));
    most = ordinaryOrZero(most);
    storeBits(&blob[size_t(l.nested_offset + 4 + first / 256 * 4)], 4, bitsOfFloat(float(most)));
    for (size_t i = first; i < end; ++i) {
      uint32_t code = 0;
      const double y = most == 0 ? 0.0 : fp32(flushed(fp32(scales[i].value - offset)) * quotient(1.0, most));
      while (code < 255 && y > fp32((mapValue(code) + mapValue(code + 1)) / 2)) ++code;
      blob[size_t(l.scales_offset + i)] = uint8_t(code);
    }
  }
}

// Adds a stored code to a row of zeros.
inline void putCode(const Layout& l, Bytes& blob, uint64_t row, uint64_t col, uint32_t code) {
  for (uint32_t b = 0; b < l.format->bits; ++b) {
    const uint64_t bit = col * l.format->bits + b;
    uint8_t& byte = blob[size_t(row * l.row_bytes + bit / 8)];
    byte = uint8_t(byte | (code >> b & 1u) << (bit % 8));
  }
}

// blob and status: in, their contents before the run; out, the expected contents after it. status may be NULL.
inline void quantize(const NibQuantizeDesc& d, const uint8_t* source, uint32_t n, Bytes& blob, NibStatus* status) {
  const NibWeights& w = d.weights;
  const Layout l = layoutOf(d.rows, d.cols, w);
  const bool flat = (w.flags & NIB_WEIGHTS_FLAT) != 0;
  const uint64_t rows = flat ? 1 : n;
  const uint64_t stride = flat ? l.cols : d.source_stride != 0 ? d.source_stride : d.cols;
  const uint32_t scale_bytes = sizeOf(w.scale_type);
  const bool last_rows = flat || n == d.rows;

  std::vector<double> x(size_t(rows * l.cols));
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t col = 0; col < l.cols; ++col) {
      x[size_t(row * l.cols + col)] = load(source, d.source_type, row * stride + col);
    }
  }
  if (status != nullptr) {
    for (uint64_t i = x.size(); i-- > 0;) {
      if (std::isfinite(x[size_t(i)])) continue;
      ++status->nonfinite_count;
      status->first_nonfinite_not = std::max(status->first_nonfinite_not, ~uint32_t(i));
    }
  }

  if (l.format->kind == Kind::kGgml) {
    const uint64_t count = rows * l.scales_per_row;
    for (uint64_t row = 0; row < rows; ++row) {
      std::fill_n(&blob[size_t(row * l.row_bytes)], l.row_bytes, uint8_t(0));
      for (uint64_t col = 0; col < l.cols; col += 32) {
        const auto from = x.begin() + std::ptrdiff_t(row * l.cols + col);
        const GgmlBlock block =
            ggmlBlock(*l.format, {from, from + std::ptrdiff_t(std::min<uint64_t>(32, l.cols - col))});
        const uint64_t index = row * l.scales_per_row + col / 32;
        storeBits(&blob[size_t(l.scales_offset + index * 2)], 2, bitsOf(NIB_TYPE_F16, block.scale.value + 0.0));
        if (l.format->minimum())
          storeBits(&blob[size_t(l.zeros_offset + index * 2)], 2, bitsOf(NIB_TYPE_F16, block.scale.zero));
        if (status != nullptr) status->saturated_count += block.scale.saturated;
        for (size_t i = 0; i < block.codes.size(); ++i) putCode(l, blob, row, col + i, block.codes[i]);
      }
    }
    for (uint64_t i = count * 2; last_rows && i % 4 != 0; ++i) blob[size_t(l.scales_offset + i)] = 0;
    for (uint64_t i = count * 2; last_rows && l.format->minimum() && i % 4 != 0; ++i)
      blob[size_t(l.zeros_offset + i)] = 0;
    return;
  }

  std::vector<Scale> scales(size_t(l.scale_count));
  const bool given = (d.flags & NIB_QUANTIZE_GIVEN_SCALES) != 0;
  if (given) {
    for (uint64_t i = 0; i < l.scale_count; ++i) scales[size_t(i)] = scaleAt(l, w, blob.data(), i);
  } else {
    std::vector<Extent> extents(size_t(l.scale_count));
    for (uint64_t row = 0; row < rows; ++row) {
      for (uint64_t col = 0; col < l.cols; ++col) {
        extents[size_t(l.scaleIndex(row, col))].add(x[size_t(row * l.cols + col)]);
      }
    }
    for (uint64_t i = 0; l.format->mean() && i < x.size(); ++i) {
      extents[size_t(l.scaleIndex(i / l.cols, i % l.cols))].addMagnitude(x[size_t(i)]);
    }
    // Only the rows of the run get scales; other rows keep theirs. The padding after the last row of the blob is zeros.
    const uint64_t count = l.by_tensor || l.by_column ? l.scale_count : rows * l.scales_per_row;
    for (uint64_t i = 0; i < count; ++i) {
      Scale& scale = scales[size_t(i)];
      scale = findScale(*l.format, w, extents[size_t(i)]);
      if (status != nullptr) status->saturated_count += scale.saturated;
      if (l.nested_offset != 0) continue;
      storeBits(&blob[size_t(l.scales_offset + i * scale_bytes)], scale_bytes, bitsOf(w.scale_type, scale.value));
      if (l.zeros_bytes != 0) blob[size_t(l.zeros_offset + i)] = uint8_t(l.format->stored(uint32_t(scale.zero)));
    }
    const bool padded = last_rows || l.by_tensor || l.by_column;
    for (uint64_t i = l.nested_offset != 0 ? count : count * scale_bytes; padded && i % 4 != 0; ++i)
      blob[size_t(l.scales_offset + i)] = 0;
    for (uint64_t i = count; padded && l.zeros_bytes != 0 && i % 4 != 0; ++i) blob[size_t(l.zeros_offset + i)] = 0;
  }

  if (l.nested_offset != 0) nest(l, blob, scales);
  for (uint64_t row = 0; row < rows; ++row) {
    std::fill_n(&blob[size_t(row * l.row_bytes)], l.row_bytes, uint8_t(0));
    for (uint64_t col = 0; col < l.cols; ++col) {
      const Scale& scale = scales[size_t(l.scaleIndex(row, col))];
      const uint32_t code = l.format->stored(encode(*l.format, w, scale, x[size_t(row * l.cols + col)]));
      putCode(l, blob, row, col, code);
    }
  }
}

// result: in, the output before the run; out, the expected output after it.
inline void dequantize(const NibDequantizeDesc& d, const Bytes& blob, uint32_t n, Bytes& result) {
  const Layout l = layoutOf(d.rows, d.cols, d.weights);
  const bool flat = (d.weights.flags & NIB_WEIGHTS_FLAT) != 0;
  const uint32_t size = sizeOf(d.result_type);
  uint64_t stride = flat ? l.cols : d.result_stride;
  if (stride == 0) stride = size == 2 ? roundUp(d.cols, 2) : d.cols;
  for (uint64_t row = 0; row < (flat ? 1 : n); ++row) {
    for (uint64_t col = 0; col < l.cols; ++col) {
      uint32_t code = 0;
      for (uint32_t b = 0; b < l.format->bits; ++b) {
        const uint64_t bit = col * l.format->bits + b;
        code |= (uint32_t(blob[size_t(row * l.row_bytes + bit / 8)]) >> (bit % 8) & 1u) << b;
      }
      const Scale scale = scaleAt(l, d.weights, blob.data(), l.scaleIndex(row, col));
      const double value = roundTo(d.result_type, decode(*l.format, scale, l.format->stored(code)));
      storeBits(&result[size_t((row * stride + col) * size)], size, bitsOf(d.result_type, value));
    }
    // The other half of a row's last word is written as zero.
    if (size == 2 && l.cols % 2 != 0) storeBits(&result[size_t((row * stride + l.cols) * 2)], 2, 0);
  }
}

inline void minmax(const NibMinMaxDesc& d, const uint8_t* source, uint32_t n, Bytes& result) {
  const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
  const uint64_t count = d.granularity == NIB_GRANULARITY_TENSOR ? 1
                         : d.granularity == NIB_GRANULARITY_ROW  ? n
                                                                 : d.cols;
  std::vector<Extent> extents(static_cast<size_t>(count));
  for (uint64_t row = 0; row < n; ++row) {
    for (uint64_t col = 0; col < d.cols; ++col) {
      const uint64_t index = d.granularity == NIB_GRANULARITY_TENSOR ? 0
                             : d.granularity == NIB_GRANULARITY_ROW  ? row
                                                                     : col;
      extents[size_t(index)].add(load(source, d.source_type, row * stride + col));
    }
  }
  for (uint64_t i = 0; i < count; ++i) {
    const Extent& e = extents[size_t(i)];
    // + 0.0 turns -0 into +0.
    const double min = e.empty() ? 0.0 : e.min + 0.0, max = e.empty() ? 0.0 : e.max + 0.0;
    uint8_t* at = &result[size_t(i * 16)];
    storeBits(at, 4, bitsOfFloat(float(min)));
    storeBits(at + 4, 4, bitsOfFloat(float(max)));
    storeBits(at + 8, 4, bitsOfFloat(float(std::fmax(std::fabs(min), std::fabs(max)))));
    storeBits(at + 12, 4, e.nonfinite);
  }
}

}  // namespace nib::model
#endif
