// nibble: quantize neural-network weights and run quantized layers on any Vulkan GPU, or on the CPU, with the same
// bytes everywhere.
//
// The order of use:
//   1. nibGetRequirements   before the application creates its VkDevice: features and extensions nibble can use
//   2. nibCreateContext     adopt the device; say which of them are enabled
//   3. nibCreatePlan        validate an op, choose kernels, build pipelines: everything that can fail fails here
//   4. nibPlanGetMemory     sizes, alignments, usage flags and parts of the buffers the application provides
//   5. nibCreateBinding     tie a plan to buffer ranges
//   6. nibCmdRun            record into the application's command buffer: cannot fail, allocates nothing
//   nibCpuRun               the same description on the reference implementation, without a Vulkan device (types.h)
//
// Each op has a header of its own with its description: nibble/ops/*.h.
//
// Shapes: a weight matrix has `rows` output rows and `cols` inputs, cols contiguous (M x K). Sizes are in elements
// unless a name ends in _bytes or _words. A word is 32 bits; all data is little-endian. Element counts (rows * cols)
// and rows * stride are at most 2^32 - 2^21; split larger tensors by rows.
//
// Errors: a function that fails returns a negative NibResult and sends one line to the log callback; the line names the
// field or call. Nothing throws, nothing is global, no call submits or waits.
//
// Threads: every function says whether it is thread-safe. Several threads may use a plan, a binding or a context, as
// long as none of them destroys it.
#ifndef NIBBLE_NIBBLE_H
#define NIBBLE_NIBBLE_H

#include <nibble/types.h>

#include <nibble/ops/append.h>
#include <nibble/ops/attention.h>
#include <nibble/ops/convert.h>
#include <nibble/ops/dequantize.h>
#include <nibble/ops/dynamic_gemm.h>
#include <nibble/ops/elementwise.h>
#include <nibble/ops/errors.h>
#include <nibble/ops/factor.h>
#include <nibble/ops/gather.h>
#include <nibble/ops/gptq.h>
#include <nibble/ops/hadamard.h>
#include <nibble/ops/hessian.h>
#include <nibble/ops/histogram.h>
#include <nibble/ops/int8_gemm.h>
#include <nibble/ops/log_histogram.h>
#include <nibble/ops/loss.h>
#include <nibble/ops/matmul.h>
#include <nibble/ops/minmax.h>
#include <nibble/ops/mix.h>
#include <nibble/ops/moments.h>
#include <nibble/ops/norm.h>
#include <nibble/ops/quantize.h>
#include <nibble/ops/repack.h>
#include <nibble/ops/rope.h>
#include <nibble/ops/search.h>
#include <nibble/ops/select.h>

#include <nibble/ranges.h>

#if !defined(NIB_NO_VULKAN)
#include <vulkan/vulkan_core.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------------------------------- tuning
// Choices that can be measured on a device, and the meaning of a NibTuning's values. Kernels on matrix units follow the
// device's shapes instead.
typedef enum NibTunable {
  // NIB_OP_MATMUL from registers: {invocations that share a row's columns, rows of one invocation, tokens of one
  // invocation, runs of codes it takes at a time}. 0 invocations: each has four whole rows and gets activations from
  // its neighbours in the subgroup.
  NIB_TUNABLE_MATVEC = 1,
  // NIB_OP_MATMUL with more than 8 tokens: {0 = from registers, else the number of the shared-memory tile}.
  NIB_TUNABLE_MATMUL = 2,
  // Products of int8 codes: {0 = from registers, 1 = through shared memory, 2 = whole rows, on CPUs; tokens of one
  // invocation; with 0, invocations that share a row's columns}.
  NIB_TUNABLE_INT8 = 3,
  // NIB_OP_DYNAMIC_GEMM: {0 = quantize the tokens first, 1 = quantize and multiply in one dispatch}. 1 needs shared
  // memory for the tokens' codes, and is not possible with a status, outliers, GELU, GELU_TANH or SILU.
  NIB_TUNABLE_DYNAMIC = 4,
  NIB_TUNABLE_MAX_ENUM = 0x7fffffff
} NibTunable;

// A measured choice (`nibble bench --tune`), which replaces the one that follows from the device's limits.
typedef struct NibTuning {
  uint32_t tunable;  // NibTunable
  uint32_t format;   // NibFormat of the weights; 0 = dense
  uint32_t tokens;   // for descriptions with this many tokens and more, up to the next such choice
  uint32_t value[4];
} NibTuning;

#if !defined(NIB_NO_VULKAN)
// ----------------------------------------------------------------------------------------- features
// Device features that kernels may use beyond the guaranteed minimum of Vulkan 1.1. The application declares the ones
// it enabled, because Vulkan has no query for that. None is required: every op has a kernel that needs none.
#define NIB_FEATURE_SUBGROUP (1u << 0)   // subgroup arithmetic, ballot and shuffle in compute; nothing to enable
#define NIB_FEATURE_STORAGE16 (1u << 1)  // storageBuffer16BitAccess
#define NIB_FEATURE_F16 (1u << 2)        // shaderFloat16
#define NIB_FEATURE_DOT4 (1u << 3)       // shaderIntegerDotProduct
#define NIB_FEATURE_COOPMAT (1u << 4)    // cooperativeMatrix (KHR), vulkanMemoryModel, shaderInt8; needs SUBGROUP_SIZE
#define NIB_FEATURE_SUBGROUP_SIZE (1u << 5)  // subgroupSizeControl and computeFullSubgroups
#define NIB_FEATURE_ROBUSTNESS (1u << 6)  // pipelineRobustness: nibble switches bounds checks off for its own pipelines
#define NIB_FEATURE_ROUND_EVEN (1u << 7)  // float controls: round-to-nearest-even of fp32 can be declared in SPIR-V
#define NIB_FEATURE_ALL ((1u << 8) - 1)

#define NIB_MAX_EXTENSIONS 16u

// Features and extensions to enable in vkCreateDevice, as data to merge with the application's own.
typedef struct NibRequirements {
  uint32_t struct_bytes;  // sizeof(NibRequirements), set by the caller
  uint32_t features;      // NIB_FEATURE_* that the device offers at this API version
  uint32_t api_version;   // min(instance, device, application): what nibble treats as available
  uint32_t extension_count;
  const char* extensions[NIB_MAX_EXTENSIONS];  // needed for those features; static strings
} NibRequirements;

// api_version: the version that the application passed in VkApplicationInfo, at least 1.1 (0 means 1.0, which is
// refused). get_instance_proc_addr: the loader's entry point that the application uses itself. Thread-safe.
NIB_API NibResult nibGetRequirements(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                                     VkPhysicalDevice physical_device, uint32_t api_version,
                                     NibRequirements* out_requirements);

// Storage for a pNext chain. It holds pointers to itself once filled: do not copy it then.
typedef struct NibFeatureChain {
  uint64_t opaque[64];
} NibFeatureChain;

// Enables `features` (a subset of the requirements') for VkDeviceCreateInfo::pNext. `next` is the application's own
// chain, or NULL: its structs that have a feature's member get the member set to VK_TRUE, be it
// VkPhysicalDeviceVulkan11Features, 12, 13, 14, or the extension's own struct. The structs that it lacks are written
// into `chain`, before `next`. Returns the first struct. Nothing is set to VK_FALSE. Thread-safe.
//
//   feature               member                                               in 11/12/13/14  extension below that
//   version STORAGE16             storageBuffer16BitAccess                             11              - F16
//   shaderFloat16                                        12              VK_KHR_shader_float16_int8 DOT4
//   shaderIntegerDotProduct                              13              VK_KHR_shader_integer_dot_product COOPMAT
//   cooperativeMatrix                                    -               VK_KHR_cooperative_matrix
//                         vulkanMemoryModel                                    12 VK_KHR_vulkan_memory_model shaderInt8
//                         12              VK_KHR_shader_float16_int8
//   SUBGROUP_SIZE         subgroupSizeControl, computeFullSubgroups            13 VK_EXT_subgroup_size_control
//   ROBUSTNESS            pipelineRobustness                                   14 VK_EXT_pipeline_robustness SUBGROUP,
//   ROUND_EVEN  none                                                                 VK_KHR_shader_float_controls
//   (ROUND_EVEN, below 12)
NIB_API void* nibFillFeatureChain(NibFeatureChain* chain, uint32_t features, uint32_t api_version, void* next);

// Limits that a device is treated as having. 0 = the device's own. A limit cannot be raised: the lower value holds.
typedef struct NibRestrict {
  uint32_t struct_bytes;   // sizeof(NibRestrict)
  uint32_t features_mask;  // features that may be used: NIB_FEATURE_ALL = no restriction, 0 = none
  uint32_t api_version;
  uint32_t max_workgroup_invocations;
  uint32_t max_shared_bytes;
  uint32_t max_push_bytes;
  uint32_t max_workgroup_count;
  uint32_t min_offset_alignment_bytes;  // the larger value holds, as a power of two up to 256
  uint64_t max_storage_range_bytes;
  uint32_t device_type;  // VkPhysicalDeviceType: work is divided as for such a device; 0 = the device's own type
  uint32_t reserved;
} NibRestrict;

// ------------------------------------------------------------------------------------------ context
typedef struct NibContext NibContext;

// NibContextDesc.flags

// The pipeline cache was made with VK_PIPELINE_CACHE_CREATE_EXTERNALLY_SYNCHRONIZED_BIT. It is refused, because plans
// may be made on any thread.
#define NIB_CONTEXT_CACHE_EXTERNALLY_SYNCHRONIZED (1u << 0)
// The device has pipelineCreationCacheControl enabled (Vulkan 1.3 or VK_EXT_pipeline_creation_cache_control):
// nibTryCreatePlan then finds pipelines in pipeline_cache.
#define NIB_CONTEXT_CACHE_CONTROL (1u << 1)
// The instance has VK_EXT_debug_utils enabled: nibble names its pipelines and layouts, "nibble matvec_int4_subgroup".
#define NIB_CONTEXT_OBJECT_NAMES (1u << 2)

typedef struct NibContextDesc {
  uint32_t abi_version;   // NIB_ABI_VERSION
  uint32_t struct_bytes;  // sizeof(NibContextDesc)
  uint32_t flags;         // NIB_CONTEXT_*
  uint32_t api_version;   // as for nibGetRequirements
  PFN_vkGetInstanceProcAddr get_instance_proc_addr;
  VkInstance instance;
  VkPhysicalDevice physical_device;
  VkDevice device;
  uint32_t features;  // NIB_FEATURE_* the application enabled
  uint32_t tuning_count;
  VkPipelineCache pipeline_cache;  // the application's own, or VK_NULL_HANDLE
  const NibRestrict* restriction;  // NULL = none; copied
  const NibAllocator* allocator;   // NULL = malloc; copied
  const NibLog* log;               // NULL = silent; copied
  const void* verdicts;            // from nibGetVerdicts of an earlier run, or NULL; foreign data is ignored
  size_t verdicts_size_bytes;
  const NibTuning* tuning;  // copied; choices that the device's limits or a plan's size does not allow are ignored
  const VkAllocationCallbacks* vulkan_allocator;  // for every Vulkan object; NULL = the driver's own; copied
} NibContextDesc;

// Adopts a device. Everything is copied but the handles, which must outlive the context. No queue is used. Thread-safe.
NIB_API NibResult nibCreateContext(const NibContextDesc* desc, NibContext** out_context);
// Destroys the context's Vulkan objects, which the GPU must be idle with. Destroy all plans, bindings and self-tests of
// the context first: if some are left, one log line says how many. They are then only host memory, which destroying
// them frees, and nibCmdRun records nothing with them. NULL is ignored.
NIB_API void nibDestroyContext(NibContext* context);

typedef struct NibContextInfo {
  uint32_t struct_bytes;   // sizeof(NibContextInfo), set by the caller
  uint32_t features;       // declared, offered, and not restricted or switched off by a driver quirk
  uint32_t tier;           // for people: 0 guaranteed minimum, 1 subgroups, 2 packed 4x8 dot, 3 cooperative matrix
  uint32_t subgroup_size;  // of kernels without matrices
  uint32_t driver_id;      // VkDriverId, 0 = unknown
  uint32_t driver_version;
  uint32_t quirk_count;  // driver bugs worked around
  uint32_t reserved;
  uint64_t max_storage_range_bytes;
  uint8_t device_uuid[16];
} NibContextInfo;
// Thread-safe. NIB_ERROR_INVALID_ARGUMENT if struct_bytes is not set.
NIB_API NibResult nibGetContextInfo(const NibContext* context, NibContextInfo* out_info);

// Why the next tier is not reached, in one line ("" at the highest tier). Lives as long as the context. Thread-safe.
NIB_API const char* nibGetTierReason(const NibContext* context);

// ------------------------------------------------------------------------------- plan and binding
typedef struct NibPlan NibPlan;
typedef struct NibBinding NibBinding;

// Validates, chooses kernels, builds pipelines. It may take long (it compiles): call it while loading. The plan is
// immutable and may be shared between threads. Thread-safe.
NIB_API NibResult nibCreatePlan(NibContext* context, const NibOpDesc* desc, NibPlan** out_plan);
// Destroy its bindings first; the GPU must be idle with it. If bindings are left, one log line says how many, and
// nibCmdRun records nothing with them. NULL is ignored.
NIB_API void nibDestroyPlan(NibPlan* plan);
// Thread-safe. NIB_ERROR_INVALID_ARGUMENT if struct_bytes is not set.
NIB_API NibResult nibPlanGetMemory(const NibPlan* plan, NibMemory* out_memory);
// The kernel of each phase, for logs and reports: index 0..; then those of the phases for fewer tokens; NULL beyond.
// Lives as long as the context. Thread-safe.
NIB_API const char* nibPlanGetKernel(const NibPlan* plan, uint32_t index);

// ---- start-up
// The pipelines that plans of some descriptions need, each counted once.
typedef struct NibPipelineCount {
  uint32_t struct_bytes;  // sizeof(NibPipelineCount), set by the caller
  uint32_t needed;
  uint32_t compiled;  // of these, the context has
} NibPipelineCount;
// Compiles nothing. Thread-safe.
NIB_API NibResult nibCountPipelines(NibContext* context, uint32_t count, const NibOpDesc* const* descs,
                                    NibPipelineCount* out_count);

// Called before the first pipeline and after each. Returning 0 stops.
typedef struct NibProgress {
  int (*step)(void* user, uint32_t done, uint32_t needed);
  void* user;
} NibProgress;
// Compiles the pipelines that plans of these descriptions need, on the calling thread; several threads may share the
// work, each with a part of the descriptions. `done` counts those that the context has already too. progress may be
// NULL. NIB_ERROR_CANCELLED if it stopped: what is compiled stays. Thread-safe.
NIB_API NibResult nibCompilePipelines(NibContext* context, uint32_t count, const NibOpDesc* const* descs,
                                      const NibProgress* progress);
// As nibCreatePlan, but quick: NIB_ERROR_NOT_COMPILED, without a log line, if the context lacks a pipeline of the plan,
// and with NIB_CONTEXT_CACHE_CONTROL the pipeline cache lacks it too. Thread-safe.
NIB_API NibResult nibTryCreatePlan(NibContext* context, const NibOpDesc* desc, NibPlan** out_plan);
// Destroys the pipelines that no plan uses, with which the GPU must be idle, and returns their number. Thread-safe.
NIB_API uint32_t nibTrimPipelines(NibContext* context);

// ---- the cost of slices
// The cost of slices of a run. Slices of one plan differ by less than a factor of two, except the last of each phase.
// A slice may depend on earlier ones: record them in ascending order, with a compute-to-compute barrier between two
// calls of nibCmdRun. Runs that overlap in time must not share AUX, nor the range that they write.
typedef struct NibCost {
  uint32_t struct_bytes;   // sizeof(NibCost), set by the caller
  uint32_t slices;         // of the run that are not empty
  uint64_t work;           // bytes of memory traffic, cached or not; products add one for each multiply-add
  uint64_t multiply_adds;  // of products; 0 for other ops
} NibCost;
// The cost of the slices that `run` names. Thread-safe.
NIB_API NibResult nibGetCost(const NibPlan* plan, const NibRun* run, NibCost* out_cost);
// How many slices from run->first_slice on take about `microseconds`, at least 1 and at most run->slice_count.
// work_per_microsecond is measured: NibCost.work of a run by its time, from timestamps around it. It differs from plan
// to plan. 0 = no slice is left that is not empty, or `run` is not one of the plan. Thread-safe.
NIB_API uint32_t nibSlicesFor(const NibPlan* plan, const NibRun* run, double microseconds, double work_per_microsecond);

typedef struct NibBufferRange {
  VkBuffer buffer;  // VK_NULL_HANDLE for a role that the plan does not use
  VkDeviceSize offset;
  VkDeviceSize size;  // at least NibMemoryRange::size_bytes plus the largest NibRun offset used with it
} NibBufferRange;

typedef struct NibBindingDesc {
  uint32_t struct_bytes;  // sizeof(NibBindingDesc)
  uint32_t reserved;
  NibBufferRange range[NIB_ROLE_COUNT];
  // Where parts lie in their role's range: multiples of the alignment of the range, and of 4. 0 = where
  // nibPlanGetMemory says. So two parts of one role may be any two values of one buffer: give the role a range that
  // holds them both, and give an offset to every part of the role that the plan has (0 keeps a part where it is).
  // STATUS and SCRATCH cannot be moved: move the AUX range. A moved part must fit one storage range; where a kernel
  // reads several parts through one descriptor, they must fit one together.
  VkDeviceSize part_offset_bytes[NIB_PART_COUNT];
} NibBindingDesc;

// Prepares descriptors (windows for ranges beyond the device's limit). Bytes that the op writes must not overlap any
// other operand, except parts that the op's header allows to be the same bytes (in place). Thread-safe.
NIB_API NibResult nibCreateBinding(const NibPlan* plan, const NibBindingDesc* desc, NibBinding** out_binding);
// The GPU must be idle with it. NULL is ignored. Thread-safe.
NIB_API void nibDestroyBinding(NibBinding* binding);

// Why nibCmdRun would record nothing with these arguments: one constant line that names the field, or NULL if it would
// record. Allocates nothing, takes no lock. Thread-safe.
NIB_API const char* nibCheckRun(const NibPlan* plan, const NibBinding* binding, const NibRun* run);

// Records. It cannot fail, allocates nothing, takes no lock and submits nothing. Any thread may call it; the command
// buffer is the caller's to synchronize. With arguments that nibCheckRun refuses it records nothing, and says why to
// the context's log, once per binding. Reads and writes happen in VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT with SHADER_READ
// and SHADER_WRITE. The caller orders its own accesses, and runs that depend on each other, against that. nibble places
// barriers only between its own dispatches within one call; a run that is split into several calls needs a
// compute-to-compute barrier between them. It overwrites the compute pipeline, descriptor set 0 and push constants
// 0..127.
NIB_API void nibCmdRun(VkCommandBuffer command_buffer, const NibPlan* plan, const NibBinding* binding,
                       const NibRun* run);

// ------------------------------------------------------------------------------------------- verify
// Some devices advertise a feature and compute garbage. A plan's self-test runs the plan's own pipelines 32 times on
// adversarial data, with more than one tile and a tail in every dimension, and compares the results with the reference.
typedef struct NibVerify NibVerify;

// The memory that nibVerifyPlan needs for this plan. It may compile pipelines: call it while loading. Thread-safe.
NIB_API NibResult nibVerifyGetMemory(const NibPlan* plan, NibMemoryRange* out_range);
// Records the self-test of `plan` into command_buffer (outside a render pass). `memory` is one host-visible range that
// the caller maps: usage STORAGE_BUFFER | TRANSFER_DST, at least the size of nibVerifyGetMemory. It may compile
// pipelines. The plan may be destroyed before nibVerifyRead, the context not. Thread-safe.
NIB_API NibResult nibVerifyPlan(const NibPlan* plan, VkCommandBuffer command_buffer, const NibBufferRange* memory,
                                NibVerify** out_verify);
// Call it when the submission has finished and `mapped`, the bytes of the range, is visible to the host. It judges
// them, stores the verdict in the context, and frees the verify object. *out_passed: 1 or 0; a failure's log line names
// the first differing word and both values. A kernel that failed is not chosen for later plans of this context;
// existing plans keep it. mapped NULL abandons the self-test (a lost device): nothing is judged, the object is freed,
// and NIB_ERROR_INVALID_ARGUMENT comes back. Thread-safe.
NIB_API NibResult nibVerifyRead(NibVerify* verify, const void* mapped, uint32_t* out_passed);

// The verdicts so far, keyed by device, driver version, SPIR-V and specialization constants, for nibCreateContext of
// later runs. data NULL: *size_bytes becomes the size. Else *size_bytes is the capacity of data (too little is
// NIB_ERROR_INVALID_ARGUMENT) and becomes the number of bytes written. Thread-safe.
NIB_API NibResult nibGetVerdicts(const NibContext* context, void* data, size_t* size_bytes);

#endif  // NIB_NO_VULKAN

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_NIBBLE_H
