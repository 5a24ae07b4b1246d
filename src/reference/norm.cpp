// Reference of NIB_OP_NORM: sums in double, in the order of the columns.
#include <nibble/formats.h>

#include <cmath>

#include "reference/reference.h"
#include "reference/rounding.h"

namespace nib {
namespace {

double valueOf(uint32_t bits) { return double(exact::floatOf(exact::nibFlushBits(bits))); }

struct Norm {
  const NibNormDesc& desc;
  const HostRun& run;
  uint32_t source_stride, residual_stride, result_stride;  // elements
  const void* source;
  const void* residual_in;  // NULL = none
  void* residual_out;
  const uint32_t* gain;  // NULL = none
  const uint32_t* bias;

  uint64_t outRow(uint32_t row) const { return uint64_t(run.first_row) + row; }

  // The element that is normed, as fp32 bits. Before the row's sums are stored.
  uint32_t element(uint32_t row, uint32_t col) const {
    const uint32_t x = exact::nibFlushBits(loadDense(source, desc.source_type, uint64_t(row) * source_stride + col));
    if (residual_in == nullptr) return x;
    const uint32_t other = loadDense(residual_in, desc.residual_type, uint64_t(row) * residual_stride + col);
    const uint32_t sum = reference::roundedBits(valueOf(x) + valueOf(other));
    if (desc.residual_type == NIB_TYPE_F16) return exact::nibHalfToF32Bits(exact::nibF32ToHalfBits(sum));
    if (desc.residual_type == NIB_TYPE_BF16) return exact::nibBf16ToF32Bits(exact::nibF32ToBf16Bits(sum));
    return sum;
  }

  double normed(double x, uint32_t col, double mean, double deviation) const {
    double y = (x - mean) / deviation;
    if (gain != nullptr) y *= valueOf(gain[col]);
    if (bias != nullptr) y += valueOf(bias[col]);
    return y;
  }

  // Writes the row's sums, and 0 to the rest of their last word.
  void storeSums(uint32_t row) const {
    const uint64_t to = outRow(row) * residual_stride;
    for (uint32_t col = 0; col < desc.cols; ++col) {
      storeDense(residual_out, desc.residual_type, to + col, element(row, col));
    }
    if (desc.residual_type != NIB_TYPE_F32 && desc.cols % 2 != 0) {
      storeDense(residual_out, desc.residual_type, to + desc.cols, 0);
    }
  }

  template <class Y>
  void storeResult(uint32_t row, Y&& y) const {
    void* result = partOf<void>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
    const uint64_t to = outRow(row) * result_stride;
    for (uint32_t col = 0; col < desc.cols; ++col) {
      storeDense(result, desc.result_type, to + col, reference::roundedBits(y(col)));
    }
    if (desc.result_type != NIB_TYPE_F32 && desc.cols % 2 != 0) {
      storeDense(result, desc.result_type, to + desc.cols, 0);
    }
  }

  template <class Y>
  void storeCodes(uint32_t row, Y&& y) const {
    const FormatDesc& format = *findFormat(NIB_FORMAT_INT8);
    NibWeights weights{};
    weights.format = NIB_FORMAT_INT8;
    weights.granularity = NIB_GRANULARITY_ROW;
    weights.scale_type = NIB_TYPE_F32;
    reference::Extent extent;
    for (uint32_t col = 0; col < desc.cols; ++col) extent.add(reference::roundedBits(y(col)));
    GroupStats stats{};
    if (extent.nonfinite == 0) stats = {extent.minBits(), extent.maxBits(), extent.absmaxBits(), 0};
    StoredScale scale = format.findScale(stats, weights);
    uint32_t* scales = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT_SCALES);
    scales[outRow(row)] = scale.scale_bits;
    scale.rcp_bits = scale.scale_bits != 0u ? exact::nibDivBits(0x3f800000u, scale.scale_bits) : 0u;
    uint8_t* codes = partOf<uint8_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_RESULT);
    codes += outRow(row) * result_stride;
    for (uint32_t col = 0; col < result_stride; ++col) {
      const bool inside = col < desc.cols && extent.nonfinite == 0;
      codes[col] = inside ? uint8_t(format.encode(reference::roundedBits(y(col)), scale, weights, false)) : uint8_t(0);
    }
  }

  void normRow(uint32_t row) const {
    double sum = 0, square = 0;
    for (uint32_t col = 0; col < desc.cols; ++col) sum += valueOf(element(row, col));
    const double mean = desc.flags & NIB_NORM_MEAN ? sum / desc.cols : 0;
    for (uint32_t col = 0; col < desc.cols; ++col) {
      const double d = valueOf(element(row, col)) - mean;
      square += d * d;
    }
    const double deviation = std::sqrt(square / desc.cols + double(desc.epsilon));
    const auto y = [&](uint32_t col) { return normed(valueOf(element(row, col)), col, mean, deviation); };
    if (desc.flags & NIB_NORM_CODES) {
      storeCodes(row, y);
    } else {
      storeResult(row, y);
    }
    if (residual_in != nullptr) storeSums(row);
  }
};

}  // namespace

void normReference(const NibNormDesc& desc, const NormStrides& strides, const HostRun& run) {
  const auto part = [&](NibRole role, NibPart which) { return partOf<void>(run.memory, run.binding, role, which); };
  const Norm norm{desc,
                  run,
                  strides.source,
                  strides.residual,
                  strides.result,
                  part(NIB_ROLE_INPUT, NIB_PART_SOURCE),
                  part(NIB_ROLE_INPUT, NIB_PART_RESIDUAL_IN),
                  part(NIB_ROLE_OUTPUT, NIB_PART_RESIDUAL_OUT),
                  static_cast<const uint32_t*>(part(NIB_ROLE_WEIGHTS, NIB_PART_GAIN)),
                  static_cast<const uint32_t*>(part(NIB_ROLE_WEIGHTS, NIB_PART_BIAS))};
  auto body = [&](uint32_t row) { norm.normRow(row); };
  reference::forEach(run.parallel, run.n, body);
}

}  // namespace nib
