#include "kit/vulkan_timer.h"

namespace nib::kit::detail {
namespace {

// The slots that began in this thread's submission.
struct OpenSlots {
  bool submitting = false;
  std::vector<std::pair<std::shared_ptr<VulkanTimer>, uint32_t>> list;
};
thread_local OpenSlots open_slots;

}  // namespace

VulkanTimer::VulkanTimer(std::shared_ptr<Backend> backend, std::shared_ptr<VulkanDevice> device, uint32_t slots)
    : backend_(std::move(backend)), device_(std::move(device)), source_(slots), seconds_(slots), host_begin_(slots) {
  slot_count = slots;
  if (device_->timestamp_mask == 0 || slots == 0) return;
  VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = slots * 2;
  checkCreated(device_->api.CreateQueryPool(device_->handle, &info, nullptr, &pool_), pool_, "creating a timer");
}

VulkanTimer::~VulkanTimer() {
  if (!pool_) return;
  device_->whenIdle(
      [device = device_.get(), pool = pool_] { device->api.DestroyQueryPool(device->handle, pool, nullptr); });
}

void VulkanTimer::hostBegin(uint32_t slot) { host_begin_[slot] = std::chrono::steady_clock::now(); }

void VulkanTimer::hostEnd(uint32_t slot) {
  seconds_[slot] = std::chrono::duration<double>(std::chrono::steady_clock::now() - host_begin_[slot]).count();
  source_[slot] = Source::kHost;
}

void VulkanTimer::begin(VkCommandBuffer commands, uint32_t slot) {
  if (open_slots.submitting) open_slots.list.emplace_back(shared_from_this(), slot);
  source_[slot] = pool_ ? Source::kDevice : Source::kSubmission;
  if (!pool_) return;
  device_->api.CmdResetQueryPool(commands, pool_, slot * 2, 2);
  // Both timestamps are at the bottom of the pipe: the time runs from the end of earlier work to the end of the slot's.
  device_->api.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_, slot * 2);
}

void VulkanTimer::end(VkCommandBuffer commands, uint32_t slot) {
  if (pool_) device_->api.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_, slot * 2 + 1);
}

double VulkanTimer::seconds(uint32_t slot) const {
  if (source_[slot] == Source::kNone) throw Error("timer: slot " + std::to_string(slot) + " was not recorded");
  if (source_[slot] != Source::kDevice) return seconds_[slot];
  uint64_t ticks[2] = {};
  device_->requireUsable("reading a timer");
  device_->require(device_->api.GetQueryPoolResults(device_->handle, pool_, slot * 2, 2, sizeof ticks, ticks,
                                                    sizeof ticks[0], VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
                   "reading a timer");
  // The mask handles a counter of fewer than 64 bits that wraps once in between.
  return static_cast<double>((ticks[1] - ticks[0]) & device_->timestamp_mask) * device_->timestamp_period_seconds;
}

VulkanTimer::Submission::Submission() {
  open_slots.submitting = true;
  open_slots.list.clear();
}

VulkanTimer::Submission::~Submission() {
  for (const auto& [timer, slot] : open_slots.list) timer->source_[slot] = Source::kNone;
  open_slots.list.clear();
  open_slots.submitting = false;
}

void VulkanTimer::Submission::finish(double seconds) {
  const double share = seconds / static_cast<double>(open_slots.list.size());
  for (const auto& [timer, slot] : open_slots.list) {
    if (timer->source_[slot] == Source::kSubmission) timer->seconds_[slot] = share;
  }
  open_slots.list.clear();
}

std::shared_ptr<TimerState> VulkanBackend::createTimer(uint32_t slots) {
  return std::make_shared<VulkanTimer>(shared_from_this(), device, slots);
}

double VulkanBackend::submit(const std::function<void(VkCommandBuffer)>& record) {
  VulkanTimer::Submission timers;
  const double seconds = device->submit(record);
  timers.finish(seconds);
  return seconds;
}

}  // namespace nib::kit::detail
