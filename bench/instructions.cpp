#include "bench/instructions.h"

#if defined(NIB_NO_VULKAN)
namespace nib::bench {
struct PipelineInspector::State {};
PipelineInspector::PipelineInspector(const kit::Device& device) : device_(device) {}
PipelineInspector::~PipelineInspector() = default;
InstructionCount PipelineInspector::count(const kit::Plan&, const selftest::Case&) {
  return {std::nullopt, {}, "the reference has no pipelines"};
}
}  // namespace nib::bench
#else

#include "bench/spirv_count.h"
#include "formats/format.h"
#include "plan/kernel_code.h"
#include "plan/plan.h"
#include "shaders/ops/quantize.h"

#include <algorithm>
#include <cstring>

namespace nib::bench {
namespace {

constexpr const char* kExtension = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;

bool hasInstructions(const char* name) {
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  return lower == "instructions" || lower == "instruction count";
}

// The module's words, none if it cannot be unpacked.
std::vector<uint32_t> codeOf(const KernelRow& row) {
  KernelCode code{HostMemory()};
  if (code.load(row, Log()) != NIB_SUCCESS) return {};
  return {code.words(), code.words() + code.count()};
}

NIB_SPEC_STRUCT(QuantizeSpec, QUANTIZE_SPEC)

// Whether each invocation processes one run of elements, fully unrolled.
bool isStraight(const Phase& phase, const PipelineStore::Origin& origin) {
  if (phase.tiles.row_block != 1) return false;
  const std::string kernel = phase.row->name;
  if (kernel == "dequantize" || kernel == "encode") return true;
  if (kernel != "quantize" || origin.spec_count * sizeof(uint32_t) != sizeof(QuantizeSpec)) return false;
  QuantizeSpec spec;
  std::memcpy(&spec, origin.spec, sizeof spec);
  return spec.KEEP == 1 && spec.PACK == 1;
}

}  // namespace

struct PipelineInspector::State {
  explicit State(const kit::Device& owner) : problem(open(owner)) {}
  ~State() {
    if (device == VK_NULL_HANDLE) return;
    if (pipeline_layout) DestroyPipelineLayout(device, pipeline_layout, nullptr);
    if (set_layout) DestroyDescriptorSetLayout(device, set_layout, nullptr);
    DestroyDevice(device, nullptr);
  }
  std::string open(const kit::Device& owner);
  std::string makeLayout();
  // Instructions of a pipeline built from the same parts; on failure *why says the reason.
  std::optional<uint64_t> count(const PipelineStore::Origin& origin, uint32_t features, std::string* why) const;
  std::optional<uint64_t> read(VkPipeline pipeline, std::string* why) const;

// clang-format off
#define NIB_BENCH_FUNCTIONS(X) \
  X(DestroyDevice) \
  X(CreateShaderModule) \
  X(DestroyShaderModule) \
  X(CreateComputePipelines) \
  X(DestroyPipeline) \
  X(CreatePipelineLayout) \
  X(DestroyPipelineLayout) \
  X(CreateDescriptorSetLayout) \
  X(DestroyDescriptorSetLayout) \
  X(GetPipelineExecutablePropertiesKHR) \
  X(GetPipelineExecutableStatisticsKHR)
// clang-format on
#define NIB_BENCH_MEMBER(name) PFN_vk##name name = nullptr;
  NIB_BENCH_FUNCTIONS(NIB_BENCH_MEMBER)
  VkDevice device = VK_NULL_HANDLE;
  VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
  VkPipelineLayout pipeline_layout = VK_NULL_HANDLE;
  std::string problem;  // the last member, because its initializer sets the others
};

std::string PipelineInspector::State::open(const kit::Device& owner) {
  const PFN_vkGetInstanceProcAddr get = owner.getInstanceProcAddr();
  const auto load = [&](const char* name) { return get(owner.instance(), name); };
  const auto enumerate =
      reinterpret_cast<PFN_vkEnumerateDeviceExtensionProperties>(load("vkEnumerateDeviceExtensionProperties"));
  const auto get_features = reinterpret_cast<PFN_vkGetPhysicalDeviceFeatures2>(load("vkGetPhysicalDeviceFeatures2"));
  const auto create = reinterpret_cast<PFN_vkCreateDevice>(load("vkCreateDevice"));
  const auto get_device = reinterpret_cast<PFN_vkGetDeviceProcAddr>(load("vkGetDeviceProcAddr"));
  if (!enumerate || !get_features || !create || !get_device) return "the loader lacks a function";

  uint32_t count = 0;
  if (enumerate(owner.physicalDevice(), nullptr, &count, nullptr) != VK_SUCCESS)
    return "the driver lists no extensions";
  std::vector<VkExtensionProperties> offered(count);
  if (enumerate(owner.physicalDevice(), nullptr, &count, offered.data()) < 0) return "the driver lists no extensions";
  if (std::none_of(offered.begin(), offered.begin() + count,
                   [](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, kExtension) == 0; })) {
    return std::string("the driver has no ") + kExtension;
  }
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
  VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &executable, {}};
  get_features(owner.physicalDevice(), &features);
  if (!executable.pipelineExecutableInfo) return "the driver does not offer pipelineExecutableInfo";

  const vk::Caps& caps = owner.context()->caps;
  NibRequirements requirements{sizeof(NibRequirements)};
  if (nibGetRequirements(get, owner.instance(), owner.physicalDevice(), caps.api_version, &requirements) !=
      NIB_SUCCESS) {
    return "the device's features cannot be read";
  }
  std::vector<const char*> extensions(requirements.extensions, requirements.extensions + requirements.extension_count);
  extensions.push_back(kExtension);
  NibFeatureChain chain;
  const float priority = 0.5f;
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueFamilyIndex = owner.queueFamily();
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  executable.pNext = nullptr;
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  info.pNext =
      nibFillFeatureChain(&chain, caps.features & requirements.features, requirements.api_version, &executable);
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  if (create(owner.physicalDevice(), &info, nullptr, &device) != VK_SUCCESS) {
    device = VK_NULL_HANDLE;
    return std::string("no second device with ") + kExtension;
  }
  bool complete = true;
#define NIB_BENCH_LOAD(name)                                             \
  name = reinterpret_cast<PFN_vk##name>(get_device(device, "vk" #name)); \
  complete = complete && name != nullptr;
  NIB_BENCH_FUNCTIONS(NIB_BENCH_LOAD)
  return complete ? makeLayout() : "the driver lacks a function";
}

// The same layout as the context's, see src/plan/context.cpp.
std::string PipelineInspector::State::makeLayout() {
  VkDescriptorSetLayoutBinding bindings[kSlotCount]{};
  for (uint32_t i = 0; i < kSlotCount; ++i) {
    bindings[i] = {i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
  }
  VkDescriptorSetLayoutCreateInfo set_info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  set_info.bindingCount = kSlotCount;
  set_info.pBindings = bindings;
  if (CreateDescriptorSetLayout(device, &set_info, nullptr, &set_layout) != VK_SUCCESS) return "no descriptor layout";
  const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes};
  VkPipelineLayoutCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  info.setLayoutCount = 1;
  info.pSetLayouts = &set_layout;
  info.pushConstantRangeCount = 1;
  info.pPushConstantRanges = &push;
  if (CreatePipelineLayout(device, &info, nullptr, &pipeline_layout) != VK_SUCCESS) return "no pipeline layout";
  return {};
}

std::optional<uint64_t> PipelineInspector::State::count(const PipelineStore::Origin& origin, uint32_t features,
                                                        std::string* why) const {
  std::vector<uint32_t> code = codeOf(*origin.row);
  if (features & NIB_FEATURE_ROUND_EVEN) {
    std::vector<uint32_t> patched(code.size() + kFloatModeWords);
    const uint32_t words =
        declareFloatModes(code.data(), static_cast<uint32_t>(code.size()), {true, false, false}, patched.data());
    if (words != 0) code.assign(patched.begin(), patched.begin() + words);
  }
  VkShaderModuleCreateInfo module_info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  module_info.codeSize = code.size() * sizeof(uint32_t);
  module_info.pCode = code.data();
  VkShaderModule module = VK_NULL_HANDLE;
  *why = "the pipeline cannot be built a second time";
  if (CreateShaderModule(device, &module_info, nullptr, &module) != VK_SUCCESS) return std::nullopt;
  VkSpecializationMapEntry map[PipelineStore::kMaxSpec];
  for (uint32_t i = 0; i < origin.spec_count; ++i) map[i] = {i, i * 4u, 4u};
  const VkSpecializationInfo spec{origin.spec_count, map, origin.spec_count * sizeof(uint32_t), origin.spec};
  VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &spec;
  info.layout = pipeline_layout;
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult built = CreateComputePipelines(device, VK_NULL_HANDLE, 1, &info, nullptr, &pipeline);
  DestroyShaderModule(device, module, nullptr);
  if (built != VK_SUCCESS) return std::nullopt;
  const std::optional<uint64_t> result = read(pipeline, why);
  DestroyPipeline(device, pipeline, nullptr);
  return result;
}

std::optional<uint64_t> PipelineInspector::State::read(VkPipeline pipeline, std::string* why) const {
  VkPipelineInfoKHR info{VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR};
  info.pipeline = pipeline;
  uint32_t executables = 0;
  *why = "the driver shows no executable";
  if (GetPipelineExecutablePropertiesKHR(device, &info, &executables, nullptr) != VK_SUCCESS || executables == 0) {
    return std::nullopt;
  }
  // If there are several executables (one per subgroup size), it reads the first.
  VkPipelineExecutableInfoKHR which{VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR};
  which.pipeline = pipeline;
  uint32_t count = 0;
  if (GetPipelineExecutableStatisticsKHR(device, &which, &count, nullptr) != VK_SUCCESS) return std::nullopt;
  std::vector<VkPipelineExecutableStatisticKHR> statistics(
      count, VkPipelineExecutableStatisticKHR{VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR});
  if (GetPipelineExecutableStatisticsKHR(device, &which, &count, statistics.data()) < 0) return std::nullopt;
  statistics.resize(count);
  std::string names;
  for (const VkPipelineExecutableStatisticKHR& statistic : statistics) {
    if (hasInstructions(statistic.name)) {
      const bool is_signed = statistic.format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR;
      const bool is_unsigned = statistic.format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR;
      if (is_signed || is_unsigned) return is_signed ? uint64_t(statistic.value.i64) : statistic.value.u64;
    }
    names += std::string(names.empty() ? "" : ", ") + statistic.name;
  }
  *why = "the driver counts no instructions, only " + (names.empty() ? "nothing" : names);
  return std::nullopt;
}

PipelineInspector::PipelineInspector(const kit::Device& device) : device_(device) {}
PipelineInspector::~PipelineInspector() = default;

InstructionCount PipelineInspector::count(const kit::Plan& plan, const selftest::Case& row) {
  const NibPlan* handle = plan.handle();
  if (handle == nullptr) return {std::nullopt, {}, "the reference has no pipelines"};
  const FormatDesc* format = findFormat(row.format());
  if (handle->phase_count != 1 || format == nullptr) return {std::nullopt, {}, "more than one kernel"};
  const Phase& phase = handle->phase[0];
  const PipelineStore::Origin origin = device_.context()->pipelines.originOf(phase.pipeline);
  if (origin.row == nullptr) return {std::nullopt, {}, "the pipeline is unknown"};
  const bool straight = isStraight(phase, origin);
  const auto counted = [&](uint64_t count, const char* kind, const std::string& what) {
    return InstructionCount{double(count) / format->run, kind,
                            std::to_string(count) + what + ", for " + std::to_string(format->run) + " elements"};
  };
  std::string why = "the kernel loops over its elements, and a driver's count does not include the iterations";
  if (straight) {
    if (!state_) state_ = std::make_unique<State>(device_);
    why = state_->problem;
    std::optional<uint64_t> instructions;
    if (why.empty()) instructions = state_->count(origin, device_.context()->caps.features, &why);
    if (instructions) return counted(*instructions, "driver", " instructions of one invocation");
  }
  const std::vector<uint32_t> code = codeOf(*origin.row);
  const std::optional<SpirvCount> spirv = countSpirv(code, {origin.spec, origin.spec_count});
  if (!spirv || (!straight && spirv->looped == 0)) return {std::nullopt, {}, why};
  const uint64_t rest = spirv->operations - spirv->looped;
  InstructionCount result = straight ? counted(spirv->operations, "spirv", " operations of one invocation")
                                     : counted(spirv->looped, "spirv",
                                               " operations of one iteration of the loops over elements (and " +
                                                   std::to_string(rest) + " outside them)");
  result.note += "; " + why;
  return result;
}

}  // namespace nib::bench
#endif
