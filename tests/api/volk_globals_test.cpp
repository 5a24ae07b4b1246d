// Neither the core nor the kit uses volk: they leave an application's global Vulkan pointers alone.
#define VOLK_IMPLEMENTATION
#include <volk.h>

#include <doctest/doctest.h>
#include <nibble/kit.h>

#include <cstdlib>

using namespace nib::kit;

namespace {

// The value of a pointer that nibble may neither call nor change.
VKAPI_ATTR void VKAPI_CALL trap() { std::abort(); }
const PFN_vkVoidFunction kSentinel = &trap;

// Pointers that volk's loaders write first, and those of the functions that the core calls.
// clang-format off
#define NIB_TEST_GLOBALS(X) \
  X(vkGetInstanceProcAddr) \
  X(vkGetDeviceProcAddr) \
  X(vkCreateInstance) \
  X(vkEnumerateInstanceVersion) \
  X(vkGetPhysicalDeviceProperties) \
  X(vkGetPhysicalDeviceProperties2) \
  X(vkGetPhysicalDeviceFeatures2) \
  X(vkCreateDevice) \
  X(vkDestroyDevice) \
  X(vkCreateBuffer) \
  X(vkAllocateMemory) \
  X(vkQueueSubmit) \
  X(vkCreateShaderModule) \
  X(vkDestroyShaderModule) \
  X(vkCreateComputePipelines) \
  X(vkDestroyPipeline) \
  X(vkCreateDescriptorSetLayout) \
  X(vkCreatePipelineLayout) \
  X(vkCreateDescriptorPool) \
  X(vkAllocateDescriptorSets) \
  X(vkUpdateDescriptorSets) \
  X(vkCmdBindPipeline) \
  X(vkCmdBindDescriptorSets) \
  X(vkCmdPushConstants) \
  X(vkCmdDispatch) \
  X(vkCmdPipelineBarrier) \
  X(vkCmdUpdateBuffer) \
  X(vkCmdFillBuffer)
// clang-format on

struct Globals {
#define NIB_TEST_MEMBER(name) PFN_vkVoidFunction name = reinterpret_cast<PFN_vkVoidFunction>(::name);
  NIB_TEST_GLOBALS(NIB_TEST_MEMBER)
#undef NIB_TEST_MEMBER
};

void setAll() {
#define NIB_TEST_SET(name) ::name = reinterpret_cast<PFN_##name>(kSentinel);
  NIB_TEST_GLOBALS(NIB_TEST_SET)
#undef NIB_TEST_SET
}

void restore(const Globals& saved) {
#define NIB_TEST_RESTORE(name) ::name = reinterpret_cast<PFN_##name>(saved.name);
  NIB_TEST_GLOBALS(NIB_TEST_RESTORE)
#undef NIB_TEST_RESTORE
}

void checkAll() {
  const Globals now;
#define NIB_TEST_CHECK(name) CHECK_MESSAGE((now.name == kSentinel), #name);
  NIB_TEST_GLOBALS(NIB_TEST_CHECK)
#undef NIB_TEST_CHECK
}

}  // namespace

TEST_CASE("volk's pointers survive requirements, context, plan, binding and recording") {
  const Device owner = Device::best();
  const PFN_vkGetInstanceProcAddr get = owner.getInstanceProcAddr();
  const Globals saved;
  setAll();

  NibRequirements requirements{sizeof(NibRequirements)};
  CHECK(nibGetRequirements(get, owner.instance(), owner.physicalDevice(), VK_API_VERSION_1_2, &requirements) ==
        NIB_SUCCESS);
  NibContextDesc desc{NIB_ABI_VERSION, sizeof(NibContextDesc)};
  desc.get_instance_proc_addr = get;
  desc.instance = owner.instance();
  desc.physical_device = owner.physicalDevice();
  desc.device = owner.handle();
  desc.api_version = VK_API_VERSION_1_2;
  desc.features = requirements.features & owner.info().features;
  NibContext* context = nullptr;
  CHECK(nibCreateContext(&desc, &context) == NIB_SUCCESS);
  NibQuantizeDesc quantize = int8(8, 256);
  NibPlan* plan = nullptr;
  CHECK(nibCreatePlan(context, reinterpret_cast<const NibOpDesc*>(&quantize), &plan) == NIB_SUCCESS);
  NibMemory memory{sizeof(NibMemory)};
  nibPlanGetMemory(plan, &memory);

  {
    // The kit has its own function table too.
    const Buffer input(owner, memory.range[NIB_ROLE_INPUT].size_bytes);
    const Buffer blob(owner, memory.range[NIB_ROLE_WEIGHTS].size_bytes);
    const Buffer aux(owner, memory.range[NIB_ROLE_AUX].size_bytes);
    NibBindingDesc ranges{sizeof(NibBindingDesc)};
    ranges.range[NIB_ROLE_INPUT] = input.range();
    ranges.range[NIB_ROLE_WEIGHTS] = blob.range();
    if (aux.sizeBytes() > 0) ranges.range[NIB_ROLE_AUX] = aux.range();
    NibBinding* binding = nullptr;
    CHECK(nibCreateBinding(plan, &ranges, &binding) == NIB_SUCCESS);
    owner.submit([&](VkCommandBuffer commands) {
      const NibRun run{sizeof(NibRun), 8, 0, 0, UINT32_MAX, {}};
      nibCmdRun(commands, plan, binding, &run);
    });
    nibDestroyBinding(binding);
  }
  nibDestroyPlan(plan);
  nibDestroyContext(context);
  checkAll();
  restore(saved);
}
