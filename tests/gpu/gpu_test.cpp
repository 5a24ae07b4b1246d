#include "gpu/gpu_test.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <set>

#include "gpu/hooks.h"

namespace nib::tests {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string profile() { return environment("NIBBLE_TEST_PROFILE"); }
bool asGpu() { return environment("NIBBLE_TEST_AS_GPU") == "1"; }

VKAPI_ATTR void VKAPI_CALL discreteProperties(VkPhysicalDevice device, VkPhysicalDeviceProperties* properties) {
  reinterpret_cast<PFN_vkGetPhysicalDeviceProperties>(hooks::real(hooks::fn::vkGetPhysicalDeviceProperties))(
      device, properties);
  properties->deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
}
VKAPI_ATTR void VKAPI_CALL discreteProperties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2* properties) {
  reinterpret_cast<PFN_vkGetPhysicalDeviceProperties2>(hooks::real(hooks::fn::vkGetPhysicalDeviceProperties2))(
      device, properties);
  properties->properties.deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
}

void replaceProperties(bool discrete) {
  hooks::replace(hooks::fn::vkGetPhysicalDeviceProperties,
                 discrete ? reinterpret_cast<PFN_vkVoidFunction>(&discreteProperties) : nullptr);
  hooks::replace(hooks::fn::vkGetPhysicalDeviceProperties2,
                 discrete ? reinterpret_cast<PFN_vkVoidFunction>(&discreteProperties2) : nullptr);
}

// Kernels that ran, printed at the end.
class Seen {
 public:
  ~Seen() {
    std::string text;
    for (const std::string& name : names_) text += " " + name;
    std::printf("kernels run:%s\n", text.empty() ? " none" : text.c_str());
  }
  void add(const std::vector<std::string>& names) {
    const std::lock_guard lock(mutex_);
    names_.insert(names.begin(), names.end());
  }

 private:
  std::mutex mutex_;
  std::set<std::string> names_;
};
Seen& seen() {
  static Seen instance;
  return instance;
}

struct Opened {
  kit::Device owner;  // owns instance and device
  std::optional<NibRestrict> restriction;
  kit::Device device;

  static Opened make() {
    kit::DeviceOptions options;
    options.selector = environment("NIBBLE_TEST_DEVICE");
    options.profile = profile();
    if (validating()) options.validation = kit::Validation::kGpuAssisted;
    Opened opened{kit::Device::open(options), std::nullopt, kit::Device::cpu()};
    if (opened.owner.isCpu()) throw kit::Error("no Vulkan device to test");
    if (!options.profile.empty()) opened.restriction = kit::profileRestrict(options.profile);
    opened.device = opened.owner;
    if (asGpu()) {
      replaceProperties(true);
      opened.device = kit::Device::adopt(opened.adoption());
    }
    const kit::DeviceInfo& info = opened.device.info();
    std::printf("device under test: %s (%s), %s%s, subgroups of %u, tier %d%s%s\n", info.name.c_str(),
                info.driver.c_str(), options.profile.empty() ? "its own limits" : "profile ", options.profile.c_str(),
                info.subgroup_size, info.tier, asGpu() ? ", as if a discrete GPU" : "",
                validating() ? ", under the validation layer" : "");
    std::fflush(stdout);
    const std::string tier = environment("NIBBLE_TEST_TIER");
    if (!tier.empty() && tier != std::to_string(info.tier))
      throw kit::Error("tier " + tier + " was expected: " + info.tier_reason);
    return opened;
  }

  kit::AdoptDesc adoption() const {
    kit::AdoptDesc desc;
    desc.get_instance_proc_addr = asGpu() ? hooks::wrap(owner.getInstanceProcAddr()) : owner.getInstanceProcAddr();
    desc.instance = owner.instance();
    desc.physical_device = owner.physicalDevice();
    desc.device = owner.handle();
    desc.api_version =
        restriction ? std::min<uint32_t>(VK_API_VERSION_1_3, restriction->api_version) : VK_API_VERSION_1_3;
    desc.features = owner.info().features;
    desc.queue = owner.queue();
    desc.queue_family = owner.queueFamily();
    desc.restriction = restriction ? &*restriction : nullptr;
    return desc;
  }
};

const Opened& opened() {
  seen();  // constructed first, so that it is destroyed later
  static const Opened instance = Opened::make();
  return instance;
}

}  // namespace

const kit::Device& device() { return opened().device; }
kit::AdoptDesc adoption() { return opened().adoption(); }

NibContextDesc contextDesc() {
  const kit::AdoptDesc adopted = adoption();
  NibContextDesc desc{NIB_ABI_VERSION, sizeof(NibContextDesc)};
  desc.get_instance_proc_addr = adopted.get_instance_proc_addr;
  desc.instance = adopted.instance;
  desc.physical_device = adopted.physical_device;
  desc.device = adopted.device;
  desc.api_version = adopted.api_version;
  desc.features = adopted.features;
  desc.restriction = adopted.restriction;
  return desc;
}

const vk::Api& api() {
  static const vk::Api table = [] {
    vk::Api loaded{};
    const char* missing = nullptr;
    const kit::Device& owner = opened().owner;
    if (!vk::loadApi(owner.getInstanceProcAddr(), owner.instance(), owner.handle(), &loaded, &missing)) {
      throw kit::Error(std::string("the driver lacks ") + missing);
    }
    return loaded;
  }();
  return table;
}

AsDiscrete::AsDiscrete() { replaceProperties(true); }
AsDiscrete::~AsDiscrete() { replaceProperties(asGpu()); }

bool validating() { return environment("NIBBLE_TEST_VALIDATION") == "1"; }

selftest::Extent extent() {
  return environment("NIBBLE_TEST_EXTENT") == "full" ? selftest::Extent::kFull : selftest::Extent::kQuick;
}

bool typeWanted(uint32_t format) {
  const std::string types = "," + environment("NIBBLE_TEST_TYPES") + ",";
  return format == 0 || types == ",," ||
         types.find(std::string(",") + nibFormatById(format)->name + ",") != std::string::npos;
}

std::vector<selftest::Case> casesOf(const OpFormat& what, uint32_t every) {
  const std::string every_text = environment("NIBBLE_TEST_EVERY");
  const std::string name_part = environment("NIBBLE_TEST_CASE");
  if (!every_text.empty()) every *= uint32_t(std::max(1, std::atoi(every_text.c_str())));
  const std::string kinds_text = environment("NIBBLE_TEST_KINDS");
  uint32_t kinds = kinds_text.empty() ? 1u : uint32_t(std::max(1, std::atoi(kinds_text.c_str())));
  if (!name_part.empty()) every = kinds = 1;
  std::vector<selftest::Case> list;
  uint32_t index = 0;
  if (!typeWanted(what.format)) return list;
  for (const selftest::Case& c : selftest::thinned(selftest::casesOf(NibOp(what.op), what.format, extent()), every)) {
    if (!name_part.empty() && c.name().find(name_part) == std::string::npos) continue;
    if (index++ % kinds == 0) list.push_back(c);
  }
  return list;
}

std::vector<selftest::Case> largeCases(selftest::Large purpose, const OpFormat& what) {
  if (!typeWanted(what.format)) return {};
  std::vector<selftest::Case> list =
      selftest::largeCases(purpose, NibOp(what.op), what.format, {extent(), validating()});
  const std::string name_part = environment("NIBBLE_TEST_CASE");
  std::erase_if(list, [&](const selftest::Case& c) { return c.name().find(name_part) == std::string::npos; });
  // Instrumented shaders take long.
  if (validating() && purpose != selftest::Large::kNarrowWindows && name_part.empty()) {
    constexpr uint32_t kFew = 8;
    return selftest::thinned(list, kFew);
  }
  return list;
}

std::string again(const selftest::Case& c) {
  std::string text = "again: ";
  for (const char* name : {"VK_ICD_FILENAMES", "LP_NATIVE_VECTOR_WIDTH", "NIBBLE_TEST_DEVICE", "NIBBLE_TEST_PROFILE",
                           "NIBBLE_TEST_AS_GPU", "NIBBLE_TEST_EXTENT"}) {
    if (!environment(name).empty()) text += std::string(name) + "='" + environment(name) + "' ";
  }
  return text + "NIBBLE_TEST_CASE='" + c.name() + "' and this program, on " + device().info().name;
}

void noteKernels(const std::vector<std::string>& kernels) { seen().add(kernels); }

void checkCase(const kit::Device& device, const selftest::Case& c, const selftest::Way& way) {
  const selftest::Outcome outcome = selftest::runCase(device, c, way);
  CHECK_MESSAGE(outcome.passed, c.name() << ": " << outcome.message << "\n  " << again(c));
  noteKernels(outcome.kernels);
}

std::vector<std::string> messagesOfValidation() { return opened().owner.validationMessages(); }

Gpu::Gpu() : messages_(messagesOfValidation().size()), errors_(opened().owner.validationErrors()) {}

Gpu::~Gpu() {
  const std::vector<std::string> messages = messagesOfValidation();
  for (size_t i = messages_; i < messages.size(); ++i) FAIL_CHECK("validation: " << messages[i]);
  CHECK(opened().owner.validationErrors() == errors_);
}

void computeBarrier(VkCommandBuffer command_buffer) {
  VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  api().vkCmdPipelineBarrier(command_buffer, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                             0, 1, &barrier, 0, nullptr, 0, nullptr);
}

}  // namespace nib::tests
