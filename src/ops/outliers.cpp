// The phase of NIB_OP_DYNAMIC_GEMM that quantizes and lists outliers separately: kernel outliers.
#include "plan/plan.h"

#include <nibble/formats.h>

#include "ops/dense_spec.h"
#include "ops/dynamic_product.h"
#include "shaders/ops/outliers.h"

namespace nib {
namespace {

NIB_SPEC_STRUCT(OutliersSpec, OUTLIERS_SPEC)

constexpr uint32_t kWorkgroup = 128;
constexpr uint32_t kHalfInfinity = 0x47800000u;  // fp16 infinity as kernels load it: 2^16

}  // namespace

NibResult addOutliers(const DynamicProduct& p, PlanBuilder& builder) {
  const NibQuantizeDesc& d = p.quantize;
  const Geometry& g = p.product.input;
  const uint32_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
  const uint64_t source_bytes = typeBytes(d.source_type);
  OutliersSpec spec;
  spec.WG = builder.workgroupSize(kWorkgroup);
  spec.SOURCE_TYPE = d.source_type;
  spec.FLAGS = d.weights.flags;
  spec.VEC = vectorized(g.rows, g.cols, stride);
  spec.WIDE = wide(g.rows, g.cols, stride, uint32_t(source_bytes));
  spec.FULL = g.cols % g.format->run == 0;
  spec.STATUS = (d.flags & NIB_QUANTIZE_STATUS) != 0;
  spec.MOST = p.product.max_outliers;
  // A threshold above every half becomes the infinity that kernels load.
  const bool beyond = d.source_type == NIB_TYPE_F16 && p.threshold > kHalfInfinity;
  const OutliersPush push{{},
                          g.cols,
                          stride,
                          g.row_words,
                          uint32_t(g.scales_offset / 4),
                          uint32_t(p.product.outliers_offset / 4),
                          beyond ? kHalfInfinity : p.threshold};
  const uint64_t code_bytes = uint64_t(g.row_words) * 4u;
  const Slot slots[kSlotCount] = {itemSlot(NIB_ROLE_WEIGHTS, 0, code_bytes, 0, code_bytes),
                                  itemSlot(NIB_ROLE_INPUT, 0, stride * source_bytes, 0, g.cols * source_bytes),
                                  tailSlot(NIB_ROLE_WEIGHTS, g.scales_offset),
                                  spec.STATUS ? wholeSlot(NIB_ROLE_AUX) : Slot{}};
  return builder.add("outliers", NIB_FORMAT_INT8, spec, push, spec.WG * 16u + 4u, TileRule{}, slots,
                     g.cols * source_bytes + code_bytes);
}

}  // namespace nib
