// How much device memory GPTQ of a block takes.
#ifndef NIB_MODEL_BLOCKS_MEMORY_H
#define NIB_MODEL_BLOCKS_MEMORY_H

#include "model/run/memory_plan.h"

#include <nibble/graph.h>

#include <cstdint>

namespace nib::model {

// Weights of a graph, and its arena without what alignment adds.
uint64_t graphBytes(const graph::Graph& graph);

// The Hessian of `cols` inputs, its factor, and a weight of `rows` rows while it is quantized.
uint64_t solverBytes(uint64_t rows, uint64_t cols);

}  // namespace nib::model
#endif
