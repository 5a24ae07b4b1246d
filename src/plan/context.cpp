#include "plan/context.h"
#include "base/sized.h"
#include "vk/result.h"

namespace nib {

bool isSwitchedOff(const NibContext& context, const KernelRow& row) {
  // A row that needs features has another row as its fallback, so one failed specialization disables the whole module.
  // A row without features is the last fallback: addPhase checks the verdict of the one specialization it uses.
  if (row.features == 0) return false;
  std::lock_guard<std::mutex> lock(context.verdict_mutex);
  if (context.verdicts.count() == 0) return false;  // saves computing the hash
  return context.verdicts.anyFailed(context.caps, kernelHash(row));
}

namespace {

void release(NibContext& context) {
  if (context.references.fetch_sub(1) != 1) return;
  const HostMemory memory = context.allocator;
  memory.destroy(&context);
}

}  // namespace

void nameObject(const NibContext& context, VkObjectType type, uint64_t handle, const char* name) {
  if ((context.flags & NIB_CONTEXT_OBJECT_NAMES) == 0 || context.api.vkSetDebugUtilsObjectNameEXT == nullptr) return;
  char text[128];
  std::snprintf(text, sizeof text, "nibble %s", name);
  VkDebugUtilsObjectNameInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT};
  info.objectType = type;
  info.objectHandle = handle;
  info.pObjectName = text;
  context.api.vkSetDebugUtilsObjectNameEXT(context.device, &info);
}

void addChild(NibContext& context, std::atomic<uint32_t>& count) {
  ++context.references;
  ++count;
}

void removeChild(NibContext& context, std::atomic<uint32_t>& count) {
  --count;
  release(context);
}

namespace {

NibResult createLayouts(NibContext& context) {
  VkDescriptorSetLayoutBinding bindings[kSlotCount];
  for (uint32_t i = 0; i < kSlotCount; ++i) {
    bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  }
  VkDescriptorSetLayoutCreateInfo set_info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set_info.bindingCount = kSlotCount;
  set_info.pBindings = bindings;
  VkResult result =
      context.api.vkCreateDescriptorSetLayout(context.device, &set_info, context.vulkan_callbacks, &context.set_layout);
  // A driver may leave anything in a handle that it could not create.
  if (result != VK_SUCCESS) {
    context.set_layout = VK_NULL_HANDLE;
    return vk::failed(context.log, "context", "vkCreateDescriptorSetLayout", result);
  }
  const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes};
  VkPipelineLayoutCreateInfo layout_info{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout_info.setLayoutCount = 1;
  layout_info.pSetLayouts = &context.set_layout;
  layout_info.pushConstantRangeCount = 1;
  layout_info.pPushConstantRanges = &push;
  result = context.api.vkCreatePipelineLayout(context.device, &layout_info, context.vulkan_callbacks,
                                              &context.pipeline_layout);
  if (result != VK_SUCCESS) {
    context.pipeline_layout = VK_NULL_HANDLE;
    return vk::failed(context.log, "context", "vkCreatePipelineLayout", result);
  }
  nameObject(context, VK_OBJECT_TYPE_DESCRIPTOR_SET_LAYOUT, context.set_layout, "layout");
  nameObject(context, VK_OBJECT_TYPE_PIPELINE_LAYOUT, context.pipeline_layout, "layout");
  return NIB_SUCCESS;
}

NibResult initialize(NibContext& context, const NibContextDesc& desc) {
  const char* missing = nullptr;
  if (!vk::loadApi(desc.get_instance_proc_addr, desc.instance, desc.device, &context.api, &missing)) {
    return context.log.fail(NIB_ERROR_VULKAN, "context: the Vulkan function %s was not found", missing);
  }
  vk::Snapshot snapshot;
  const char* why = nullptr;
  NibResult result = vk::takeSnapshot(desc.get_instance_proc_addr, desc.instance, desc.physical_device,
                                      desc.api_version, desc.allocator, &snapshot, &why);
  if (result != NIB_SUCCESS)
    return context.log.fail(result, "context: %s", why != nullptr ? why : "cannot query the device");
  context.caps = vk::makeCaps(snapshot, desc.features, desc.restriction);
  if (const char* problem = vk::capsProblem(context.caps)) {
    return context.log.fail(NIB_ERROR_UNSUPPORTED, "context: %s", problem);
  }
  const uint32_t unusable = desc.features & ~context.caps.features;
  if (unusable != 0) {
    context.log.say(NIB_SEVERITY_INFO,
                    "context: declared features 0x%x are not used (not offered, restricted, or a driver bug)",
                    unusable);
  }
  if (desc.verdicts != nullptr && !context.verdicts.load(desc.verdicts, desc.verdicts_size_bytes, nullptr)) {
    return context.log.fail(NIB_ERROR_OUT_OF_MEMORY, "context: out of host memory");
  }
  for (uint32_t i = 0; i < desc.tuning_count; ++i) {
    if (!context.tuning.push(desc.tuning[i]))
      return context.log.fail(NIB_ERROR_OUT_OF_MEMORY, "context: out of host memory");
  }
  return createLayouts(context);
}

}  // namespace
}  // namespace nib

using namespace nib;

extern "C" {

NibResult nibCreateContext(const NibContextDesc* caller_desc, NibContext** out_context) {
  if (caller_desc == nullptr || out_context == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  *out_context = nullptr;
  // The layout of the other fields depends on the version, so nothing else is read first, not even the log.
  if (caller_desc->abi_version != NIB_ABI_VERSION) return NIB_ERROR_VERSION;
  NibContextDesc desc;
  if (!readSized(*caller_desc, &desc, offsetof(NibContextDesc, vulkan_allocator))) return NIB_ERROR_INVALID_ARGUMENT;
  const Log log(desc.log);
  NibRestrict restriction;
  if (desc.restriction != nullptr) {
    if (!readSized(*desc.restriction, &restriction)) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "context: set restriction->struct_bytes to sizeof(NibRestrict)");
    }
    desc.restriction = &restriction;
  }
  if (desc.get_instance_proc_addr == nullptr || desc.instance == VK_NULL_HANDLE ||
      desc.physical_device == VK_NULL_HANDLE || desc.device == VK_NULL_HANDLE) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "context: get_instance_proc_addr, instance, physical_device and device must be set");
  }
  if (desc.allocator != nullptr && (desc.allocator->allocate == nullptr || desc.allocator->release == nullptr)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "context: allocator needs both allocate and release");
  }
  if (desc.flags &
      ~uint32_t(NIB_CONTEXT_CACHE_EXTERNALLY_SYNCHRONIZED | NIB_CONTEXT_CACHE_CONTROL | NIB_CONTEXT_OBJECT_NAMES)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "context: flags 0x%x has unknown bits", desc.flags);
  }
  if (desc.flags & NIB_CONTEXT_CACHE_EXTERNALLY_SYNCHRONIZED) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "context: pipeline_cache must not be externally synchronized: plans may be made on any thread");
  }
  if (desc.features & ~uint32_t(NIB_FEATURE_ALL)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "context: features 0x%x has unknown bits", desc.features);
  }
  if (desc.tuning_count != 0 && desc.tuning == nullptr) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "context: tuning is NULL with tuning_count %u", desc.tuning_count);
  }
  const HostMemory memory(desc.allocator);
  NibContext* context = memory.create<NibContext>(memory);
  if (context == nullptr) return log.fail(NIB_ERROR_OUT_OF_MEMORY, "context: out of host memory");
  context->log = log;
  context->device = desc.device;
  context->pipeline_cache = desc.pipeline_cache;
  context->flags = desc.flags;
  if (desc.vulkan_allocator != nullptr) {
    context->vulkan_allocator = *desc.vulkan_allocator;
    context->vulkan_callbacks = &context->vulkan_allocator;
  }
  const NibResult result = initialize(*context, desc);
  if (result != NIB_SUCCESS) {
    nibDestroyContext(context);
    return result;
  }
  *out_context = context;
  return NIB_SUCCESS;
}

void nibDestroyContext(NibContext* context) {
  if (context == nullptr) return;
  const uint32_t plans = context->plans, bindings = context->bindings, verifications = context->verifications;
  if (plans + bindings + verifications != 0) {
    context->log.say(NIB_SEVERITY_WARNING,
                     "context: destroyed before %u plans, %u bindings and %u self-tests of it: destroy those first",
                     plans, bindings, verifications);
  }
  context->destroyed = true;
  // If loading the function table failed, there is nothing to destroy.
  if (context->api.vkDestroyPipelineLayout != nullptr) {
    context->pipelines.destroyAll();
    context->pools.destroyAll();
    context->api.vkDestroyPipelineLayout(context->device, context->pipeline_layout, context->vulkan_callbacks);
    context->api.vkDestroyDescriptorSetLayout(context->device, context->set_layout, context->vulkan_callbacks);
  }
  release(*context);
}

NibResult nibGetContextInfo(const NibContext* context, NibContextInfo* out_info) {
  if (context == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  const vk::Caps& caps = context->caps;
  NibContextInfo info{};
  info.features = caps.features;
  info.tier = caps.tier;
  info.subgroup_size = caps.plain_subgroup_size;
  info.driver_id = caps.driver_id;
  info.driver_version = caps.driver_version;
  info.quirk_count = caps.quirk_count;
  info.max_storage_range_bytes = caps.max_storage_range_bytes;
  std::memcpy(info.device_uuid, caps.device_uuid, sizeof info.device_uuid);
  if (out_info != nullptr && writeSized(info, out_info)) return NIB_SUCCESS;
  return context->log.fail(NIB_ERROR_INVALID_ARGUMENT,
                           "nibGetContextInfo: set out_info->struct_bytes to sizeof(NibContextInfo)");
}

const char* nibGetTierReason(const NibContext* context) { return context->caps.tier_reason; }

NibResult nibGetVerdicts(const NibContext* context, void* data, size_t* size_bytes) {
  if (context == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  if (size_bytes == nullptr) return context->log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibGetVerdicts: size_bytes is NULL");
  std::lock_guard<std::mutex> lock(context->verdict_mutex);
  const size_t needed = context->verdicts.saveBytes();
  if (data != nullptr) {
    if (*size_bytes < needed) {
      return context->log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibGetVerdicts: %zu bytes are too few, needs %zu",
                               *size_bytes, needed);
    }
    context->verdicts.save(data);
  }
  *size_bytes = needed;
  return NIB_SUCCESS;
}

}  // extern "C"
