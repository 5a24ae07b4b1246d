// Repetitions in one submission.
#ifndef NIB_BENCH_RECORD_H
#define NIB_BENCH_RECORD_H

#include "bench/measure.h"

#include <nibble/kit.h>

#include <functional>

namespace nib::bench {

#if !defined(NIB_NO_VULKAN)
// Records `record` that often, each repetition with its own slot of the timer and none before the one before has ended,
// as a program's own dependent work would run. Submits and waits.
Batch submitBatch(const kit::Device& device, kit::Timer& timer, uint32_t repetitions,
                  const std::function<void(VkCommandBuffer)>& record);
#endif

}  // namespace nib::bench
#endif
