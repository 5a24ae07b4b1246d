#include "model/timed_device.h"

#include <vector>

namespace nib::model {

const char* stageName(Stage stage) {
  constexpr const char* kNames[kStageCount] = {"read", "upload", "compute", "download", "write"};
  return kNames[size_t(stage)];
}

void StageClock::enter(Stage stage) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Entry& entry = entries_[size_t(stage)];
  if (entry.threads++ == 0) entry.since = Clock::now();
}

void StageClock::leave(Stage stage) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Entry& entry = entries_[size_t(stage)];
  if (--entry.threads == 0) entry.seconds += std::chrono::duration<double>(Clock::now() - entry.since).count();
}

void TimedDevice::run(const kit::Binding& binding, uint32_t n, uint32_t first_row) const {
  const StageClock::Scope scope(clock_, Stage::kCompute);
  device_.run(binding, {.n = n, .first_row = first_row});
}

void TimedDevice::upload(const kit::Buffer& to, uint64_t offset_bytes, const void* data, uint64_t size_bytes) const {
  const StageClock::Scope scope(clock_, Stage::kUpload);
  device_.uploadBytes(to, offset_bytes, data, size_bytes);
}

void TimedDevice::download(const kit::Buffer& from, uint64_t offset_bytes, void* data, uint64_t size_bytes) const {
  const StageClock::Scope scope(clock_, Stage::kDownload);
  device_.downloadBytes(from, offset_bytes, data, size_bytes);
}

void TimedDevice::fill(const kit::Buffer& buffer, uint32_t word, uint64_t offset_bytes, uint64_t size_bytes) const {
  const StageClock::Scope scope(clock_, Stage::kUpload);
  device_.fill(buffer, word, offset_bytes, size_bytes);
}

void TimedDevice::load(const kit::Buffer& to, uint64_t offset_bytes, uint64_t size_bytes,
                       const std::function<void(std::span<std::byte>)>& read) const {
  std::vector<std::byte> staging;
  std::span<std::byte> bytes;
  if (to.mapped() != nullptr) {
    bytes = {static_cast<std::byte*>(to.mapped()) + offset_bytes, static_cast<size_t>(size_bytes)};
  } else {
    staging.resize(static_cast<size_t>(size_bytes));
    bytes = staging;
  }
  {
    const StageClock::Scope scope(clock_, Stage::kRead);
    read(bytes);
  }
  if (!staging.empty()) upload(to, offset_bytes, staging.data(), size_bytes);
}

}  // namespace nib::model
