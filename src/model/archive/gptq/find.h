// Quantized weights of GPTQ and AWQ: qweight, qzeros, scales and perhaps g_idx.
#ifndef NIB_MODEL_ARCHIVE_GPTQ_FIND_H
#define NIB_MODEL_ARCHIVE_GPTQ_FIND_H

#include "model/archive/container.h"
#include "model/archive/gptq/settings.h"

#include <vector>

namespace nib::model {

// Finds the weights of `container`, whose qweight lies along the outputs as GPTQ's (false) or AWQ's (true) does. Throws
// if tensors are missing, contradict each other or the configuration.
std::vector<FoundWeight> findPacked(const Checkpoint& checkpoint, const Container& container,
                                    const PackedConfig& config, bool awq);
// Whether the model has a tensor "P.qweight".
bool hasPacked(const Checkpoint& checkpoint);

// The bits of `bits` that hold the same field in every place, 96 of them.
std::vector<std::byte> fieldPattern(uint32_t bits, uint32_t field);
// Whether a tensor is nothing but this pattern.
bool isPattern(const Checkpoint& checkpoint, size_t tensor, const std::vector<std::byte>& pattern);

}  // namespace nib::model
#endif
