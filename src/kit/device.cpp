// Device, Buffer, Plan, Binding and Timer of kit.h: checks common to all devices, then a call of the backend.
#include "base/names.h"
#include "kit/backend.h"
#include "kit/choose.h"
#include "kit/profiles.h"
#if !defined(NIB_NO_VULKAN)
#include "kit/vulkan_problem.h"
#endif

#include <algorithm>
#include <thread>

namespace nib::kit {

using detail::Backend;

namespace {

void checkInside(const detail::BufferState* buffer, uint64_t offset, uint64_t size, const char* what) {
  const uint64_t whole = buffer ? buffer->size_bytes : 0;
  if (offset <= whole && size <= whole - offset) return;
  throw Error(std::string(what) + ": " + std::to_string(size) + " bytes at offset " + std::to_string(offset) +
              " exceed the buffer of " + std::to_string(whole) + " bytes: use a smaller range or a larger buffer");
}

std::vector<DeviceInfo> listVulkan([[maybe_unused]] bool open) {
#if !defined(NIB_NO_VULKAN)
  return detail::listVulkanDevices(open);
#else
  return {};
#endif
}

std::string vulkanProblem() {
#if !defined(NIB_NO_VULKAN)
  return detail::vulkanProblem();
#else
  return "this build has no Vulkan";
#endif
}

// The CPU is the first device where there is no other, but who asks for device 0 means a GPU.
void refuseWithoutDevices(const std::string& selector) {
  if (selector.empty() || selector == "CPU") return;
  throw NotFound("no device \"" + selector + "\": there is no Vulkan device here: " + vulkanProblem() +
                 "; the CPU is --device cpu");
}

}  // namespace

const char* deviceTypeName(DeviceType type) {
  switch (type) {
    case DeviceType::kDiscrete: return "discrete";
    case DeviceType::kIntegrated: return "integrated";
    case DeviceType::kVirtual: return "virtual";
    case DeviceType::kOther: return "other";
    case DeviceType::kSoftware: return "software";
    case DeviceType::kCpu: return "cpu";
  }
  return "other";
}

// ---------------------------------------------------------------------------------------------- Device
std::vector<DeviceInfo> listDevices() { return listVulkan(true); }
std::vector<DeviceInfo> detail::listUnopened() { return listVulkan(false); }

DeviceInfo cpuDeviceInfo(size_t vulkan_devices) {
  DeviceInfo info;
  info.index = static_cast<uint32_t>(vulkan_devices);
  info.name = "cpu";
  info.driver = std::string("nibble ") + nibVersionString() + " reference, " +
                std::to_string(std::max(1u, std::thread::hardware_concurrency())) + " threads";
  info.driver_version = nibVersionString();
  info.type = DeviceType::kCpu;
  return info;
}

Device Device::best() { return open({}); }

Device Device::byName(std::string_view selector) {
  DeviceOptions options;
  options.selector = selector;
  return open(options);
}

Device Device::cpu() { return byName("cpu"); }

Device Device::open(const DeviceOptions& options) {
  if (!options.profile.empty()) detail::findProfile(options.profile);
  // "cpu" must load no driver: users select it when a driver is broken.
  if (options.selector == "cpu") return Device(detail::makeCpuBackend(options.log, 0, options.cpu_threads));
  const std::vector<DeviceInfo> devices = detail::listUnopened();
  if (devices.empty()) refuseWithoutDevices(options.selector);
  const size_t chosen = detail::chooseDevice(devices, options.selector);
  if (chosen == detail::kChooseCpu) {
    return Device(detail::makeCpuBackend(options.log, static_cast<uint32_t>(devices.size()), options.cpu_threads));
  }
#if !defined(NIB_NO_VULKAN)
  return Device(detail::openVulkanBackend(options, static_cast<uint32_t>(chosen)));
#else
  throw Error("this build has no Vulkan");
#endif
}

const DeviceInfo& Device::info() const { return backend_->info; }

RunStats Device::run(const Binding& binding, uint32_t n) const {
  RunOptions options;
  options.n = n;
  return run(binding, options);
}

RunStats Device::run(const Binding& binding, const RunOptions& options) const {
  if (binding.state_->plan->backend != backend_) throw Error("run: the binding belongs to another device");
  return backend_->run(*binding.state_, options);
}

void Device::uploadBytes(const Buffer& to, uint64_t offset_bytes, const void* data, uint64_t size_bytes) const {
  checkInside(to.state_.get(), offset_bytes, size_bytes, "upload");
  if (size_bytes > 0) backend_->upload(*to.state_, offset_bytes, data, size_bytes);
}

void Device::downloadBytes(const Buffer& from, uint64_t offset_bytes, void* data, uint64_t size_bytes) const {
  checkInside(from.state_.get(), offset_bytes, size_bytes, "download");
  if (size_bytes > 0) backend_->download(*from.state_, offset_bytes, data, size_bytes);
}

void Device::fill(const Buffer& buffer, uint32_t word, uint64_t offset_bytes, uint64_t size_bytes) const {
  checkInside(buffer.state_.get(), offset_bytes, size_bytes, "fill");
  if (offset_bytes % 4 != 0 || size_bytes % 4 != 0) throw Error("fill: offset and size must be multiples of 4");
  if (size_bytes > 0) backend_->fill(*buffer.state_, offset_bytes, size_bytes, word);
}

uint32_t Device::validationErrors() const { return backend_->validationErrors(); }
uint64_t Device::allocatedBytes() const { return backend_->allocatedBytes(); }
std::vector<std::string> Device::validationMessages() const { return backend_->validationMessages(); }

// ---------------------------------------------------------------------------------------------- Buffer
Buffer::Buffer(const Device& device, uint64_t size_bytes, Memory memory) {
  if (size_bytes > 0) state_ = device.backend_->createBuffer(size_bytes, memory);
}
uint64_t Buffer::sizeBytes() const { return state_ ? state_->size_bytes : 0; }
void* Buffer::mapped() const { return state_ ? state_->mapped : nullptr; }

// ---------------------------------------------------------------------------------------------- Plan
Plan::Plan(const Device& device, const NibOpDesc* desc, size_t desc_size_bytes)
    : state_(device.backend_->createPlan(desc, desc_size_bytes)) {}
const NibMemory& Plan::memory() const { return state_->memory; }
std::vector<std::string> Plan::kernels() const { return state_->backend->kernels(*state_); }

// ---------------------------------------------------------------------------------------------- Binding
Binding::Binding(const Plan& plan, const Ranges& ranges, std::span<const PartOffset> parts) {
  bool moved[NIB_ROLE_COUNT] = {};  // the size such a role needs depends on its parts' offsets: the library checks it
  for (const PartOffset& part : parts) {
    if (uint32_t(part.part) >= NIB_PART_COUNT) {
      throw Error("binding: part " + std::to_string(part.part) + " does not exist");
    }
    moved[plan.memory().part[part.part].role] = true;
  }
  const Range* const given[NIB_ROLE_COUNT] = {&ranges.weights, &ranges.input, &ranges.output, &ranges.aux};
  detail::BoundRange bound[NIB_ROLE_COUNT];
  for (uint32_t i = 0; i < NIB_ROLE_COUNT; ++i) {
    const uint64_t needed = plan.memory().range[i].size_bytes;
    if (needed == 0) continue;
    const Range& range = *given[i];
    const std::string role = roleName(i);
    if (!range.buffer || !range.buffer->state_) {
      throw Error("binding: the plan needs a " + role + " range of " + std::to_string(needed) + " bytes");
    }
    const uint64_t whole = range.buffer->sizeBytes();
    const uint64_t size = range.size_bytes != 0 ? range.size_bytes : whole - std::min(whole, range.offset_bytes);
    checkInside(range.buffer->state_.get(), range.offset_bytes, size, ("binding " + role).c_str());
    if (size < needed && !moved[i]) {
      throw Error("binding: the " + role + " range has " + std::to_string(size) + " bytes, the plan needs " +
                  std::to_string(needed));
    }
    bound[i] = {range.buffer->state_, range.offset_bytes, size};
  }
  state_ = plan.state_->backend->createBinding(plan.state_, bound, parts);
}

// ---------------------------------------------------------------------------------------------- Timer
Timer::Timer(const Device& device, uint32_t slots) : state_(device.backend_->createTimer(slots)) {}
bool Timer::onDevice() const { return state_->onDevice(); }

namespace {
void checkSlot(const detail::TimerState& timer, uint32_t slot) {
  if (slot >= timer.slot_count)
    throw Error("timer: slot " + std::to_string(slot) + " of " + std::to_string(timer.slot_count));
}
}  // namespace

void Timer::begin(uint32_t slot) {
  checkSlot(*state_, slot);
  state_->hostBegin(slot);
}
void Timer::end(uint32_t slot) {
  checkSlot(*state_, slot);
  state_->hostEnd(slot);
}
double Timer::seconds(uint32_t slot) const {
  checkSlot(*state_, slot);
  return state_->seconds(slot);
}

}  // namespace nib::kit
