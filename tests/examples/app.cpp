// An application that owns its device, its buffers and its command buffer, and lets nibble record into it:
//
//   own dispatch -> quantize -> dequantize -> own dispatch, in one command buffer.
//
// It uses volk as games do; nibble has its own small function table and leaves volk's pointers alone.
#include "app_vulkan.h"  // volk.h, so before nibble.h

#include <nibble/nibble.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "app.spv.h"

namespace {

constexpr uint32_t kRows = 96;
constexpr uint32_t kCols = 1000;
constexpr uint32_t kCount = kRows * kCols;

void printLine(void*, NibSeverity severity, const char* text) {
  std::fprintf(stderr, "nibble %s: %s\n", severity == NIB_SEVERITY_ERROR ? "error" : "note", text);
}
const NibLog kLog = {printLine, nullptr};

void need(NibResult result, const char* what) {
  if (result != NIB_SUCCESS) app::fail(what, nibResultString(result));
}

// Features that nibble can use; the application enables them in addition to its own.
struct NibbleFeatures {
  NibRequirements requirements{sizeof(NibRequirements)};
  NibFeatureChain chain{};
};

app::Device createDevice(const app::Instance& instance, NibbleFeatures& nibble) {
  need(nibGetRequirements(vkGetInstanceProcAddr, instance.handle, instance.physical_device, app::kApiVersion,
                          &nibble.requirements),
       "nibGetRequirements");
  std::vector<const char*> extensions;  // the application's own extensions come first
  for (uint32_t i = 0; i < nibble.requirements.extension_count; ++i) {
    extensions.push_back(nibble.requirements.extensions[i]);
  }
  VkPhysicalDeviceVariablePointersFeatures own{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VARIABLE_POINTERS_FEATURES};
  void* features = nibFillFeatureChain(&nibble.chain, nibble.requirements.features, app::kApiVersion, &own);
  return app::createDevice(instance, extensions, features);
}

NibContext* adopt(const app::Instance& instance, const app::Device& device, const NibbleFeatures& nibble) {
  NibContextDesc desc{NIB_ABI_VERSION, sizeof(NibContextDesc)};
  desc.get_instance_proc_addr = vkGetInstanceProcAddr;
  desc.instance = instance.handle;
  desc.physical_device = instance.physical_device;
  desc.device = device.handle;
  desc.api_version = app::kApiVersion;
  desc.features = nibble.requirements.features;  // the enabled features; Vulkan cannot report them later
  desc.log = &kLog;
  NibContext* context = nullptr;
  need(nibCreateContext(&desc, &context), "nibCreateContext");
  return context;
}

// The ranges of the application's one buffer.
struct Ranges {
  NibBufferRange weights{};  // fp32
  NibBufferRange blob{};
  NibBufferRange back{};  // fp32
  NibBufferRange aux{};   // scratch of both plans: they run one after the other
  NibBufferRange worst{};
  VkDeviceSize total = 0;
};

Ranges plan(const NibMemory& quantize, const NibMemory& dequantize) {
  Ranges ranges;
  const auto take = [&](VkDeviceSize size) {
    // 256 is the largest offset alignment that a device may require.
    const NibBufferRange range{VK_NULL_HANDLE, ranges.total, size};
    ranges.total += (size + 255) / 256 * 256;
    return range;
  };
  ranges.weights = take(quantize.range[NIB_ROLE_INPUT].size_bytes);
  ranges.blob = take(quantize.range[NIB_ROLE_WEIGHTS].size_bytes);
  ranges.back = take(dequantize.range[NIB_ROLE_OUTPUT].size_bytes);
  ranges.aux = take(
      std::max<VkDeviceSize>({quantize.range[NIB_ROLE_AUX].size_bytes, dequantize.range[NIB_ROLE_AUX].size_bytes, 4}));
  ranges.worst = take(4);
  return ranges;
}

void record(VkCommandBuffer commands, const app::Shader& shader, const Ranges& ranges, const NibPlan* quantize,
            const NibBinding* quantize_binding, const NibPlan* dequantize, const NibBinding* dequantize_binding) {
  vkCmdFillBuffer(commands, ranges.worst.buffer, 0, ranges.total, 0);
  app::barrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);

  app::bind(commands, shader);
  app::dispatch(commands, shader, 0, kCount);
  app::barrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT);

  NibRun run{sizeof(NibRun)};
  run.n = kRows;
  run.slice_count = UINT32_MAX;
  nibCmdRun(commands, quantize, quantize_binding, &run);
  app::barrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT);
  nibCmdRun(commands, dequantize, dequantize_binding, &run);
  app::barrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT);

  // nibCmdRun left its own pipeline, descriptor set 0 and push constants behind: bind again.
  app::bind(commands, shader);
  app::dispatch(commands, shader, 1, kCount);
}

// Quantizes and dequantizes the same weights on the CPU: every byte must agree.
bool sameAsReference(const NibQuantizeDesc& quantize, const NibDequantizeDesc& dequantize, const Ranges& ranges,
                     const uint8_t* mapped) {
  const auto words = [](VkDeviceSize bytes) { return std::vector<uint32_t>(static_cast<size_t>((bytes + 3) / 4)); };
  std::vector<uint32_t> weights = words(ranges.weights.size);
  std::vector<uint32_t> blob = words(ranges.blob.size);
  std::vector<uint32_t> back = words(ranges.back.size);
  std::vector<uint32_t> aux = words(ranges.aux.size);
  std::memcpy(weights.data(), mapped + ranges.weights.offset, static_cast<size_t>(ranges.weights.size));
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  binding.range[NIB_ROLE_WEIGHTS] = {blob.data(), ranges.blob.size};
  binding.range[NIB_ROLE_INPUT] = {weights.data(), ranges.weights.size};
  binding.range[NIB_ROLE_OUTPUT] = {back.data(), ranges.back.size};
  binding.range[NIB_ROLE_AUX] = {aux.data(), ranges.aux.size};
  NibRun run{sizeof(NibRun)};
  run.n = kRows;
  run.slice_count = UINT32_MAX;
  need(nibCpuRun(reinterpret_cast<const NibOpDesc*>(&quantize), &binding, &run, nullptr, &kLog), "nibCpuRun");
  need(nibCpuRun(reinterpret_cast<const NibOpDesc*>(&dequantize), &binding, &run, nullptr, &kLog), "nibCpuRun");
  return std::memcmp(blob.data(), mapped + ranges.blob.offset, static_cast<size_t>(ranges.blob.size)) == 0 &&
         std::memcmp(back.data(), mapped + ranges.back.offset, static_cast<size_t>(ranges.back.size)) == 0;
}

}  // namespace

int main() {
  const app::Instance instance = app::createInstance();
  if (!instance.physical_device) {
    std::printf("skipped: no Vulkan device\n");
    return 77;
  }
  NibbleFeatures nibble;
  const app::Device device = createDevice(instance, nibble);
  NibContext* const context = adopt(instance, device, nibble);

  NibQuantizeDesc quantize{};
  quantize.op = NIB_OP_QUANTIZE;
  quantize.desc_bytes = sizeof quantize;
  quantize.rows = kRows;
  quantize.cols = kCols;
  quantize.weights.format = NIB_FORMAT_INT4;
  quantize.weights.granularity = NIB_GRANULARITY_GROUP;
  quantize.weights.group_size = 128;
  quantize.weights.scale_type = NIB_TYPE_F16;
  NibDequantizeDesc dequantize{};
  dequantize.op = NIB_OP_DEQUANTIZE;
  dequantize.desc_bytes = sizeof dequantize;
  dequantize.rows = kRows;
  dequantize.cols = kCols;
  dequantize.weights = quantize.weights;

  NibPlan* quantize_plan = nullptr;
  NibPlan* dequantize_plan = nullptr;
  need(nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(&quantize), &quantize_plan), "nibCreatePlan");
  need(nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(&dequantize), &dequantize_plan), "nibCreatePlan");
  NibMemory quantize_memory{sizeof(NibMemory)};
  NibMemory dequantize_memory{sizeof(NibMemory)};
  nibPlanGetMemory(quantize_plan, &quantize_memory);
  nibPlanGetMemory(dequantize_plan, &dequantize_memory);

  Ranges ranges = plan(quantize_memory, dequantize_memory);
  const app::Buffer buffer = app::createBuffer(instance, device, ranges.total);
  for (NibBufferRange* range : {&ranges.weights, &ranges.blob, &ranges.back, &ranges.aux, &ranges.worst}) {
    range->buffer = buffer.handle;
  }
  NibBindingDesc quantize_ranges{sizeof(NibBindingDesc)};
  quantize_ranges.range[NIB_ROLE_WEIGHTS] = ranges.blob;
  quantize_ranges.range[NIB_ROLE_INPUT] = ranges.weights;
  quantize_ranges.range[NIB_ROLE_AUX] = ranges.aux;
  NibBindingDesc dequantize_ranges{sizeof(NibBindingDesc)};
  dequantize_ranges.range[NIB_ROLE_WEIGHTS] = ranges.blob;
  dequantize_ranges.range[NIB_ROLE_OUTPUT] = ranges.back;
  dequantize_ranges.range[NIB_ROLE_AUX] = ranges.aux;
  NibBinding* quantize_binding = nullptr;
  NibBinding* dequantize_binding = nullptr;
  need(nibCreateBinding(quantize_plan, &quantize_ranges, &quantize_binding), "nibCreateBinding");
  need(nibCreateBinding(dequantize_plan, &dequantize_ranges, &dequantize_binding), "nibCreateBinding");

  app::Shader shader =
      app::createShader(device, nib::kSpirv_app, nib::kSpirvWords_app, {ranges.weights, ranges.back, ranges.worst});
  app::runOnce(device, [&](VkCommandBuffer commands) {
    record(commands, shader, ranges, quantize_plan, quantize_binding, dequantize_plan, dequantize_binding);
  });

  float worst = 0;
  std::memcpy(&worst, buffer.mapped + ranges.worst.offset, sizeof worst);
  const bool same = sameAsReference(quantize, dequantize, ranges, buffer.mapped);
  // Values are in [-1, 1): a step of int4 is at most 1/7.5, the error half of it plus a little for the fp16 scale.
  const bool close = worst > 0 && worst < 0.068f;
  std::printf("%s: %ux%u, largest error %g (%s), bytes %s the CPU's\n", instance.name.c_str(), kRows, kCols, worst,
              close ? "as it should be" : "WRONG", same ? "are" : "ARE NOT");

  nibDestroyBinding(quantize_binding);
  nibDestroyBinding(dequantize_binding);
  nibDestroyPlan(quantize_plan);
  nibDestroyPlan(dequantize_plan);
  nibDestroyContext(context);
  app::destroyShader(device, shader);
  app::destroyBuffer(device, buffer);
  app::destroyDevice(device);
  app::destroyInstance(instance);
  return same && close ? 0 : 1;
}
