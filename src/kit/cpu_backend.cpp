// The CPU as a device: buffers are host memory, and a run is a fast CPU kernel or nibCpuRun, on the device's threads.
#include "kit/backend.h"
#include "kit/reference_runs.h"
#include "kit/thread_pool.h"
#include "simd/fast_kernels.h"
#include "simd/kernels.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <new>

namespace nib::kit::detail {
namespace {

using Clock = std::chrono::steady_clock;

// The largest minStorageBufferOffsetAlignment that Vulkan allows; more than a cache line.
constexpr std::align_val_t kAlignment{256};

class CpuBuffer final : public BufferState {
 public:
  explicit CpuBuffer(uint64_t size) {
    if (size > SIZE_MAX) throw Error("a buffer of " + std::to_string(size) + " bytes does not fit the address space");
    mapped = ::operator new(static_cast<size_t>(size), kAlignment);
    size_bytes = size;
    cached = true;
  }
  ~CpuBuffer() override { ::operator delete(mapped, kAlignment); }
};

class CpuPlan final : public PlanState {
 public:
  const NibOpDesc* desc() const { return reinterpret_cast<const NibOpDesc*>(words.data()); }
  std::vector<uint64_t> words;  // a copy of the description; uint64_t aligns its members
};

class CpuTimer final : public TimerState {
 public:
  explicit CpuTimer(uint32_t slots) : begin_(slots), seconds_(slots) { slot_count = slots; }
  bool onDevice() const override { return false; }
  void hostBegin(uint32_t slot) override { begin_.at(slot) = Clock::now(); }
  void hostEnd(uint32_t slot) override {
    seconds_.at(slot) = std::chrono::duration<double>(Clock::now() - begin_.at(slot)).count();
  }
  double seconds(uint32_t slot) const override { return seconds_.at(slot); }

 private:
  std::vector<Clock::time_point> begin_;
  std::vector<double> seconds_;
};

void parallelRun(void* pool, uint32_t count, void (*body)(void* user, uint32_t index), void* user) {
  static_cast<ThreadPool*>(pool)->run(count, body, user);
}

constexpr uint32_t kOps = 64;
std::atomic<uint64_t> reference_runs[kOps];

void countReference(uint32_t op) {
  if (op < kOps) reference_runs[op].fetch_add(1, std::memory_order_relaxed);
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(Log log, uint32_t index, uint32_t threads) : Backend(std::move(log)), pool_(threads) {
    info = cpuDeviceInfo(index);
    info.cpu_threads = pool_.threads();
    info.driver = std::string("nibble ") + nibVersionString() + ", " + simd::kernels().name + ", " +
                  std::to_string(pool_.threads()) + " threads";
  }

  std::shared_ptr<BufferState> createBuffer(uint64_t size_bytes, Memory) override {
    return std::make_shared<CpuBuffer>(size_bytes);
  }
  void upload(const BufferState& to, uint64_t offset_bytes, const void* data, uint64_t size_bytes) override {
    std::memcpy(static_cast<std::byte*>(to.mapped) + offset_bytes, data, static_cast<size_t>(size_bytes));
  }
  void download(const BufferState& from, uint64_t offset_bytes, void* data, uint64_t size_bytes) override {
    std::memcpy(data, static_cast<const std::byte*>(from.mapped) + offset_bytes, static_cast<size_t>(size_bytes));
  }
  void fill(const BufferState& buffer, uint64_t offset_bytes, uint64_t size_bytes, uint32_t word) override {
    uint32_t* words = reinterpret_cast<uint32_t*>(static_cast<std::byte*>(buffer.mapped) + offset_bytes);
    std::fill_n(words, static_cast<size_t>(size_bytes / 4), word);
  }

  std::shared_ptr<PlanState> createPlan(const NibOpDesc* desc, size_t desc_size_bytes) override {
    auto plan = std::make_shared<CpuPlan>();
    plan->words.resize((desc_size_bytes + 7) / 8);
    std::memcpy(plan->words.data(), desc, desc_size_bytes);
    log_.check(nibGetMemory(plan->desc(), log_.get(), &plan->memory), "planning for the CPU");
    plan->backend = shared_from_this();
    return plan;
  }

  std::shared_ptr<BindingState> createBinding(std::shared_ptr<PlanState> plan,
                                              const BoundRange (&ranges)[NIB_ROLE_COUNT],
                                              std::span<const PartOffset> parts) override {
    auto binding = std::make_shared<BindingState>();
    binding->plan = std::move(plan);
    std::copy(std::begin(ranges), std::end(ranges), binding->range);
    setPartOffsets(parts, binding->part_offset_bytes);
    return binding;
  }

  RunStats run(const BindingState& binding, const RunOptions& options) override {
    NibCpuBinding cpu{sizeof(NibCpuBinding)};
    std::copy(std::begin(binding.part_offset_bytes), std::end(binding.part_offset_bytes), cpu.part_offset_bytes);
    for (uint32_t i = 0; i < NIB_ROLE_COUNT; ++i) {
      const BoundRange& range = binding.range[i];
      if (!range.buffer) continue;
      if (options.offset_bytes[i] > range.size_bytes) throw Error("run: an offset is beyond its range");
      cpu.range[i].data = static_cast<std::byte*>(range.buffer->mapped) + range.offset_bytes + options.offset_bytes[i];
      cpu.range[i].size_bytes = range.size_bytes - options.offset_bytes[i];
    }
    const NibParallelFor parallel{&parallelRun, &pool_};
    const Clock::time_point begin = Clock::now();
    const CpuPlan& plan = static_cast<const CpuPlan&>(*binding.plan);
    NibRun run{sizeof(NibRun)};
    run.n = options.n;
    run.first_row = options.first_row;
    run.slice_count = UINT32_MAX;
    switch (simd::runFastKernel(plan.desc(), cpu, run, parallel)) {
      case simd::Outcome::kDone: break;
      case simd::Outcome::kNoMemory: throw Error("run: out of host memory", NIB_ERROR_OUT_OF_MEMORY);
      case simd::Outcome::kUnsupported:
        countReference(plan.desc()->op);
        log_.check(nibCpuRun(plan.desc(), &cpu, &run, &parallel, log_.get()), "running on the CPU");
    }
    return {std::chrono::duration<double>(Clock::now() - begin).count(), 1};
  }

  std::vector<std::string> kernels(const PlanState&) const override { return {"cpu"}; }
  std::shared_ptr<TimerState> createTimer(uint32_t slots) override { return std::make_shared<CpuTimer>(slots); }
  bool verifyPlan(const PlanState&) override { return true; }
  Bytes verdicts() const override { return {}; }

 private:
  ThreadPool pool_;
};

}  // namespace

uint64_t referenceRuns(uint32_t op) { return op < kOps ? reference_runs[op].load() : 0; }

std::shared_ptr<Backend> makeCpuBackend(Log log, uint32_t index, uint32_t threads) {
  return std::make_shared<CpuBackend>(std::move(log), index, threads);
}

}  // namespace nib::kit::detail
