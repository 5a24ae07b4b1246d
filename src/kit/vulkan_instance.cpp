#include "kit/vulkan_instance.h"

#include <algorithm>
#include <cstring>

namespace nib::kit::detail {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";
// A loop with a hazard reports it thousands of times. All errors are counted, but only the first messages are kept.
constexpr size_t kMaxMessages = 200;

template <class T>
T loadGlobal(PFN_vkGetInstanceProcAddr get, const char* name) {
  return reinterpret_cast<T>(get(VK_NULL_HANDLE, name));
}

bool hasLayer(PFN_vkGetInstanceProcAddr get, const char* name) {
  const auto enumerate = loadGlobal<PFN_vkEnumerateInstanceLayerProperties>(get, "vkEnumerateInstanceLayerProperties");
  uint32_t count = 0;
  if (!enumerate || enumerate(&count, nullptr) != VK_SUCCESS) return false;
  std::vector<VkLayerProperties> layers(count);
  if (enumerate(&count, layers.data()) < 0) return false;
  return std::any_of(layers.begin(), layers.begin() + count,
                     [&](const VkLayerProperties& layer) { return std::strcmp(layer.layerName, name) == 0; });
}

bool hasInstanceExtension(PFN_vkGetInstanceProcAddr get, const char* layer, const char* name) {
  const auto enumerate =
      loadGlobal<PFN_vkEnumerateInstanceExtensionProperties>(get, "vkEnumerateInstanceExtensionProperties");
  uint32_t count = 0;
  if (!enumerate || enumerate(layer, &count, nullptr) != VK_SUCCESS) return false;
  std::vector<VkExtensionProperties> extensions(count);
  if (enumerate(layer, &count, extensions.data()) < 0) return false;
  return std::any_of(extensions.begin(), extensions.begin() + count,
                     [&](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, name) == 0; });
}

std::string versionText(uint32_t version) {
  return std::to_string(VK_API_VERSION_MAJOR(version)) + "." + std::to_string(VK_API_VERSION_MINOR(version)) + "." +
         std::to_string(VK_API_VERSION_PATCH(version));
}

DeviceType typeOf(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return DeviceType::kDiscrete;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return DeviceType::kIntegrated;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return DeviceType::kVirtual;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return DeviceType::kSoftware;
    default: return DeviceType::kOther;
  }
}

}  // namespace

std::shared_ptr<Instance> Instance::create(Validation validation, Log log, uint32_t api_version) {
  const PFN_vkGetInstanceProcAddr get = findLoader();
  if (!get) return nullptr;
  // A loader without this function is a Vulkan 1.0 loader.
  const auto enumerate_version = loadGlobal<PFN_vkEnumerateInstanceVersion>(get, "vkEnumerateInstanceVersion");
  const auto create_instance = loadGlobal<PFN_vkCreateInstance>(get, "vkCreateInstance");
  uint32_t version = VK_API_VERSION_1_0;
  if (!create_instance || !enumerate_version || enumerate_version(&version) != VK_SUCCESS) return nullptr;
  if (version < VK_API_VERSION_1_1) return nullptr;

  const bool validate = validation != Validation::kOff;
  if (validate && !hasLayer(get, kValidationLayer)) {
    throw Error(std::string("validation was asked for, but the layer ") + kValidationLayer +
                " is not installed (Debian: vulkan-validationlayers)");
  }
  std::vector<const char*> layers;
  std::vector<const char*> extensions;
  if (validate) {
    layers.push_back(kValidationLayer);
    extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    if (hasInstanceExtension(get, kValidationLayer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME)) {
      extensions.push_back(VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
    }
  }
  // Without it the loader hides drivers that lack a few graphics features, such as MoltenVK.
  VkInstanceCreateFlags flags = 0;
  if (hasInstanceExtension(get, nullptr, "VK_KHR_portability_enumeration")) {
    extensions.push_back("VK_KHR_portability_enumeration");
    flags |= 0x00000001;  // VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR; older headers lack the name
  }

  std::shared_ptr<Instance> instance(new Instance);
  instance->get = get;
  instance->log_ = std::move(log);
  instance->api_version = std::min(version, api_version);

  VkDebugUtilsMessengerCreateInfoEXT messenger{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  messenger.messageSeverity =
      VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  messenger.messageType =
      VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  messenger.pfnUserCallback = &Instance::onMessage;
  messenger.pUserData = instance.get();

  const VkValidationFeatureEnableEXT enables[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT,
                                                  VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT,
                                                  VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_RESERVE_BINDING_SLOT_EXT};
  VkValidationFeaturesEXT features{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
  features.pNext = &messenger;
  features.enabledValidationFeatureCount = validation == Validation::kGpuAssisted ? 3 : 1;
  features.pEnabledValidationFeatures = enables;

  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = "nibble";
  application.pEngineName = "nibble";
  application.engineVersion = VK_MAKE_API_VERSION(0, NIB_VERSION_MAJOR, NIB_VERSION_MINOR, NIB_VERSION_PATCH);
  application.apiVersion = instance->api_version;
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pNext = validate ? &features : nullptr;
  info.flags = flags;
  info.pApplicationInfo = &application;
  info.enabledLayerCount = static_cast<uint32_t>(layers.size());
  info.ppEnabledLayerNames = layers.data();
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();

  const VkResult result = create_instance(&info, nullptr, &instance->handle);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {  // a loader, but no driver
    instance->handle = VK_NULL_HANDLE;
    return nullptr;
  }
  checkCreated(result, instance->handle, "creating a Vulkan instance");
  instance->api = loadInstanceApi(get, instance->handle);
  if (validate) {
    const auto create_messenger =
        reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(get(instance->handle, "vkCreateDebugUtilsMessengerEXT"));
    if (!create_messenger) throw Error("the validation layer has no VK_EXT_debug_utils");
    checkCreated(create_messenger(instance->handle, &messenger, nullptr, &instance->messenger_), instance->messenger_,
                 "creating a debug messenger");
  }
  return instance;
}

Instance::~Instance() {
  if (messenger_) {
    const auto destroy =
        reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(get(handle, "vkDestroyDebugUtilsMessengerEXT"));
    if (destroy) destroy(handle, messenger_, nullptr);
  }
  if (handle && api.DestroyInstance) api.DestroyInstance(handle, nullptr);
}

VkBool32 Instance::onMessage(VkDebugUtilsMessageSeverityFlagBitsEXT severity, VkDebugUtilsMessageTypeFlagsEXT,
                             const VkDebugUtilsMessengerCallbackDataEXT* data, void* user) {
  Instance* self = static_cast<Instance*>(user);
  std::string text = data && data->pMessage ? data->pMessage : "";
  std::replace(text.begin(), text.end(), '\n', ' ');
  const bool error = (severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT) != 0;
  if (self->log_) self->log_(error ? NIB_SEVERITY_ERROR : NIB_SEVERITY_WARNING, text);
  const std::lock_guard lock(self->mutex_);
  if (error) ++self->errors_;
  if (self->messages_.size() < kMaxMessages) self->messages_.push_back(std::move(text));
  return VK_FALSE;
}

uint32_t Instance::validationErrors() const {
  const std::lock_guard lock(mutex_);
  return errors_;
}

std::vector<std::string> Instance::validationMessages() const {
  const std::lock_guard lock(mutex_);
  return messages_;
}

std::vector<VkPhysicalDevice> Instance::physicalDevices() const {
  uint32_t count = 0;
  VkResult result = api.EnumeratePhysicalDevices(handle, &count, nullptr);
  // INITIALIZATION_FAILED: no driver works, which is the same as having none.
  if (result == VK_ERROR_INITIALIZATION_FAILED) return {};
  check(result, "listing Vulkan devices");
  if (count == 0) return {};
  std::vector<VkPhysicalDevice> devices(count);
  result = api.EnumeratePhysicalDevices(handle, &count, devices.data());
  if (result != VK_INCOMPLETE) check(result, "listing Vulkan devices");
  devices.resize(count);
  return devices;
}

bool offersExtension(const InstanceApi& api, VkPhysicalDevice physical_device, const char* name) {
  uint32_t count = 0;
  if (api.EnumerateDeviceExtensionProperties(physical_device, nullptr, &count, nullptr) != VK_SUCCESS) return false;
  std::vector<VkExtensionProperties> extensions(count);
  if (api.EnumerateDeviceExtensionProperties(physical_device, nullptr, &count, extensions.data()) < 0) return false;
  return std::any_of(extensions.begin(), extensions.begin() + count,
                     [&](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, name) == 0; });
}

std::vector<VkQueueFamilyProperties> queueFamilies(const InstanceApi& api, VkPhysicalDevice physical_device) {
  uint32_t count = 0;
  api.GetPhysicalDeviceQueueFamilyProperties(physical_device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  api.GetPhysicalDeviceQueueFamilyProperties(physical_device, &count, families.data());
  return families;
}

std::optional<uint32_t> findComputeFamily(const InstanceApi& api, VkPhysicalDevice physical_device) {
  const std::vector<VkQueueFamilyProperties> families = queueFamilies(api, physical_device);
  std::optional<uint32_t> found;
  for (uint32_t i = 0; i < families.size(); ++i) {
    const VkQueueFlags flags = families[i].queueFlags;
    if ((flags & VK_QUEUE_COMPUTE_BIT) == 0 || families[i].queueCount == 0) continue;
    if ((flags & VK_QUEUE_GRAPHICS_BIT) == 0) return i;
    if (!found) found = i;
  }
  return found;
}

DeviceInfo describe(PFN_vkGetInstanceProcAddr get, const InstanceApi& api, VkInstance instance,
                    VkPhysicalDevice physical_device, uint32_t api_version) {
  VkPhysicalDeviceProperties properties{};
  api.GetPhysicalDeviceProperties(physical_device, &properties);
  DeviceInfo info;
  info.name = properties.deviceName;
  info.api = versionText(properties.apiVersion);
  info.api_version = properties.apiVersion;
  info.type = typeOf(properties.deviceType);
  info.vendor_id = properties.vendorID;
  info.device_id = properties.deviceID;
  info.max_storage_range_bytes = properties.limits.maxStorageBufferRange;
  info.driver_version = std::to_string(properties.driverVersion);
  info.driver = info.driver_version;

  VkPhysicalDeviceMemoryProperties memory{};
  api.GetPhysicalDeviceMemoryProperties(physical_device, &memory);
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
    if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) == 0) continue;
    info.memory_bytes = std::max<uint64_t>(info.memory_bytes, memory.memoryHeaps[i].size);
  }

  if (properties.apiVersion < VK_API_VERSION_1_1) {
    info.tier_reason = "it has Vulkan " + info.api + ", 1.1 is needed";
    return info;
  }
  VkPhysicalDeviceSubgroupProperties subgroup{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
  VkPhysicalDeviceDriverProperties driver{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
  const bool has_driver = std::min(properties.apiVersion, api_version) >= VK_API_VERSION_1_2 ||
                          offersExtension(api, physical_device, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME);
  if (has_driver) subgroup.pNext = &driver;
  VkPhysicalDeviceProperties2 properties2{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  properties2.pNext = &subgroup;
  api.GetPhysicalDeviceProperties2(physical_device, &properties2);
  info.subgroup_size = subgroup.subgroupSize;
  if (has_driver) info.driver = std::string(driver.driverName) + " " + driver.driverInfo;

  const std::optional<uint32_t> family = findComputeFamily(api, physical_device);
  if (!family) {
    info.tier_reason = "it has no compute queue";
    return info;
  }
  info.timestamps =
      queueFamilies(api, physical_device)[*family].timestampValidBits > 0 && properties.limits.timestampPeriod > 0;

  NibRequirements requirements{sizeof(NibRequirements)};
  const NibResult result = nibGetRequirements(get, instance, physical_device, api_version, &requirements);
  if (result == NIB_SUCCESS) {
    info.features = requirements.features;
  } else {
    info.tier_reason = nibResultString(result);
  }
  return info;
}

}  // namespace nib::kit::detail
