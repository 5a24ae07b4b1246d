// The order of columns from the diagonal of a Hessian.
#ifndef NIB_MODEL_QUANTIZE_GPTQ_ORDER_H
#define NIB_MODEL_QUANTIZE_GPTQ_ORDER_H

#include "model/quantize/gptq/layer.h"

#include <cstdint>
#include <span>
#include <vector>

namespace nib::model {

// Position -> column. Ties go to the lower column. Not for kNone. A last group of fewer columns stays last.
std::vector<uint32_t> columnOrder(ColumnOrder order, std::span<const float> diagonal, uint32_t group);

}  // namespace nib::model
#endif
