// Types that every part of nibble.h uses: results, callbacks, element types, weights, memory, runs, and the CPU path.
// Applications include <nibble/nibble.h>.
#ifndef NIBBLE_TYPES_H
#define NIBBLE_TYPES_H

#include <stddef.h>
#include <stdint.h>

// NibFormat: NIB_FORMAT_INT4, ... (the build writes it from shaders/kernels.list). nibble's own sources include it only
// where they name a format, so that a new format rebuilds few files.
#if !defined(NIB_NO_FORMATS_H)
#include <nibble/formats.h>
#endif

#define NIB_VERSION_MAJOR 0
#define NIB_VERSION_MINOR 2
#define NIB_VERSION_PATCH 0

// Compatibility of compiled code. The number changes when a field or a function that exists changes its meaning.
// nibCreateContext refuses a context description with another number.
// These changes keep the number: a new op, a new function, a new flag, a new field at the end of a struct that begins
// with its own size. Such a struct has `struct_bytes` (a description: `desc_bytes`), which the caller sets to sizeof.
// Fields beyond the caller's size count as 0. Fields beyond the library's size must be 0, else the call is refused.
// The library writes no more of a result struct than the caller's size. Structs without a size never grow.
#define NIB_ABI_VERSION 7u

// Marks the functions of the library. Users of the shared library define NIB_SHARED, which matters on Windows; CMake's
// target nibble::shared does.
#if defined(NIB_SHARED_BUILD) && defined(_WIN32)
#define NIB_API __declspec(dllexport)
#elif defined(NIB_SHARED) && defined(_WIN32)
#define NIB_API __declspec(dllimport)
#elif defined(NIB_SHARED_BUILD) && defined(__GNUC__)
#define NIB_API __attribute__((visibility("default")))
#else
#define NIB_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------------------------------------- results
typedef enum NibResult {
  NIB_SUCCESS = 0,
  NIB_ERROR_INVALID_ARGUMENT = -1,  // a field is wrong; the log line names it
  NIB_ERROR_UNSUPPORTED = -2,       // valid, but this build or device cannot do it; the log line names the reason
  NIB_ERROR_OUT_OF_MEMORY = -3,     // host or device memory
  NIB_ERROR_VULKAN = -4,            // a Vulkan call failed; the log line holds its name and VkResult
  NIB_ERROR_BROKEN_DEVICE = -5,     // every kernel for the op failed its self-test on this device
  NIB_ERROR_VERSION = -6,           // header and library disagree (NIB_ABI_VERSION)
  NIB_ERROR_DEVICE_LOST = -7,       // VK_ERROR_DEVICE_LOST: destroy the context with its device, and make new ones
  NIB_ERROR_NOT_COMPILED = -8,      // nibTryCreatePlan: a pipeline would have to be compiled
  NIB_ERROR_CANCELLED = -9,         // the application's callback asked to stop
  NIB_RESULT_MAX_ENUM = 0x7fffffff
} NibResult;

// A constant English name of a result. Never NULL.
NIB_API const char* nibResultString(NibResult result);
// The library's NIB_VERSION_*, "MAJOR.MINOR.PATCH".
NIB_API const char* nibVersionString(void);
// NIB_ABI_VERSION of the library. Compare it with the header's before anything else if the library is loaded at run
// time.
NIB_API uint32_t nibAbiVersion(void);

// -------------------------------------------------------------------------------------------- callbacks
typedef enum NibSeverity { NIB_SEVERITY_INFO = 0, NIB_SEVERITY_WARNING = 1, NIB_SEVERITY_ERROR = 2 } NibSeverity;

// Host memory. Set both functions or neither (NULL = malloc and free). Any thread that calls nibble may call them.
typedef struct NibAllocator {
  void* (*allocate)(void* user, size_t size_bytes, size_t alignment);  // returns NULL if there is no memory
  void (*release)(void* user, void* memory);                           // memory is never NULL
  void* user;
} NibAllocator;

// Receives one line without a newline. Any thread that calls nibble may call it. NULL = silent.
typedef struct NibLog {
  void (*line)(void* user, NibSeverity severity, const char* text);
  void* user;
} NibLog;

// ---------------------------------------------------------------------------------------- element types
// Types of dense elements and of scales.
typedef enum NibType {
  NIB_TYPE_F32 = 0,
  NIB_TYPE_F16 = 1,
  NIB_TYPE_BF16 = 2,
  NIB_TYPE_E8M0 = 3,  // scales only: a byte e stands for 2^(e-127), 255 is NaN (OCP Microscaling Formats, MX v1.0)
  NIB_TYPE_BYTE = 4,  // scales only: a byte times the fp16 scale of a super-block (NIB_FORMAT_SUPER_BLOCKS)
  NIB_TYPE_MAX_ENUM = 0x7fffffff
} NibType;

// Which elements share one scale. Scales are stored densely, in the order of the index given here.
typedef enum NibGranularity {
  NIB_GRANULARITY_TENSOR = 0,  // the whole matrix: 1 scale
  NIB_GRANULARITY_ROW = 1,     // a row (an output channel, or a token of activations): rows scales, index row
  NIB_GRANULARITY_COLUMN = 2,  // a column: cols scales, index col
  NIB_GRANULARITY_GROUP = 3,   // group_size neighbours along cols, the last group of a row may be shorter:
                               // rows * ceil(cols / group_size) scales, index row * groups_per_row + group
  NIB_GRANULARITY_MAX_ENUM = 0x7fffffff
} NibGranularity;

// NibWeights.flags

// Codes span [min(0,x), max(0,x)] of the group and carry a zero point. Without the flag: symmetric, zero point 0.
#define NIB_WEIGHTS_ASYMMETRIC (1u << 0)
// Symmetric scale absmax/qmax instead of absmax/(qmax+1/2), and codes within -qmax..qmax. Ternary: the scale is the
// absmax instead of the mean magnitude.
#define NIB_WEIGHTS_NARROW (1u << 1)
// GROUP only. Groups run over the row-major flattened matrix, across the ends of rows, as in bitsandbytes. The codes
// are those of one row of rows*cols elements.
#define NIB_WEIGHTS_FLAT (1u << 2)
// FLAT groups with fp32 scales only: double quantization (QLoRA, arXiv 2305.14314). Codes are made with the fp32
// scales. The blob keeps an 8-bit code of each scale: the dynamic map of bitsandbytes, in blocks of 256, after the
// mean of all scales is subtracted.
#define NIB_WEIGHTS_NESTED (1u << 3)
// The scales (and zero points) of every row start on a word; the padding is 0. Runs that append rows to one blob then
// share no word and need no barrier between them. Not with TENSOR, COLUMN, FLAT; NIB_OP_REPACK refuses it.
#define NIB_WEIGHTS_ALIGNED (1u << 4)
// int8 only: the scales, zero points and codes are those of 4 bits, in the storage of int8: codes -8..7, zero points
// too. So activations of 4 bits are products of int8 (NIB_OP_DYNAMIC_GEMM, W4A4).
#define NIB_WEIGHTS_FOUR_BITS (1u << 5)
// How an e8m0 scale is found (two bits, one of four values). E = floor(log2(absmax)), m = the exponent of the
// format's largest code. FLOOR (the MX standard): 2^(E-m). CEIL: one more unless absmax is a power of two. EVEN: E is
// taken after absmax is rounded to the mantissa bits of the codes, ties up. RCEIL: the least power of two without
// saturation. Decoding ignores it.
#define NIB_WEIGHTS_SCALE_FLOOR 0u
#define NIB_WEIGHTS_SCALE_CEIL (1u << 8)
#define NIB_WEIGHTS_SCALE_EVEN (2u << 8)
#define NIB_WEIGHTS_SCALE_RCEIL (3u << 8)
#define NIB_WEIGHTS_SCALE_RULE (3u << 8)  // the mask

// A matrix has `rows` output rows and `cols` inputs, cols contiguous (M x K). NibWeights, rows and cols together fix
// the bytes of the quantized matrix, its blob, on every device:
//   codes   uint32 words. Code i of a row starts at bit i*bits of the row's dense LSB-first stream. Each row starts on
//           a word. int8 is two's complement; narrower integers are offset binary (code + 2^(bits-1)); ternary is
//           kept as int2; binary is 1 = plus, 0 = minus. Padding bits are 0. Rows of 3-bit and 5-bit codes are padded
//           to a multiple of 32 codes
//   scales  dense, in scale_type: two per word for 16-bit types, four for e8m0. The range is whole words, padding 0
//   zeros   only if ASYMMETRIC: one byte per scale, the zero point in the representation of the codes. Formats with
//           NIB_FORMAT_MINIMUM: an fp16 minimum per scale. The range is whole words, padding 0
//   nested  only if NESTED, where a scale is one byte: an fp32 offset, then one fp32 scale per 256 of them;
//           scale = map[byte] * nested scale + offset
// Formats with NIB_FORMAT_SUPER_BLOCKS differ: a row has whole super-blocks of 256 columns, the last one padded with 0.
//   scales  one byte per group, as ggml counts: q3_k and iq4_xs 32 more than the number, q6_k in two's complement
//   zeros   with NIB_FORMAT_MINIMUM: one byte per group
//   nested  a word per super-block: fp16 d in the low half, fp16 dmin in the high half, 0 without minima;
//           scale = number * d, minimum = -(byte * dmin)
// These parts start at multiples of 256 bytes, in this order (nibGetMemory, nibPlanGetMemory).
typedef struct NibWeights {
  uint32_t format;       // NibFormat
  uint32_t granularity;  // NibGranularity
  uint32_t group_size;   // GROUP: a multiple of 16 in 16..256 (see NibFormatInfo), 0 = the format's usual size, or
                         // UINT32_MAX = one group per row. Other granularities: 0
  uint32_t scale_type;   // NibType
  uint32_t flags;        // NIB_WEIGHTS_*
  uint32_t reserved[2];  // 0
} NibWeights;

// NibWeights.format of dense weights, where an op takes them: elements of type scale_type, all other fields 0. Rows
// start on a word. A row with an odd number of 16-bit elements has one more, which is not read.
#define NIB_FORMAT_DENSE 0

// NibFormatInfo.flags

// Scales follow from the elements by the format's own rule. NIB_QUANTIZE_GIVEN_SCALES is refused.
#define NIB_FORMAT_OWN_SCALES (1u << 0)
// Every scale has a minimum in NIB_PART_ZEROS, an fp16 number or a byte: value = code * scale + minimum.
#define NIB_FORMAT_MINIMUM (1u << 1)
// The scale is the mean magnitude of its elements, unless NARROW.
#define NIB_FORMAT_MEAN_SCALE (1u << 2)
// Scales, and minima, are bytes that multiply the fp16 numbers of a super-block of 256 columns: ggml's K-quants.
#define NIB_FORMAT_SUPER_BLOCKS (1u << 3)

typedef struct NibFormatInfo {
  uint32_t format;              // NibFormat
  const char* name;             // "int4"
  uint32_t bits;                // per code
  uint32_t default_group_size;  // 0 = usually one scale per row
  uint32_t weights_flags;       // NIB_WEIGHTS_* the format allows
  uint32_t granularities;       // bit NibGranularity: the ones it allows
  uint32_t scale_types;         // bit NibType: the ones it allows
  uint32_t group_multiple;      // GROUP: sizes are multiples of this, at least 16
  uint32_t group_max;           // the largest size. Equal to group_multiple: that is the only size, -1 is refused
  uint32_t flags;               // NIB_FORMAT_*
} NibFormatInfo;

// Formats of this build, index 0..nibFormatCount()-1, ascending ids. NULL beyond. Static memory. Thread-safe.
NIB_API uint32_t nibFormatCount(void);
NIB_API const NibFormatInfo* nibFormatAt(uint32_t index);
// By id, or by name (case-insensitive). NULL if this build lacks the format. Static memory. Thread-safe.
NIB_API const NibFormatInfo* nibFormatById(uint32_t format);
NIB_API const NibFormatInfo* nibFormatByName(const char* name);

// ---------------------------------------------------------------------------------------- descriptions
// The number of an op, NIB_OP_*, defined beside each op's description.
typedef uint32_t NibOp;
// "matmul"; a constant string. NULL if this build lacks the op. Thread-safe.
NIB_API const char* nibOpName(NibOp op);

// Every description begins with these two fields. Functions take its address as const NibOpDesc*.
typedef struct NibOpDesc {
  uint32_t op;          // NIB_OP_*
  uint32_t desc_bytes;  // sizeof the description
} NibOpDesc;

// Ops with a status add to it; the application zeroes it (vkCmdFillBuffer) when it wants a fresh one. Counters do not
// depend on the order of work, so they are the same on every device.
typedef struct NibStatus {
  uint32_t nonfinite_count;      // NaN and infinite elements
  uint32_t saturated_count;      // scales beyond scale_type's largest value, or beyond 2^126, that were set to it;
                                 // NIB_OP_CONVERT: finite elements beyond result_type's largest value
  uint32_t first_nonfinite_not;  // bitwise NOT of the lowest row * cols + col of a non-finite element, row 0 being the
                                 // run's first; 0 = none
  uint32_t outlier_count;        // NIB_OP_DYNAMIC_GEMM: elements that were multiplied in fp32
} NibStatus;

// --------------------------------------------------------------------------------------------- memory
// The four buffer ranges of every op. One that the op does not use has size 0.
typedef enum NibRole {
  NIB_ROLE_WEIGHTS = 0,  // quantized blob, or the dense parameters of an op
  NIB_ROLE_INPUT = 1,    // source
  NIB_ROLE_OUTPUT = 2,   // result
  NIB_ROLE_AUX = 3,      // status, then scratch, whose contents are undefined between runs
  NIB_ROLE_COUNT = 4
} NibRole;

// Named pieces of a role's range. NibMemory tells which ones an op has, and where.
typedef enum NibPart {
  NIB_PART_CODES = 0,
  NIB_PART_SCALES = 1,
  NIB_PART_ZEROS = 2,
  NIB_PART_STATUS = 3,
  NIB_PART_SCRATCH = 4,
  NIB_PART_NESTED = 5,
  NIB_PART_PACKED_CODES = 6,  // NIB_OP_REPACK
  NIB_PART_PACKED_ZEROS = 7,
  NIB_PART_REFERENCE = 8,  // NIB_OP_ERRORS
  NIB_PART_CANDIDATE = 9,
  NIB_PART_BIAS = 10,
  NIB_PART_INPUT_SCALES = 11,  // products of codes
  NIB_PART_INPUT_ZEROS = 12,
  NIB_PART_TABLE = 13,  // NIB_OP_INT8_GEMM: fp32[256]; NIB_OP_ROPE: cosines and sines
  NIB_PART_HEADS = 14,  // NIB_OP_HISTOGRAM
  NIB_PART_COUNTS = 15,
  NIB_PART_ORDER = 16,           // NIB_OP_MATMUL
  NIB_PART_INPUT_CODES = 17,     // products of codes
  NIB_PART_SOURCE = 18,          // an op's first dense input
  NIB_PART_RESIDUAL_IN = 19,     // a dense input that is added
  NIB_PART_RESULT = 20,          // an op's first dense result
  NIB_PART_RESIDUAL_OUT = 21,    // the sum of source and residual
  NIB_PART_RESULT_SCALES = 22,   // scales of codes that an op writes beside its result
  NIB_PART_GAIN = 23,            // NIB_OP_NORM: the weight vector
  NIB_PART_SECOND = 24,          // an op's second dense input
  NIB_PART_INDICES = 25,         // uint32 numbers per token: positions, rows of a cache, lengths, ids
  NIB_PART_KEYS = 26,            // cached keys
  NIB_PART_VALUES = 27,          // cached values
  NIB_PART_RESULT_INDICES = 28,  // uint32 results
  NIB_PART_ERROR = 29,           // fp32 rounding errors of a block of columns
  NIB_PART_MASK = 30,            // which tokens count, one bit each
  NIB_PART_LOG_SUM = 31,         // NIB_OP_SELECT: fp32 per row, the log of the sum of exponentials
  NIB_PART_FACTOR_INFO = 32,     // NIB_OP_FACTOR: a NibFactorInfo
  NIB_PART_DIAGONAL = 33,        // the diagonal of a square matrix
  NIB_PART_FACTOR = 34,          // NIB_OP_GPTQ: the upper factor of the inverse Hessian
  NIB_PART_LOSS = 35,            // NIB_OP_GPTQ: fp32 per row, the sum of squared errors
  NIB_PART_IMPORTANCE = 36,      // NIB_OP_QUANTIZE: fp32 per column, how much errors count
  NIB_PART_HESSIAN = 37,         // NIB_OP_SEARCH: fp32 [cols, cols], the sum of x x^T of the inputs
  NIB_PART_SIGNS = 38,           // NIB_OP_HADAMARD: fp32 per column, whose signs count
  NIB_PART_COUNT = 48            // a part that an op lacks has size 0
} NibPart;

typedef struct NibMemoryRange {
  uint64_t size_bytes;
  uint32_t alignment_bytes;  // of the range's offset in its buffer
  uint32_t usage;            // VkBufferUsageFlags the buffer needs (0 on the CPU)
} NibMemoryRange;

typedef struct NibMemoryPart {
  uint64_t offset_bytes;  // within its role's range
  uint64_t size_bytes;    // 0 = the op has no such part
  uint32_t role;          // NibRole
  uint32_t reserved;
} NibMemoryPart;

typedef struct NibMemory {
  uint32_t struct_bytes;             // sizeof(NibMemory), set by the caller
  uint32_t slice_count;              // slices of a full run (1 on the CPU)
  uint32_t dynamic_alignment_bytes;  // of the offsets in NibRun (1 on the CPU)
  uint32_t reserved;
  NibMemoryRange range[NIB_ROLE_COUNT];
  NibMemoryPart part[NIB_PART_COUNT];
} NibMemory;

// Sizes and parts of an op without a device. Alignments are those of plain memory (4 bytes). log may be NULL.
// Thread-safe.
NIB_API NibResult nibGetMemory(const NibOpDesc* desc, const NibLog* log, NibMemory* out_memory);

// ------------------------------------------------------------------------------------------------ runs
// The arguments of a run: they may change from one recording of a plan to the next.
//
// first_row: rows of the run begin at this row of its result, and of a blob that it reads row by row
// (NIB_OP_DEQUANTIZE, NIB_OP_REPACK, the activations of NIB_OP_INT8_GEMM and NIB_OP_MATMUL if they are codes). A dense
// input begins with the run's first row, whatever first_row is. So tokens can be appended to a quantized cache, and
// long activations split into runs: the bytes are those of one run over all rows (of ops with an error bound, within
// it, unless NIB_PRODUCT_ONE_KERNEL is set). first_row + n is at most the
// description's rows. It must be 0 where the written matrix has no rows of its own: blobs with TENSOR, COLUMN, FLAT or
// NESTED, statistics per tensor or column, NIB_OP_ERRORS and NIB_OP_MOMENTS; and where one storage range cannot reach
// it (matrices beyond 4 GiB of NIB_OP_QUANTIZE and the like, on devices with smaller ranges). Rows of a blob may share
// words of scales and zero points. A run that begins or ends inside such a word keeps the other rows' bits, so runs
// that append to one blob need a barrier between them, unless the blob is ALIGNED.
typedef struct NibRun {
  uint32_t struct_bytes;  // sizeof(NibRun)
  uint32_t n;             // rows, at most the description's; exactly those where weights are FLAT
  uint32_t first_row;     // see above
  uint32_t first_slice;   // slices of the full run, see NibMemory::slice_count; slices beyond n record nothing
  uint32_t slice_count;   // UINT32_MAX = all from first_slice on, 0 = none: records nothing
  uint32_t offset_bytes[NIB_ROLE_COUNT];  // added to the role's range: multiples of dynamic_alignment_bytes
} NibRun;

// ------------------------------------------------------------------------------------------------- CPU
typedef struct NibCpuRange {
  void* data;  // 4-byte aligned
  uint64_t size_bytes;
} NibCpuRange;

// Runs body(user, i) for i in [0, count), in any order, on any threads, and returns when all are done.
typedef struct NibParallelFor {
  void (*run)(void* parallel_user, uint32_t count, void (*body)(void* user, uint32_t index), void* user);
  void* parallel_user;
} NibParallelFor;

typedef struct NibCpuBinding {
  uint32_t struct_bytes;  // sizeof(NibCpuBinding)
  uint32_t reserved;
  NibCpuRange range[NIB_ROLE_COUNT];  // at least the sizes of nibGetMemory for the roles the op uses
  // Where parts lie in their role's range; 0 = where nibGetMemory says. As NibBindingDesc::part_offset_bytes.
  uint64_t part_offset_bytes[NIB_PART_COUNT];
} NibCpuBinding;

// The reference implementation: the same bytes as every device. It uses the calling thread alone unless `parallel` is
// given, and allocates nothing. It rounds to nearest even whatever the FTZ and DAZ bits of the thread are; the rounding
// mode itself must be nearest. run: slices are ignored, offsets count. log and parallel may be NULL. Thread-safe for
// distinct outputs.
NIB_API NibResult nibCpuRun(const NibOpDesc* desc, const NibCpuBinding* binding, const NibRun* run,
                            const NibParallelFor* parallel, const NibLog* log);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_TYPES_H
