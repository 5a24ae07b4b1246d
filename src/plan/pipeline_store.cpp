#include "plan/pipeline_store.h"

#include <cstring>

#include "plan/context.h"
#include "vk/result.h"

namespace nib {

PipelineStore::PipelineStore(NibContext& context)
    : context_(context), modules_(context.allocator), entries_(context.allocator) {}

size_t PipelineStore::find(const KernelRow& row, const uint32_t* spec, uint32_t spec_count) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_.data()[i];
    if (entry.row == &row && entry.spec_count == spec_count &&
        std::memcmp(entry.spec, spec, spec_count * sizeof(uint32_t)) == 0) {
      return i;
    }
  }
  return kNone;
}

NibResult PipelineStore::get(const KernelRow& row, const uint32_t* spec, uint32_t spec_count, Compile compile,
                             VkPipeline* out_pipeline) {
  if (spec_count > kMaxSpec) {
    return context_.log.fail(NIB_ERROR_UNSUPPORTED, "%s: %u specialization constants, at most %u", row.module,
                             spec_count, kMaxSpec);
  }
  std::unique_lock<std::mutex> lock(mutex_);
  // If the thread that compiles it fails, its entry disappears, and this one tries.
  for (size_t i = find(row, spec, spec_count); i != kNone; i = find(row, spec, spec_count)) {
    *out_pipeline = entries_.data()[i].pipeline;
    if (*out_pipeline != VK_NULL_HANDLE) {
      ++entries_.data()[i].users;
      return NIB_SUCCESS;
    }
    if (compile == Compile::kNever) return NIB_ERROR_NOT_COMPILED;
    compiled_.wait(lock);
  }
  const bool may_be_cached =
      (context_.flags & NIB_CONTEXT_CACHE_CONTROL) != 0 && context_.pipeline_cache != VK_NULL_HANDLE;
  if (compile == Compile::kNever && !may_be_cached) return NIB_ERROR_NOT_COMPILED;
  Entry entry{&row, spec_count, {}, VK_NULL_HANDLE, 1};
  std::memcpy(entry.spec, spec, spec_count * sizeof(uint32_t));
  if (!entries_.push(entry)) {
    return context_.log.fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", row.module);
  }
  lock.unlock();
  VkPipeline pipeline = VK_NULL_HANDLE;
  const NibResult result = build(row, spec, spec_count, compile, &pipeline);
  lock.lock();
  const size_t at = find(row, spec, spec_count);
  if (result == NIB_SUCCESS) {
    entries_.data()[at].pipeline = pipeline;
    *out_pipeline = pipeline;
  } else {
    entries_.data()[at] = entries_.data()[entries_.size() - 1];
    entries_.resize(entries_.size() - 1);
  }
  compiled_.notify_all();
  return result;
}

void PipelineStore::release(VkPipeline pipeline) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.pipeline == pipeline) --entry.users;
  }
}

bool PipelineStore::has(const KernelRow& row, const uint32_t* spec, uint32_t spec_count) const {
  std::lock_guard<std::mutex> lock(mutex_);
  const size_t i = find(row, spec, spec_count);
  return i != kNone && entries_.data()[i].pipeline != VK_NULL_HANDLE;
}

uint32_t PipelineStore::trim() {
  modules_.clear();
  std::lock_guard<std::mutex> lock(mutex_);
  uint32_t destroyed = 0;
  for (size_t i = 0; i < entries_.size();) {
    const Entry& entry = entries_.data()[i];
    if (entry.users != 0) {
      ++i;
      continue;
    }
    context_.api.vkDestroyPipeline(context_.device, entry.pipeline, context_.vulkan_callbacks);
    entries_.data()[i] = entries_.data()[entries_.size() - 1];
    entries_.resize(entries_.size() - 1);
    ++destroyed;
  }
  return destroyed;
}

NibResult PipelineStore::build(const KernelRow& row, const uint32_t* spec, uint32_t spec_count, Compile compile,
                               VkPipeline* out_pipeline) {
  Array<uint32_t> with_modes(context_.allocator), with_mixed_dots(context_.allocator);
  KernelCode whole(context_.allocator);
  if (const NibResult loaded = modules_.load(row, context_.log, &whole); loaded != NIB_SUCCESS) return loaded;
  const uint32_t* code = whole.words();
  uint32_t words = whole.count();
  // Continues with a changed copy. False if there is no memory for it.
  const auto edit = [&](Array<uint32_t>& copy, uint32_t more_words, const auto& change) {
    if (!copy.resize(size_t(words) + more_words)) return false;
    const uint32_t count = change(copy.data());
    if (count != 0) {
      code = copy.data();
      words = count;
    }
    return true;
  };
  bool fits = true;
  if (const FloatModes modes = floatModes(context_.caps); modes.any()) {
    fits = edit(with_modes, kFloatModeWords, [&](uint32_t* out) { return declareFloatModes(code, words, modes, out); });
  }
  if (fits && (row.features & NIB_FEATURE_DOT4) && context_.caps.dot4_mixed) {
    fits = edit(with_mixed_dots, mixedDotWords(code, words),
                [&](uint32_t* out) { return useMixedDots(code, words, out); });
  }
  if (!fits) return context_.log.fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of host memory", row.module);

  VkShaderModuleCreateInfo module_info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = size_t(words) * 4u;
  module_info.pCode = code;
  VkShaderModule module = VK_NULL_HANDLE;
  VkResult result =
      context_.api.vkCreateShaderModule(context_.device, &module_info, context_.vulkan_callbacks, &module);
  if (result != VK_SUCCESS) {
    return vk::failed(context_.log, row.module, "vkCreateShaderModule", result);
  }

  VkSpecializationMapEntry map[kMaxSpec];
  for (uint32_t i = 0; i < spec_count; ++i) map[i] = {i, i * 4u, 4u};
  const VkSpecializationInfo spec_info{spec_count, map, spec_count * sizeof(uint32_t), spec};
  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &spec_info;
  info.layout = context_.pipeline_layout;
  if (compile == Compile::kNever) info.flags |= VK_PIPELINE_CREATE_FAIL_ON_PIPELINE_COMPILE_REQUIRED_BIT;
  // No kernel relies on the driver's bounds checks, which cost time.
  VkPipelineRobustnessCreateInfoEXT robustness{VK_STRUCTURE_TYPE_PIPELINE_ROBUSTNESS_CREATE_INFO_EXT};
  if (context_.caps.features & NIB_FEATURE_ROBUSTNESS) {
    robustness.storageBuffers = VK_PIPELINE_ROBUSTNESS_BUFFER_BEHAVIOR_DISABLED_EXT;
    robustness.uniformBuffers = VK_PIPELINE_ROBUSTNESS_BUFFER_BEHAVIOR_DISABLED_EXT;
    robustness.vertexInputs = VK_PIPELINE_ROBUSTNESS_BUFFER_BEHAVIOR_DEVICE_DEFAULT_EXT;
    robustness.images = VK_PIPELINE_ROBUSTNESS_IMAGE_BEHAVIOR_DEVICE_DEFAULT_EXT;
    info.pNext = &robustness;
  }
  // Subgroup kernels require that every subgroup is full, and its size where there is a choice.
  const vk::Caps& caps = context_.caps;
  const uint32_t workgroup = spec_count > 0 ? spec[0] : 1;
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size_info{
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO};
  size_info.requiredSubgroupSize = vk::requiredSubgroupSize(caps, row.features, workgroup);
  if (size_info.requiredSubgroupSize != 0) info.stage.pNext = &size_info;
  const uint32_t full = size_info.requiredSubgroupSize != 0 ? size_info.requiredSubgroupSize : caps.max_subgroup_size;
  if ((row.features & NIB_FEATURE_SUBGROUP) && (caps.features & NIB_FEATURE_SUBGROUP_SIZE) && workgroup % full == 0) {
    info.stage.flags |= VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT;
  }
  result = context_.api.vkCreateComputePipelines(context_.device, context_.pipeline_cache, 1, &info,
                                                 context_.vulkan_callbacks, out_pipeline);
  context_.api.vkDestroyShaderModule(context_.device, module, context_.vulkan_callbacks);
  if (result == VK_PIPELINE_COMPILE_REQUIRED) {
    *out_pipeline = VK_NULL_HANDLE;
    return NIB_ERROR_NOT_COMPILED;
  }
  if (result != VK_SUCCESS) {
    return vk::failed(context_.log, row.module, "vkCreateComputePipelines", result);
  }
  nameObject(context_, VK_OBJECT_TYPE_PIPELINE, *out_pipeline, row.module);
  return NIB_SUCCESS;
}

void PipelineStore::destroyAll() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const Entry& entry : entries_) {
    context_.api.vkDestroyPipeline(context_.device, entry.pipeline, context_.vulkan_callbacks);
  }
  entries_.resize(0);
}

PipelineStore::Origin PipelineStore::originOf(VkPipeline pipeline) const {
  Origin origin{};
  std::lock_guard<std::mutex> lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.pipeline != pipeline) continue;
    origin.row = entry.row;
    origin.spec_count = entry.spec_count;
    std::memcpy(origin.spec, entry.spec, sizeof origin.spec);
  }
  return origin;
}

uint32_t PipelineStore::count() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return uint32_t(entries_.size());
}

FloatModes floatModes(const vk::Caps& caps) {
  return {(caps.features & NIB_FEATURE_ROUND_EVEN) != 0, caps.halves_kept, caps.floats_kept};
}

}  // namespace nib
