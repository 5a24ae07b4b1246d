// Validation and memory of NIB_OP_MATMUL.
#ifndef NIB_OPS_MATMUL_H
#define NIB_OPS_MATMUL_H

#include "ops/matmul_tiles.h"
#include "reference/matmul.h"

namespace nib {

struct Matmul : MatmulOperands {
  ProductShape shape;
  uint32_t scale_row_stride;  // also of FLAT weights
  uint64_t bias_offset;       // in WEIGHTS
  uint64_t order_offset;      // in WEIGHTS
  uint64_t sums_bytes;        // in AUX, from 0: sums of parts of the columns
  uint64_t copy_offset;       // in AUX: the copy of the activations
  uint64_t scratch_bytes;     // of AUX, with decoded activations
  bool ordered;               // NIB_PRODUCT_ORDER
  bool copied;                // activations are copied, to reorder them or to align them for wide loads
  // With choices: the rows of a matrix's results, `group` of them at a time, get their activations from a copy. Scratch
  // begins with a record of each group: matrix, number of results, the results.
  uint32_t group_tokens, groups;
  uint64_t indices_offset;  // in INPUT
  uint32_t recordWords() const { return 2 + group_tokens; }
};

// Validates `desc` and fills *out.
NibResult makeMatmul(const NibMatmulDesc& desc, const Log& log, Matmul* out);

// The type of the copy of the activations. Halves stay halves, because matrix units need them.
inline uint32_t copyType(const NibMatmulDesc& d) { return d.input_type == NIB_TYPE_F16 ? NIB_TYPE_F16 : NIB_TYPE_F32; }

// Columns sharing a scale, 0 if a row has one.
inline uint32_t groupOf(const Matmul& m) { return m.g.format != nullptr && m.g.groups_per_row > 1 ? m.g.group : 0; }

#if !defined(NIB_NO_VULKAN)
class PlanBuilder;
NibResult buildMatmul(const NibMatmulDesc& d, const NibMemory& memory, PlanBuilder& builder);
#endif

}  // namespace nib
#endif
