// The kit: nibble for programs that have no Vulkan yet. It opens a device (or wraps the application's), owns buffers,
// moves data, submits and waits. Everything in it goes through the public functions of nibble.h.
//
//   nib::kit::Device device = nib::kit::Device::best();
//   nib::kit::Tensor tensor = nib::kit::quantize(device, weights, nib::kit::int4(rows, cols));
//   std::vector<float> back = nib::kit::dequantize(device, tensor);
//
// Without Vulkan the same program runs on the CPU references: Device::best() then gives the CPU, whose buffers are host
// memory and whose runs are nibCpuRun. A program may define NIB_NO_VULKAN and needs no Vulkan headers then; the library
// it links may still have Vulkan.
//
// Errors: functions throw nib::kit::Error, a one-line message, where they say "Throws". Nothing else is thrown but
// std::bad_alloc. Device is a shared handle: copies mean the same device, and every buffer, plan, binding and timer
// keeps its device alive. All functions of Device may be called from any thread; a Buffer, Plan or Binding is used by
// one thread at a time, or only read.
#ifndef NIBBLE_KIT_H
#define NIBBLE_KIT_H

#include <nibble/nibble.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace nib::kit {

// A one-line message: what failed, where, and the mend if there is one.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& text, NibResult result = NIB_SUCCESS)
      : std::runtime_error(text), result_(result) {}
  // Of the nibble.h call that failed; NIB_SUCCESS = the error is not from one.
  NibResult result() const { return result_; }

 private:
  NibResult result_;
};

// A name that means nothing here: no such device, profile or format. The message lists what there is.
class NotFound : public Error {
 public:
  using Error::Error;
};

using Log = std::function<void(NibSeverity, std::string_view)>;

using Bytes = std::vector<std::byte>;

// ---------------------------------------------------------------------------------------------- devices
enum class DeviceType { kDiscrete, kIntegrated, kVirtual, kOther, kSoftware, kCpu };  // best first
const char* deviceTypeName(DeviceType type);

struct DeviceInfo {
  uint32_t index = 0;            // what Device::byName takes; the CPU reference has the last one
  std::string name;              // "llvmpipe (LLVM 15.0.6, 256 bits)", "cpu"
  std::string driver;            // "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)"
  std::string driver_version;    // as the driver writes its own number
  std::string api;               // "1.3.230"; "" for the CPU
  DeviceType type = DeviceType::kCpu;
  uint32_t vendor_id = 0;
  uint32_t device_id = 0;
  uint32_t api_version = 0;      // VK_MAKE_API_VERSION, of the device
  uint32_t features = 0;         // NIB_FEATURE_* in use; in a list: offered
  int tier = -1;                 // 0..3, see nibble.h; -1 = cannot be used, or the CPU
  std::string tier_reason;       // why not the next tier; for tier -1 why it cannot be used
  uint64_t memory_bytes = 0;     // of the largest device-local heap
  uint32_t subgroup_size = 0;
  uint64_t max_storage_range_bytes = 0;
  bool timestamps = false;       // Timer reads the device's own clock
};

// Every Vulkan device, opened for a moment to find its tier. Never throws for want of Vulkan: the list is empty then.
std::vector<DeviceInfo> listDevices();
// The CPU reference as a device; its index follows `vulkan_devices`.
DeviceInfo cpuDeviceInfo(size_t vulkan_devices = 0);

// Needs the Khronos validation layer. Messages are counted, see Device::validationErrors.
enum class Validation { kOff, kOn, kGpuAssisted };  // kOn: core and synchronization; kGpuAssisted: and bounds, in shaders

struct DeviceOptions {
  // "": the first of discrete > integrated > virtual > software, or the CPU if there is no usable Vulkan device.
  // "cpu": the reference. "0", "1": an index of listDevices. Else part of a device's or driver's name ("4070"), in any
  // case of letters; of several the best.
  std::string selector;
  // A row of the profile table ("floor", "mali-g52"): the device is made with only the features the profile has too,
  // and limits are lowered to the profile's. "" = none.
  std::string profile;
  uint32_t features = UINT32_MAX;  // NIB_FEATURE_* that may be enabled
  Validation validation = Validation::kOff;
  Log log;                         // lines of nibble and of the validation layer; may be called from any thread
  Bytes verdicts;                  // from saveVerdicts or loadVerdicts
  std::vector<NibTuning> tuning;   // from loadTuning
};

class Buffer;
class Plan;
class Binding;
class Timer;
struct Ranges;

namespace detail {
class Backend;
class BufferState;
class PlanState;
class BindingState;
class TimerState;
struct Access;
}  // namespace detail

// What changes from run to run, see NibRun.
struct RunOptions {
  uint32_t n = 0;
  uint32_t first_row = 0;
  uint32_t offset_bytes[NIB_ROLE_COUNT] = {};
};

struct RunStats {
  double seconds = 0;         // from the first submission to the end of the last
  uint32_t submissions = 0;
};

#if !defined(NIB_NO_VULKAN)
// An application's device. The handles must outlive the Device and all that was made from it.
struct AdoptDesc {
  PFN_vkGetInstanceProcAddr get_instance_proc_addr = nullptr;
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical_device = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  uint32_t api_version = 0;  // of VkApplicationInfo
  uint32_t features = 0;     // NIB_FEATURE_* that were enabled when the device was made; what is not declared is off
  VkQueue queue = VK_NULL_HANDLE;  // with COMPUTE
  uint32_t queue_family = 0;
  std::mutex* queue_mutex = nullptr;  // held while submitting; NULL = only the kit uses the queue
  VkPipelineCache pipeline_cache = VK_NULL_HANDLE;
  const NibRestrict* restriction = nullptr;
  Log log;
  Bytes verdicts;
  std::vector<NibTuning> tuning;
};
#endif

class Device {
 public:
  // Throws if the device found cannot be opened; not for want of Vulkan.
  static Device best();
  // DeviceOptions::selector. Throws NotFound.
  static Device byName(std::string_view selector);
  // Throws NotFound for the selector and the profile, Error for the rest.
  static Device open(const DeviceOptions& options);
  static Device cpu();

  const DeviceInfo& info() const;
  bool isCpu() const { return info().type == DeviceType::kCpu; }

  // Validates and runs a whole op once: plan, binding, run. Each throws.
  //   device.run(desc, {.weights = blob, .input = data}, rows);
  template <class Desc>
  RunStats runOnce(const Desc& desc, const Ranges& ranges, uint32_t n) const;
  // Runs rows 0..n of a binding and waits: about 20 ms of work at a time, so that a compositor gets its turn and no
  // watchdog bites; in one piece on devices that are CPUs. Throws.
  RunStats run(const Binding& binding, uint32_t n) const;
  RunStats run(const Binding& binding, const RunOptions& options) const;

  // Data to and from any buffer of this device, of any size; done on return. Throws.
  template <class T>
  void upload(const Buffer& to, std::span<const T> data, uint64_t offset_bytes = 0) const {
    uploadBytes(to, offset_bytes, data.data(), data.size_bytes());
  }
  template <class T>
  void upload(const Buffer& to, const std::vector<T>& data, uint64_t offset_bytes = 0) const {
    uploadBytes(to, offset_bytes, data.data(), data.size() * sizeof(T));
  }
  template <class T>
  std::vector<T> download(const Buffer& from, size_t count, uint64_t offset_bytes = 0) const {
    std::vector<T> data(count);
    downloadBytes(from, offset_bytes, data.data(), count * sizeof(T));
    return data;
  }
  void uploadBytes(const Buffer& to, uint64_t offset_bytes, const void* data, uint64_t size_bytes) const;
  void downloadBytes(const Buffer& from, uint64_t offset_bytes, void* data, uint64_t size_bytes) const;
  // Offset and size are multiples of 4.
  void fill(const Buffer& buffer, uint32_t word, uint64_t offset_bytes, uint64_t size_bytes) const;

  // Validation messages of severity error since the device was opened with validation; 0 without. The list also holds
  // warnings.
  uint32_t validationErrors() const;
  std::vector<std::string> validationMessages() const;

#if !defined(NIB_NO_VULKAN)
  // Wraps an application's device. Throws.
  static Device adopt(const AdoptDesc& desc);
  // The same VkDevice under a second context that may use less. Throws on the CPU.
  Device restricted(const NibRestrict& restriction) const;
  // The same, unrestricted, with other choices of how work is cut.
  Device tuned(const std::vector<NibTuning>& tuning) const;

  // NULL on the CPU.
  NibContext* context() const;
  PFN_vkGetInstanceProcAddr getInstanceProcAddr() const;
  VkInstance instance() const;
  VkPhysicalDevice physicalDevice() const;
  VkDevice handle() const;
  VkQueue queue() const;
  uint32_t queueFamily() const;

  // Records with `record`, submits, waits; returns the seconds from submission to the fence. Writes of earlier calls
  // are visible to the commands, and theirs to later calls and the host; barriers between the commands are record's.
  // Throws on the CPU, and what `record` throws.
  double submit(const std::function<void(VkCommandBuffer)>& record) const;
#endif

 private:
  friend class Buffer;
  friend class Plan;
  friend class Binding;
  friend class Timer;
  friend struct detail::Access;
  explicit Device(std::shared_ptr<detail::Backend> backend) : backend_(std::move(backend)) {}
  std::shared_ptr<detail::Backend> backend_;
};

// ---------------------------------------------------------------------------------------------- buffers
enum class Memory {
  kDevice,  // what kernels read fastest; also mapped where that costs nothing (integrated, software, CPU)
  kHost     // mapped, coherent, cached where there is such memory
};

// A storage buffer (also transfer source and destination) with its own memory. Move only.
class Buffer {
 public:
  Buffer() = default;
  // Size 0 gives an empty buffer. Throws.
  Buffer(const Device& device, uint64_t size_bytes, Memory memory = Memory::kDevice);
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

  uint64_t sizeBytes() const;
  void* mapped() const;  // NULL = upload and download only
#if !defined(NIB_NO_VULKAN)
  VkBuffer handle() const;  // VK_NULL_HANDLE on the CPU
  NibBufferRange range() const { return {handle(), 0, sizeBytes()}; }
#endif

 private:
  friend class Device;
  friend class Binding;
  std::shared_ptr<detail::BufferState> state_;
};

// ---------------------------------------------------------------------------------------------- plans
// A validated op, see nibCreatePlan. On the CPU: the description and its sizes. Move only.
class Plan {
 public:
  // desc: a NibQuantizeDesc, NibDequantizeDesc, ... Throws.
  template <class Desc>
  Plan(const Device& device, const Desc& desc)
      : Plan(device, reinterpret_cast<const NibOpDesc*>(&desc), sizeof(Desc)) {
    static_assert(offsetof(Desc, op) == 0, "a description begins with its op");
  }
  Plan(const Device& device, const NibOpDesc* desc, size_t desc_size_bytes);
  Plan(Plan&&) noexcept = default;
  Plan& operator=(Plan&&) noexcept = default;

  const NibMemory& memory() const;
  uint64_t sizeBytes(NibRole role) const { return memory().range[role].size_bytes; }
  std::vector<std::string> kernels() const;  // "cpu" on the CPU
#if !defined(NIB_NO_VULKAN)
  NibPlan* handle() const;  // NULL on the CPU
#endif

 private:
  friend class Binding;
  std::shared_ptr<detail::PlanState> state_;
};

// A part of a buffer; size 0 = all from the offset on. A role the plan does not use may stay empty.
struct Range {
  Range() = default;
  Range(const Buffer& whole) : buffer(&whole) {}  // NOLINT: meant to convert
  Range(const Buffer& part, uint64_t offset, uint64_t size) : buffer(&part), offset_bytes(offset), size_bytes(size) {}
  const Buffer* buffer = nullptr;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

struct Ranges {
  Range weights;
  Range input;
  Range output;
  Range aux;
};

// Where a part of a role lies in its range, see NibBindingDesc.
struct PartOffset {
  NibPart part;
  uint64_t offset_bytes;
};

// A plan tied to buffers; keeps both alive. Move only.
class Binding {
 public:
  // Throws.
  Binding(const Plan& plan, const Ranges& ranges, std::span<const PartOffset> parts = {});
  Binding(Binding&&) noexcept = default;
  Binding& operator=(Binding&&) noexcept = default;
#if !defined(NIB_NO_VULKAN)
  NibBinding* handle() const;  // NULL on the CPU
#endif

 private:
  friend class Device;
  std::shared_ptr<detail::BindingState> state_;
};

template <class Desc>
RunStats Device::runOnce(const Desc& desc, const Ranges& ranges, uint32_t n) const {
  const Plan plan(*this, desc);
  const Binding binding(plan, ranges);
  return run(binding, n);
}

// ---------------------------------------------------------------------------------------------- timers
// Times of `slots` pieces of work, from timestamps of the device. Where it has none, a slot's time is that of the
// submission it was recorded in, divided by the slots in it. Move only.
class Timer {
 public:
  // Throws.
  explicit Timer(const Device& device, uint32_t slots = 1);
  Timer(Timer&&) noexcept = default;
  Timer& operator=(Timer&&) noexcept = default;

  bool onDevice() const;  // timestamps
  // On the host's clock: for the CPU device, and for work that submits by itself.
  void begin(uint32_t slot = 0);
  void end(uint32_t slot = 0);
#if !defined(NIB_NO_VULKAN)
  // Inside Device::submit, each slot once in one submission.
  void begin(VkCommandBuffer command_buffer, uint32_t slot = 0);
  void end(VkCommandBuffer command_buffer, uint32_t slot = 0);
#endif
  // After the submission. Throws.
  double seconds(uint32_t slot = 0) const;

 private:
  std::shared_ptr<detail::TimerState> state_;
};

// ---------------------------------------------------------------------------------------------- easy level
// Descriptions of a rows x cols fp32 matrix to quantize; change what you like before use.
// format: a name of nibFormatByName; group 0 = the format's usual grouping, one scale per row if it has none.
// Throws NotFound.
NibQuantizeDesc weights(std::string_view format, uint32_t rows, uint32_t cols, uint32_t group = 0);
NibQuantizeDesc int4(uint32_t rows, uint32_t cols, uint32_t group = 128);
NibQuantizeDesc int8(uint32_t rows, uint32_t cols);  // one scale per row
NibQuantizeDesc nf4(uint32_t rows, uint32_t cols, uint32_t group = 64);

// A quantized matrix in host memory; NibWeights says how to read it, memory where its parts are.
struct Tensor {
  NibWeights weights{};
  uint32_t rows = 0;
  uint32_t cols = 0;
  NibMemory memory{sizeof(NibMemory)};
  NibStatus status{};            // what was met while quantizing
  std::vector<uint32_t> blob;    // the same bytes on every device

  std::span<const std::byte> codes() const { return part(NIB_PART_CODES); }
  std::span<const std::byte> scales() const { return part(NIB_PART_SCALES); }
  std::span<const std::byte> zeros() const { return part(NIB_PART_ZEROS); }
  std::span<const std::byte> part(NibPart part) const;
};

// data: rows * cols values. Throws.
Tensor quantize(const Device& device, std::span<const float> data, const NibQuantizeDesc& desc);
std::vector<float> dequantize(const Device& device, const Tensor& tensor);
// What `candidate` lost against `reference`, of the same number of values. The same numbers on every device. Throws.
NibErrors errors(const Device& device, std::span<const float> reference, std::span<const float> candidate);

// ---------------------------------------------------------------------------------------------- verify
struct Attempt {
  std::vector<std::string> kernels;  // of the plan that was tried
  bool passed = false;
};

// Runs the self-test of the plan for desc, and while it fails, of the plan that takes its place. The last attempt
// passed, or no path is left and the device is broken for this op. The CPU passes. Throws for what is not a verdict.
std::vector<Attempt> verifyOp(const Device& device, const NibOpDesc* desc, size_t desc_size_bytes);
template <class Desc>
std::vector<Attempt> verify(const Device& device, const Desc& desc) {
  return verifyOp(device, reinterpret_cast<const NibOpDesc*>(&desc), sizeof(Desc));
}

// Verdicts so far, for DeviceOptions::verdicts of a later run on the same device and driver. The file appears whole or
// not at all and replaces an older one. Throws; loading a file that does not exist gives nothing.
void saveVerdicts(const Device& device, const std::string& path);
Bytes loadVerdicts(const std::string& path);

// Files of tunings: a line each, "matvec int4 from 1 tokens: 8 4 1 2", and lines of # for people. Throws where a line is none.
// As these files have it: "matvec". Throws for what is no NibTunable.
const char* tunableName(uint32_t tunable);
void saveTuning(const std::vector<NibTuning>& tuning, const std::string& comment, const std::string& path);
std::vector<NibTuning> loadTuning(const std::string& path);

// ---------------------------------------------------------------------------------------------- profiles
// Rows of the table of devices that people own: "floor", "mali-g52", "amd-radeon-rx-6600", ...
std::vector<std::string> profileIds();
#if !defined(NIB_NO_VULKAN)
// What the profile's device can do, as a restriction; a field it does not tell has the floor's value. Throws NotFound.
NibRestrict profileRestrict(std::string_view id);
#endif

}  // namespace nib::kit
#endif  // NIBBLE_KIT_H
