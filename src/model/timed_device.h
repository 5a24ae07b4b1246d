// A kit::Device whose transfers and runs are timed by pipeline stage.
#ifndef NIB_MODEL_TIMED_DEVICE_H
#define NIB_MODEL_TIMED_DEVICE_H

#include <nibble/kit.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>

namespace nib::model {

enum class Stage { kRead, kUpload, kCompute, kDownload, kWrite };
inline constexpr size_t kStageCount = 5;
const char* stageName(Stage stage);

// How long each stage was busy: the time in which at least one thread was in it. Thread-safe.
class StageClock {
 public:
  class Scope {
   public:
    // clock: NULL disables timing.
    Scope(StageClock* clock, Stage stage) : clock_(clock), stage_(stage) {
      if (clock_ != nullptr) clock_->enter(stage_);
    }
    ~Scope() {
      if (clock_ != nullptr) clock_->leave(stage_);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    StageClock* clock_;
    Stage stage_;
  };
  // Call only while no thread is in the stage.
  double seconds(Stage stage) const { return entries_[size_t(stage)].seconds; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    uint32_t threads = 0;  // threads that are in the stage now
    Clock::time_point since;
    double seconds = 0;
  };
  void enter(Stage stage);
  void leave(Stage stage);
  std::mutex mutex_;
  std::array<Entry, kStageCount> entries_;
};

// The functions of kit::Device, timed. Copies share the device and the clock. Threads: as kit::Device. All throw.
class TimedDevice {
 public:
  explicit TimedDevice(const kit::Device& device, StageClock* clock = nullptr) : device_(device), clock_(clock) {}
  const kit::Device& untimed() const { return device_; }
  StageClock* clock() const { return clock_; }

  void run(const kit::Binding& binding, uint32_t n, uint32_t first_row = 0) const;
  void upload(const kit::Buffer& to, uint64_t offset_bytes, const void* data, uint64_t size_bytes) const;
  void download(const kit::Buffer& from, uint64_t offset_bytes, void* data, uint64_t size_bytes) const;
  void fill(const kit::Buffer& buffer, uint32_t word, uint64_t offset_bytes, uint64_t size_bytes) const;
  // Calls `read` with size_bytes of host memory to fill: the mapped buffer itself, or a staging copy that is uploaded.
  void load(const kit::Buffer& to, uint64_t offset_bytes, uint64_t size_bytes,
            const std::function<void(std::span<std::byte>)>& read) const;

 private:
  kit::Device device_;
  StageClock* clock_;
};

}  // namespace nib::model
#endif
