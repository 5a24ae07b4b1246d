// nibble: quantize neural-network weights and run quantized layers on any Vulkan GPU, or on the CPU,
// with the same bytes everywhere.
//
// The order of this file is the order of use:
//   1. nibGetRequirements      before the application creates its VkDevice: what nibble would like enabled
//   2. nibCreateContext        adopt the device; say what was enabled
//   3. nibCreatePlan           validate an op, choose kernels, build pipelines: everything that can fail, fails here
//   4. nibPlanGetMemory        sizes, alignments, usage flags, sub-offsets of the buffers the application provides
//   5. nibCreateBinding        tie a plan to buffer ranges
//   6. nibCmdRun               record into the application's command buffer: cannot fail, allocates nothing
//   nibCpuRun                  the same description on the reference implementation, without a Vulkan device
//
// Shapes, everywhere: a weight matrix has `rows` output rows and `cols` inputs, cols contiguous (M x K).
// Sizes are in elements unless a name ends in _bytes or _words. A word is 32 bits; all data is little-endian.
// Element counts (rows * cols) are at most 2^32 - 2^21, and so are rows * stride; cut larger tensors by rows.
//
// Errors: misuse returns a negative NibResult and one line through the log callback that names the field.
// Nothing throws; nothing is global; no call here submits, waits or creates what the application already has.
#ifndef NIBBLE_NIBBLE_H
#define NIBBLE_NIBBLE_H

#include <stddef.h>
#include <stdint.h>

// NibFormat: NIB_FORMAT_INT4, ... (written by the build from shaders/kernels.list). Of nibble's own sources the few
// that name a format include it themselves, so that a new format does not rebuild the others.
#if !defined(NIB_NO_FORMATS_H)
#include <nibble/formats.h>
#endif

#if !defined(NIB_NO_VULKAN)
#include <vulkan/vulkan_core.h>
#endif

#define NIB_VERSION_MAJOR 0
#define NIB_VERSION_MINOR 1
#define NIB_VERSION_PATCH 0
// Changes whenever a struct or function of this file changes; checked by nibCreateContext.
#define NIB_ABI_VERSION 5u

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------------------------------------- results
typedef enum NibResult {
  NIB_SUCCESS = 0,
  NIB_ERROR_INVALID_ARGUMENT = -1,  // a field is wrong; the log line names it
  NIB_ERROR_UNSUPPORTED = -2,       // right, but this build or device cannot do it; the log line says what is missing
  NIB_ERROR_OUT_OF_MEMORY = -3,     // host or device memory
  NIB_ERROR_VULKAN = -4,            // a Vulkan call failed; the log line holds its name and VkResult
  NIB_ERROR_BROKEN_DEVICE = -5,     // every path for the op failed its self-test on this device
  NIB_ERROR_VERSION = -6,           // header and library disagree (NIB_ABI_VERSION)
  NIB_RESULT_MAX_ENUM = 0x7fffffff
} NibResult;

// A constant English name for a result; never NULL.
const char* nibResultString(NibResult result);
// "0.1.0"
const char* nibVersionString(void);

// -------------------------------------------------------------------------------------------- callbacks
typedef enum NibSeverity { NIB_SEVERITY_INFO = 0, NIB_SEVERITY_WARNING = 1, NIB_SEVERITY_ERROR = 2 } NibSeverity;

// Host memory. Both pointers or neither (NULL = malloc/free). May be called from any thread that calls nibble.
typedef struct NibAllocator {
  void* (*allocate)(void* user, size_t size_bytes, size_t alignment);  // NULL return = out of memory
  void (*release)(void* user, void* memory);                           // memory is never NULL
  void* user;
} NibAllocator;

// One line without a newline. May be called from any thread that calls nibble. NULL = silent.
typedef struct NibLog {
  void (*line)(void* user, NibSeverity severity, const char* text);
  void* user;
} NibLog;

// ---------------------------------------------------------------------------------------- descriptions
// Dense element and scale types.
typedef enum NibType {
  NIB_TYPE_F32 = 0,
  NIB_TYPE_F16 = 1,
  NIB_TYPE_BF16 = 2,
  NIB_TYPE_E8M0 = 3,  // of scales alone: one byte e, 2^(e-127) (OCP Microscaling); 255 is NaN
  NIB_TYPE_MAX_ENUM = 0x7fffffff
} NibType;

// Which elements share one scale. Scales are stored densely in the order of the index given here.
typedef enum NibGranularity {
  NIB_GRANULARITY_TENSOR = 0,  // all: 1 scale
  NIB_GRANULARITY_ROW = 1,     // one row (per output channel, or per token of activations): rows scales, index row
  NIB_GRANULARITY_COLUMN = 2,  // one column: cols scales, index col
  NIB_GRANULARITY_GROUP = 3,   // group_size neighbours along cols; the last group of a row may be short:
                               // rows * ceil(cols / group_size) scales, index row * groups_per_row + group
  NIB_GRANULARITY_MAX_ENUM = 0x7fffffff
} NibGranularity;

enum {
  // Codes span [min(0,x), max(0,x)] of the group and carry a zero point. Without it: symmetric, zero point 0.
  NIB_WEIGHTS_ASYMMETRIC = 1u << 0,
  // Symmetric scale absmax/qmax instead of absmax/(qmax+1/2), or, of ternary, the mean; codes stay within -qmax..qmax.
  NIB_WEIGHTS_NARROW = 1u << 1,
  // GROUP only: groups run over the row-major flattened matrix, across row ends (bitsandbytes). The codes then
  // are those of one row of rows*cols elements.
  NIB_WEIGHTS_FLAT = 1u << 2,
  // FLAT groups of fp32 scales only: double quantization (QLoRA, arXiv 2305.14314). Codes are made with the fp32 scales,
  // of which an 8-bit code each is kept, of the dynamic map of bitsandbytes, in blocks of 256, less their mean.
  NIB_WEIGHTS_NESTED = 1u << 3,
  // How an e8m0 scale is found (two bits, one of four): E being floor(log2(absmax)) and m the exponent of the format's
  // largest code, 2^(E-m) (FLOOR, the standard's); one more if absmax is no power of two (CEIL); after rounding absmax to
  // the codes' mantissa bits, halves up (EVEN); the least without saturation (RCEIL). Of no matter when decoding.
  NIB_WEIGHTS_SCALE_FLOOR = 0,
  NIB_WEIGHTS_SCALE_CEIL = 1u << 8,
  NIB_WEIGHTS_SCALE_EVEN = 2u << 8,
  NIB_WEIGHTS_SCALE_RCEIL = 3u << 8,
  NIB_WEIGHTS_SCALE_RULE = 3u << 8  // the mask
};

// How a quantized matrix is kept. Together with rows and cols it fixes the blob, byte for byte, on every device:
//   codes   uint32 words; code i of a row at bit i*bits of that row's dense LSB-first stream; each row starts on a
//           word; int8 as two's complement, narrower integers offset binary (code - 2^(bits-1)), ternary as int2, binary
//           as 1 = plus, 0 = minus; padding bits 0, as is the padding of codes of 3 and 5 bits to whole 32 of them
//   scales  dense, in scale_type, two per word for 16-bit types, four for e8m0; the range is whole words, padding 0
//   zeros   only if ASYMMETRIC: one byte per scale, the zero point in the code's own representation; or, of formats with
//           NIB_FORMAT_MINIMUM, a half per scale, the minimum; the range is whole words, padding 0
//   nested  only if NESTED, whose scales are a byte each: fp32 offset, then an fp32 scale per 256 of them;
//           scale = map[byte] * nested scale + offset
// Sub-ranges start at multiples of 256 bytes in that order (nibPlanGetMemory, nibGetMemory).
// A zero in group_size with GROUP granularity means the format's usual one; UINT32_MAX means -1: one group per row.
typedef struct NibWeights {
  uint32_t format;       // NibFormat
  uint32_t granularity;  // NibGranularity
  uint32_t group_size;   // GROUP: a multiple of 16 in 16..256 (see NibFormatInfo), or UINT32_MAX; else 0
  uint32_t scale_type;   // NibType
  uint32_t flags;        // NIB_WEIGHTS_*
} NibWeights;

typedef enum NibOp {
  NIB_OP_QUANTIZE = 1,
  NIB_OP_DEQUANTIZE = 2,
  NIB_OP_MINMAX = 3,
  NIB_OP_CONVERT = 4,
  NIB_OP_ERRORS = 5,
  NIB_OP_REPACK = 6,
  NIB_OP_GATHER = 7,
  NIB_OP_MATMUL = 8,
  NIB_OP_INT8_GEMM = 9,
  NIB_OP_DYNAMIC_GEMM = 10,
  NIB_OP_HISTOGRAM = 12,
  NIB_OP_MOMENTS = 13,
  NIB_OP_MAX_ENUM = 0x7fffffff
} NibOp;

// Every description begins with its op; pass its address as const NibOpDesc*.
typedef struct NibOpDesc {
  uint32_t op;  // NibOp
} NibOpDesc;

enum {
  // Scales (and zeros) are read from the blob instead of being found and written. A non-finite element then becomes
  // the code of 0, alone; |x| beyond the codes' range saturates.
  NIB_QUANTIZE_GIVEN_SCALES = 1u << 0,
  // The aux range begins with a NibStatus that the run adds to.
  NIB_QUANTIZE_STATUS = 1u << 1
};

// Dense input [rows, cols] -> weights blob. NibRun.n = number of rows (weights: all of them; activations: tokens).
// Bit-exact. Scales, zero points and codes follow the rules in README.md, "The numbers": the scale is rounded to
// scale_type first and codes are made with the stored one; half-even rounding; a group whose stored scale is below
// 2^-120, or that holds a NaN or infinity, becomes the zero group (scale 0, every code the code of 0).
// Ternary (BitNet b1.58, arXiv 2402.17764): -1, 0 and 1 times s, the mean of |x| (NARROW: the largest); the nearest, ties 0.
// Binary (XNOR-Net, arXiv 1603.05279): plus or minus s, the mean of |x|; plus wherever x is not below 0, so that is the
// code of 0. The mean is found with integers and may be off by less than 2^-21 of the largest |x|: by at most 2^-23 of that,
// as each |x| is rounded, and by 3 * 2^-24 of itself, as their sum, their count and the quotient are.
typedef struct NibQuantizeDesc {
  uint32_t op;     // NIB_OP_QUANTIZE
  uint32_t flags;  // NIB_QUANTIZE_*
  uint32_t rows;   // the most rows a run may have
  uint32_t cols;
  uint32_t source_type;    // NibType
  uint32_t source_stride;  // elements from row to row; 0 = cols
  NibWeights weights;
} NibQuantizeDesc;

// Weights blob -> dense output [rows, cols]. NibRun.n = number of rows. Bit-exact: (code - zero) * scale in fp32
// (table value * scale for codebooks), rounded once, saturating, then converted half-even to result_type (where it may
// become infinite).
typedef struct NibDequantizeDesc {
  uint32_t op;     // NIB_OP_DEQUANTIZE
  uint32_t flags;  // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t result_type;    // NibType
  uint32_t result_stride;  // elements from row to row; 0 = cols (16-bit types: rounded up to even). 16-bit rows start
                           // on a word, so an odd stride is refused; the padding element is written as 0
  NibWeights weights;
} NibDequantizeDesc;

// Rows of a quantized matrix by their numbers, as an embedding is looked up: input uint32[count], result dense [count, cols]
// with row i = what dequantizing gives row numbers[i]; zeros where there is no such row. NibRun.n = how many numbers.
// Bit-exact. FLAT: rows must be whole groups and a multiple of 32 elements. The weights must fit one
// storage buffer range, for any row may be asked for.
typedef struct NibGatherDesc {
  uint32_t op;     // NIB_OP_GATHER
  uint32_t flags;  // 0
  uint32_t rows;   // of the matrix
  uint32_t cols;
  uint32_t count;          // row numbers, at most
  uint32_t result_type;    // NibType
  uint32_t result_stride;  // elements from row to row; as NibDequantizeDesc's
  NibWeights weights;
} NibGatherDesc;

// NibWeights.format of products: dense weights, elements of type scale_type; the other fields are 0. Rows start on a word;
// a row of an odd number of 16-bit elements ends with one that is not read.
enum { NIB_FORMAT_DENSE = 0 };

// Weights [rows, cols] times dense activations [n, cols] -> dense output [n, rows], y[t, r] = sum over c of w[r, c] * x[t, c]:
// a linear layer. NibRun.n = tokens. Weights of any format, with bias, activation and residual (NIB_PRODUCT_*), in one go.
// Bounded: sums are taken in fp32 in an order of the kernel's own, and differ from exact ones by at most
// (cols + 2) * 2^-23 * sum of |w x| before the activation; run to run they are the same on a device. GELU and SiLU add at
// most 2^-19 of what they are given; the result is rounded once to its type, half-even. Of fp16 activations of more than 8
// tokens, a GPU may take weights rounded to halves, which adds 2^-11 * sum of |w x|; weights beyond the halves' range
// then are infinite. The results of a token whose activations are not all
// finite, and sums beyond fp32, are of no meaning. Weights whose scale is the zero group's count as 0.
// batch > 1: that many matrices of the same shape, as one blob of batch * rows rows; activations [batch, tokens, cols],
// output [batch, tokens, rows], bias [batch, rows]; each range must then fit one storage buffer range.
// Activations as codes: input.format FP8 or FP8_E5M2 (arXiv 2209.05433). INPUT is then the blob of [batch * tokens,
// cols] that NIB_OP_QUANTIZE writes, its scales NIB_PART_INPUT_SCALES: TENSOR, ROW (per token) or GROUP, not FLAT. They
// are decoded into scratch as NIB_OP_DEQUANTIZE does it, to input_type, and the product is that of what comes out: a
// value beyond fp16 is infinite there.
// NIB_PRODUCT_ORDER: weights whose columns lie in an order of their own, as GPTQ's act-order leaves them once they are
// sorted by group (ExLlama's reordering of g_idx; nibOrderFromGroupIndex): column k of all matrices multiplies input
// column order[k]; one >= cols counts as an activation of 0. Takes a copy of the activations, in scratch.
// FLAT: rows must be whole groups and a multiple of 32 elements. A plan's kernels are chosen for `tokens`:
// plan apart for one token and for many.
typedef struct NibMatmulDesc {
  uint32_t op;      // NIB_OP_MATMUL
  uint32_t flags;   // NIB_PRODUCT_*
  uint32_t rows;    // M, output channels
  uint32_t cols;    // K, inputs
  uint32_t tokens;  // N, the most a run may have
  uint32_t batch;   // matrices; 0 = 1
  uint32_t input_type;     // NibType; of codes, what they are decoded to
  uint32_t input_stride;   // elements from token to token; 0 = cols; of codes 0
  uint32_t result_type;    // NibType
  uint32_t result_stride;  // elements from token to token; 0 = rows (16-bit types: rounded up to even)
  uint32_t activation;     // NibActivation
  NibWeights weights;
  NibWeights input;        // format 0 (and all else 0): dense activations; else codes
} NibMatmulDesc;

// NIB_PART_ORDER of a GPTQ layer whose column c belongs to group group_index[c] (its g_idx): the columns sorted by
// group, those of a group in their own order. Its weights are to be kept with their columns in this order, in groups of
// group_size. group_index, out_order: uint32[cols], apart. NIB_ERROR_INVALID_ARGUMENT, and anything in out_order,
// unless each of the ceil(cols / group_size) groups has group_size columns, the last one what is left. Allocates
// nothing. Thread-safe.
NibResult nibOrderFromGroupIndex(const uint32_t* group_index, uint32_t cols, uint32_t group_size, uint32_t* out_order);

// Dense input [rows, cols] -> one NibExtent per tensor, row or column, over the finite values. Bit-exact.
typedef struct NibMinMaxDesc {
  uint32_t op;     // NIB_OP_MINMAX
  uint32_t flags;  // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t granularity;    // TENSOR, ROW or COLUMN
} NibMinMaxDesc;

// How other programs keep a quantized matrix. Scales are those of NIB_PART_SCALES, byte for byte, but in GGUF's blocks.
typedef enum NibLayout {
  // Rows of codes of 4 or 8 bits without padding between them, the first code in the low bits: compressed-tensors'
  // int-quantized, float-quantized and mxfp4-pack-quantized, and LLM.int8's rows. cols is even for codes of 4 bits. Zero
  // points are those of NIB_PART_ZEROS.
  NIB_LAYOUT_ROWS = 1,
  // compressed-tensors' pack-quantized, of int4, uint4, int8 and uint8: codes + 2^(bits-1) along a row in words, rows
  // starting on a word; zero points the same way, but along columns: word (r * bits / 32, group) holds those of 32 / bits
  // rows.
  NIB_LAYOUT_PACKED_ROWS = 2,
  // bitsandbytes' NF4 and FP4, FLAT: a byte holds two codes, the first in the high nibble.
  NIB_LAYOUT_BITSANDBYTES = 3,
  // ggml's blocks, of the q formats: scale, minimum, high bits, then codes j and j + 16 in one byte. cols is a multiple
  // of 32.
  NIB_LAYOUT_GGUF = 4,
  NIB_LAYOUT_MAX_ENUM = 0x7fffffff
} NibLayout;

enum {
  // From the packed layout (INPUT) to the canonical one (WEIGHTS); without it from WEIGHTS to OUTPUT.
  NIB_REPACK_UNPACK = 1u << 0
};

// Weights blob <-> a layout of other programs: NIB_PART_PACKED_CODES, NIB_PART_PACKED_ZEROS. NibRun.n = number of rows.
// Bit-exact, and back again the same bytes. Unpacking writes NIB_PART_CODES and, where the layout holds them, scales and
// zeros; the caller copies the others.
typedef struct NibRepackDesc {
  uint32_t op;      // NIB_OP_REPACK
  uint32_t flags;   // NIB_REPACK_*
  uint32_t rows;
  uint32_t cols;
  uint32_t layout;  // NibLayout
  NibWeights weights;
} NibRepackDesc;

// Result element of NIB_OP_MINMAX. -0 counts as +0, denormals as 0; without a finite value all three are 0.
typedef struct NibExtent {
  float min;
  float max;
  float absmax;
  uint32_t nonfinite_count;
} NibExtent;

enum {
  // A finite element beyond the result type's largest becomes that, with its sign, instead of infinite.
  NIB_CONVERT_SATURATE = 1u << 0,
  // The aux range begins with a NibStatus that the run adds to.
  NIB_CONVERT_STATUS = 1u << 1
};

// Dense [rows, cols] of one type -> dense of the same or another. NibRun.n = number of rows. Bit-exact: rounded
// half-even, beyond the largest value infinite (or, SATURATE, that value); denormals of fp32 and bfloat16 are zeros with
// their signs, those of halves are numbers; infinities stay, a NaN becomes the quiet one with its sign (0x7fc00000,
// 0x7e00, 0x7fc0).
typedef struct NibConvertDesc {
  uint32_t op;     // NIB_OP_CONVERT
  uint32_t flags;  // NIB_CONVERT_*
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t result_type;    // NibType
  uint32_t result_stride;  // as NibDequantizeDesc's
} NibConvertDesc;

// Two dense inputs [rows, cols], the reference x and the candidate y -> what y lost. NibRun.n = number of rows. The input
// range holds both: NIB_PART_REFERENCE and NIB_PART_CANDIDATE. The result is a NibErrorTile per NIB_ERROR_TILE elements in
// row-major order, cut across rows, the last of them short; nibErrorsAdd and nibErrorsFinish make totals of them.
// Bit-exact, the sums too: they are taken in one fixed order in pairs of fp32.
typedef struct NibErrorsDesc {
  uint32_t op;     // NIB_OP_ERRORS
  uint32_t flags;  // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t reference_type;    // NibType
  uint32_t reference_stride;  // elements from row to row; 0 = cols
  uint32_t candidate_type;
  uint32_t candidate_stride;
} NibErrorsDesc;

enum { NIB_ERROR_TILE = 1024 };

// What follows a product's sums, in this order: bias, activation, residual.
enum {
  // fp32[rows], NIB_PART_BIAS of the weights range, is added to each output channel.
  NIB_PRODUCT_BIAS = 1u << 0,
  // What OUTPUT holds before the run, in the result's type, is added after the activation: a residual in place.
  NIB_PRODUCT_RESIDUAL = 1u << 1,
  // NIB_OP_MATMUL alone: uint32[cols], NIB_PART_ORDER of the weights range, says which input column each column meets.
  NIB_PRODUCT_ORDER = 1u << 2,
  // A NibStatus. Of NIB_OP_DYNAMIC_GEMM only.
  NIB_PRODUCT_STATUS = 1u << 3
};

typedef enum NibActivation {
  NIB_ACTIVATION_NONE = 0,
  NIB_ACTIVATION_RELU = 1,
  NIB_ACTIVATION_RELU6 = 2,
  NIB_ACTIVATION_GELU = 3,       // x/2 (1 + erf(x / sqrt 2)) (arXiv 1606.08415)
  NIB_ACTIVATION_GELU_TANH = 4,  // its approximation by tanh, of the same paper
  NIB_ACTIVATION_SILU = 5,       // x / (1 + exp(-x))
  NIB_ACTIVATION_MAX_ENUM = 0x7fffffff
} NibActivation;

// Results of int8 products beside the NibTypes F32, F16 and BF16.
typedef enum NibInt8Result {
  NIB_INT8_RESULT_I32 = 8,  // the sums themselves
  NIB_INT8_RESULT_I8 = 9,   // requantized: int8, four to a word
  NIB_INT8_RESULT_U8 = 10,  // requantized: uint8
  NIB_INT8_RESULT_MAX_ENUM = 0x7fffffff
} NibInt8Result;

// Y[tokens, rows] = X[tokens, cols] * W^T in integers. WEIGHTS: a blob of int8 or uint8 codes as NIB_OP_QUANTIZE writes it,
// then fp32 NIB_PART_BIAS and fp32 NIB_PART_TABLE[256], each at a multiple of 256 bytes, if the description wants them.
// INPUT: a blob of int8 or uint8 codes of [tokens, cols], its scales NIB_PART_INPUT_SCALES and zero points
// NIB_PART_INPUT_ZEROS; whatever lies behind a row's last code is of no matter. OUTPUT: the result; tokens start on words,
// and what a token's last word holds beyond `rows` is 0. NibRun.n = tokens of this run.
// Either side: granularity TENSOR, ROW (per output channel, per token) or GROUP, symmetric or ASYMMETRIC; not FLAT.
//
// A sum is that of (x - zero of x) * (w - zero of w), exact. cols * max|x - zero| * max|w - zero| must stay below 2^31,
// where a maximum is 128 (127 if NARROW, 255 if ASYMMETRIC); of GROUP, with the length of a piece for cols. Then, in fp32,
// half-even, in this order (LLM.int8(), arXiv 2208.07339, but scales are not merged):
//   y = (float(sum) * scale of x) * scale of w; of GROUP that of each piece added to those before it, where a piece is
//       as many columns as the greatest common divisor of both group sizes
//   y = y + bias; y = activation(y); y = y + what OUTPUT held (RESIDUAL)
//   result: rounded to the type, or clamp(roundEven(y * (1 / result_scale)) + result_zero), as NIB_OP_QUANTIZE rounds
// A product or sum below 2^-126 is +0, and one of 2^127 or more is the largest number below that; so are bias and residual.
// A bias that is no number counts as 0; a residual that is none stays.
// Bit-exact, but for GELU, GELU_TANH and SILU with results F32, F16 and BF16: their value is off by 2^-19 * |y| at most
// before it is rounded. Requantized results take those three from the table, so these are exact: y is rounded to a
// code of table_scale and table_zero, and TABLE[code], as nibFillActivationTable fills it, is the activation's value.
//
// batch > 1: that many products at once. WEIGHTS has batch * rows rows (and biases), INPUT and OUTPUT batch * tokens, where
// matrix b begins at row b * rows, or b * tokens; one token count for all. Each range must then fit one storage range of
// the device; without it, weights or input must (with its parameters), and the other is covered by windows.
typedef struct NibInt8GemmDesc {
  uint32_t op;             // NIB_OP_INT8_GEMM
  uint32_t flags;          // NIB_PRODUCT_*
  uint32_t rows;           // output channels
  uint32_t cols;           // inputs
  uint32_t tokens;         // the most tokens a run may have
  uint32_t batch;          // 0 = 1
  uint32_t input_stride;   // codes from token to token, a multiple of 4; 0 = cols rounded up to that
  uint32_t result_type;    // NibType F32, F16, BF16, or NibInt8Result; I32 takes no flags, activation or GROUP
  uint32_t result_stride;  // elements from token to token; 0 = rows, rounded up so that tokens start on words; else a
                           // multiple of 2 for 16-bit types and of 4 for codes, but for a single token
  uint32_t activation;     // NibActivation
  float result_scale;      // I8, U8: of the result's codes, 2^-60..2^60; else 0
  int32_t result_zero;     // I8: -128..127, U8: 0..255; else 0
  float table_scale;       // I8, U8 with GELU, GELU_TANH or SILU: of the codes that index the table; else 0
  int32_t table_zero;      // 0..255
  NibWeights weights;
  NibWeights input;
} NibInt8GemmDesc;

// Dense X[tokens, cols] -> int8 per token -> NIB_OP_INT8_GEMM -> dense Y[tokens, rows]: W8A8, or W4A8 if the weights are
// int4 or uint4. NibRun.n = tokens. Each token gets the scale (and, ASYMMETRIC, zero point) and codes that NIB_OP_QUANTIZE
// gives a row of int8 with fp32 scales, so a token's result does not depend on the others; all zero if it holds a NaN or
// an infinity (plus bias and so on). WEIGHTS as NIB_OP_INT8_GEMM has it; int4 and uint4 codes differ from their zero by 8
// at most, 15 if ASYMMETRIC. Scratch holds the codes. Exactness as NIB_OP_INT8_GEMM.
//
// outlier_threshold > 0 is LLM.int8() (arXiv 2208.07339; 6 there): the first max_outliers elements of a token with |x| >=
// threshold have code 0 and no say in its scale, and y becomes y + x * ((code of w - zero point) * scale of w) for each, in
// ascending columns and fp32, after the scaled sums and before the bias; products and sums as defined there. Elements beyond
// max_outliers stay among the codes. In the original a column with an outlier in any token of the batch leaves the codes of
// all of them, and fp16 multiplies it; here each token has its own, so its result does not depend on the batch.
// STATUS: AUX begins with a NibStatus, which counts non-finite elements (their token then has no outliers), saturated
// scales and outliers.
typedef struct NibDynamicGemmDesc {
  uint32_t op;             // NIB_OP_DYNAMIC_GEMM
  uint32_t flags;          // NIB_PRODUCT_*
  uint32_t rows;           // output channels
  uint32_t cols;           // inputs
  uint32_t tokens;         // the most tokens a run may have
  uint32_t source_type;    // NibType
  uint32_t source_stride;  // elements from token to token; 0 = cols
  uint32_t result_type;    // NibType
  uint32_t result_stride;  // as NibInt8GemmDesc's
  uint32_t activation;     // NibActivation
  uint32_t input_flags;    // NIB_WEIGHTS_ASYMMETRIC, NIB_WEIGHTS_NARROW or 0: how tokens are quantized
  NibWeights weights;
  float outlier_threshold;  // 2^-60..2^60, or 0: no outliers. Not with ASYMMETRIC tokens
  uint32_t max_outliers;    // per token, up to cols, which 0 stands for; 0 without a threshold
} NibDynamicGemmDesc;

// Pairs of which either is NaN or infinite are counted and left out of the rest. Denormals of fp32 and bfloat16 are zeros.
// A sum is high + low, times 2^(2 e), 2^e or, of the products, 2^(e of x + e of y), where 2^e brings the largest value of
// its kind to [2^30, 2^31): of errors e = (max_error >> 23) - 221, of x and y e = exponent field - 157. Against exact sums
// of the same elements it is wrong by 2^-40 of itself at most; the products' sum, of the root of the product of both
// sums of squares.
typedef struct NibErrorTile {
  uint32_t finite_count;
  uint32_t nonfinite_count;
  uint32_t max_error;        // largest |x - y| rounded to 24 bits: an fp32 pattern of |x - y| * 2^64 with 9 exponent bits
  uint32_t max_error_index;  // of its first occurrence, row * cols + col; UINT32_MAX where max_error is 0
  float max_reference;       // largest |x|
  float max_candidate;       // largest |y|
  float error_squares[2];         // sum of (x - y)^2, {high, low}
  float error_magnitudes[2];      // of |x - y|
  float reference_squares[2];     // of x^2
  float candidate_squares[2];     // of y^2
  float products[2];              // of x y
  float reference_magnitudes[2];  // of |x|
} NibErrorTile;

// Totals of tiles. All zeros = of none.
typedef struct NibErrorSums {
  uint64_t finite_count;
  uint64_t nonfinite_count;
  uint64_t max_error_index;
  double max_error;
  double max_reference;
  double max_candidate;
  double error_squares;
  double error_magnitudes;
  double reference_squares;
  double candidate_squares;
  double products;
  double reference_magnitudes;
} NibErrorSums;

typedef struct NibErrors {
  uint64_t elements;         // pairs of finite values: what all below is about
  uint64_t nonfinite_count;  // pairs left out
  double max_error;          // largest |x - y|, rounded to 24 bits
  uint64_t max_error_index;  // of its first occurrence; 0 if there is no error
  double max_reference;      // largest |x|
  double mse;                // mean of (x - y)^2
  double mae;                // mean of |x - y|
  double relative_error;     // sum of |x - y| / sum of |x|; 0 without error, infinite if x alone is zero
  double sqnr_db;            // 10 log10(sum of x^2 / sum of (x - y)^2); +infinity without error, -infinity if x is zero
  double cosine;             // sum of x y / the root of (sum of x^2 * sum of y^2), within -1..1; 1 if both are zero, 0 if one is
} NibErrors;

// Adds `count` tiles to `sums`, in their order in fp64. first_element: the number of the elements before the first of
// them, where a tensor is cut into runs; the totals are those of one run if it is cut at multiples of NIB_ERROR_TILE.
void nibErrorsAdd(NibErrorSums* sums, const NibErrorTile* tiles, uint64_t count, uint64_t first_element);
void nibErrorsFinish(const NibErrorSums* sums, NibErrors* out_errors);

enum {
  // Bins on both sides of zero. Without it: of |x|.
  NIB_HISTOGRAM_SIGNED = 1u << 0,
  // The run adds to the histograms in the output range, which earlier runs or zeros left there. Without it they are
  // begun anew.
  NIB_HISTOGRAM_ACCUMULATE = 1u << 1
};

enum { NIB_HISTOGRAM_LEAST_BINS = 128, NIB_HISTOGRAM_MOST_BINS = 4096 };

// Dense input [rows, cols] -> a histogram per tensor, row or column, over the finite values: heads (NIB_PART_HEADS,
// NibHistogramHead each), then counts (NIB_PART_COUNTS, uint64 [histograms, bins]). NibRun.n = number of rows; per row,
// the histograms of rows from n on are left alone. Bit-exact, and order-free: whatever runs a stream is cut into and in
// whatever order they come, the bytes are the same; nibHistogramMerge gives them, too.
//
// A histogram has H bins per side: all of them, or SIGNED half. With `exponent` E, the largest exponent field of an
// element met, they span [0, 2^(E-126)) in widths of 2^(E-126) / H: |x| belongs to bin floor(|x| / width), found from its
// exponent and mantissa bits. SIGNED: zeros and positive x in bin H + that, negative x in bin H - 1 - that. Where larger
// values come, E grows and bins merge in pairs. Denormals of fp32 and bfloat16 are zeros.
typedef struct NibHistogramDesc {
  uint32_t op;     // NIB_OP_HISTOGRAM
  uint32_t flags;  // NIB_HISTOGRAM_*
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t granularity;    // TENSOR, ROW or COLUMN
  uint32_t bins;           // a power of two from NIB_HISTOGRAM_LEAST_BINS to NIB_HISTOGRAM_MOST_BINS
} NibHistogramDesc;

// All zeros = an empty histogram, as are counts of zeros.
typedef struct NibHistogramHead {
  uint32_t exponent;  // E; 0 while there were only zeros, or nothing
  uint32_t reserved;  // 0
  float min;          // of finite elements; 0 without any. -0 counts as +0
  float max;
  uint64_t finite_count;
  uint64_t nonfinite_count;  // NaN and infinite elements, which are in no bin
} NibHistogramHead;

// Adds histogram `from` to `into`, of the same bins and flags (NIB_HISTOGRAM_SIGNED). The order of merging changes no byte.
// Thread-safe for distinct `into`. Returns NIB_ERROR_INVALID_ARGUMENT if bins is none of a histogram.
NibResult nibHistogramMerge(uint32_t bins, uint32_t flags, NibHistogramHead* into, uint64_t* into_counts,
                            const NibHistogramHead* from, const uint64_t* from_counts, const NibLog* log);

// Dense input [rows, cols] -> sums of x and x^2 per tensor or column. NibRun.n = number of rows. The result is a
// NibMomentTile per NIB_MOMENT_TILE elements in row-major order, cut across rows (TENSOR), or per NIB_MOMENT_ROWS rows of
// each column, [ceil(n / NIB_MOMENT_ROWS), cols] (COLUMN); the last are short. nibMomentsAdd makes totals of them.
// Bit-exact, the sums too: they are taken in one fixed order in pairs of fp32.
typedef struct NibMomentsDesc {
  uint32_t op;     // NIB_OP_MOMENTS
  uint32_t flags;  // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t granularity;    // TENSOR or COLUMN
} NibMomentsDesc;

enum { NIB_MOMENT_TILE = 1024, NIB_MOMENT_ROWS = 256 };

// NaN and infinite elements are counted and left out. Denormals of fp32 and bfloat16 are zeros. The sum is (high + low) *
// 2^e, that of squares (high + low) * 2^(2e), where 2^e brings absmax to [2^30, 2^31): e = its exponent field - 157.
// Wrong by at most 2^-40 of the sum of |x|, and of itself.
typedef struct NibMomentTile {
  uint32_t finite_count;
  uint32_t nonfinite_count;
  float absmax;
  uint32_t reserved;  // 0
  float sum[2];       // {high, low}
  float squares[2];
} NibMomentTile;

// Totals of tiles. All zeros = of none.
typedef struct NibMoments {
  uint64_t finite_count;
  uint64_t nonfinite_count;
  double absmax;
  double sum;
  double squares;
} NibMoments;

// Adds `count` tiles, `stride` tiles apart (COLUMN: cols), in their order in fp64.
void nibMomentsAdd(NibMoments* moments, const NibMomentTile* tiles, uint64_t count, uint64_t stride);

// Added to by runs of plans that have a status; the application zeroes it (vkCmdFillBuffer) when it wants a fresh one.
// Order-free, so it is the same on every device.
typedef struct NibStatus {
  uint32_t nonfinite_count;     // NaN and infinite elements met
  uint32_t saturated_count;     // found scales beyond scale_type's largest value, or beyond 2^126, and set to that; of
                                // converting, finite elements beyond result_type's largest value
  uint32_t first_nonfinite_not;  // bitwise NOT of the lowest row * cols + col of a non-finite element; 0 = none
  uint32_t outlier_count;       // of NIB_OP_DYNAMIC_GEMM, elements that were multiplied in fp32
} NibStatus;

// Double quantization of fp32 scales that exist, on the host, for tensors that are quantized in pieces: what
// NIB_OP_QUANTIZE does with NESTED. out_nested: 1 + ceil(count / 256) values, as in NIB_PART_NESTED. Thread-safe.
void nibNestScales(const float* scales, uint32_t count, uint8_t* out_codes, float* out_nested);
void nibUnnestScales(const uint8_t* codes, const float* nested, uint32_t count, float* out_scales);

// NIB_PART_TABLE of a description with requantized results and GELU, GELU_TANH or SILU: entry c is the activation of
// (c - table_zero) * table_scale, computed in fp64 and rounded to fp32. Thread-safe.
NibResult nibFillActivationTable(const NibInt8GemmDesc* desc, float* out_table);

// --------------------------------------------------------------------------------------------- ranges
// From what was collected to what codes shall span, on the host in fp64. A histogram's bins are walked up to the last
// one that holds something, L of them on a side; edge k lies at k * width.
typedef enum NibRangeMethod {
  NIB_RANGE_MINMAX = 0,  // smallest and largest value
  // ONNX Runtime's percentile: SYMMETRIC the edge below the bin in which the counts of |x|, from zero on, reach `percentile`
  // per cent, else the edges below the bins in which the counts reach (100 - percentile) / 2 and 100 less that; 100 is
  // MINMAX.
  NIB_RANGE_PERCENTILE = 1,
  // Least sum of count * (centre - what int8 codes of the range make of it)^2. SYMMETRIC: of thresholds at the centres of
  // bins 128..L-1 of |x|, as Model-Optimizer's histogram calibrator has them; else of k/128 times smallest and largest
  // value, k = 32..128. The first of equals.
  NIB_RANGE_MSE = 2,
  // ONNX Runtime's entropy calibrator with 128 levels, on the signed histogram: ranges of the 2i + 1 bins around edge 0,
  // i = 64..L; outliers join the outermost bins of the reference alone; q is cut to whole counts; zeros are smoothed by 1e-4;
  // the first of equals.
  NIB_RANGE_ENTROPY_ORT = 3,
  // TensorRT's as in Model-Optimizer, of |x|, with 128 levels: bin 0 is taken to hold what bin 1 does, candidates are
  // edges 128..L, bins without counts stay without, the last of equals.
  NIB_RANGE_ENTROPY_TRT = 4,
  NIB_RANGE_METHOD_MAX_ENUM = 0x7fffffff
} NibRangeMethod;

enum {
  // max is the threshold on |x|, min = -max. Without it the range has 0 inside.
  NIB_RANGE_SYMMETRIC = 1u << 0
};

typedef struct NibRangeDesc {
  uint32_t method;    // NibRangeMethod
  uint32_t flags;     // NIB_RANGE_*
  double percentile;  // of PERCENTILE: above 50, at most 100
} NibRangeDesc;

typedef struct NibRange {
  double min, max;      // within smallest and largest value
  int32_t low_edge;     // of the range before it was brought within them, in widths; 0 of MINMAX
  int32_t high_edge;    // of MSE the bin whose centre it is, without SYMMETRIC k
  double score;         // divergence, or mean squared error by the histogram; else 0
} NibRange;

// Without a finite value, or with zeros only: min = max = 0. With fewer than 128 bins up to the last (MSE, ENTROPY_*):
// MINMAX, as are ENTROPY_ORT's ranges if none of them has a finite divergence. A range that ends within a width of 0 on either
// side, since outliers made the histogram that wide, is a width on both. ENTROPY_ORT, and any method without SYMMETRIC, need
// signs: a SIGNED histogram, or one without negative values. Thread-safe; allocates nothing.
NibResult nibFindRange(const NibRangeDesc* desc, uint32_t bins, uint32_t histogram_flags, const NibHistogramHead* head,
                       const uint64_t* counts, const NibLog* log, NibRange* out_range);

// Exponential moving averages of the extents of one batch after the other: m += constant * (new - m), the first batch
// begins. It knows an order, so averages of two streams cannot be merged. All zeros = of none.
typedef struct NibEma {
  double min;
  double max;
  uint64_t batches;
} NibEma;
// Extents without a finite value are the caller's to leave out.
void nibEmaAdd(NibEma* ema, const NibExtent* extent, double constant);

// The scale and zero point of static quantization to NIB_FORMAT_INT8 (full range: (max - min) / 255, or SYMMETRIC max / 127.5,
// zero point 0) or NIB_FORMAT_FP8 (largest magnitude / 448). Quotients as NIB_OP_QUANTIZE's. flags: NIB_RANGE_*. A range of 0
// gives the scale 0.
NibResult nibRangeScale(uint32_t format, uint32_t flags, double min, double max, const NibLog* log, float* out_scale,
                        int32_t* out_zero_point);

// --------------------------------------------------------------------------------------------- memory
// The four ranges of every op; one it does not use has size 0. Kernels never see more than four buffers.
typedef enum NibRole {
  NIB_ROLE_WEIGHTS = 0,  // quantized blob
  NIB_ROLE_INPUT = 1,    // dense source
  NIB_ROLE_OUTPUT = 2,   // dense result
  NIB_ROLE_AUX = 3,      // status, then scratch (contents undefined between runs)
  NIB_ROLE_COUNT = 4
} NibRole;

typedef enum NibPart {
  NIB_PART_CODES = 0,   // in WEIGHTS
  NIB_PART_SCALES = 1,  // in WEIGHTS
  NIB_PART_ZEROS = 2,   // in WEIGHTS
  NIB_PART_STATUS = 3,  // in AUX
  NIB_PART_SCRATCH = 4,       // in AUX
  NIB_PART_NESTED = 5,        // in WEIGHTS
  NIB_PART_PACKED_CODES = 6,  // in INPUT or OUTPUT, of NIB_OP_REPACK
  NIB_PART_PACKED_ZEROS = 7,
  NIB_PART_REFERENCE = 8,     // in INPUT, of ops with two inputs
  NIB_PART_CANDIDATE = 9,     // in INPUT, at a multiple of 256 bytes
  NIB_PART_BIAS = 10,         // in WEIGHTS, behind the blob: of products
  NIB_PART_INPUT_SCALES = 11, // in INPUT, behind codes: of products of codes
  NIB_PART_INPUT_ZEROS = 12,
  NIB_PART_TABLE = 13,        // in WEIGHTS, behind the bias: fp32[256] of NIB_OP_INT8_GEMM
  NIB_PART_HEADS = 14,        // in OUTPUT, of NIB_OP_HISTOGRAM
  NIB_PART_COUNTS = 15,
  NIB_PART_ORDER = 16,        // in WEIGHTS, behind blob and bias, at a multiple of 256 bytes: of NIB_OP_MATMUL
  NIB_PART_COUNT = 24         // room for more
} NibPart;

typedef struct NibMemoryRange {
  uint64_t size_bytes;
  uint32_t alignment_bytes;  // of the range's offset in its buffer; NibRun offsets are multiples of dynamic_alignment
  uint32_t usage;            // VkBufferUsageFlags the buffer needs (0 on the CPU)
} NibMemoryRange;

typedef struct NibMemoryPart {
  uint64_t offset_bytes;  // within its role's range
  uint64_t size_bytes;    // 0 = absent
} NibMemoryPart;

typedef struct NibMemory {
  NibMemoryRange range[NIB_ROLE_COUNT];
  NibMemoryPart part[NIB_PART_COUNT];
  uint32_t dynamic_alignment_bytes;  // of the offsets in NibRun (1 on the CPU)
  uint32_t slice_count;              // slices of a full run (1 on the CPU)
} NibMemory;

// Sizes and sub-offsets of an op without a device; alignments are those of plain memory (4 bytes).
// log may be NULL. Thread-safe.
NibResult nibGetMemory(const NibOpDesc* desc, const NibLog* log, NibMemory* out_memory);

// ------------------------------------------------------------------------------------------------ CPU
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
  NibCpuRange range[NIB_ROLE_COUNT];  // at least the sizes of nibGetMemory for the roles the op uses
} NibCpuBinding;

// The reference: the same bytes as every device. Plain, complete, single-threaded unless `parallel` is given.
// n <= desc's rows. Allocates nothing. Rounds to nearest even whatever FTZ/DAZ bits the thread has set; the rounding
// mode itself must be nearest. log and parallel may be NULL. Thread-safe for distinct outputs.
NibResult nibCpuRun(const NibOpDesc* desc, const NibCpuBinding* binding, uint32_t n, const NibParallelFor* parallel,
                    const NibLog* log);

// -------------------------------------------------------------------------------------------- formats
enum {
  // Scales follow from the elements by the format's own rule alone: NIB_QUANTIZE_GIVEN_SCALES is refused.
  NIB_FORMAT_OWN_SCALES = 1u << 0,
  // A minimum goes with every scale, a half in NIB_PART_ZEROS: value = code * scale + minimum.
  NIB_FORMAT_MINIMUM = 1u << 1,
  // A scale is found as the mean of its elements' magnitudes, unless NARROW.
  NIB_FORMAT_MEAN_SCALE = 1u << 2
};

typedef struct NibFormatInfo {
  uint32_t format;              // NibFormat
  const char* name;             // "int4"
  uint32_t bits;                // per code
  uint32_t default_group_size;  // 0 = usually per channel
  uint32_t weights_flags;       // NIB_WEIGHTS_* it can have
  uint32_t granularities;       // bit NibGranularity: what it can have
  uint32_t scale_types;         // bit NibType
  uint32_t group_multiple;      // GROUP: sizes are multiples of this, from 16 or this
  uint32_t group_max;           // to this; where both are equal there is but one size, and no -1
  uint32_t flags;               // NIB_FORMAT_*
} NibFormatInfo;

// Formats of this build, index 0..nibFormatCount()-1, in ascending id. NULL beyond.
uint32_t nibFormatCount(void);
const NibFormatInfo* nibFormatAt(uint32_t index);
// By id or by name (case-insensitive); NULL if this build lacks it.
const NibFormatInfo* nibFormatById(uint32_t format);
const NibFormatInfo* nibFormatByName(const char* name);

// ------------------------------------------------------------------------------------------- tuning
// What can be cut in more than one way, and what a NibTuning's values say of it. Matrix units go by the device's shapes.
typedef enum NibTunable {
  // NIB_OP_MATMUL from registers: invocations that share a row's columns, rows and tokens of these, runs of codes that one
  // of them takes at a time. 0 invocations: each has whole rows, four, and reads activations from its neighbours.
  NIB_TUNABLE_MATVEC = 1,
  // NIB_OP_MATMUL of more than 8 tokens: 0 = as above, else the number of the tile that goes through shared memory.
  NIB_TUNABLE_MATMUL = 2,
  // Products of int8 codes: 0 = from registers, 1 = through shared memory, 2 = whole rows, on CPUs; tokens of an invocation;
  // of 0, invocations that share a row's columns.
  NIB_TUNABLE_INT8 = 3,
  // NIB_OP_DYNAMIC_GEMM: 0 = codes of the tokens are made first, 1 = with the products, in one dispatch; not with a status,
  // outliers or smooth activations, nor where a workgroup has no room for its tokens' codes.
  NIB_TUNABLE_DYNAMIC = 4,
  NIB_TUNABLE_MAX_ENUM = 0x7fffffff
} NibTunable;

// A choice that was measured on a device (`nibble bench --tune`), in the place of the one that follows from limits.
typedef struct NibTuning {
  uint32_t tunable;   // NibTunable
  uint32_t format;    // NibFormat of the weights; 0 = dense
  uint32_t tokens;    // of descriptions of this many tokens and more, up to the next such choice
  uint32_t value[4];
} NibTuning;

#if !defined(NIB_NO_VULKAN)
// ------------------------------------------------------------------------------------------- features
// What kernels may use beyond Vulkan 1.1's guaranteed minimum. Declared by the application (it alone knows what it
// enabled); what is not declared is off. None is required: every op has a kernel that needs none.
enum {
  NIB_FEATURE_SUBGROUP = 1u << 0,       // subgroup arithmetic, ballot and shuffle in compute (of the device, nothing to enable)
  NIB_FEATURE_STORAGE16 = 1u << 1,      // storageBuffer16BitAccess
  NIB_FEATURE_F16 = 1u << 2,            // shaderFloat16
  NIB_FEATURE_DOT4 = 1u << 3,           // shaderIntegerDotProduct
  NIB_FEATURE_COOPMAT = 1u << 4,        // cooperativeMatrix (KHR), vulkanMemoryModel and shaderInt8; used with SUBGROUP_SIZE only
  NIB_FEATURE_SUBGROUP_SIZE = 1u << 5,  // subgroupSizeControl and computeFullSubgroups
  NIB_FEATURE_ROBUSTNESS = 1u << 6,     // pipelineRobustness: lets nibble switch bounds checks off for its own pipelines
  NIB_FEATURE_ROUND_EVEN = 1u << 7,     // float controls: round-to-nearest-even of fp32 can be declared in SPIR-V
  NIB_FEATURE_ALL = (1u << 8) - 1
};

enum { NIB_MAX_EXTENSIONS = 16 };

// What to enable before vkCreateDevice, as data to merge with the application's own wishes.
typedef struct NibRequirements {
  uint32_t features;    // NIB_FEATURE_* this physical device offers at this API version and nibble would use
  uint32_t api_version; // min(instance, device, application): what nibble will treat as available
  uint32_t extension_count;
  const char* extensions[NIB_MAX_EXTENSIONS];  // needed for those features; static strings
} NibRequirements;

// api_version: what the application passed in VkApplicationInfo (0 = 1.0, which is refused: 1.1 is the least).
// get_instance_proc_addr: the loader's entry point the application itself uses.
NibResult nibGetRequirements(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance,
                             VkPhysicalDevice physical_device, uint32_t api_version, NibRequirements* out_requirements);

// Storage for a pNext chain; opaque, self-contained, may be copied only before nibFillFeatureChain.
typedef struct NibFeatureChain {
  uint64_t opaque[64];
} NibFeatureChain;

// Writes VkPhysicalDevice*Features structs that enable `features` (a subset of requirements->features) into chain and
// returns the first, to be linked into VkDeviceCreateInfo::pNext; `next` is appended behind. An application that
// already chains VkPhysicalDeviceVulkan12Features and the like sets the named members there instead.
void* nibFillFeatureChain(NibFeatureChain* chain, uint32_t features, uint32_t api_version, void* next);

// Limits a profile may lower; 0 = as the device says. (Raising is not possible: the lower of both holds.)
typedef struct NibRestrict {
  uint32_t features_mask;  // features that may be used: NIB_FEATURE_ALL = no restriction, 0 = none
  uint32_t api_version;
  uint32_t max_workgroup_invocations;
  uint32_t max_shared_bytes;
  uint32_t max_push_bytes;
  uint32_t max_workgroup_count;
  uint64_t max_storage_range_bytes;
  uint32_t min_offset_alignment_bytes;  // the larger of both holds, as a power of two up to 256
  uint32_t device_type;  // VkPhysicalDeviceType: work is cut as for one of these; 0 = as for the device
} NibRestrict;

// -------------------------------------------------------------------------------------------- context
typedef struct NibContext NibContext;

enum {
  // The pipeline cache was made with VK_PIPELINE_CACHE_CREATE_EXTERNALLY_SYNCHRONIZED_BIT. Refused: plans may be made
  // on any thread.
  NIB_CONTEXT_CACHE_EXTERNALLY_SYNCHRONIZED = 1u << 0
};

typedef struct NibContextDesc {
  uint32_t abi_version;  // NIB_ABI_VERSION
  uint32_t flags;        // NIB_CONTEXT_*
  PFN_vkGetInstanceProcAddr get_instance_proc_addr;
  VkInstance instance;
  VkPhysicalDevice physical_device;
  VkDevice device;
  uint32_t api_version;            // as for nibGetRequirements
  uint32_t features;               // NIB_FEATURE_* the application enabled
  VkPipelineCache pipeline_cache;  // the application's own, or VK_NULL_HANDLE
  const NibRestrict* restriction;  // NULL = none; copied
  const NibAllocator* allocator;   // NULL = malloc; copied
  const NibLog* log;               // NULL = silent; copied
  const void* verdicts;            // from nibGetVerdicts of an earlier run, or NULL; unknown or foreign data is ignored
  size_t verdicts_size_bytes;
  const NibTuning* tuning;  // copied; choices that a device's limits or a plan's sides do not allow are passed over
  uint32_t tuning_count;
} NibContextDesc;

// Adopts a device: takes copies of everything but the handles, which must outlive the context. No queue is used.
// Thread-safe.
NibResult nibCreateContext(const NibContextDesc* desc, NibContext** out_context);
// All plans, bindings and verifications of the context must be destroyed first. NULL is ignored.
void nibDestroyContext(NibContext* context);

typedef struct NibContextInfo {
  uint32_t features;          // declared, offered and not restricted or switched off by a driver quirk
  uint32_t tier;              // 0..3, a label for people: 0 guaranteed minimum, 1 subgroups, 2 packed 4x8 dot, 3 cooperative matrix
  uint32_t subgroup_size;
  uint32_t driver_id;         // VkDriverId, 0 = unknown
  uint32_t driver_version;
  uint32_t quirk_count;       // driver bugs worked around
  uint64_t max_storage_range_bytes;
  uint8_t device_uuid[16];
} NibContextInfo;
void nibGetContextInfo(const NibContext* context, NibContextInfo* out_info);

// One line, why the next tier is not reached ("" at the highest). Static storage per context.
const char* nibGetTierReason(const NibContext* context);

// ------------------------------------------------------------------------------------ plan and binding
typedef struct NibPlan NibPlan;
typedef struct NibBinding NibBinding;

// Validates, chooses kernels, builds pipelines. Slow (compiles): call while loading. Immutable afterwards and shareable
// between threads. Thread-safe.
NibResult nibCreatePlan(NibContext* context, const NibOpDesc* desc, NibPlan** out_plan);
// Destroy its bindings first; the GPU must be idle with it. NULL is ignored.
void nibDestroyPlan(NibPlan* plan);
void nibPlanGetMemory(const NibPlan* plan, NibMemory* out_memory);
// Names of the kernels a plan uses, for logs and reports: index 0..; NULL beyond. Valid as long as the context.
const char* nibPlanGetKernel(const NibPlan* plan, uint32_t index);

typedef struct NibBufferRange {
  VkBuffer buffer;  // VK_NULL_HANDLE for a role the plan does not use
  VkDeviceSize offset;
  VkDeviceSize size;  // at least NibMemoryRange::size_bytes plus the largest NibRun offset used with it
} NibBufferRange;

typedef struct NibBindingDesc {
  NibBufferRange range[NIB_ROLE_COUNT];
} NibBindingDesc;

// Prepares descriptors (windows for ranges beyond the device's limit). Ranges must not overlap. Thread-safe.
NibResult nibCreateBinding(const NibPlan* plan, const NibBindingDesc* desc, NibBinding** out_binding);
// The GPU must be idle with it. NULL is ignored. Thread-safe.
void nibDestroyBinding(NibBinding* binding);

// What changes from frame to frame.
typedef struct NibRun {
  uint32_t n;            // rows, at most the description's; exactly those where weights are FLAT
  uint32_t first_slice;  // slices of the full run, see NibMemory::slice_count; slices beyond n record nothing
  uint32_t slice_count;  // UINT32_MAX = all from first_slice on
  uint32_t offset_bytes[NIB_ROLE_COUNT];  // added to the role's range: multiples of dynamic_alignment_bytes
} NibRun;

// Records; cannot fail, allocates nothing, takes no lock, submits nothing. Any thread (the command buffer is the
// caller's to synchronize). A NibRun out of range asserts in debug builds and records nothing in release builds.
// Reads and writes happen in VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT with SHADER_READ / SHADER_WRITE: the caller orders
// its own accesses, and runs that depend on each other, against that. Barriers are placed only between nibble's own
// dispatches inside one call; a run cut into several calls needs the caller's compute-to-compute barrier between them.
// Clobbers: compute pipeline, descriptor set 0, push constants 0..127.
void nibCmdRun(VkCommandBuffer command_buffer, const NibPlan* plan, const NibBinding* binding, const NibRun* run);

// --------------------------------------------------------------------------------------------- verify
// Advertised is not working: a plan's self-test runs its own pipelines on adversarial data, more than one tile in every
// dimension with tails, 32 times, and compares with the reference.
typedef struct NibVerify NibVerify;

// Records the self-test of `plan` into command_buffer (outside a render pass). `memory` is one host-visible range that
// the caller maps; usage STORAGE_BUFFER | TRANSFER_DST; at least nibVerifyGetMemory().size_bytes. Both compile pipelines
// if need be, so: while loading. The plan may be destroyed meanwhile, the context not. Thread-safe.
NibResult nibVerifyGetMemory(const NibPlan* plan, NibMemoryRange* out_range);
NibResult nibVerifyPlan(const NibPlan* plan, VkCommandBuffer command_buffer, const NibBufferRange* memory,
                        NibVerify** out_verify);
// After the submission finished (host-visible: after a HOST_READ barrier or fence on coherent memory): judges `mapped`,
// the bytes of the range, remembers the verdict in the context, and frees the verify object. *out_passed: 1 or 0.
// A kernel that failed is not chosen for later plans of this context; existing plans keep it. mapped NULL abandons the
// self-test (a lost device): nothing is judged, the object is freed, and NIB_ERROR_INVALID_ARGUMENT comes back.
NibResult nibVerifyRead(NibVerify* verify, const void* mapped, uint32_t* out_passed);

// Verdicts so far, keyed by device, driver version, SPIR-V and specialization, to be saved and handed to
// nibCreateContext. data NULL: *size_bytes becomes the size; else it says how much data holds (too little is
// NIB_ERROR_INVALID_ARGUMENT) and becomes what was written. Thread-safe.
NibResult nibGetVerdicts(const NibContext* context, void* data, size_t* size_bytes);

#endif  // NIB_NO_VULKAN

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_NIBBLE_H
