// A ceiling kernel with its buffers. The library's own code plans, binds and records it, although no op uses it.
#ifndef NIB_BENCH_PEAK_PLAN_H
#define NIB_BENCH_PEAK_PLAN_H

#include "bench/measure.h"
#include "plan/plan.h"

#include <nibble/kit.h>

#include <memory>

namespace nib::bench {

// Why the device cannot run the kernel, "" if it can.
std::string peakProblem(const kit::Device& device, const char* kernel, uint32_t workgroup);

struct PeakBuffers {
  kit::Buffer* input = nullptr;
  kit::Buffer* output = nullptr;
};

class PeakPlan {
 public:
  // item_bytes: size of an item in the output, and in the input if there is one. A tile processes items_per_tile items.
  // Throws kit::Error.
  template <class Spec, class Push>
  PeakPlan(const kit::Device& device, const char* kernel, const Spec& spec, const Push& push, uint64_t items,
           uint64_t items_per_tile, uint64_t item_bytes, const PeakBuffers& buffers)
      : PeakPlan(device, buffers) {
    TileRule tiles;
    tiles.mul = items;
    tiles.div = items_per_tile;
    Slot slots[kSlotCount];
    if (buffers.input != nullptr)
      slots[1] = itemSlot(NIB_ROLE_INPUT, 0, items * item_bytes, item_bytes, items * item_bytes);
    slots[2] = itemSlot(NIB_ROLE_OUTPUT, 0, items * item_bytes, item_bytes, items * item_bytes);
    PlanBuilder builder(*plan_);
    finish(builder.add(kernel, 0, spec, push, 0, tiles, slots, items_per_tile * item_bytes), kernel, buffers);
  }

  void record(VkCommandBuffer commands) const;
  // Runs the repetitions one after the other, each with its own timestamps.
  Batch run(uint32_t repetitions);

 private:
  PeakPlan(const kit::Device& device, const PeakBuffers& buffers);
  void finish(NibResult result, const char* kernel, const PeakBuffers& buffers);

  // After a failed submission the device may still use them.
  struct Destroy {
    kit::Device device;
    void operator()(NibPlan* plan) const {
      device.whenIdle([plan] { nibDestroyPlan(plan); });
    }
    void operator()(NibBinding* binding) const {
      device.whenIdle([binding] { nibDestroyBinding(binding); });
    }
  };
  kit::Device device_;
  kit::Timer timer_;
  std::unique_ptr<NibPlan, Destroy> plan_;
  std::unique_ptr<NibBinding, Destroy> binding_;
};

}  // namespace nib::bench
#endif
