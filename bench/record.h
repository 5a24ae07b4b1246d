// Submits several repetitions at once.
#ifndef NIB_BENCH_RECORD_H
#define NIB_BENCH_RECORD_H

#include "bench/measure.h"

#include <nibble/kit.h>

#include <functional>

namespace nib::bench {

#if !defined(NIB_NO_VULKAN)
// Calls `record` for each repetition, submits all of them together and waits. Each repetition has its own slot of the
// timer. Barriers keep them from overlapping, as in a program whose work depends on earlier work.
Batch submitBatch(const kit::Device& device, kit::Timer& timer, uint32_t repetitions,
                  const std::function<void(VkCommandBuffer)>& record);
#endif

}  // namespace nib::bench
#endif
