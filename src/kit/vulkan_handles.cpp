// The functions of kit.h that need Vulkan headers: adoption, raw recording, handles.
#include "kit/vulkan_backend.h"
#include "kit/vulkan_timer.h"

namespace nib::kit {

using detail::VulkanBackend;

namespace {

VulkanBackend& requireVulkan(detail::Backend& backend, const char* what) {
  VulkanBackend* vulkan = backend.vulkan();
  if (!vulkan) throw Error(std::string(what) + ": the CPU reference has no Vulkan device");
  return *vulkan;
}

std::shared_ptr<VulkanBackend> secondContext(detail::Backend& backend, const char* what, const NibRestrict* restriction,
                                             const std::vector<NibTuning>& tuning) {
  VulkanBackend& vulkan = requireVulkan(backend, what);
  auto second = std::make_shared<VulkanBackend>(vulkan.device, vulkan.user_log, Bytes(), restriction, tuning);
  second->info.index = backend.info.index;
  return second;
}

}  // namespace

Device Device::adopt(const AdoptDesc& desc) { return Device(detail::adoptVulkanBackend(desc)); }

Buffer Buffer::adopt(const Device& device, VkBuffer buffer, uint64_t size_bytes, void* mapped) {
  Buffer adopted;
  adopted.state_ = requireVulkan(*device.backend_, "adopt").adoptBuffer(buffer, size_bytes, mapped);
  return adopted;
}

Device Device::restricted(const NibRestrict& restriction) const {
  return Device(secondContext(*backend_, "restricted", &restriction, {}));
}

Device Device::tuned(const std::vector<NibTuning>& tuning) const {
  return Device(secondContext(*backend_, "tuned", nullptr, tuning));
}

double Device::submit(const std::function<void(VkCommandBuffer)>& record) const {
  return requireVulkan(*backend_, "submit").submit(record);
}

void Device::whenIdle(std::function<void()> destroy) const noexcept {
  VulkanBackend* const backend = backend_->vulkan();
  if (backend == nullptr) return destroy();
  backend->device->whenIdle(std::move(destroy));
}

NibContext* Device::context() const {
  VulkanBackend* vulkan = backend_->vulkan();
  return vulkan ? vulkan->context : nullptr;
}
PFN_vkGetInstanceProcAddr Device::getInstanceProcAddr() const {
  VulkanBackend* vulkan = backend_->vulkan();
  return vulkan ? vulkan->device->get : nullptr;
}
VkInstance Device::instance() const {
  VulkanBackend* vulkan = backend_->vulkan();
  return vulkan ? vulkan->device->instance : VK_NULL_HANDLE;
}
VkPhysicalDevice Device::physicalDevice() const {
  VulkanBackend* vulkan = backend_->vulkan();
  return vulkan ? vulkan->device->physical_device : VK_NULL_HANDLE;
}
VkDevice Device::handle() const {
  VulkanBackend* vulkan = backend_->vulkan();
  return vulkan ? vulkan->device->handle : VK_NULL_HANDLE;
}
VkQueue Device::queue() const {
  VulkanBackend* vulkan = backend_->vulkan();
  return vulkan ? vulkan->device->queue : VK_NULL_HANDLE;
}
uint32_t Device::queueFamily() const {
  VulkanBackend* vulkan = backend_->vulkan();
  return vulkan ? vulkan->device->queue_family : 0;
}

VkBuffer Buffer::handle() const {
  const auto* buffer = dynamic_cast<const detail::VulkanBuffer*>(state_.get());
  return buffer ? buffer->raw.buffer : VK_NULL_HANDLE;
}

NibPlan* Plan::handle() const {
  const auto* plan = dynamic_cast<const detail::VulkanPlan*>(state_.get());
  return plan ? plan->handle : nullptr;
}

NibBinding* Binding::handle() const {
  const auto* binding = dynamic_cast<const detail::VulkanBinding*>(state_.get());
  return binding ? binding->handle : nullptr;
}

void Binding::record(VkCommandBuffer command_buffer, const RunOptions& options) const {
  const auto* binding = dynamic_cast<const detail::VulkanBinding*>(state_.get());
  if (binding == nullptr) throw Error("record: the CPU reference has no command buffers; use Device::run");
  NibRun run{sizeof(NibRun)};
  run.n = options.n;
  run.first_row = options.first_row;
  run.slice_count = UINT32_MAX;
  std::copy(std::begin(options.offset_bytes), std::end(options.offset_bytes), run.offset_bytes);
  const NibPlan* plan = static_cast<const detail::VulkanPlan&>(*binding->plan).handle;
  if (const char* problem = nibCheckRun(plan, binding->handle, &run)) {
    throw Error(std::string("record: ") + problem, NIB_ERROR_INVALID_ARGUMENT);
  }
  nibCmdRun(command_buffer, plan, binding->handle, &run);
}

namespace {

detail::VulkanTimer& requireVulkan(detail::TimerState& timer, uint32_t slot) {
  auto* vulkan = dynamic_cast<detail::VulkanTimer*>(&timer);
  if (!vulkan) throw Error("timer: the CPU reference has no command buffers");
  if (slot >= timer.slot_count) throw Error("timer: no slot " + std::to_string(slot));
  return *vulkan;
}

}  // namespace

void Timer::begin(VkCommandBuffer command_buffer, uint32_t slot) {
  requireVulkan(*state_, slot).begin(command_buffer, slot);
}
void Timer::end(VkCommandBuffer command_buffer, uint32_t slot) {
  requireVulkan(*state_, slot).end(command_buffer, slot);
}

}  // namespace nib::kit
