// Plans without a driver's compiler: module and pipeline handles are made-up numbers, so that thousands of plans can be
// inspected. Nothing created this way may be recorded. Create contexts through hooks::wrap while a FakePipelines object
// lives, and destroy them before it.
#ifndef NIB_TESTS_FAKE_PIPELINES_H
#define NIB_TESTS_FAKE_PIPELINES_H

#include <cstdint>
#include <cstring>

#include "gpu/gpu_test.h"
#include "gpu/hooks.h"

namespace nib::tests {

class FakePipelines {
 public:
  FakePipelines()
      : create_module_(hooks::fn::vkCreateShaderModule, &createModule),
        destroy_module_(hooks::fn::vkDestroyShaderModule, &destroyModule),
        create_(hooks::fn::vkCreateComputePipelines, &create),
        destroy_(hooks::fn::vkDestroyPipeline, &destroy) {}

  // The device under test with another context: fewer features and other limits.
  static kit::Device device(uint32_t features = UINT32_MAX, const NibRestrict* restriction = nullptr) {
    kit::AdoptDesc desc = adoption();
    desc.get_instance_proc_addr = hooks::wrap(tests::device().getInstanceProcAddr());
    desc.features &= features;
    if (restriction != nullptr) desc.restriction = restriction;
    return kit::Device::adopt(desc);
  }

 private:
  template <class Handle>
  static Handle number() {
    static std::uintptr_t last = 0;
    last += 16;
    Handle handle{};
    std::memcpy(&handle, &last, sizeof last < sizeof handle ? sizeof last : sizeof handle);
    return handle;
  }
  static VKAPI_ATTR VkResult VKAPI_CALL createModule(VkDevice, const VkShaderModuleCreateInfo*,
                                                     const VkAllocationCallbacks*, VkShaderModule* module) {
    *module = number<VkShaderModule>();
    return VK_SUCCESS;
  }
  static VKAPI_ATTR void VKAPI_CALL destroyModule(VkDevice, VkShaderModule, const VkAllocationCallbacks*) {}
  static VKAPI_ATTR VkResult VKAPI_CALL create(VkDevice, VkPipelineCache, uint32_t count,
                                               const VkComputePipelineCreateInfo*, const VkAllocationCallbacks*,
                                               VkPipeline* pipelines) {
    for (uint32_t i = 0; i < count; ++i) pipelines[i] = number<VkPipeline>();
    return VK_SUCCESS;
  }
  static VKAPI_ATTR void VKAPI_CALL destroy(VkDevice, VkPipeline, const VkAllocationCallbacks*) {}

  hooks::Replaced create_module_, destroy_module_, create_, destroy_;
};

}  // namespace nib::tests
#endif
