// The child's side: every op, format and path, one after the other.
#include "verify.h"

#include <nibble/formats.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

namespace nib::tool {
namespace {

using Json = nlohmann::ordered_json;

// More than one tile in both directions with tails; the library makes its self-test as small as still tells.
constexpr uint32_t kRows = 77;
constexpr uint32_t kCols = 1090;

struct Case {
  std::string name;
  std::vector<uint64_t> desc;  // the bytes of a description
  size_t desc_size_bytes = 0;
  const NibOpDesc* op() const { return reinterpret_cast<const NibOpDesc*>(desc.data()); }
};

template <class Desc>
void add(std::vector<Case>& cases, std::string name, const Desc& desc) {
  Case c;
  c.name = std::move(name);
  c.desc.resize((sizeof desc + 7) / 8);
  std::memcpy(c.desc.data(), &desc, sizeof desc);
  c.desc_size_bytes = sizeof desc;
  cases.push_back(std::move(c));
}

const char* granularityName(uint32_t granularity) {
  static const char* const kNames[] = {"tensor", "row", "column", "group"};
  return kNames[granularity];
}

const char* typeName(uint32_t type) {
  static const char* const kNames[] = {"f32", "f16", "bf16"};
  return kNames[type];
}

void addWeights(std::vector<Case>& cases, const NibFormatInfo& format, const NibWeights& weights, uint32_t type) {
  const std::string name = std::string(format.name) + " " + granularityName(weights.granularity) +
                           ((weights.flags & NIB_WEIGHTS_ASYMMETRIC) != 0 ? " asymmetric" : "") +
                           ((weights.flags & NIB_WEIGHTS_FLAT) != 0 ? " flat" : "") + " " + typeName(type);
  NibQuantizeDesc quantize{};
  quantize.op = NIB_OP_QUANTIZE;
  quantize.flags = NIB_QUANTIZE_STATUS;
  quantize.rows = kRows;
  quantize.cols = kCols;
  quantize.source_type = type;
  quantize.weights = weights;
  add(cases, "quantize " + name, quantize);
  NibDequantizeDesc dequantize{};
  dequantize.op = NIB_OP_DEQUANTIZE;
  dequantize.rows = kRows;
  dequantize.cols = kCols;
  dequantize.result_type = type;
  dequantize.weights = weights;
  add(cases, "dequantize " + name, dequantize);
}

// A type of scales that the format has: `type` if it can be.
uint32_t scaleTypeLike(const NibFormatInfo& format, uint32_t type) {
  if (format.scale_types >> type & 1u) return type;
  return uint32_t(std::countr_zero(format.scale_types));
}

// Every type with the commonest grouping, and each other way once, with the types taken in turn: a plan's own self-test
// is there for the combination a program uses.
void addFormat(std::vector<Case>& cases, const NibFormatInfo& format) {
  uint32_t turn = 0;
  for (const uint32_t granularity :
       {NIB_GRANULARITY_GROUP, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN, NIB_GRANULARITY_TENSOR}) {
    for (const uint32_t flags : {0u, uint32_t{NIB_WEIGHTS_ASYMMETRIC}, uint32_t{NIB_WEIGHTS_FLAT}}) {
      const bool flat = (flags & NIB_WEIGHTS_FLAT) != 0;
      if ((flags & ~format.weights_flags) != 0 || (flat && granularity != NIB_GRANULARITY_GROUP)) continue;
      if (!(format.granularities >> granularity & 1u)) continue;
      NibWeights weights{};
      weights.format = format.format;
      weights.granularity = granularity;
      weights.group_size = granularity == NIB_GRANULARITY_GROUP ? std::min(64u, format.group_max) : 0;
      weights.flags = flags;
      const bool every_type = granularity == NIB_GRANULARITY_GROUP && flags == 0;
      for (uint32_t i = 0; i < (every_type ? 3u : 1u); ++i) {
        const uint32_t type = turn++ % 3;
        weights.scale_type = scaleTypeLike(format, type);
        addWeights(cases, format, weights, type);
      }
    }
  }
}

std::vector<Case> allCases() {
  std::vector<Case> cases;
  for (uint32_t i = 0; const NibFormatInfo* format = nibFormatAt(i); ++i) addFormat(cases, *format);
  for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN}) {
    for (const uint32_t type : {NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16}) {
      NibMinMaxDesc minmax{};
      minmax.op = NIB_OP_MINMAX;
      minmax.rows = kRows;
      minmax.cols = kCols;
      minmax.source_type = type;
      minmax.granularity = granularity;
      add(cases, std::string("minmax ") + granularityName(granularity) + " " + typeName(type), minmax);
    }
  }
  // Few tokens and many; one scale per row, and groups; zero points.
  for (uint32_t turn = 0; turn < 4; ++turn) {
    NibInt8GemmDesc gemm{};
    gemm.op = NIB_OP_INT8_GEMM;
    gemm.rows = gemm.tokens = kRows;
    if (turn % 2 == 0) gemm.tokens = 3;
    gemm.cols = kCols;
    gemm.result_type = turn % 3;
    gemm.weights = {NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, 0};
    gemm.input = {NIB_FORMAT_UINT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, turn / 2 != 0 ? uint32_t{NIB_WEIGHTS_ASYMMETRIC} : 0u};
    if (turn / 2 != 0) gemm.weights = {NIB_FORMAT_INT8, NIB_GRANULARITY_GROUP, 64, NIB_TYPE_F16, 0};
    add(cases, "int8_gemm " + std::to_string(gemm.tokens) + " tokens " + typeName(gemm.result_type), gemm);
  }
  for (uint32_t pair = 0; pair < 9; ++pair) {
    const uint32_t from = pair / 3, to = pair % 3;
    NibConvertDesc convert{};
    convert.op = NIB_OP_CONVERT;
    convert.flags = NIB_CONVERT_STATUS | (pair % 2 != 0 ? uint32_t{NIB_CONVERT_SATURATE} : 0u);
    convert.rows = kRows;
    convert.cols = kCols;
    convert.source_type = from;
    convert.result_type = to;
    add(cases, std::string("convert ") + typeName(from) + " " + typeName(to), convert);
    NibErrorsDesc errors{};
    errors.op = NIB_OP_ERRORS;
    errors.rows = kRows;
    errors.cols = kCols;
    errors.reference_type = from;
    errors.candidate_type = to;
    add(cases, std::string("errors ") + typeName(from) + " " + typeName(to), errors);
  }
  return cases;
}

// Each path a plan could fall back to: all features, then without the tallest, down to none.
std::vector<kit::Device> paths(const kit::Device& device) {
  std::vector<kit::Device> result = {device};
#if !defined(NIB_NO_VULKAN)
  if (device.isCpu()) return result;
  uint32_t mask = device.info().features;
  for (const uint32_t feature : {NIB_FEATURE_COOPMAT, NIB_FEATURE_DOT4, NIB_FEATURE_F16, NIB_FEATURE_STORAGE16,
                                 NIB_FEATURE_SUBGROUP, NIB_FEATURE_SUBGROUP_SIZE}) {
    if ((mask & feature) == 0) continue;
    mask &= ~uint32_t{feature};
    NibRestrict restriction{};
    restriction.features_mask = mask;
    result.push_back(device.restricted(restriction));
  }
#endif
  return result;
}

void say(const Json& step) {
  const std::string text = step.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);  // the next moment may be the last
}

void runOne(const kit::Device& device, const Case& c, size_t index, std::vector<std::vector<std::string>>& seen) {
  std::optional<kit::Plan> plan;
  try {
    plan.emplace(device, c.op(), c.desc_size_bytes);
  } catch (const kit::Error& error) {
    const bool refused = error.result() == NIB_ERROR_UNSUPPORTED || error.result() == NIB_ERROR_INVALID_ARGUMENT;
    say({{refused ? "skip" : "error", index}, {"text", error.what()}});
    return;
  }
  const std::vector<std::string> kernels = plan->kernels();
  say({{"kernels", kernels}});
  // A narrower path that ends at the same kernels was tested already.
  if (std::find(seen.begin(), seen.end(), kernels) != seen.end()) {
    say({{"same", index}});
    return;
  }
  seen.push_back(kernels);
  try {
    Json attempts = Json::array();
    for (const kit::Attempt& attempt : kit::verifyOp(device, c.op(), c.desc_size_bytes)) {
      attempts.push_back({{"kernels", attempt.kernels}, {"passed", attempt.passed}});
    }
    say({{"end", index}, {"attempts", attempts}});
  } catch (const kit::Error& error) {
    say({{"error", index}, {"text", error.what()}});
  }
}

}  // namespace

int runVerifyChild(const DeviceArguments& arguments, size_t first) {
  const kit::Device device = openDevice(arguments);
  const std::vector<kit::Device> devices = paths(device);
  const std::vector<Case> cases = allCases();
  size_t index = 0;
  for (const Case& c : cases) {
    std::vector<std::vector<std::string>> seen;
    for (size_t path = 0; path < devices.size(); ++path, ++index) {
      if (index < first) continue;
      const std::string name = c.name + (path == 0 ? "" : ", path " + std::to_string(path));
      say({{"begin", index}, {"name", name}});
      runOne(devices[path], c, index, seen);
    }
  }
  say({{"finished", true}});
  return 0;
}

}  // namespace nib::tool
