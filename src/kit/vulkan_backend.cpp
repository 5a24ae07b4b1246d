#include "kit/vulkan_backend.h"

#include "kit/choose.h"
#include "kit/profiles.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace nib::kit::detail {
namespace {

// Long enough to hide the gap between submissions, short enough for a compositor at 50 Hz and for every watchdog.
constexpr double kSubmissionSeconds = 0.020;

const VulkanPlan& vulkanPlan(const PlanState& plan) { return static_cast<const VulkanPlan&>(plan); }

}  // namespace

// ---------------------------------------------------------------------------------------------- context
VulkanBackend::VulkanBackend(std::shared_ptr<VulkanDevice> owner, Log log, const Bytes& verdicts,
                             const NibRestrict* restriction, const std::vector<NibTuning>& tuning)
    : Backend(log), device(std::move(owner)), user_log(std::move(log)) {
  info = device->info;
  NibContextDesc desc{NIB_ABI_VERSION, sizeof(NibContextDesc)};
  desc.get_instance_proc_addr = device->get;
  desc.instance = device->instance;
  desc.physical_device = device->physical_device;
  desc.device = device->handle;
  desc.api_version = device->api_version;
  desc.features = device->features;
  desc.pipeline_cache = device->pipeline_cache;
  desc.restriction = restriction;
  desc.log = log_.get();
  desc.verdicts = verdicts.empty() ? nullptr : verdicts.data();
  desc.verdicts_size_bytes = verdicts.size();
  desc.tuning = tuning.data();
  desc.tuning_count = static_cast<uint32_t>(tuning.size());
  log_.check(nibCreateContext(&desc, &context), "opening " + info.name);
  NibContextInfo context_info{sizeof(NibContextInfo)};
  nibGetContextInfo(context, &context_info);
  info.features = context_info.features;
  info.tier = static_cast<int>(context_info.tier);
  info.tier_reason = nibGetTierReason(context);
  info.subgroup_size = context_info.subgroup_size;
  info.max_storage_range_bytes = context_info.max_storage_range_bytes;
}

uint32_t VulkanBackend::validationErrors() const {
  return device->instance_owner ? device->instance_owner->validationErrors() : 0;
}

std::vector<std::string> VulkanBackend::validationMessages() const {
  if (!device->instance_owner) return {};
  return device->instance_owner->validationMessages();
}

Bytes VulkanBackend::verdicts() const {
  size_t size = 0;
  log_.check(nibGetVerdicts(context, nullptr, &size), "reading verdicts");
  Bytes bytes(size);
  if (size > 0) log_.check(nibGetVerdicts(context, bytes.data(), &size), "reading verdicts");
  bytes.resize(size);
  return bytes;
}

std::shared_ptr<BufferState> VulkanBackend::createBuffer(uint64_t size_bytes, Memory memory) {
  auto buffer = std::make_shared<VulkanBuffer>(device);
  buffer->raw = device->createBuffer(size_bytes, memory);
  buffer->size_bytes = size_bytes;
  buffer->mapped = buffer->raw.mapped;
  buffer->cached = buffer->raw.cached;
  return buffer;
}

std::shared_ptr<BufferState> VulkanBackend::adoptBuffer(VkBuffer handle, uint64_t size_bytes, void* mapped) const {
  auto buffer = std::make_shared<VulkanBuffer>(device);
  buffer->adopted = true;
  buffer->raw.buffer = handle;
  buffer->raw.mapped = mapped;
  buffer->size_bytes = size_bytes;
  buffer->mapped = mapped;
  return buffer;
}

// ---------------------------------------------------------------------------------------------- plan and binding
std::shared_ptr<PlanState> VulkanBackend::createPlan(const NibOpDesc* desc, size_t) {
  auto plan = std::make_shared<VulkanPlan>(device);
  plan->backend = shared_from_this();
  log_.check(nibCreatePlan(context, desc, &plan->handle), "planning on " + info.name);
  nibPlanGetMemory(plan->handle, &plan->memory);
  return plan;
}

std::vector<std::string> VulkanBackend::kernels(const PlanState& plan) const {
  std::vector<std::string> names;
  for (uint32_t i = 0; const char* name = nibPlanGetKernel(vulkanPlan(plan).handle, i); ++i) names.emplace_back(name);
  return names;
}

std::shared_ptr<BindingState> VulkanBackend::createBinding(std::shared_ptr<PlanState> plan,
                                                           const BoundRange (&ranges)[NIB_ROLE_COUNT],
                                                           std::span<const PartOffset> parts) {
  auto binding = std::make_shared<VulkanBinding>(device);
  NibBindingDesc desc{sizeof(NibBindingDesc)};
  setPartOffsets(parts, desc.part_offset_bytes);
  for (uint32_t i = 0; i < NIB_ROLE_COUNT; ++i) {
    const BoundRange& range = ranges[i];
    binding->range[i] = range;
    if (!range.buffer) continue;
    const auto* buffer = dynamic_cast<const VulkanBuffer*>(range.buffer.get());
    if (!buffer || buffer->device != device) throw Error("binding: a buffer belongs to another device");
    desc.range[i] = {buffer->raw.buffer, range.offset_bytes, range.size_bytes};
  }
  log_.check(nibCreateBinding(vulkanPlan(*plan).handle, &desc, &binding->handle), "binding on " + info.name);
  binding->plan = std::move(plan);
  return binding;
}

// ---------------------------------------------------------------------------------------------- run
uint32_t nextSliceCount(uint32_t remaining, uint32_t last_count, double seconds_per_slice, bool unbounded) {
  if (unbounded) return remaining;
  if (seconds_per_slice <= 0) return std::min(remaining, last_count == 0 ? 1u : last_count);
  const double fitting = kSubmissionSeconds / seconds_per_slice;
  uint32_t count = fitting >= remaining ? remaining : std::max(1u, static_cast<uint32_t>(fitting));
  // The time of a short submission is mostly overhead, and an estimate may be far off: grow at most by a factor of 8.
  if (last_count != 0 && count / 8 > last_count) count = last_count * 8;
  return count;
}

RunStats VulkanBackend::run(const BindingState& binding, const RunOptions& options) {
  const VulkanBinding& bound = static_cast<const VulkanBinding&>(binding);
  const VulkanPlan& plan = vulkanPlan(*binding.plan);
  // Software devices have no watchdog and no compositor, and their submissions are expensive.
  const bool unbounded = info.type == DeviceType::kSoftware;
  const uint32_t slice_count = plan.memory.slice_count;
  const double known = plan.seconds_per_slice.load(std::memory_order_relaxed);
  double longest = 0;  // the longest submission of this run: its rate has the smallest share of submission overhead
  double rate = 0;
  uint32_t last_count = 0;
  RunStats stats;
  NibRun run{sizeof(NibRun)};
  run.n = options.n;
  run.first_row = options.first_row;
  run.slice_count = UINT32_MAX;
  std::copy(std::begin(options.offset_bytes), std::end(options.offset_bytes), run.offset_bytes);
  if (const char* problem = nibCheckRun(plan.handle, bound.handle, &run)) {
    throw Error(std::string("run: ") + problem, NIB_ERROR_INVALID_ARGUMENT);
  }
  const auto start = std::chrono::steady_clock::now();
  for (uint32_t first = 0; first < slice_count;) {
    const uint32_t count =
        nextSliceCount(slice_count - first, known > 0 ? 0 : last_count, std::max(known, rate), unbounded);
    run.first_slice = first;
    run.slice_count = count;
    const double seconds =
        submit([&](VkCommandBuffer commands) { nibCmdRun(commands, plan.handle, bound.handle, &run); });
    if (seconds > longest) {
      longest = seconds;
      rate = seconds / count;
    }
    first += count;
    last_count = count;
    ++stats.submissions;
  }
  stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  // Keep the slower rate: a run of few rows has empty slices, and its time per slice is too low. The old value decays,
  // because the first submission includes one-time costs.
  plan.seconds_per_slice.store(std::max(rate, known * 0.8), std::memory_order_relaxed);
  return stats;
}

bool VulkanBackend::verifyPlan(const PlanState& plan) {
  NibMemoryRange range{};
  nibVerifyGetMemory(vulkanPlan(plan).handle, &range);
  RawBuffer memory = device->createBuffer(std::max<uint64_t>(range.size_bytes, 4), Memory::kHost);
  NibVerify* verify = nullptr;
  struct Cleanup {
    VulkanDevice& device;
    RawBuffer& memory;
    NibVerify*& verify;
    ~Cleanup() {
      uint32_t ignored = 0;
      // Not judged: its submission failed. While that may still run, its descriptor sets stay, until the context ends.
      if (verify != nullptr && device.drain()) nibVerifyRead(verify, nullptr, &ignored);
      device.destroyBuffer(memory);
    }
  } cleanup{*device, memory, verify};
  const NibBufferRange bound{memory.buffer, 0, memory.size_bytes};
  NibResult recorded = NIB_SUCCESS;
  submit(
      [&](VkCommandBuffer commands) { recorded = nibVerifyPlan(vulkanPlan(plan).handle, commands, &bound, &verify); });
  log_.check(recorded, "self-test on " + info.name);
  uint32_t passed = 0;
  log_.check(nibVerifyRead(std::exchange(verify, nullptr), memory.mapped, &passed), "self-test on " + info.name);
  return passed != 0;
}

// ---------------------------------------------------------------------------------------------- opening
std::vector<DeviceInfo> listVulkanDevices(bool open) {
  const std::shared_ptr<Instance> instance = [] {
    try {
      return Instance::create(Validation::kOff, nullptr);
    } catch (const Error&) {
      return std::shared_ptr<Instance>();  // without a working Vulkan the list is empty
    }
  }();
  std::vector<DeviceInfo> devices;
  if (!instance) return devices;
  for (const VkPhysicalDevice physical_device : instance->physicalDevices()) {
    DeviceInfo info = describe(instance->get, instance->api, instance->handle, physical_device, instance->api_version);
    if (open && usable(info)) {
      try {
        const VulkanBackend backend(VulkanDevice::create(instance, physical_device, UINT32_MAX), nullptr, {}, nullptr,
                                    {});
        info = backend.info;
      } catch (const Error& error) {
        info.tier_reason = error.what();
      }
    }
    info.index = static_cast<uint32_t>(devices.size());
    devices.push_back(std::move(info));
  }
  return devices;
}

std::shared_ptr<Backend> openVulkanBackend(const DeviceOptions& options, uint32_t index) {
  NibRestrict restriction{sizeof(NibRestrict)};
  uint32_t api_version = kApiVersion;
  uint32_t features = options.features;
  if (!options.profile.empty()) {
    restriction = profileRestrict(options.profile);
    api_version = std::min(api_version, restriction.api_version);
    features &= restriction.features_mask;
  }
  const std::shared_ptr<Instance> instance = Instance::create(options.validation, options.log, api_version);
  const std::vector<VkPhysicalDevice> physical_devices =
      instance ? instance->physicalDevices() : std::vector<VkPhysicalDevice>();
  if (index >= physical_devices.size()) throw Error("the Vulkan device disappeared while it was being opened");
  auto device = VulkanDevice::create(instance, physical_devices[index], features);
  device->memory_limit_bytes = options.memory_bytes;
  if (options.memory_bytes != 0) device->info.memory_bytes = std::min(device->info.memory_bytes, options.memory_bytes);
  auto backend = std::make_shared<VulkanBackend>(std::move(device), options.log, options.verdicts,
                                                 options.profile.empty() ? nullptr : &restriction, options.tuning);
  backend->info.index = index;
  return backend;
}

std::shared_ptr<Backend> adoptVulkanBackend(const AdoptDesc& desc) {
  return std::make_shared<VulkanBackend>(VulkanDevice::adopt(desc), desc.log, desc.verdicts, desc.restriction,
                                         desc.tuning);
}

}  // namespace nib::kit::detail
