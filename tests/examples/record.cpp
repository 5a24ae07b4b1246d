// The application's side of README.md: adopt a device, plan an op, record it. A test compares README.md with the marked
// parts. Here the kit plays the application: it owns the device, the buffers and the command buffer. app.cpp is a
// complete program without the kit.
#include <nibble/kit.h>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace kit = nib::kit;

int main() {
  const kit::Device app = kit::Device::best();
  if (app.isCpu()) {
    std::printf("skipped: no Vulkan device\n");
    return 77;
  }
  const PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr = app.getInstanceProcAddr();
  const VkInstance instance = app.instance();
  const VkPhysicalDevice physical_device = app.physicalDevice();
  const VkDevice device = app.handle();
  const uint32_t api_version = std::min(app.info().api_version, VK_API_VERSION_1_3);
  std::vector<kit::Buffer> buffers;
  const auto createBuffer = [&](const NibMemoryRange& range) {
    buffers.emplace_back(app, range.size_bytes);
    return buffers.back().handle();
  };
  NibContext* context = nullptr;
  NibPlan* plan = nullptr;
  NibBinding* binding = nullptr;

  // README: begin
  // Before vkCreateDevice: extensions and features that make nibble faster. None of them is required.
  NibRequirements optional = {sizeof optional};
  nibGetRequirements(vkGetInstanceProcAddr, instance, physical_device, api_version, &optional);
  // ... vkCreateDevice with optional.extensions and optional.features (nibFillFeatureChain) ...

  // While loading: everything that can fail, fails here.
  NibContextDesc adopted = {NIB_ABI_VERSION, sizeof adopted};
  adopted.get_instance_proc_addr = vkGetInstanceProcAddr;
  adopted.instance = instance, adopted.physical_device = physical_device, adopted.device = device;
  adopted.api_version = api_version, adopted.features = optional.features;
  nibCreateContext(&adopted, &context);
  NibQuantizeDesc op = {NIB_OP_QUANTIZE, sizeof op};
  op.rows = 4096, op.cols = 1024;
  op.weights = {NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 128, NIB_TYPE_F16, 0};
  nibCreatePlan(context, (const NibOpDesc*)&op, &plan);
  NibMemory memory = {sizeof memory};
  nibPlanGetMemory(plan, &memory);  // sizes, alignments and usage of the buffers that you provide
  NibBindingDesc ranges = {sizeof ranges};
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const NibMemoryRange& range = memory.range[role];
    if (range.size_bytes > 0) ranges.range[role] = {createBuffer(range), 0, range.size_bytes};
  }
  nibCreateBinding(plan, &ranges, &binding);
  // README: end

  if (binding == nullptr) {
    std::printf("%s: adopting, planning or binding failed\n", app.info().name.c_str());
    return 1;
  }
  // Buffers are created in the order of roles: the blob, then the dense source.
  std::vector<float> weights(size_t{op.rows} * op.cols);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = 0.01f * static_cast<float>(i * 2654435761u % 201) - 1.0f;
  app.upload(buffers[1], weights);

  app.submit([&](VkCommandBuffer command_buffer) {
    // README: begin

    // Every frame: nothing is allocated, locked or submitted.
    NibRun run = {sizeof run, op.rows, 0, 0, UINT32_MAX};
    nibCmdRun(command_buffer, plan, binding, &run);
    // README: end
  });

  const std::vector<uint32_t> blob = app.download<uint32_t>(buffers[0], memory.range[NIB_ROLE_WEIGHTS].size_bytes / 4);
  const bool same = blob == kit::quantize(kit::Device::cpu(), weights, op).blob;
  std::printf("%s: bytes %s the CPU's\n", app.info().name.c_str(), same ? "are" : "ARE NOT");
  nibDestroyBinding(binding);
  nibDestroyPlan(plan);
  nibDestroyContext(context);
  return same ? 0 : 1;
}
