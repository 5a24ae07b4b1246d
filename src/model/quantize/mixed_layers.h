// The layers of a model whose types --budget and --size choose.
#ifndef NIB_MODEL_QUANTIZE_MIXED_LAYERS_H
#define NIB_MODEL_QUANTIZE_MIXED_LAYERS_H

#include "model/archive/model_writer.h"
#include "model/quantize/quantize_plan.h"

namespace nib::model {

// The bytes of a model's layers at each type of options.mixed. Throws if the output does not hold such a choice.
MixedLayers mixedLayers(const ModelView& view, std::deque<TypeRanges>& ranges, const QuantizeOptions& options,
                        const WriterOptions& writing);

}  // namespace nib::model
#endif
