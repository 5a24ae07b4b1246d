// A game's loop around nibble, as an application would write it:
//
//   - a loader thread compiles pipelines and makes plans, with a pipeline cache that is kept on disk;
//   - three frames are in flight, each with an input, an output and a binding of its own;
//   - weights are quantized over many frames, a part of the slices in each, so that no frame takes longer than its
//     budget;
//   - then every frame records a product with these weights, and the host reads its result when the frame is over.
//
//   nibble_example_frames [PIPELINE_CACHE_FILE]
#include "app_vulkan.h"  // volk.h, so before nibble.h

#include <nibble/nibble.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>
#include <vector>

namespace {

constexpr uint32_t kRows = 6144, kCols = 1024;
constexpr uint32_t kFramesInFlight = 3;
constexpr uint32_t kProducts = 12;
constexpr double kBudgetUs = 500;  // of a frame, for quantizing

using Bytes = std::vector<char>;

void printLine(void*, NibSeverity severity, const char* text) {
  std::fprintf(stderr, "nibble %s: %s\n", severity == NIB_SEVERITY_ERROR ? "error" : "note", text);
}
const NibLog kLog = {printLine, nullptr};

void need(NibResult result, const char* what) {
  if (result != NIB_SUCCESS) app::fail(what, nibResultString(result));
}
void need(VkResult result, const char* what) {
  if (result != VK_SUCCESS) app::fail(what, std::to_string(int(result)).c_str());
}

// --------------------------------------------------------------------------------------------- start-up
// The driver ignores a cache of another device or driver version.
VkPipelineCache loadCache(const app::Device& device, const char* path) {
  Bytes bytes;
  if (path != nullptr) {
    std::ifstream file(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  VkPipelineCacheCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  info.initialDataSize = bytes.size();
  info.pInitialData = bytes.data();
  VkPipelineCache cache = VK_NULL_HANDLE;
  need(vkCreatePipelineCache(device.handle, &info, nullptr, &cache), "vkCreatePipelineCache");
  return cache;
}

void saveCache(const app::Device& device, VkPipelineCache cache, const char* path) {
  if (path == nullptr) return;
  size_t size = 0;
  need(vkGetPipelineCacheData(device.handle, cache, &size, nullptr), "vkGetPipelineCacheData");
  Bytes bytes(size);
  need(vkGetPipelineCacheData(device.handle, cache, &size, bytes.data()), "vkGetPipelineCacheData");
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(size));
}

NibWeights int4() {
  NibWeights weights{};
  weights.format = NIB_FORMAT_INT4;
  weights.granularity = NIB_GRANULARITY_GROUP;
  weights.group_size = 32;
  weights.scale_type = NIB_TYPE_F16;
  return weights;
}

NibQuantizeDesc quantizeDesc() {
  NibQuantizeDesc desc{};
  desc.op = NIB_OP_QUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = kRows;
  desc.cols = kCols;
  desc.weights = int4();
  return desc;
}

NibMatmulDesc matmulDesc() {
  NibMatmulDesc desc{};
  desc.op = NIB_OP_MATMUL;
  desc.desc_bytes = sizeof desc;
  desc.rows = kRows;
  desc.cols = kCols;
  desc.tokens = 1;
  desc.weights = int4();
  return desc;
}

// The loader thread makes these.
struct Plans {
  NibPlan* quantize = nullptr;
  NibPlan* product = nullptr;
  NibMemory quantize_memory{sizeof(NibMemory)}, product_memory{sizeof(NibMemory)};
};

class Loader {
 public:
  explicit Loader(NibContext* context) : thread_([this, context] { load(context); }) {}
  ~Loader() { thread_.join(); }
  // NULL until everything is loaded. The main loop goes on drawing meanwhile.
  const Plans* plans() const { return ready_.load(std::memory_order_acquire) ? &plans_ : nullptr; }

 private:
  void load(NibContext* context) {
    const NibQuantizeDesc quantize = quantizeDesc();
    const NibMatmulDesc product = matmulDesc();
    const NibOpDesc* descs[] = {reinterpret_cast<const NibOpDesc*>(&quantize),
                                reinterpret_cast<const NibOpDesc*>(&product)};
    const NibProgress progress{[](void*, uint32_t done, uint32_t needed) {
                                 std::printf("loading: %u of %u pipelines\n", done, needed);
                                 return 1;  // 0 would cancel
                               },
                               nullptr};
    need(nibCompilePipelines(context, 2, descs, &progress), "nibCompilePipelines");
    need(nibCreatePlan(context, descs[0], &plans_.quantize), "nibCreatePlan");
    need(nibCreatePlan(context, descs[1], &plans_.product), "nibCreatePlan");
    nibPlanGetMemory(plans_.quantize, &plans_.quantize_memory);
    nibPlanGetMemory(plans_.product, &plans_.product_memory);
    ready_.store(true, std::memory_order_release);
  }

  Plans plans_;
  std::atomic<bool> ready_{false};
  std::thread thread_;
};

// --------------------------------------------------------------------------------------------- memory
// Ranges of one host-visible buffer, which keeps the example short.
struct Ranges {
  NibBufferRange weights{}, blob{}, aux{};
  std::array<NibBufferRange, kFramesInFlight> input{}, output{};
  VkDeviceSize total = 0;

  explicit Ranges(const Plans& plans) {
    const auto take = [&](const NibMemory& memory, NibRole role) {
      const NibBufferRange range{VK_NULL_HANDLE, total, std::max<VkDeviceSize>(memory.range[role].size_bytes, 4)};
      total += (range.size + 255) / 256 * 256;  // the largest alignment that a device may require
      return range;
    };
    weights = take(plans.quantize_memory, NIB_ROLE_INPUT);
    blob = take(plans.quantize_memory, NIB_ROLE_WEIGHTS);
    // Frames in flight run one after the other on one queue, so scratch may be shared behind a barrier.
    const bool larger =
        plans.quantize_memory.range[NIB_ROLE_AUX].size_bytes > plans.product_memory.range[NIB_ROLE_AUX].size_bytes;
    aux = take(larger ? plans.quantize_memory : plans.product_memory, NIB_ROLE_AUX);
    for (uint32_t i = 0; i < kFramesInFlight; ++i) {
      input[i] = take(plans.product_memory, NIB_ROLE_INPUT);
      output[i] = take(plans.product_memory, NIB_ROLE_OUTPUT);
    }
  }
  void setBuffer(VkBuffer buffer) {
    for (NibBufferRange* range : {&weights, &blob, &aux}) range->buffer = buffer;
    for (uint32_t i = 0; i < kFramesInFlight; ++i) input[i].buffer = output[i].buffer = buffer;
  }
};

NibBinding* bind(const NibPlan* plan, const NibBufferRange& weights, const NibBufferRange& input,
                 const NibBufferRange& output, const NibBufferRange& aux) {
  NibBindingDesc desc{sizeof(NibBindingDesc)};
  desc.range[NIB_ROLE_WEIGHTS] = weights;
  desc.range[NIB_ROLE_INPUT] = input;
  desc.range[NIB_ROLE_OUTPUT] = output;
  desc.range[NIB_ROLE_AUX] = aux;
  NibBinding* binding = nullptr;
  need(nibCreateBinding(plan, &desc, &binding), "nibCreateBinding");
  return binding;
}

// --------------------------------------------------------------------------------------------- frames
struct Frame {
  VkCommandPool pool = VK_NULL_HANDLE;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
  VkQueryPool times = VK_NULL_HANDLE;  // begin and end of the frame's slices
  NibBinding* product = nullptr;
  NibRun slices{sizeof(NibRun)};       // that the frame has quantized; slice_count 0 = none
  std::optional<uint32_t> multiplied;  // the number of its product
};

class Loop {
 public:
  Loop(const app::Instance& instance, const app::Device& device) : instance_(instance), device_(device) {
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(instance.physical_device, &properties);
    us_per_tick_ = double(properties.limits.timestampPeriod) * 1e-3;
    for (Frame& frame : frames_) create(frame);
  }
  Loop(const Loop&) = delete;
  ~Loop() {
    vkDeviceWaitIdle(device_.handle);
    for (Frame& frame : frames_) {
      nibDestroyBinding(frame.product);
      vkDestroyQueryPool(device_.handle, frame.times, nullptr);
      vkDestroyFence(device_.handle, frame.fence, nullptr);
      vkDestroyCommandPool(device_.handle, frame.pool, nullptr);
    }
    nibDestroyBinding(quantize_);
    if (plans_ != nullptr) nibDestroyPlan(plans_->quantize);
    if (plans_ != nullptr) nibDestroyPlan(plans_->product);
    if (buffer_.handle) app::destroyBuffer(device_, buffer_);
  }

  // Called once, when the loader has made the plans.
  void use(const Plans& plans) {
    plans_ = &plans;
    ranges_.emplace(plans);
    buffer_ = app::createBuffer(instance_, device_, ranges_->total);
    ranges_->setBuffer(buffer_.handle);
    const NibBufferRange none{};
    quantize_ = bind(plans.quantize, ranges_->blob, ranges_->weights, none, ranges_->aux);
    for (uint32_t i = 0; i < kFramesInFlight; ++i) {
      frames_[i].product = bind(plans.product, ranges_->blob, ranges_->input[i], ranges_->output[i], ranges_->aux);
    }
    float* weights = reinterpret_cast<float*>(buffer_.mapped + ranges_->weights.offset);
    for (uint32_t i = 0; i < kRows * kCols; ++i) weights[i] = float(int(i * 2654435761u >> 21) - 1024) * 0x1p-10f;
    work_.n = kRows;
    work_.slice_count = plans.quantize_memory.slice_count;
  }

  bool hasPlans() const { return plans_ != nullptr; }
  bool done() const { return read_ == kProducts; }
  bool correct() const { return wrong_ == 0; }

  void draw() {
    const uint32_t index = number_++ % kFramesInFlight;
    Frame& frame = frames_[index];
    // The frame of three turns before is over: its memory is free, its results can be read.
    need(vkWaitForFences(device_.handle, 1, &frame.fence, VK_TRUE, UINT64_MAX), "vkWaitForFences");
    finish(frame, index);
    need(vkResetFences(device_.handle, 1, &frame.fence), "vkResetFences");
    need(vkResetCommandPool(device_.handle, frame.pool, 0), "vkResetCommandPool");
    const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    need(vkBeginCommandBuffer(frame.commands, &begin), "vkBeginCommandBuffer");
    // The game's own passes would be recorded here.
    if (plans_ != nullptr) record(frame, index);
    VkMemoryBarrier to_host{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    to_host.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
    to_host.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
    vkCmdPipelineBarrier(frame.commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                         &to_host, 0, nullptr, 0, nullptr);
    need(vkEndCommandBuffer(frame.commands), "vkEndCommandBuffer");
    VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO};
    submit.commandBufferCount = 1;
    submit.pCommandBuffers = &frame.commands;
    need(vkQueueSubmit(device_.queue, 1, &submit, frame.fence), "vkQueueSubmit");
  }

  void report() const {
    std::printf("%s: %u frames, weights quantized in %u of them, %u products, %u wrong\n", instance_.name.c_str(),
                number_, quantizing_frames_, read_, wrong_);
  }

 private:
  void create(Frame& frame) const {
    VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool.queueFamilyIndex = device_.family;
    need(vkCreateCommandPool(device_.handle, &pool, nullptr, &frame.pool), "vkCreateCommandPool");
    VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = frame.pool;
    allocate.commandBufferCount = 1;
    need(vkAllocateCommandBuffers(device_.handle, &allocate, &frame.commands), "vkAllocateCommandBuffers");
    const VkFenceCreateInfo fence{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, nullptr, VK_FENCE_CREATE_SIGNALED_BIT};
    need(vkCreateFence(device_.handle, &fence, nullptr, &frame.fence), "vkCreateFence");
    VkQueryPoolCreateInfo times{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    times.queryType = VK_QUERY_TYPE_TIMESTAMP;
    times.queryCount = 2;
    need(vkCreateQueryPool(device_.handle, &times, nullptr, &frame.times), "vkCreateQueryPool");
  }

  void record(Frame& frame, uint32_t index) {
    // After the runs of earlier frames, which share the blob and the scratch.
    app::barrier(frame.commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                 VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    if (work_.slice_count != 0) return recordSlices(frame);
    if (next_product_ == kProducts) return;
    frame.multiplied = next_product_++;
    float* input = reinterpret_cast<float*>(buffer_.mapped + ranges_->input[index].offset);
    for (uint32_t col = 0; col < kCols; ++col) input[col] = inputOf(*frame.multiplied, col);
    NibRun run{sizeof(NibRun)};
    run.n = 1;
    run.slice_count = UINT32_MAX;
    nibCmdRun(frame.commands, plans_->product, frame.product, &run);
  }

  // As many slices as the budget allows: one until a frame has been measured.
  void recordSlices(Frame& frame) {
    frame.slices = work_;
    frame.slices.slice_count = work_per_us_ > 0 ? nibSlicesFor(plans_->quantize, &work_, kBudgetUs, work_per_us_) : 1u;
    if (frame.slices.slice_count == 0) frame.slices.slice_count = work_.slice_count;  // the rest is empty
    vkCmdResetQueryPool(frame.commands, frame.times, 0, 2);
    vkCmdWriteTimestamp(frame.commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, frame.times, 0);
    nibCmdRun(frame.commands, plans_->quantize, quantize_, &frame.slices);
    vkCmdWriteTimestamp(frame.commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, frame.times, 1);
    work_.first_slice += frame.slices.slice_count;
    work_.slice_count -= frame.slices.slice_count;
    ++quantizing_frames_;
  }

  void finish(Frame& frame, uint32_t index) {
    if (frame.slices.slice_count != 0) {
      uint64_t ticks[2] = {};
      NibCost cost{sizeof(NibCost)};
      nibGetCost(plans_->quantize, &frame.slices, &cost);
      const bool timed = vkGetQueryPoolResults(device_.handle, frame.times, 0, 2, sizeof ticks, ticks, sizeof ticks[0],
                                               VK_QUERY_RESULT_64_BIT) == VK_SUCCESS;
      const double us = double(ticks[1] - ticks[0]) * us_per_tick_;
      if (timed && us > 0) work_per_us_ = double(cost.work) / us;
      frame.slices.slice_count = 0;
    }
    if (!frame.multiplied) return;
    checkProduct(*frame.multiplied, reinterpret_cast<const float*>(buffer_.mapped + ranges_->output[index].offset));
    frame.multiplied.reset();
    ++read_;
  }

  static float inputOf(uint32_t product, uint32_t col) {
    return float(int((col * 747796405u + product * 2891336453u) >> 22) - 512) * 0x1p-9f;
  }

  // A few rows of the result against the dense weights: int4 in groups of 32 keeps them within half a step, 1/15 of the
  // largest weight.
  void checkProduct(uint32_t product, const float* result) {
    const float* weights = reinterpret_cast<const float*>(buffer_.mapped + ranges_->weights.offset);
    for (uint32_t row = product; row < kRows; row += 97) {
      double sum = 0, bound = 0;
      for (uint32_t col = 0; col < kCols; ++col) {
        const double x = double(inputOf(product, col));
        sum += double(weights[row * kCols + col]) * x;
        bound += std::abs(x) / 14;
      }
      if (!(std::abs(double(result[row]) - sum) <= bound)) ++wrong_;
    }
  }

  const app::Instance& instance_;
  const app::Device& device_;
  const Plans* plans_ = nullptr;
  std::optional<Ranges> ranges_;
  app::Buffer buffer_;
  NibBinding* quantize_ = nullptr;
  std::array<Frame, kFramesInFlight> frames_;
  NibRun work_{sizeof(NibRun)};  // the slices that are not recorded yet
  double us_per_tick_ = 0, work_per_us_ = 0;
  uint32_t number_ = 0, quantizing_frames_ = 0, next_product_ = 0, read_ = 0, wrong_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const app::Instance instance = app::createInstance();
  if (!instance.physical_device) {
    std::printf("skipped: no Vulkan device\n");
    return 77;
  }
  NibRequirements requirements{sizeof(NibRequirements)};
  need(nibGetRequirements(vkGetInstanceProcAddr, instance.handle, instance.physical_device, app::kApiVersion,
                          &requirements),
       "nibGetRequirements");
  NibFeatureChain chain{};
  const app::Device device =
      app::createDevice(instance, {requirements.extensions, requirements.extensions + requirements.extension_count},
                        nibFillFeatureChain(&chain, requirements.features, app::kApiVersion, nullptr));
  const char* const path = argc > 1 ? argv[1] : nullptr;
  const VkPipelineCache cache = loadCache(device, path);

  NibContextDesc desc{NIB_ABI_VERSION, sizeof(NibContextDesc)};
  desc.get_instance_proc_addr = vkGetInstanceProcAddr;
  desc.instance = instance.handle;
  desc.physical_device = instance.physical_device;
  desc.device = device.handle;
  desc.api_version = app::kApiVersion;
  desc.features = requirements.features;
  desc.pipeline_cache = cache;
  desc.log = &kLog;
  NibContext* context = nullptr;
  need(nibCreateContext(&desc, &context), "nibCreateContext");

  bool correct = false;
  {
    const Loader loader(context);
    Loop loop(instance, device);
    while (!loop.done()) {
      const Plans* const plans = loader.plans();
      if (plans != nullptr && !loop.hasPlans()) loop.use(*plans);
      // A game has a display that it waits for.
      if (plans == nullptr) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      loop.draw();
    }
    loop.report();
    correct = loop.correct();
  }
  saveCache(device, cache, path);
  nibDestroyContext(context);
  vkDestroyPipelineCache(device.handle, cache, nullptr);
  app::destroyDevice(device);
  app::destroyInstance(instance);
  return correct ? 0 : 1;
}
