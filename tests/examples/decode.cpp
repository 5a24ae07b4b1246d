// An application that owns its device, its buffers and its command buffers, and lets nibble record the steps of a
// language model into them: every step is one token, three steps are in flight, and the chosen token stays on the
// device, where the next step reads it.
//
//   nibble_example_decode MODEL
//
// It checks that the tokens are those that the CPU chooses.
#include "app_vulkan.h"  // volk.h, so before nibble.h

#include "model/arch/decoder.h"
#include "model/run/generate.h"
#include "model/run/loaded_model.h"
#include "model/run/weights.h"

#include <nibble/graph.h>

#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <string>
#include <vector>

namespace kit = nib::kit;
namespace graph = nib::graph;
namespace model = nib::model;

namespace {

constexpr uint32_t kTokens = 40;   // to make
constexpr uint32_t kInFlight = 3;  // steps

struct Nibble {
  NibRequirements requirements{sizeof(NibRequirements)};
  NibFeatureChain chain{};
};

app::Device createDevice(const app::Instance& instance, Nibble& nibble) {
  const NibResult result = nibGetRequirements(vkGetInstanceProcAddr, instance.handle, instance.physical_device,
                                              app::kApiVersion, &nibble.requirements);
  if (result != NIB_SUCCESS) app::fail("nibGetRequirements", nibResultString(result));
  const std::vector<const char*> extensions(nibble.requirements.extensions,
                                            nibble.requirements.extensions + nibble.requirements.extension_count);
  return app::createDevice(instance, extensions,
                           nibFillFeatureChain(&nibble.chain, nibble.requirements.features, app::kApiVersion, nullptr));
}

kit::Device adopt(const app::Instance& instance, const app::Device& device, const Nibble& nibble) {
  kit::AdoptDesc desc;
  desc.get_instance_proc_addr = vkGetInstanceProcAddr;
  desc.instance = instance.handle;
  desc.physical_device = instance.physical_device;
  desc.device = device.handle;
  desc.api_version = app::kApiVersion;
  desc.features = nibble.requirements.features;
  desc.queue = device.queue;
  desc.queue_family = device.family;
  return kit::Device::adopt(desc);
}

// A step's command buffer, the fence that says when it is done, and its part of the input buffer.
struct Frame {
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
};

class Steps {
 public:
  Steps(const app::Device& device, const graph::Program& program, const app::Buffer& inputs, const app::Buffer& results)
      : device_(device), program_(program), inputs_(inputs), results_(results) {
    VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool.queueFamilyIndex = device.family;
    if (vkCreateCommandPool(device.handle, &pool, nullptr, &pool_) != VK_SUCCESS) app::fail("vkCreateCommandPool", "");
    for (Frame& frame : frames_) {
      VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
      allocate.commandPool = pool_;
      allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
      allocate.commandBufferCount = 1;
      VkFenceCreateInfo fence{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
      fence.flags = VK_FENCE_CREATE_SIGNALED_BIT;
      if (vkAllocateCommandBuffers(device.handle, &allocate, &frame.commands) != VK_SUCCESS ||
          vkCreateFence(device.handle, &fence, nullptr, &frame.fence) != VK_SUCCESS) {
        app::fail("creating a frame", "");
      }
    }
  }
  ~Steps() {
    for (Frame& frame : frames_) vkDestroyFence(device_.handle, frame.fence, nullptr);
    vkDestroyCommandPool(device_.handle, pool_, nullptr);
  }
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

  // Records and submits the step at a position. id: the token there; NULL = the one that the step before has chosen.
  // The token that this step chooses becomes entry `position` of the results.
  void submit(uint32_t position, const uint32_t* id) {
    Frame& frame = frames_[position % kInFlight];
    vkWaitForFences(device_.handle, 1, &frame.fence, VK_TRUE, UINT64_MAX);
    vkResetFences(device_.handle, 1, &frame.fence);
    const VkDeviceSize slot = position % kInFlight * program_.inputBytes();
    const auto write = [&](const char* name, std::initializer_list<uint32_t> values) {
      std::memcpy(inputs_.mapped + slot + program_.inputOffset(name), values.begin(), values.size() * sizeof(uint32_t));
    };
    write("positions", {position});
    write("cache_rows", {position});
    write("visible", {0, position + 1, position, 0});

    VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    vkBeginCommandBuffer(frame.commands, &begin);
    const kit::Range ids = program_.range(model::kNextIds);
    if (id != nullptr) {
      // The step before reads and writes the ids.
      barrier(frame.commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
              VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
      vkCmdUpdateBuffer(frame.commands, ids.buffer->handle(), ids.offset_bytes, sizeof *id, id);
      barrier(frame.commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
              VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    }
    // All of nibble: nothing is allocated, locked or submitted.
    program_.record(frame.commands, 1, inputs_.handle, slot);

    barrier(frame.commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    const VkBufferCopy copy{ids.offset_bytes, position * sizeof(uint32_t), sizeof(uint32_t)};
    vkCmdCopyBuffer(frame.commands, ids.buffer->handle(), results_.handle, 1, &copy);
    barrier(frame.commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
            VK_ACCESS_HOST_READ_BIT);
    vkEndCommandBuffer(frame.commands);
    VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO};
    submit.commandBufferCount = 1;
    submit.pCommandBuffers = &frame.commands;
    if (vkQueueSubmit(device_.queue, 1, &submit, frame.fence) != VK_SUCCESS) app::fail("vkQueueSubmit", "");
  }

  void wait() {
    for (Frame& frame : frames_) vkWaitForFences(device_.handle, 1, &frame.fence, VK_TRUE, UINT64_MAX);
  }

 private:
  static void barrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags written,
                      VkPipelineStageFlags to, VkAccessFlags used) {
    VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    memory.srcAccessMask = written;
    memory.dstAccessMask = used;
    vkCmdPipelineBarrier(commands, from, to, 0, 1, &memory, 0, nullptr, 0, nullptr);
  }

  const app::Device& device_;
  const graph::Program& program_;
  const app::Buffer& inputs_;
  const app::Buffer& results_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  Frame frames_[kInFlight];
};

// The weights, the caches and the tables of the rotary embedding, in buffers of the application.
void load(model::ModelWeights& weights, const graph::Graph& graph, const model::ModelConfig& config, uint32_t positions,
          const kit::Device& device) {
  for (const graph::Value& value : graph.values()) {
    if (value.storage != graph::Storage::kMemory) continue;
    const std::vector<float> table = model::ropeTable(config, value.name, positions);
    if (!table.empty()) device.upload(weights.add(value.name, value.size_bytes), table);
    if (value.name.ends_with(".cache")) weights.add(value.name, value.size_bytes);
  }
  weights.load(graph);
}

std::vector<uint32_t> expectedIds(const model::LoadedModel& loaded, const std::vector<uint32_t>& prompt) {
  model::Runner runner(model::TimedDevice(kit::Device::cpu()), loaded.view(), loaded.config(),
                       {.max_tokens = uint32_t(prompt.size()), .positions = uint32_t(prompt.size()) + kTokens});
  model::Sampler greedy({});
  return model::generate(runner, prompt, kTokens, greedy, {}, [](uint32_t) { return true; }).ids;
}

int run(const app::Instance& instance, const char* folder) {
  model::LoadedModel loaded(folder);
  const model::ModelConfig& config = loaded.config();
  const std::vector<uint32_t> prompt = loaded.tokenizer().encode("In the beginning", true);
  const uint32_t positions = uint32_t(prompt.size()) + kTokens;

  Nibble nibble;
  const app::Device own = createDevice(instance, nibble);
  bool same = false;
  std::deque<app::Buffer> buffers;
  const auto createBuffer = [&](uint64_t size) -> const app::Buffer& {
    return buffers.emplace_back(app::createBuffer(instance, own, size));
  };
  {
    const kit::Device device = adopt(instance, own, nibble);
    const auto allocate = [&](uint64_t size) {
      const app::Buffer& buffer = createBuffer(size);
      return kit::Buffer::adopt(device, buffer.handle, size, buffer.mapped);
    };
    model::ModelWeights weights(model::TimedDevice(device), loaded.view(), config, {.allocate = allocate});
    const graph::Graph network = model::decodeGraph(
        config,
        {.max_tokens = 1, .cache_rows = positions, .positions = positions, .storage = [&](const std::string& name) {
           return weights.storage(name);
         }});
    load(weights, network, config, positions, device);
    const graph::Program program(device, network, weights.memory());

    const app::Buffer& inputs = createBuffer(kInFlight * program.inputBytes());
    const app::Buffer& results = createBuffer(positions * sizeof(uint32_t));
    Steps steps(own, program, inputs, results);
    for (uint32_t p = 0; p + 1 < positions; ++p) steps.submit(p, p < prompt.size() ? &prompt[p] : nullptr);
    steps.wait();

    std::vector<uint32_t> ids(kTokens);
    std::memcpy(ids.data(), results.mapped + (prompt.size() - 1) * sizeof(uint32_t), kTokens * sizeof(uint32_t));
    same = ids == expectedIds(loaded, prompt);
    std::printf("%s: %s ... (%u nodes and %u barriers a step; tokens %s the CPU's)\n", instance.name.c_str(),
                loaded.tokenizer().decode(ids, true).c_str(), program.nodeCount(), program.barrierCount(),
                same ? "are" : "ARE NOT");
  }
  for (const app::Buffer& buffer : buffers) app::destroyBuffer(own, buffer);
  app::destroyDevice(own);
  return same ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: nibble_example_decode MODEL\n");
    return 2;
  }
  const app::Instance instance = app::createInstance();
  if (!instance.physical_device) {
    std::printf("skipped: no Vulkan device\n");
    return 77;
  }
  int code = 1;
  try {
    code = run(instance, argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  app::destroyInstance(instance);
  return code;
}
