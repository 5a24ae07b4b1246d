#include "model/quantize/gptq/layer.h"

#include "model/archive/error.h"
#include "model/quantize/gptq/order.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <span>

namespace nib::model {
namespace {

constexpr uint64_t kAlignment = 256;
constexpr uint32_t kFactorBlock = 64;
constexpr uint32_t kOutputSteps = 28;
constexpr float kOutputLeast = 0.3f;
uint64_t aligned(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

NibQuantizeDesc quantizeDesc(const WeightSpec& weight, NibType type) {
  NibQuantizeDesc desc{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  desc.flags = weight.search_scales ? NIB_QUANTIZE_GIVEN_SCALES : NIB_QUANTIZE_STATUS;
  desc.rows = weight.rows;
  desc.cols = weight.cols;
  desc.source_type = type;
  desc.weights = weight.weights;
  return desc;
}

NibSearchDesc searchDesc(const WeightSpec& weight, NibType type, uint32_t flags) {
  NibSearchDesc desc{NIB_OP_SEARCH, sizeof(NibSearchDesc)};
  desc.flags = flags;
  desc.rows = weight.rows;
  desc.cols = weight.cols;
  desc.source_type = type;
  desc.weights = weight.weights;
  return desc;
}

uint32_t groupOf(const WeightSpec& weight, uint32_t cols) {
  const bool groups = weight.weights.granularity == NIB_GRANULARITY_GROUP;
  return groups ? std::min(weight.weights.group_size, cols) : cols;
}

// A multiple of 8 up to `wanted` that is a multiple or a divisor of the group.
uint32_t blockOf(uint32_t wanted, uint32_t group, uint32_t cols) {
  constexpr uint32_t kMost = 128;
  const uint32_t most = wanted != 0 ? std::min(wanted, kMost) : kMost;
  if (group >= cols) return most;
  if (group <= most) return most / group * group;
  uint32_t block = most;
  while (group % block != 0) block -= 8;
  return block;
}

void decodeOnDevice(const TimedDevice& device, const WeightSpec& weight, const kit::Buffer& blob,
                    const kit::Range& to) {
  NibDequantizeDesc desc{NIB_OP_DEQUANTIZE, sizeof(NibDequantizeDesc)};
  desc.rows = weight.rows;
  desc.cols = weight.cols;
  desc.result_type = NIB_TYPE_F32;
  desc.weights = weight.weights;
  const kit::Plan plan(device.untimed(), desc);
  device.run(kit::Binding(plan, {.weights = blob, .input = {}, .output = to, .aux = {}}), weight.rows);
}

// Puts the columns of fp32 [rows, cols] back where the weight has them.
void restoreColumns(const TimedDevice& device, const WeightSpec& weight, std::span<const uint32_t> order,
                    const kit::Range& values) {
  if (order.empty()) return;
  const uint64_t row_bytes = uint64_t(weight.cols) * sizeof(float);
  const uint64_t most = std::max<uint64_t>((16u << 20) / row_bytes, 1);
  std::vector<float> read(size_t(std::min<uint64_t>(most, weight.rows) * weight.cols)), placed(read.size());
  for (uint64_t row = 0; row < weight.rows; row += most) {
    const uint64_t count = std::min(most, weight.rows - row);
    device.download(*values.buffer, values.offset_bytes + row * row_bytes, read.data(), count * row_bytes);
    for (uint64_t r = 0; r < count; ++r) {
      for (uint32_t c = 0; c < weight.cols; ++c)
        placed[size_t(r * weight.cols + order[c])] = read[size_t(r * weight.cols + c)];
    }
    device.upload(*values.buffer, values.offset_bytes + row * row_bytes, placed.data(), count * row_bytes);
  }
}

}  // namespace

void decodeBlob(const TimedDevice& device, const WeightSpec& weight, const HostBlob& blob, kit::Range to) {
  const kit::Buffer buffer(device.untimed(), blob.bytes.size());
  device.upload(buffer, 0, blob.bytes.data(), blob.bytes.size());
  to.size_bytes = uint64_t(weight.rows) * weight.cols * sizeof(float);
  decodeOnDevice(device, weight, buffer, to);
  restoreColumns(device, weight, blob.order, to);
}

// --------------------------------------------------------------------------------------------- solver
struct GptqSolver::State {
  State(const TimedDevice& on, const GptqOptions& with, const HessianSum& of)
      : device(on), options(with), hessian(of), cols(of.cols()) {}

  TimedDevice device;
  GptqOptions options;
  const HessianSum& hessian;
  uint32_t cols;
  std::string problem;
  double damp = 0;
  NibFactorInfo info{};
  uint32_t dead = 0;
  std::vector<float> diagonal;
  uint32_t ordered_group = 0;  // the group size that the factor's order was made for
  // NibFactorInfo, U, the order, the diagonal of H, a weight's dense elements, and fp32 values of its blob. None is
  // wanted at 0, which as a part's offset means "as planned".
  kit::Buffer operands;
  uint64_t info_offset = 0, factor_offset = 0, order_offset = 0, diagonal_offset = 0, source_offset = 0,
           values_offset = 0, hessian_offset = 0;

  const kit::Device& untimed() const { return device.untimed(); }
  bool ordered() const { return options.order != ColumnOrder::kNone; }
  // Whether a blob has its columns in the order in which they are quantized.
  bool keepsOrder() const { return options.order == ColumnOrder::kFalling && ordered_group < cols; }
  bool givesScales() const { return ordered() && options.order != ColumnOrder::kFalling; }
  double tokens() const { return double(std::max<uint64_t>(1, hessian.tokens())); }
  void factor(uint32_t group);
  bool tryFactor(double fraction);
  void roundToNearest(const WeightSpec& weight, NibType type, const kit::Buffer& blob) const;
  void searchScales(const WeightSpec& weight, NibType type, const kit::Buffer& blob) const;
  double lossOf(const WeightSpec& weight, NibType type, const kit::Buffer& blob) const;
  double runColumns(const WeightSpec& weight, NibType type, const kit::Buffer* blob) const;
};

// Sorts the columns and factors, with more damping if it fails.
void GptqSolver::State::factor(uint32_t group) {
  ordered_group = group;
  if (ordered()) {
    const std::vector<uint32_t> order = columnOrder(options.order, diagonal, group);
    device.upload(operands, order_offset, order.data(), order.size() * sizeof(uint32_t));
    device.upload(hessian.buffer(), hessian.orderOffset(), order.data(), order.size() * sizeof(uint32_t));
  }
  for (double fraction = std::min(options.damp, 1.0);; fraction = std::min(std::max(0.01, fraction * 10), 1.0)) {
    if (tryFactor(fraction)) {
      damp = fraction;
      return;
    }
    if (fraction >= 1) break;
  }
  problem = "the Hessian is not positive definite, even with damping 1";
}

bool GptqSolver::State::tryFactor(double fraction) {
  NibFactorDesc desc{NIB_OP_FACTOR, sizeof(NibFactorDesc)};
  desc.flags = ordered() ? uint32_t(NIB_FACTOR_ORDER) : 0u;
  desc.cols = cols;
  desc.block = kFactorBlock;
  desc.damp = float(fraction);
  std::vector<uint32_t> ends;
  for (uint32_t end = kFactorBlock; end < cols; end += kFactorBlock) ends.push_back(end);
  ends.push_back(cols);
  std::vector<kit::PartOffset> parts{{NIB_PART_DIAGONAL, hessian.diagonalOffset()},
                                     {NIB_PART_RESULT, factor_offset},
                                     {NIB_PART_FACTOR_INFO, info_offset}};
  if (ordered()) parts.push_back({NIB_PART_ORDER, hessian.orderOffset()});
  kit::Buffer scratch;
  for (const NibFactorStage stage : {NIB_FACTOR_PREPARE, NIB_FACTOR_CHOLESKY, NIB_FACTOR_INVERT}) {
    const BlockTimes::Scope scope(options.times, stage == NIB_FACTOR_PREPARE    ? BlockPhase::kPrepare
                                                 : stage == NIB_FACTOR_CHOLESKY ? BlockPhase::kCholesky
                                                                                : BlockPhase::kInvert);
    desc.stage = stage;
    const kit::Plan plan(untimed(), desc);
    if (scratch.sizeBytes() == 0) scratch = kit::Buffer(untimed(), std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 4));
    const kit::Ranges ranges{.weights = {}, .input = hessian.buffer(), .output = operands, .aux = scratch};
    const kit::Binding binding(plan, ranges, parts);
    if (stage == NIB_FACTOR_PREPARE) {
      device.run(binding, cols);
      continue;
    }
    if (stage == NIB_FACTOR_CHOLESKY) {
      for (size_t i = ends.size(); i > 0; --i) device.run(binding, ends[i - 1]);
      device.download(operands, info_offset, &info, sizeof info);
      if (info.failed != 0) return false;
      continue;
    }
    for (const uint32_t end : ends) device.run(binding, end);
  }
  return true;
}

// The loss of the codes that the stages LOAD, COLUMNS and STORE write to the blob, which holds the scales that are
// given. blob NULL: the loss of fp32 differences instead of values. In units of H.
double GptqSolver::State::runColumns(const WeightSpec& weight, NibType type, const kit::Buffer* blob) const {
  const bool measure = blob == nullptr;
  const BlockTimes::Scope scope(options.times, measure ? BlockPhase::kMeasure : BlockPhase::kColumns);
  NibGptqDesc desc{NIB_OP_GPTQ, sizeof(NibGptqDesc)};
  desc.flags = ordered() ? uint32_t(NIB_GPTQ_ORDER) : 0u;
  if (measure) {
    desc.flags |= NIB_GPTQ_MEASURE;
  } else {
    desc.flags |= NIB_GPTQ_DEAD;
    if (givesScales() || weight.search_scales) desc.flags |= NIB_GPTQ_GIVEN_SCALES;
    if (keepsOrder()) desc.flags |= NIB_GPTQ_KEEP_ORDER;
    if (options.parity && !weight.search_scales) desc.flags |= NIB_GPTQ_PARITY;
    desc.weights = weight.weights;
  }
  desc.rows = weight.rows;
  desc.cols = cols;
  desc.source_type = measure ? NIB_TYPE_F32 : type;
  desc.block = blockOf(options.block, ordered_group, cols);
  // Scales that are searched during quantization are found before the run that reaches them, from up-to-date weights.
  const bool searches = !measure && weight.search_scales && !givesScales();
  if (searches && ordered_group < cols) desc.block = blockOf(std::min(desc.block, ordered_group), ordered_group, cols);
  std::vector<kit::PartOffset> parts{{NIB_PART_SOURCE, measure ? values_offset : source_offset},
                                     {NIB_PART_FACTOR, factor_offset}};
  if (ordered()) parts.push_back({NIB_PART_ORDER, order_offset});
  if (!measure) parts.push_back({NIB_PART_DIAGONAL, diagonal_offset});
  kit::Buffer scratch, result;
  uint64_t loss_offset = 0;
  for (const NibGptqStage stage : {NIB_GPTQ_LOAD, NIB_GPTQ_COLUMNS, NIB_GPTQ_STORE}) {
    if (measure && stage == NIB_GPTQ_STORE) break;
    desc.stage = stage;
    const kit::Plan plan(untimed(), desc);
    if (result.sizeBytes() == 0) {
      loss_offset = plan.memory().part[NIB_PART_LOSS].offset_bytes;
      result = kit::Buffer(untimed(), plan.sizeBytes(NIB_ROLE_OUTPUT));
      scratch = kit::Buffer(untimed(), std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 4));
      device.fill(scratch, 0, 0, scratch.sizeBytes());
    }
    const kit::Ranges ranges{
        .weights = measure ? kit::Range() : kit::Range(*blob), .input = operands, .output = result, .aux = scratch};
    const kit::Binding binding(plan, ranges, parts);
    if (stage != NIB_GPTQ_COLUMNS) {
      device.run(binding, weight.rows);
      continue;
    }
    const NibSearchDesc search_desc = searchDesc(weight, NIB_TYPE_F32, NIB_SEARCH_COLUMNS);
    std::optional<kit::Plan> search_plan;
    std::optional<kit::Binding> search;
    if (searches) {
      search_plan.emplace(untimed(), search_desc);
      const kit::Range loaded(result, plan.memory().part[NIB_PART_RESULT].offset_bytes,
                              search_plan->sizeBytes(NIB_ROLE_INPUT));
      search.emplace(*search_plan, kit::Ranges{.weights = *blob, .input = loaded, .output = {}, .aux = {}});
    }
    for (uint32_t first = 0; first < cols; first += desc.block) {
      const uint32_t count = std::min(desc.block, cols - first);
      if (search && first % ordered_group == 0) device.run(*search, count, first);
      device.run(binding, count, first);
    }
  }
  std::vector<float> losses(weight.rows);
  device.download(result, loss_offset, losses.data(), losses.size() * sizeof(float));
  return std::accumulate(losses.begin(), losses.end(), 0.0) * double(info.unit);
}

void GptqSolver::State::searchScales(const WeightSpec& weight, NibType type, const kit::Buffer& blob) const {
  NibSearchDesc desc = searchDesc(weight, type, options.search_outputs ? uint32_t(NIB_SEARCH_HESSIAN) : 0u);
  if (options.search_outputs) {
    // A candidate costs the square of the group, so that the grid is coarser than that of weights.
    desc.steps = kOutputSteps;
    desc.least = kOutputLeast;
  }
  const kit::Plan plan(untimed(), desc);
  if (!options.search_outputs) {
    const kit::Range source(operands, source_offset, plan.sizeBytes(NIB_ROLE_INPUT));
    device.run(kit::Binding(plan, {.weights = blob, .input = source, .output = {}, .aux = {}}), weight.rows);
    return;
  }
  const kit::Ranges ranges{.weights = blob, .input = operands, .output = {}, .aux = {}};
  const std::vector<kit::PartOffset> parts{{NIB_PART_SOURCE, source_offset}, {NIB_PART_HESSIAN, hessian_offset}};
  device.run(kit::Binding(plan, ranges, parts), weight.rows);
}

void GptqSolver::State::roundToNearest(const WeightSpec& weight, NibType type, const kit::Buffer& blob) const {
  const BlockTimes::Scope scope(options.times, BlockPhase::kNearest);
  if (weight.search_scales) searchScales(weight, type, blob);
  const kit::Plan plan(untimed(), quantizeDesc(weight, type));
  const kit::Buffer scratch(untimed(), std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 4));
  device.fill(scratch, 0, 0, scratch.sizeBytes());
  const kit::Range source(operands, source_offset, plan.sizeBytes(NIB_ROLE_INPUT));
  device.run(kit::Binding(plan, {.weights = blob, .input = source, .output = {}, .aux = scratch}), weight.rows);
}

// The loss of a blob for the weight in the source, in units of H.
double GptqSolver::State::lossOf(const WeightSpec& weight, NibType type, const kit::Buffer& blob) const {
  const kit::Range values(operands, values_offset, uint64_t(weight.rows) * cols * 4);
  decodeOnDevice(device, weight, blob, values);
  NibElementwiseDesc desc{NIB_OP_ELEMENTWISE, sizeof(NibElementwiseDesc)};
  desc.kind = NIB_ELEMENTWISE_SCALE;
  desc.rows = weight.rows;
  desc.cols = cols;
  desc.source_type = desc.result_type = NIB_TYPE_F32;
  desc.factor = -1;
  const kit::Plan negate(untimed(), desc);
  // Parts of one buffer in both roles, so that the result may be in place.
  const kit::Ranges ranges{.weights = {}, .input = operands, .output = operands, .aux = {}};
  const std::vector<kit::PartOffset> negated{{NIB_PART_SOURCE, values_offset}, {NIB_PART_RESULT, values_offset}};
  device.run(kit::Binding(negate, ranges, negated), weight.rows);
  desc.kind = NIB_ELEMENTWISE_ADD;
  desc.factor = 0;
  desc.source_type = type;
  desc.second_type = NIB_TYPE_F32;
  const kit::Plan add(untimed(), desc);
  const std::vector<kit::PartOffset> added{
      {NIB_PART_SOURCE, source_offset}, {NIB_PART_SECOND, values_offset}, {NIB_PART_RESULT, values_offset}};
  device.run(kit::Binding(add, ranges, added), weight.rows);
  return runColumns(weight, type, nullptr);
}

GptqSolver::GptqSolver(const TimedDevice& device, const GptqOptions& options, const HessianSum& hessian, uint32_t rows)
    : state_(std::make_unique<State>(device, options, hessian)) {
  State& s = *state_;
  const uint64_t vector_bytes = uint64_t(s.cols) * 4;
  s.info_offset = kAlignment;
  s.factor_offset = s.info_offset + aligned(sizeof(NibFactorInfo));
  s.order_offset = s.factor_offset + aligned(vector_bytes * s.cols);
  s.diagonal_offset = s.order_offset + aligned(vector_bytes);
  s.source_offset = s.diagonal_offset + aligned(vector_bytes);
  s.values_offset = s.source_offset + aligned(vector_bytes * rows);
  s.hessian_offset = s.values_offset + aligned(vector_bytes * rows);
  const uint64_t hessian_bytes = options.search_outputs ? vector_bytes * s.cols : 0;
  s.operands = kit::Buffer(s.untimed(), s.hessian_offset + aligned(hessian_bytes));
  if (options.search_outputs) {
    std::vector<std::byte> values(size_t(hessian_bytes), std::byte{});
    device.download(hessian.buffer(), 0, values.data(), values.size());
    device.upload(s.operands, s.hessian_offset, values.data(), values.size());
  }
  s.diagonal.resize(s.cols);
  device.download(hessian.buffer(), hessian.diagonalOffset(), s.diagonal.data(), vector_bytes);
  device.upload(s.operands, s.diagonal_offset, s.diagonal.data(), vector_bytes);
  s.dead = uint32_t(std::count_if(s.diagonal.begin(), s.diagonal.end(), [](float x) { return x < 0x1p-126f; }));
  if (std::any_of(s.diagonal.begin(), s.diagonal.end(), [](float x) { return !std::isfinite(x); })) {
    s.problem = "its inputs are not all finite";
  } else if (hessian.tokens() == 0) {
    s.problem = "no token reached it";
  } else if (s.dead == s.cols) {
    s.problem = "its inputs were all 0";
  }
}
GptqSolver::~GptqSolver() = default;

const std::string& GptqSolver::problem() const { return state_->problem; }

kit::Range GptqSolver::source(uint32_t rows, NibType type) const {
  const State& s = *state_;
  return {s.operands, s.source_offset, uint64_t(rows) * s.cols * (type == NIB_TYPE_F32 ? 4 : 2)};
}

HostBlob GptqSolver::solve(const WeightSpec& weight, NibType type, const kit::Range& decoded, GptqLayerReport& report) {
  State& s = *state_;
  report.tokens = s.hessian.tokens();
  report.dead = s.dead;
  const uint32_t group = groupOf(weight, s.cols);
  if (s.problem.empty() && s.ordered_group != group) s.factor(group);
  const kit::Buffer blob(s.untimed(), kit::Plan(s.untimed(), quantizeDesc(weight, type)).sizeBytes(NIB_ROLE_WEIGHTS));
  if (s.options.nearest && s.problem.empty()) {
    // The report compares with the scales of the largest magnitudes.
    WeightSpec plain = weight;
    plain.search_scales = false;
    s.roundToNearest(plain, type, blob);
    report.nearest_loss = s.lossOf(weight, type, blob) / s.tokens();
  }
  // Scales that are given are those of rounding to nearest, searched or not.
  s.roundToNearest(weight, type, blob);
  report.note = s.problem;
  if (s.problem.empty()) {
    report.damp = s.damp;
    const double loss = s.lossOf(weight, type, blob) / s.tokens();
    if (!s.options.nearest) report.nearest_loss = loss;
    report.loss = s.options.nearest ? loss : s.runColumns(weight, type, &blob) / s.tokens();
    if (!std::isfinite(report.loss)) {
      report.note = "its loss is not finite";
      s.roundToNearest(weight, type, blob);
    }
  }
  report.nearest = !report.note.empty();
  HostBlob host{std::vector<std::byte>(size_t(blob.sizeBytes()))};
  if (!report.nearest && s.keepsOrder()) host.order = columnOrder(s.options.order, s.diagonal, group);
  if (decoded.buffer != nullptr) {
    decodeOnDevice(s.device, weight, blob, decoded);
    restoreColumns(s.device, weight, host.order, decoded);
  }
  s.device.download(blob, 0, host.bytes.data(), host.bytes.size());
  return host;
}

}  // namespace nib::model
