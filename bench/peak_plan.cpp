#include "bench/peak_plan.h"

#include "bench/record.h"
#include "formats/geometry.h"

namespace nib::bench {
namespace {

// Sets only the members of an op that creating and recording a plan use.
const OpRow kPeakOp = {
    .name = "ceiling",
    .written = [](const NibOpDesc*) { return NIB_ROLE_OUTPUT; },
    .mayAlias = [](const NibOpDesc*, NibPart, NibPart) { return false; },
};

}  // namespace

std::string peakProblem(const kit::Device& device, const char* kernel, uint32_t workgroup) {
  vk::ChooseReport why{};
  const vk::KernelLimits need{workgroup, 0, 0};
  const auto switched_off = [](const void*, const KernelRow&) { return false; };
  if (vk::chooseKernel(kKernelTable, kKernelCount, kernel, 0, device.context()->caps, need, switched_off, nullptr,
                       &why)) {
    return {};
  }
  return why.text[0] != '\0' ? why.text : std::string(kernel) + " is not in this build";
}

PeakPlan::PeakPlan(const kit::Device& device, const PeakBuffers& buffers)
    : device_(device), timer_(device, kMaxBatch), plan_(nullptr, {device}), binding_(nullptr, {device}) {
  NibContext* context = device_.context();
  plan_.reset(context->allocator.create<NibPlan>(context));
  if (!plan_) throw std::bad_alloc();
  addChild(*context, context->plans);  // which nibDestroyPlan ends
  NibMemory& memory = plan_->memory;
  if (buffers.input != nullptr) setRange(&memory, NIB_ROLE_INPUT, buffers.input->sizeBytes());
  setRange(&memory, NIB_ROLE_OUTPUT, buffers.output->sizeBytes());
  memory.dynamic_alignment_bytes = uint32_t(windowAlignment(*context));
  plan_->op = &kPeakOp;
  plan_->rows = {1};
}

void PeakPlan::finish(NibResult result, const char* kernel, const PeakBuffers& buffers) {
  if (result == NIB_SUCCESS) {
    NibBindingDesc desc{sizeof(NibBindingDesc)};
    if (buffers.input != nullptr) desc.range[NIB_ROLE_INPUT] = buffers.input->range();
    desc.range[NIB_ROLE_OUTPUT] = buffers.output->range();
    NibBinding* binding = nullptr;
    result = nibCreateBinding(plan_.get(), &desc, &binding);
    binding_.reset(binding);
  }
  if (result != NIB_SUCCESS) throw kit::Error(std::string(kernel) + ": " + nibResultString(result));
}

void PeakPlan::record(VkCommandBuffer commands) const {
  NibRun run{sizeof(NibRun)};
  run.n = 1;
  run.slice_count = UINT32_MAX;
  nibCmdRun(commands, plan_.get(), binding_.get(), &run);
}

Batch PeakPlan::run(uint32_t repetitions) {
  return submitBatch(device_, timer_, repetitions, [&](VkCommandBuffer commands) { record(commands); });
}

}  // namespace nib::bench
