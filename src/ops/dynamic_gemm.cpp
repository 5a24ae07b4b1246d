// NIB_OP_DYNAMIC_GEMM: validation, memory, self-test. It runs the phases of quantize and int8_gemm, or one kernel that
// does both.
#include "plan/op.h"

#include <nibble/formats.h>

#include <cstring>

#include "ops/dynamic_product.h"
#include "plan/probe_weights.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#endif

namespace nib {

extern const OpRow kOp_quantize;

namespace {

NibResult checkOutliers(const char* op, const NibDynamicGemmDesc& d, const Log& log) {
  // Written so that NaN fails.
  if (!(d.outlier_threshold == 0) && !(d.outlier_threshold >= 0x1p-60f && d.outlier_threshold <= 0x1p60f)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: outlier_threshold %g must be 0 or within 2^-60..2^60", op,
                    double(d.outlier_threshold));
  }
  const uint32_t limit = d.outlier_threshold == 0 ? 0 : d.cols;
  if (d.max_outliers > limit) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: max_outliers %u must be at most %s", op, d.max_outliers,
                    limit == 0 ? "0 without outlier_threshold" : "cols");
  }
  if (d.outlier_threshold != 0 && (d.input_flags & NIB_WEIGHTS_ASYMMETRIC)) {
    return log.fail(NIB_ERROR_UNSUPPORTED, "%s: input_flags: ASYMMETRIC cannot be combined with outlier_threshold", op);
  }
  return NIB_SUCCESS;
}

}  // namespace

NibResult makeDynamicProduct(const NibDynamicGemmDesc& d, const Log& log, DynamicProduct* out) {
  constexpr const char* kName = "dynamic_gemm";
  DynamicProduct p{};
  if (d.result_type > NIB_TYPE_BF16) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: result_type %u must be F32, F16 or BF16", kName, d.result_type);
  }
  const uint32_t modes = NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW;
  const uint32_t mode = d.input_flags & ~uint32_t(NIB_WEIGHTS_FOUR_BITS);
  if ((mode & ~modes) != 0 || mode == modes) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: input_flags 0x%x must be 0, ASYMMETRIC or NARROW, with or without FOUR_BITS", kName,
                    d.input_flags);
  }
  if (d.flags & ~uint32_t(NIB_PRODUCT_BIAS | NIB_PRODUCT_RESIDUAL | NIB_PRODUCT_STATUS | NIB_PRODUCT_ONE_KERNEL)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: flags 0x%x has unknown bits", kName, d.flags);
  }
  NibResult result = checkOutliers(kName, d, log);
  if (result != NIB_SUCCESS) return result;
  if (findFormat(NIB_FORMAT_INT8) == nullptr) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "%s: the activations' codes need the format int8, which is not in this build: add int8 to "
                    "NIBBLE_FORMATS",
                    kName);
  }
  const bool status = (d.flags & NIB_PRODUCT_STATUS) != 0;
  NibInt8GemmDesc product{};
  product.op = NIB_OP_INT8_GEMM;
  product.desc_bytes = sizeof product;
  product.flags = d.flags & ~uint32_t(NIB_PRODUCT_STATUS);
  product.rows = d.rows;
  product.cols = d.cols;
  product.tokens = d.tokens;
  product.result_type = d.result_type;
  product.result_stride = d.result_stride;
  product.activation = d.activation;
  product.weights = d.weights;
  product.input = {NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, d.input_flags};
  result = makeInt8Product(kName, product, true, log, &p.product);
  if (result != NIB_SUCCESS) return result;
  uint32_t stride = d.source_stride;
  result = checkDense(kName, "source", d.tokens, d.cols, d.source_type, false, log, &stride, {"tokens", "cols"});
  if (result != NIB_SUCCESS) return result;
  p.quantize = {NIB_OP_QUANTIZE,
                sizeof(NibQuantizeDesc),
                status ? uint32_t(NIB_QUANTIZE_STATUS) : 0u,
                d.tokens,
                d.cols,
                d.source_type,
                d.source_stride,
                product.input};
  result = kOp_quantize.getMemory(reinterpret_cast<const NibOpDesc*>(&p.quantize), log, &p.quantize_memory);
  if (result != NIB_SUCCESS) return result;
  p.own_bytes = p.quantize_memory.range[NIB_ROLE_AUX].size_bytes;
  p.blob_bytes = p.quantize_memory.range[NIB_ROLE_WEIGHTS].size_bytes;
  if (d.outlier_threshold != 0) {
    p.own_bytes = status ? sizeof(NibStatus) : 0u;
    p.threshold = exact::bitsOf(d.outlier_threshold);
    p.product.max_outliers = d.max_outliers != 0 ? d.max_outliers : d.cols;
    p.product.outliers_offset = alignUp(p.blob_bytes, kPartAlignmentBytes);
    const uint64_t end = p.product.outliers_offset + uint64_t(d.tokens) * listWords(p.product.max_outliers) * 4u;
    if (end / 4 > UINT32_MAX) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                      "%s: max_outliers %u of %u tokens are more than 2^32 words; run fewer at a time", kName,
                      p.product.max_outliers, d.tokens);
    }
    p.blob_bytes = p.product.input.blob_bytes = end;
  }
  p.blob_offset = alignUp(p.own_bytes, kPartAlignmentBytes);
  *out = p;
  return NIB_SUCCESS;
}

namespace {

NibResult getMemory(const NibDynamicGemmDesc& d, const Log& log, NibMemory* memory) {
  DynamicProduct p;
  const NibResult result = makeDynamicProduct(d, log, &p);
  if (result != NIB_SUCCESS) return result;
  setInt8Memory(p.product, memory);
  setRange(memory, NIB_ROLE_INPUT, p.quantize_memory.range[NIB_ROLE_INPUT].size_bytes);
  const uint64_t end = p.blob_offset + p.blob_bytes;
  setRange(memory, NIB_ROLE_AUX, end);
  const bool status = (d.flags & NIB_PRODUCT_STATUS) != 0;
  if (status) setPart(memory, NIB_PART_STATUS, 0, sizeof(NibStatus));
  const uint64_t scratch = status ? alignUp(sizeof(NibStatus), kPartAlignmentBytes) : 0u;
  setPart(memory, NIB_PART_SCRATCH, scratch, end - scratch);
  return NIB_SUCCESS;
}

RunRows runRows(const NibDynamicGemmDesc& d) { return {d.tokens, false, d.tokens}; }

Dims dims(const NibDynamicGemmDesc& d) { return {d.tokens, d.cols}; }

NibDynamicGemmDesc resized(const NibDynamicGemmDesc& desc, Dims dims) {
  NibDynamicGemmDesc d = desc;
  d.source_stride = strideLike(d.source_stride, d.cols, dims.cols);
  d.rows = fewInt8Rows(d.rows, dims.cols);
  if (d.result_stride != 0) d.result_stride = uint32_t(alignUp(d.rows, 4)) + 4u;
  d.tokens = dims.rows;
  d.cols = dims.cols;
  if (d.max_outliers > dims.cols) d.max_outliers = dims.cols;
  return d;
}

void smallDims(const NibDynamicGemmDesc& d, SmallDims* list) {
  DynamicProduct p;
  if (makeDynamicProduct(d, Log(), &p) != NIB_SUCCESS) return;
  // Tokens that a workgroup quantizes for itself have the plan's runs.
  const uint32_t tokens = d.tokens < kFewTokens ? d.tokens : kFewTokens;
  list->add(tokens, d.cols);
  // A CPU's kernels of eight tokens per invocation do not depend on more, until it has 64 to quantize.
  if (d.tokens > 4 && d.tokens < 64) list->add(37, d.cols);
  SmallDims quantize;
  kOp_quantize.smallDims(reinterpret_cast<const NibOpDesc*>(&p.quantize), &quantize);
  for (const Dims& dims : quantize) {
    list->add(tokens, dims.cols);
    if (d.tokens > kFewTokens) list->add(dims.rows, dims.cols);
  }
  int8SmallDims(p.product, list);
}

void fillProbe(const NibDynamicGemmDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::fillWeights(d.weights, memory, binding);
  probe::fillDense(binding.range[NIB_ROLE_INPUT].data, d.source_type, memory.range[NIB_ROLE_INPUT].size_bytes,
                   0x9e3779b9u);
  if (isSmooth(d.activation)) {
    // Small scales and no bias: no result overflows.
    probe::fillOrdinaryScales(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_SCALES), d.weights.scale_type,
                              memory.part[NIB_PART_SCALES].size_bytes);
    if (d.flags & NIB_PRODUCT_BIAS) {
      std::memset(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_BIAS), 0,
                  size_t(memory.part[NIB_PART_BIAS].size_bytes));
    }
    return;
  }
  if (d.flags & NIB_PRODUCT_BIAS) {
    probe::fillDense(partOf<void>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_BIAS), NIB_TYPE_F32,
                     memory.part[NIB_PART_BIAS].size_bytes, 0x68e31da4u);
  }
}

Tolerance tolerance(const NibDynamicGemmDesc& d, NibPart) {
  return isSmooth(d.activation) ? Tolerance{d.result_type, kInt8Bound} : Tolerance{};
}

void runReference(const NibDynamicGemmDesc& d, const HostRun& run) {
  DynamicProduct p;
  if (makeDynamicProduct(d, Log(), &p) == NIB_SUCCESS) dynamicGemmReference(p, run);
}

#if !defined(NIB_NO_VULKAN)
NibResult build(const NibDynamicGemmDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  DynamicProduct p;
  NibResult result = makeDynamicProduct(d, Log(), &p);
  if (result != NIB_SUCCESS) return result;
  if (p.threshold == 0 && (d.flags & NIB_PRODUCT_STATUS) == 0) {
    bool added = false;
    const uint32_t stride = p.quantize.source_stride != 0 ? p.quantize.source_stride : p.quantize.cols;
    result = addStagedProduct(p.product, {p.quantize.source_type, stride}, builder, &added);
    if (result != NIB_SUCCESS || added) return result;
  }
  Placement quantize;
  quantize.operand[NIB_ROLE_WEIGHTS] = {
      .role = NIB_ROLE_AUX, .offset_bytes = p.blob_offset, .size_bytes = p.blob_bytes, .scratch = true};
  quantize.operand[NIB_ROLE_AUX] = {.role = NIB_ROLE_AUX, .size_bytes = p.own_bytes};
  quantize.sees_first_row = false;
  PlanBuilder quantizing = builder.placed(quantize);
  result = p.threshold != 0
               ? addOutliers(p, quantizing)
               : kOp_quantize.build(reinterpret_cast<const NibOpDesc*>(&p.quantize), p.quantize_memory, quantizing);
  if (result != NIB_SUCCESS) return result;
  Placement product;
  product.operand[NIB_ROLE_WEIGHTS] = {.role = NIB_ROLE_WEIGHTS,
                                       .size_bytes = memory.range[NIB_ROLE_WEIGHTS].size_bytes};
  product.operand[NIB_ROLE_INPUT] = {
      .role = NIB_ROLE_AUX, .offset_bytes = p.blob_offset, .size_bytes = p.blob_bytes, .scratch = true};
  product.sees_first_row = false;
  PlanBuilder multiplying = builder.placed(product);
  return addInt8Product(p.product, multiplying);
}
#endif

bool withRows(const NibDynamicGemmDesc& d, uint32_t tokens, NibDynamicGemmDesc* out) {
  if ((d.flags & NIB_PRODUCT_ONE_KERNEL) != 0) return false;
  *out = d;
  out->tokens = tokens;
  return true;
}

constexpr Op<NibDynamicGemmDesc> kDynamicGemm = {
    .op = NIB_OP_DYNAMIC_GEMM,
    .name = "dynamic_gemm",
    .getMemory = getMemory,
    .runRows = runRows,
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = dims,
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance = tolerance,
    .withRows = withRows,
    .multiplyAdds = [](const NibDynamicGemmDesc& d, uint32_t n) { return uint64_t(d.rows) * d.cols * n; },
};

}  // namespace

NIB_DEFINE_OP(dynamic_gemm, NibDynamicGemmDesc, kDynamicGemm)

}  // namespace nib
