// Specialization and push constants of the kernel "dequantize", for the ops that decode codes into dense rows.
#ifndef NIB_OPS_DECODE_KERNEL_H
#define NIB_OPS_DECODE_KERNEL_H

#include "formats/geometry.h"
#include "ops/dense_spec.h"
#include "ops/shader_constants.h"
#include "ops/tuning.h"
#include "plan/plan.h"
#include "shaders/ops/dequantize.h"

namespace nib {

NIB_SPEC_STRUCT(DequantizeSpec, DEQUANTIZE_SPEC)

// A dense result of rows x cols.
struct DenseResult {
  uint32_t rows, cols, type, stride;
};

inline DequantizeSpec decodeSpec(const NibWeights& weights, const Geometry& g, const DenseResult& result,
                                 const PlanBuilder& builder) {
  constexpr uint32_t kWorkgroup = 128;
  DequantizeSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.RESULT_TYPE = result.type;
  spec.SCALE_TYPE = scaleTypeConstant(weights);
  spec.FLAGS = weights.flags;
  spec.VEC = vectorized(result.rows, result.cols, result.stride);
  spec.FULL = result.cols % g.format->run == 0;
  spec.COLUMN = weights.granularity == NIB_GRANULARITY_COLUMN;
  return spec;
}

inline DequantizePush decodePush(const Geometry& g, const DenseResult& result) {
  return {{},
          result.cols,
          result.stride,
          g.group,
          g.scale_row_stride,
          g.row_words,
          uint32_t(g.scales_offset / 4),
          uint32_t(g.zeros_offset / 4),
          uint32_t(g.nested_offset / 4),
          0,
          0,
          0};
}

// Scales, zero points and nested scales.
inline Slot paramsSlot(const Geometry& g) {
  return tailSlot(NIB_ROLE_WEIGHTS, g.scales_offset).of(kNoPart, {NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED});
}

// Bytes of the codes of one run.
inline uint64_t runCodeBytes(const Geometry& g) { return uint64_t(g.format->run) * g.format->info.bits / 8; }

}  // namespace nib
#endif
