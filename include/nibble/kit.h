// The kit: nibble for programs that have no Vulkan code yet. It opens a device (or wraps the application's), owns
// buffers, moves data, submits and waits. It uses only the public functions of nibble.h.
//
//   nib::kit::Device device = nib::kit::Device::best();
//   nib::kit::Tensor tensor = nib::kit::quantize(device, weights, nib::kit::int4(rows, cols));
//   std::vector<float> back = nib::kit::dequantize(device, tensor);
//
// Without Vulkan the same program runs on the CPU reference: Device::best() then returns the CPU device, whose buffers
// are host memory and whose runs call nibCpuRun. A program that defines NIB_NO_VULKAN needs no Vulkan headers; the
// library it links may still have Vulkan.
//
// Errors: a function that says "Throws" throws nib::kit::Error with a one-line message. The only other exception is
// std::bad_alloc.
// After a failed submission or wait its work does not count as done, whatever the buffers hold. A device that was lost
// (VK_ERROR_DEVICE_LOST) stays lost: open it again.
// Ownership: Device is a shared handle; copies refer to the same device. Every buffer, plan, binding and timer keeps
// its device alive.
// Threads: all functions of Device may be called from any thread. A Buffer, Plan or Binding may be read by several
// threads, or be changed (moved, assigned, destroyed) by one. A Timer is used by one thread at a time.
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

// A one-line message: what failed, where, and how to fix it if a fix is known.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& text, NibResult result = NIB_SUCCESS) : std::runtime_error(text), result_(result) {}
  // The result of the nibble.h call that failed; NIB_SUCCESS = the error came from elsewhere.
  NibResult result() const { return result_; }

 private:
  NibResult result_;
};

// No device, profile or format has the given name. The message lists the names that exist, or says how to list them.
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
  uint32_t index = 0;          // as Device::byName takes it; the CPU reference comes last
  std::string name;            // "llvmpipe (LLVM 15.0.6, 256 bits)", "cpu"
  std::string driver;          // "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)"
  std::string driver_version;  // VkPhysicalDeviceProperties::driverVersion in decimal; nibble's version for the CPU
  std::string api;             // "1.3.230"; "" for the CPU
  DeviceType type = DeviceType::kCpu;
  uint32_t vendor_id = 0;
  uint32_t device_id = 0;
  uint32_t api_version = 0;   // of the device, VK_MAKE_API_VERSION; 0 for the CPU
  uint32_t features = 0;      // NIB_FEATURE_* in use
  int tier = -1;              // 0..3, see NibContextInfo::tier; -1 = cannot be used, or the CPU
  std::string tier_reason;    // why the next tier is not reached; for tier -1: why the device cannot be used
  uint64_t memory_bytes = 0;  // size of the largest device-local heap, at most DeviceOptions::memory_bytes
  uint32_t subgroup_size = 0;
  uint64_t max_storage_range_bytes = 0;
  bool timestamps = false;   // Timer reads the device's clock, not the host's
  uint32_t cpu_threads = 0;  // of the CPU device; 0 for the others
};

// All Vulkan devices, without the CPU reference. Opens each device briefly to find its tier, which may take seconds.
// Returns an empty list if Vulkan is missing.
std::vector<DeviceInfo> listDevices();
// Describes the CPU reference. Its index is `vulkan_devices`, the length of listDevices().
DeviceInfo cpuDeviceInfo(size_t vulkan_devices = 0);

// kOn and kGpuAssisted need the Khronos validation layer. Messages are counted, see Device::validationErrors.
enum class Validation {
  kOff,
  kOn,          // core and synchronization checks
  kGpuAssisted  // also bounds checks inside shaders
};

struct DeviceOptions {
  // "": the best usable Vulkan device (discrete > integrated > virtual > other > software), else the CPU.
  // "cpu": the CPU reference. "0", "1": an index of listDevices. Otherwise part of a device's or driver's name
  // ("4070"), letter case ignored; the best device that matches is opened.
  std::string selector;
  // An id of profileIds ("floor", "mali-g52"): features that the profile lacks stay off, and limits are lowered to the
  // profile's. "" = no profile. The CPU ignores it.
  std::string profile;
  uint32_t cpu_threads = 0;        // of the CPU device, with the caller's; 0 = all hardware threads
  uint64_t memory_bytes = 0;       // most bytes of buffers at a time; 0 = what the device has. The CPU ignores it.
  uint32_t features = UINT32_MAX;  // NIB_FEATURE_* that may be enabled
  Validation validation = Validation::kOff;
  Log log;                        // receives lines of nibble and of the validation layer; called from any thread
  Bytes verdicts;                 // from saveVerdicts or loadVerdicts
  std::vector<NibTuning> tuning;  // from loadTuning
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

// The arguments of one run; see NibRun for each field.
struct RunOptions {
  uint32_t n = 0;
  uint32_t first_row = 0;
  uint32_t offset_bytes[NIB_ROLE_COUNT] = {};
};

struct RunStats {
  double seconds = 0;        // host time of the whole run: recording, submissions and waits
  uint32_t submissions = 0;  // 1 on the CPU
};

#if !defined(NIB_NO_VULKAN)
// An application's device. The handles and *queue_mutex must outlive the Device and everything created from it.
struct AdoptDesc {
  PFN_vkGetInstanceProcAddr get_instance_proc_addr = nullptr;
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical_device = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  uint32_t api_version = 0;  // VkApplicationInfo::apiVersion of the instance
  uint32_t features = 0;     // NIB_FEATURE_* that were enabled when the device was created; the kit uses no others
  VkQueue queue = VK_NULL_HANDLE;  // its family has VK_QUEUE_COMPUTE_BIT
  uint32_t queue_family = 0;
  std::mutex* queue_mutex = nullptr;                // held while submitting; NULL = only the kit uses the queue
  VkPipelineCache pipeline_cache = VK_NULL_HANDLE;  // optional
  const NibRestrict* restriction = nullptr;         // NULL = none; copied
  Log log;                                          // these three: as in DeviceOptions
  Bytes verdicts;
  std::vector<NibTuning> tuning;
};
#endif

class Device {
 public:
  // Opens the best usable Vulkan device, or the CPU if there is none. Throws if opening the device fails.
  static Device best();
  // `selector`: see DeviceOptions::selector. Throws; NotFound if no device matches.
  static Device byName(std::string_view selector);
  // Throws; NotFound if no device matches the selector or no profile has the given id.
  static Device open(const DeviceOptions& options);
  // The CPU reference. Loads no Vulkan driver.
  static Device cpu();

  const DeviceInfo& info() const;
  bool isCpu() const { return info().type == DeviceType::kCpu; }

  // Creates a plan and a binding, runs n rows, waits, and destroys both. Throws.
  //   device.runOnce(desc, {.weights = blob, .input = data}, rows);
  template <class Desc>
  RunStats runOnce(const Desc& desc, const Ranges& ranges, uint32_t n) const;
  // Runs rows 0..n of a binding and waits. The work is split into submissions of about 20 ms, so that the desktop stays
  // responsive and no watchdog resets the device; devices that are CPUs run it in one piece. Throws.
  RunStats run(const Binding& binding, uint32_t n) const;
  RunStats run(const Binding& binding, const RunOptions& options) const;

  // Copies data to or from a buffer of this device, mapped or not. Any size is allowed; returns when the copy is done.
  // Throws.
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
  // Fills a range with copies of `word`. Offset and size are multiples of 4. Returns when done. Throws.
  void fill(const Buffer& buffer, uint32_t word, uint64_t offset_bytes, uint64_t size_bytes) const;

  // Validation messages of severity error since the device was opened; 0 if it was opened without validation.
  uint32_t validationErrors() const;
  // Device memory of all buffers that exist now, in bytes; 0 on the CPU.
  uint64_t allocatedBytes() const;
  // The first 200 validation messages, warnings included.
  std::vector<std::string> validationMessages() const;

#if !defined(NIB_NO_VULKAN)
  // Wraps an application's device, which stays the application's. Throws.
  static Device adopt(const AdoptDesc& desc);
  // Create a second context on the same VkDevice, without this device's restriction, tuning and verdicts: restricted()
  // limits its features and limits, tuned() gives it a tuning. Throw, always on the CPU.
  Device restricted(const NibRestrict& restriction) const;
  Device tuned(const std::vector<NibTuning>& tuning) const;

  // The handles belong to the device and live as long as it. NULL (0 for the family) on the CPU.
  NibContext* context() const;
  PFN_vkGetInstanceProcAddr getInstanceProcAddr() const;
  VkInstance instance() const;
  VkPhysicalDevice physicalDevice() const;
  VkDevice handle() const;
  VkQueue queue() const;
  uint32_t queueFamily() const;

  // Calls `record` with a command buffer, submits it and waits; returns the seconds from submission to the fence.
  // Writes of earlier submissions are visible to the commands; their writes are visible to later submissions and to the
  // host. `record` places the barriers between its own commands.
  // Throws, always on the CPU; exceptions of `record` pass through.
  double submit(const std::function<void(VkCommandBuffer)>& record) const;
  // For objects of the application that commands of submit() use: calls `destroy`, which may not throw, now; or, while
  // a submission that failed may still be running, later and in order: when the queue is idle or the device lost, or
  // never. The kit's own objects do the same.
  void whenIdle(std::function<void()> destroy) const noexcept;
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
  kDevice,  // the fastest memory for kernels; also mapped on devices that share memory with the host
  kHost     // mapped and coherent; cached if the device has such memory
};

// A storage buffer (also transfer source and destination) with its own memory. Bindings keep the memory alive.
// Contents start undefined. Move only.
class Buffer {
 public:
  Buffer() = default;
  // Size 0 creates an empty buffer, without memory. Throws.
  Buffer(const Device& device, uint64_t size_bytes, Memory memory = Memory::kDevice);
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

#if !defined(NIB_NO_VULKAN)
  // Wraps a buffer of the application, which stays the application's and must outlive everything that uses it. Its
  // usage includes VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, and TRANSFER_SRC and TRANSFER_DST for what copies it. mapped:
  // NULL, or where the whole buffer is mapped, in coherent memory. Throws, always on the CPU.
  static Buffer adopt(const Device& device, VkBuffer buffer, uint64_t size_bytes, void* mapped = nullptr);
#endif

  uint64_t sizeBytes() const;
  void* mapped() const;  // NULL = not mapped: use Device::upload and download
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
// A validated op with its pipelines, see nibCreatePlan. It may take long to create. On the CPU it holds a copy of the
// description. Move only.
class Plan {
 public:
  // desc: a NibQuantizeDesc, NibDequantizeDesc, ...; copied. Throws.
  template <class Desc>
  Plan(const Device& device, const Desc& desc) : Plan(device, reinterpret_cast<const NibOpDesc*>(&desc), sizeof(Desc)) {
    static_assert(offsetof(Desc, op) == 0, "a description begins with its op");
  }
  Plan(const Device& device, const NibOpDesc* desc, size_t desc_size_bytes);
  Plan(Plan&&) noexcept = default;
  Plan& operator=(Plan&&) noexcept = default;

  const NibMemory& memory() const;
  uint64_t sizeBytes(NibRole role) const { return memory().range[role].size_bytes; }
  std::vector<std::string> kernels() const;  // the kernel of each phase; "cpu" on the CPU
#if !defined(NIB_NO_VULKAN)
  NibPlan* handle() const;  // NULL on the CPU
#endif

 private:
  friend class Binding;
  std::shared_ptr<detail::PlanState> state_;
};

// A range of a buffer, in bytes; size 0 = from the offset to the end. A role that the plan does not use may stay empty.
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

// The offset of a part within the range of its role, see NibBindingDesc::part_offset_bytes.
struct PartOffset {
  NibPart part;
  uint64_t offset_bytes;
};

// A plan bound to buffers; keeps both alive. Move only.
class Binding {
 public:
  // parts: offsets of the parts that do not lie where Plan::memory() says. Throws.
  Binding(const Plan& plan, const Ranges& ranges, std::span<const PartOffset> parts = {});
  Binding(Binding&&) noexcept = default;
  Binding& operator=(Binding&&) noexcept = default;
#if !defined(NIB_NO_VULKAN)
  NibBinding* handle() const;  // NULL on the CPU
  // nibCmdRun of all slices. Throws if nibCheckRun refuses it, and on the CPU.
  void record(VkCommandBuffer command_buffer, const RunOptions& options) const;
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
// Times pieces of work, one per slot, with the device's timestamps. On a device without timestamps a slot's time is
// that of its submission divided by the number of slots recorded in it. Move only.
class Timer {
 public:
  // Throws.
  explicit Timer(const Device& device, uint32_t slots = 1);
  Timer(Timer&&) noexcept = default;
  Timer& operator=(Timer&&) noexcept = default;

  bool onDevice() const;  // the device has timestamps
  // Measure with the host's clock: for the CPU device, and for calls that submit on their own, as Device::run does.
  // Throw if there is no such slot.
  void begin(uint32_t slot = 0);
  void end(uint32_t slot = 0);
#if !defined(NIB_NO_VULKAN)
  // Measure commands: call them in the `record` of Device::submit, once per slot and submission. Throw on the CPU and
  // if there is no such slot.
  void begin(VkCommandBuffer command_buffer, uint32_t slot = 0);
  void end(VkCommandBuffer command_buffer, uint32_t slot = 0);
#endif
  // Call it after the submission. Throws; on a Vulkan device also if the slot was not recorded.
  double seconds(uint32_t slot = 0) const;

 private:
  std::shared_ptr<detail::TimerState> state_;
};

// ---------------------------------------------------------------------------------------------- easy level
// Describe the quantization of a dense fp32 matrix. Scales are fp32, or of the format's own type if it has no such
// (mxfp4, q4_0 and the like). The caller may change any field before use.
// format: a name that nibFormatByName knows. group: values per scale; 0 = the format's default, or one scale per row if
// it has none.
// Throw NotFound if this build lacks the format.
NibQuantizeDesc quantizeDesc(std::string_view format, uint32_t rows, uint32_t cols, uint32_t group = 0);
NibQuantizeDesc int4(uint32_t rows, uint32_t cols, uint32_t group = 128);
NibQuantizeDesc int8(uint32_t rows, uint32_t cols);  // one scale per row
NibQuantizeDesc nf4(uint32_t rows, uint32_t cols, uint32_t group = 64);

// A quantized matrix in host memory. `weights` says how to read it; `memory` has the offsets of its parts.
struct Tensor {
  NibWeights weights{};
  uint32_t rows = 0;
  uint32_t cols = 0;
  NibMemory memory{sizeof(NibMemory)};
  NibStatus status{};          // counts from quantizing
  std::vector<uint32_t> blob;  // the same bytes on every device

  // Views of the blob; empty if the format has no such part.
  std::span<const std::byte> codes() const { return part(NIB_PART_CODES); }
  std::span<const std::byte> scales() const { return part(NIB_PART_SCALES); }
  std::span<const std::byte> zeros() const { return part(NIB_PART_ZEROS); }
  std::span<const std::byte> part(NibPart part) const;
};

// data: rows * cols values, dense. Allocates its buffers on the device for the call, runs and waits. Throws.
Tensor quantize(const Device& device, std::span<const float> data, const NibQuantizeDesc& desc);
// Returns rows * cols values. Throws.
std::vector<float> dequantize(const Device& device, const Tensor& tensor);
// Error measures of `candidate` against `reference`, which has as many values. Every device gives the same numbers.
// Throws.
NibErrors errors(const Device& device, std::span<const float> reference, std::span<const float> candidate);

// ---------------------------------------------------------------------------------------------- verify
struct Attempt {
  std::vector<std::string> kernels;  // of the plan that was tested
  bool passed = false;
};

// Runs the self-test of the plan for desc. A kernel that fails is not used again, so after a failure it tests the plan
// that replaces it, until one passes or no kernels are left. If the last attempt failed, the device cannot run this op
// correctly. The CPU always passes. A failed self-test is a result, not an exception; other errors throw.
std::vector<Attempt> verifyOp(const Device& device, const NibOpDesc* desc, size_t desc_size_bytes);
template <class Desc>
std::vector<Attempt> verify(const Device& device, const Desc& desc) {
  return verifyOp(device, reinterpret_cast<const NibOpDesc*>(&desc), sizeof(Desc));
}

// Save and load the results of self-tests, for DeviceOptions::verdicts of a later run on the same device and driver.
// The file is replaced atomically. Loading returns no bytes if there is no such file. Throw.
void saveVerdicts(const Device& device, const std::string& path);
Bytes loadVerdicts(const std::string& path);

// A tuning file has one NibTuning per line, "matvec int4 from 1 tokens: 8 4 1 2"; lines that begin with # are comments.
// The name of a NibTunable in these files: "matvec". Throws if `tunable` is not a NibTunable.
const char* tunableName(uint32_t tunable);
// Replaces the file atomically. comment: one line, without the #. Throws.
void saveTuning(const std::vector<NibTuning>& tuning, const std::string& comment, const std::string& path);
// Throws if the file is missing or empty, or if a line cannot be parsed.
std::vector<NibTuning> loadTuning(const std::string& path);

// ---------------------------------------------------------------------------------------------- profiles
// Ids of the built-in table of common devices: "floor" (the guaranteed minimum), "mali-g52", "amd-radeon-rx-6600", ...
std::vector<std::string> profileIds();
#if !defined(NIB_NO_VULKAN)
// The features and limits of the profile's device, as a restriction. Values that the table lacks are the floor's.
// Throws NotFound.
NibRestrict profileRestrict(std::string_view id);
#endif

}  // namespace nib::kit
#endif  // NIBBLE_KIT_H
