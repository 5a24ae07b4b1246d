// The weights of a dense model, quantized in memory as the options say.
#ifndef NIB_TOOLS_IN_MEMORY_WEIGHTS_H
#define NIB_TOOLS_IN_MEMORY_WEIGHTS_H

#include "weight_options.h"

#include "model/decode.h"
#include "model/run/in_memory.h"

#include <optional>

namespace nib::tool {

// None if no option asks for it. Throws.
std::optional<model::InMemory> inMemoryOf(const WeightArguments& arguments, const model::ModelView& view);

}  // namespace nib::tool
#endif
