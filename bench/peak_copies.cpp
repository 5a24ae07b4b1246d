// Measures copy ceilings of a Vulkan device: the driver's own copy, and variants of the kernel shaders/ops/peak_copy.
#include "bench/peak_model.h"
#include "bench/peak_plan.h"
#include "bench/peak_subject.h"
#include "bench/record.h"
#include "shaders/ops/peak_copy.h"

#include <algorithm>

namespace nib::bench {
namespace {

NIB_SPEC_STRUCT(PeakCopySpec, PEAK_COPY_SPEC)

constexpr uint32_t kWorkgroup = 128;
constexpr size_t kChunkWords = size_t{2} << 20;

// Variants of the kernel. The fastest one differs between devices.
struct Variant {
  uint32_t workgroup, steps;
};
constexpr Variant kVariants[] = {{128, 4}, {256, 1}, {256, 4}, {256, 8}};

std::string nameOf(const Variant& variant) {
  return "uvec4 copy, " + std::to_string(variant.steps) + " per invocation, " + std::to_string(variant.workgroup) +
         " invocations";
}

// Source and result, together as large as one round of the rotation.
class CopyBuffers {
 public:
  CopyBuffers(const kit::Device& device, uint64_t bytes)
      : device_(device),
        // Whole tiles of every variant.
        size_(std::max<uint64_t>(bytes / 2 / kGranule, 1) * kGranule),
        source_(device, size_),
        result_(device, size_),
        words_(kChunkWords) {
    forChunks([this](uint64_t at, size_t count) {
      for (size_t i = 0; i < count; ++i) words_[i] = copyWord(at / 4 + i);
      device_.uploadBytes(source_, at, words_.data(), count * 4);
    });
  }

  const kit::Device& device() const { return device_; }
  uint64_t size() const { return size_; }
  uint64_t moved() const { return 2 * size_; }
  kit::Buffer& source() { return source_; }
  kit::Buffer& result() { return result_; }

  void clear() { device_.fill(result_, kPeakMarker, 0, size_); }
  std::string check() {
    std::string problem;
    forChunks([&](uint64_t at, size_t count) {
      if (!problem.empty()) return;
      device_.downloadBytes(result_, at, words_.data(), count * 4);
      for (size_t i = 0; i < count && problem.empty(); ++i) {
        const uint32_t expected = copyWord(at / 4 + i);
        if (words_[i] != expected) problem = differs("word", at / 4 + i, words_[i], expected);
      }
    });
    return problem;
  }

 private:
  static constexpr uint64_t kGranule = 1 << 16;

  template <class Body>
  void forChunks(const Body& body) {
    for (uint64_t at = 0; at < size_; at += kChunkWords * 4) {
      body(at, static_cast<size_t>(std::min<uint64_t>(kChunkWords, (size_ - at) / 4)));
    }
  }

  kit::Device device_;
  uint64_t size_;
  kit::Buffer source_, result_;
  std::vector<uint32_t> words_;
};

PeakPlan planOf(CopyBuffers& buffers, const Variant& variant) {
  PeakCopyPush push{};
  push.count = static_cast<uint32_t>(buffers.size() / 16);
  const PeakCopySpec spec{.WG = variant.workgroup, .STEPS = variant.steps};
  return PeakPlan(buffers.device(), "peak_copy", spec, push, push.count, uint64_t{variant.workgroup} * variant.steps,
                  16, {&buffers.source(), &buffers.result()});
}

class CopySubject : public Subject {
 public:
  explicit CopySubject(std::shared_ptr<CopyBuffers> buffers) : buffers_(std::move(buffers)) {}
  std::string verify() override {
    buffers_->clear();
    run(1);
    return buffers_->check();
  }
  std::string verifyAgain() override { return buffers_->check(); }

 protected:
  std::shared_ptr<CopyBuffers> buffers_;
};

class CopyCommand final : public CopySubject {
 public:
  explicit CopyCommand(std::shared_ptr<CopyBuffers> buffers)
      : CopySubject(std::move(buffers)), timer_(buffers_->device(), kMaxBatch) {}
  Batch run(uint32_t repetitions) override {
    const VkBufferCopy region{0, 0, buffers_->size()};
    return submitBatch(buffers_->device(), timer_, repetitions, [&](VkCommandBuffer commands) {
      buffers_->device().context()->api.vkCmdCopyBuffer(commands, buffers_->source().handle(),
                                                        buffers_->result().handle(), 1, &region);
    });
  }

 private:
  kit::Timer timer_;
};

class CopyKernel final : public CopySubject {
 public:
  CopyKernel(std::shared_ptr<CopyBuffers> buffers, const Variant& variant)
      : CopySubject(std::move(buffers)), plan_(planOf(*buffers_, variant)) {}
  Batch run(uint32_t repetitions) override { return plan_.run(repetitions); }

 private:
  PeakPlan plan_;
};

// The kernel as a yardstick. Repetitions alternate between two halves of the data, so that each takes half as long, and
// the same amount of data still passes before any is used again.
class CopyInHalves final : public Subject {
 public:
  CopyInHalves(const kit::Device& device, uint64_t bytes, const Variant& variant)
      : timer_(device, kMaxBatch), device_(device), half_{{device, bytes / 2, variant}, {device, bytes / 2, variant}} {}
  uint64_t moved() const { return half_[0].buffers->moved(); }
  std::string verify() override {
    for (Half& half : half_) half.buffers->clear();
    run(2);
    return verifyAgain();
  }
  std::string verifyAgain() override {
    const std::string problem = half_[0].buffers->check();
    return problem.empty() ? half_[1].buffers->check() : problem;
  }
  Batch run(uint32_t repetitions) override {
    return submitBatch(device_, timer_, repetitions,
                       [this](VkCommandBuffer commands) { half_[next_++ % 2].plan.record(commands); });
  }

 private:
  struct Half {
    Half(const kit::Device& device, uint64_t bytes, const Variant& variant)
        : buffers(std::make_unique<CopyBuffers>(device, bytes)), plan(planOf(*buffers, variant)) {}
    std::unique_ptr<CopyBuffers> buffers;
    PeakPlan plan;
  };
  kit::Timer timer_;
  kit::Device device_;
  Half half_[2];
  uint32_t next_ = 0;
};

}  // namespace

void measureCopies(const kit::Device& device, uint64_t bytes, double seconds, Ceilings* ceilings) {
  CeilingReport& kernel = ceilings->copy_kernel;
  CeilingReport& command = ceilings->copy_buffer;
  kernel = peakReport(device, "copy_kernel", "GB/s", "peak_copy", kWorkgroup);
  command.name = "copy_buffer";
  command.unit = "GB/s";
  command.tried = true;
  const auto buffers = std::make_shared<CopyBuffers>(device, bytes);
  const double work = double(buffers->moved());
  const double share = seconds / double(std::size(kVariants) + 1);
  {
    CopyCommand copy(buffers);
    addResult(command, measure(copy, {.seconds = share}), work, "vkCmdCopyBuffer");
  }
  const vk::Caps& caps = device.context()->caps;
  for (const Variant& variant : kVariants) {
    const uint32_t max_workgroup = std::min(caps.max_workgroup_invocations, caps.max_workgroup_size_x);
    if (!kernel.tried || variant.workgroup > max_workgroup) continue;
    CopyKernel copy(buffers, variant);
    addResult(kernel, measure(copy, {.seconds = share}), work, nameOf(variant));
  }
  if (kernel.value && device.info().type == kit::DeviceType::kSoftware) {
    const auto best = std::find_if(std::begin(kVariants), std::end(kVariants),
                                   [&](const Variant& variant) { return nameOf(variant) == kernel.method; });
    const auto yardstick = std::make_shared<CopyInHalves>(device, bytes, *best);
    const Measurement measured = measure(*yardstick, {.seconds = share});
    if (measured.verified) {
      ceilings->yardstick = {yardstick, yardstick->moved(), measured.us.median * 1e-6, kernel.name};
    } else {
      addResult(kernel, measured, work, kernel.method + ", in halves");
    }
  }
  ceilings->copy = betterOf("copy", kernel, command);
}

// Times a dispatch of one workgroup that has no work.
void measureEmpty(const kit::Device& device, Ceilings* ceilings) {
  if (!peakProblem(device, "peak_copy", kWorkgroup).empty()) return;
  kit::Buffer source(device, 4096), result(device, 4096);
  PeakPlan plan(device, "peak_copy", PeakCopySpec{.WG = kWorkgroup, .STEPS = 1}, PeakCopyPush{}, kWorkgroup, kWorkgroup,
                16, {&source, &result});
  std::vector<double> dispatches, submissions;
  plan.run(kMaxBatch);
  for (uint32_t i = 0; i < 20; ++i) submissions.push_back(plan.run(1).wall_seconds);
  for (uint32_t i = 0; i < 4; ++i) {
    const Batch batch = plan.run(kMaxBatch);
    dispatches.insert(dispatches.end(), batch.device_seconds.begin(), batch.device_seconds.end());
  }
  ceilings->empty_dispatch_us = spreadOf(dispatches).median * 1e6;
  ceilings->empty_submit_us = spreadOf(submissions).median * 1e6;
}

}  // namespace nib::bench
