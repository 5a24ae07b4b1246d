#include "bench/op_subject.h"

#include "bench/cache.h"
#include "bench/record.h"
#include "bench/suite.h"
#include "cases/bounded.h"
#include "numerics/exact.h"
#include "formats/scale_store.h"
#include "formats/geometry.h"
#include "plan/op.h"
#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace nib::bench {
namespace {

constexpr uint32_t kUntouched = 0xa5a5a5a5u;
// Of a small problem of products: more tokens than a tile of any kernel has, unless one thread of the reference would
// need long for its multiply-adds.
constexpr uint32_t kFewTokens = 131;
constexpr uint64_t kSmallProducts = uint64_t(1) << 28;
// Elements after which dense data repeats, for making it takes longer than timing it; even, but no whole number of rows.
constexpr uint64_t kPeriod = (uint64_t(1) << 24) + 2;
const char* const kRoleNames[] = {"weights", "input", "output", "aux"};

const NibQuantizeDesc* asQuantize(const cases::Case& row) {
  return row.op() == NIB_OP_QUANTIZE ? &row.desc.quantize : nullptr;
}

bool hasGivenScales(const cases::Case& row) {
  const NibQuantizeDesc* quantize = asQuantize(row);
  return quantize != nullptr && (quantize->flags & NIB_QUANTIZE_GIVEN_SCALES) != 0;
}

NibType sourceType(const cases::Case& row) {
  if (row.op() == NIB_OP_QUANTIZE) return NibType(row.desc.quantize.source_type);
  if (row.op() == NIB_OP_CONVERT) return NibType(row.desc.convert.source_type);
  if (row.op() == NIB_OP_MATMUL) return NibType(row.desc.matmul.input_type);
  if (row.op() == NIB_OP_HISTOGRAM) return NibType(row.desc.histogram.source_type);
  if (row.op() == NIB_OP_MOMENTS) return NibType(row.desc.moments.source_type);
  return NibType(row.desc.minmax.source_type);
}

// The quantized matrix a row reads, as what would have made it.
NibQuantizeDesc makerOf(uint32_t rows, uint32_t cols, const NibWeights& weights) {
  NibQuantizeDesc desc{};
  desc.op = NIB_OP_QUANTIZE;
  desc.desc_bytes = sizeof desc;
  desc.rows = rows;
  desc.cols = cols;
  desc.source_type = NIB_TYPE_F32;
  desc.weights = weights;
  return desc;
}

NibQuantizeDesc makerOf(const cases::Case& row) {
  if (row.op() == NIB_OP_MATMUL) return makerOf(row.desc.matmul.rows, row.desc.matmul.cols, row.desc.matmul.weights);
  if (row.op() == NIB_OP_GATHER) return makerOf(row.desc.gather.rows, row.desc.gather.cols, row.desc.gather.weights);
  return makerOf(row.desc.dequantize.rows, row.desc.dequantize.cols, row.desc.dequantize.weights);
}

bool readsWeights(const cases::Case& row) {
  return row.op() == NIB_OP_DEQUANTIZE || row.op() == NIB_OP_MATMUL || row.op() == NIB_OP_GATHER;
}

// Scales near those that would have been found in normal data of deviation 0.02.
void fillScales(std::vector<uint32_t>& image, const NibMemoryPart& part, const NibWeights& weights, uint64_t seed) {
  const NibFormatInfo* info = nibFormatById(weights.format);
  const bool affine = info != nullptr && (info->weights_flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
  const double largest = affine ? double((1u << (info->bits - 1)) - 1) : 1.0;
  cases::Random random(seed ^ 0x5ca1e);
  uint8_t* to = reinterpret_cast<uint8_t*>(image.data()) + part.offset_bytes;
  for (uint64_t at = 0; at < part.size_bytes; at += scaleBytes(weights.scale_type)) {
    const float value = float(0.06 * (0.75 + 0.5 * random.unit()) / largest);
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (weights.scale_type == NIB_TYPE_F16) bits = exact::nibF32ToHalfBits(bits);
    if (weights.scale_type == NIB_TYPE_BF16) bits = exact::nibF32ToBf16Bits(bits);
    if (weights.scale_type == NIB_TYPE_E8M0) bits >>= 23;
    std::memcpy(to + at, &bits, scaleBytes(weights.scale_type));
  }
}

void fewRows(cases::Case& row) {
  const OpRow* op = findOp(row.op());
  const Sides sides = op->sides(&row.desc.op);
  const cases::Case whole = row;
  op->resized(&whole.desc.op, {std::min(sides.rows, 37u), sides.cols}, &row.desc);
}

#if !defined(NIB_NO_VULKAN)
// A small case with the pipelines of the plan; on the CPU one of few rows.
void shrink(const kit::Plan& plan, cases::Case& row) {
  if (plan.handle() != nullptr) {
    const AnyDesc small = smallProblem(*plan.handle());
    std::memcpy(&row.desc, small.bytes, plan.handle()->op->desc_bytes);
    return;
  }
  fewRows(row);
}

uint32_t pipelineCount(const kit::Device& device) {
  return device.context() != nullptr ? device.context()->pipelines.count() : 0;
}
#else
void shrink(const kit::Plan&, cases::Case& row) { fewRows(row); }
uint32_t pipelineCount(const kit::Device&) { return 0; }
#endif

}  // namespace

// ---------------------------------------------------------------------------------------------- shared data
const std::vector<uint32_t>& SharedData::dense(cases::Recipe recipe, NibType type, uint64_t size_bytes, uint64_t seed) {
  const std::string key = std::string(cases::recipeName(recipe)) + " " + std::to_string(type) + " " +
                          std::to_string(size_bytes) + " " + std::to_string(seed);
  if (key != dense_[newest_].key) newest_ = 1 - newest_;
  Dense& dense = dense_[newest_];
  if (key == dense.key) return dense.words;
  dense = {};  // before the new one, so that both need not fit
  std::vector<uint32_t>& words = dense.words;
  words = cases::makeDense(recipe, type, std::min(size_bytes / typeBytes(type), kPeriod), seed);
  const size_t made = words.size();
  words.resize(size_t((size_bytes + 3) / 4));
  for (size_t at = made; at < words.size(); at += made) {
    std::copy_n(words.begin(), std::min(made, words.size() - at), words.begin() + ptrdiff_t(at));
  }
  dense.key = key;
  return words;
}

const std::vector<uint32_t>& SharedData::blob(const NibQuantizeDesc& desc, uint64_t seed) {
  const std::string key(reinterpret_cast<const char*>(&desc), sizeof desc);
  if (key == blob_key_) return blob_;
  const kit::Plan plan(reference_, desc);
  const kit::Buffer input(reference_, plan.sizeBytes(NIB_ROLE_INPUT));
  reference_.upload(input, dense(cases::Recipe::kNormal, NibType(desc.source_type), input.sizeBytes(), seed));
  const kit::Buffer weights(reference_, plan.sizeBytes(NIB_ROLE_WEIGHTS));
  const kit::Buffer aux(reference_, plan.sizeBytes(NIB_ROLE_AUX));
  reference_.fill(weights, 0, 0, weights.sizeBytes());
  reference_.run(kit::Binding(plan, {.weights = weights, .input = input, .output = {}, .aux = aux}), desc.rows);
  blob_ = reference_.download<uint32_t>(weights, size_t(weights.sizeBytes() / 4));
  blob_key_ = key;
  return blob_;
}

SharedData::Buffers& SharedData::buffers(NibRole role, const std::string& content, uint64_t size_bytes,
                                         uint32_t count) {
  Buffers& buffers = buffers_[role];
  const bool fits = buffers.list.size() == count && (count == 0 || buffers.list[0].sizeBytes() == size_bytes);
  if (fits && (content.empty() || buffers.content == content)) return buffers;
  buffers.content.clear();
  if (fits) return buffers;
  buffers.list.clear();  // before the new ones, so that both need not fit
  for (uint32_t i = 0; i < count; ++i) buffers.list.emplace_back(device_, size_bytes);
  return buffers;
}

// ---------------------------------------------------------------------------------------------- plan
OpSubject::OpSubject(SharedData& shared, const cases::Case& row, uint64_t rotation_bytes) : shared_(shared), row_(row) {
  const uint32_t pipelines = pipelineCount(shared_.device());
  const auto start = std::chrono::steady_clock::now();
  plan_ = std::make_unique<kit::Plan>(shared_.device(), &row_.desc.op, row_.descBytes());
  build_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  pipelines_built_ = pipelineCount(shared_.device()) - pipelines;
  written_ = findOp(row_.op())->written(&row_.desc.op);
  for (uint32_t role = 0; role < NIB_ROLE_AUX; ++role) set_bytes_ += plan_->sizeBytes(NibRole(role));
  sets_ = setCount(set_bytes_, rotation_bytes);
  timer_ = std::make_unique<kit::Timer>(shared_.device(), kMaxBatch);
}

// ---------------------------------------------------------------------------------------------- data
const OpSubject::Words& OpSubject::image(NibRole role, std::string* content) {
  const NibMemory& memory = plan_->memory();
  const uint64_t bytes = memory.range[role].size_bytes;
  const std::string size = std::to_string(bytes) + " " + std::to_string(row_.seed);
  if (role == NIB_ROLE_INPUT && row_.op() == NIB_OP_ERRORS) {
    const NibErrorsDesc& d = row_.desc.errors;
    *content = "errors " + std::to_string(d.reference_type) + " " + std::to_string(d.candidate_type) + " " + size;
    scratch_ = cases::makeInput(row_, memory);
    return scratch_;
  }
  if (row_.op() == NIB_OP_INT8_GEMM || row_.op() == NIB_OP_DYNAMIC_GEMM) {
    content->clear();
    scratch_ = cases::makeImages(row_, memory).role[role];
    return scratch_;
  }
  if (role == NIB_ROLE_INPUT && row_.op() == NIB_OP_GATHER) {
    *content = "numbers " + std::to_string(row_.desc.gather.rows) + " " + size;
    scratch_ = cases::makeInput(row_, memory);
    return scratch_;
  }
  if (role == NIB_ROLE_INPUT) {
    *content = std::string(cases::recipeName(row_.recipe)) + " " + std::to_string(sourceType(row_)) + " " + size;
    return shared_.dense(row_.recipe, sourceType(row_), bytes, row_.seed);
  }
  if (role == NIB_ROLE_WEIGHTS && row_.op() == NIB_OP_MATMUL && row_.format() == NIB_FORMAT_DENSE) {
    const NibType type = NibType(row_.desc.matmul.weights.scale_type);
    *content = "dense weights " + std::to_string(type) + " " + size;
    return shared_.dense(cases::Recipe::kNormal, type, bytes, row_.seed + 1);
  }
  if (role == NIB_ROLE_WEIGHTS && readsWeights(row_)) {
    const NibQuantizeDesc maker = makerOf(row_);
    *content = "blob " + std::string(reinterpret_cast<const char*>(&maker), sizeof maker) + size;
    return shared_.blob(maker, row_.seed);
  }
  content->clear();
  scratch_.assign(size_t((bytes + 3) / 4), kUntouched);
  if (role == NIB_ROLE_WEIGHTS && hasGivenScales(row_)) {
    fillScales(scratch_, memory.part[NIB_PART_SCALES], row_.desc.quantize.weights, row_.seed);
  }
  return scratch_;
}

void OpSubject::upload() {
  const kit::Device& device = shared_.device();
  bindings_.clear();
  std::vector<kit::Buffer>* lists[NIB_ROLE_COUNT] = {};
  for (uint32_t r = 0; r < NIB_ROLE_COUNT; ++r) {
    const NibRole role = NibRole(r);
    const uint64_t bytes = plan_->sizeBytes(role);
    if (bytes == 0) continue;
    std::string content;
    const Words& words = image(role, &content);
    // Scratch is never a result: one for all sets.
    SharedData::Buffers& buffers = shared_.buffers(role, content, bytes, role == NIB_ROLE_AUX ? 1 : sets_);
    lists[role] = &buffers.list;
    if (!content.empty() && buffers.content == content) continue;
    for (const kit::Buffer& buffer : buffers.list) device.uploadBytes(buffer, 0, words.data(), bytes);
    buffers.content = content;
  }
  results_ = lists[written_];
  for (uint32_t set = 0; set < sets_; ++set) {
    const auto range = [&](NibRole role) {
      if (lists[role] == nullptr) return kit::Range();
      return kit::Range((*lists[role])[role == NIB_ROLE_AUX ? 0 : set]);
    };
    bindings_.emplace_back(*plan_, kit::Ranges{range(NIB_ROLE_WEIGHTS), range(NIB_ROLE_INPUT), range(NIB_ROLE_OUTPUT),
                                               range(NIB_ROLE_AUX)});
  }
}

void OpSubject::makeExpected() {
  if (cases::isBounded(row_)) return;  // judged by its bound
  const kit::Device& reference = shared_.reference();
  const kit::Plan plan(reference, &row_.desc.op, row_.descBytes());
  kit::Buffer buffers[NIB_ROLE_COUNT];
  kit::Range ranges[NIB_ROLE_COUNT];
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const uint64_t bytes = plan.sizeBytes(NibRole(role));
    if (bytes == 0) continue;
    std::string content;
    buffers[role] = kit::Buffer(reference, bytes);
    reference.uploadBytes(buffers[role], 0, image(NibRole(role), &content).data(), bytes);
    ranges[role] = buffers[role];
  }
  reference.run(kit::Binding(plan, kit::Ranges{ranges[0], ranges[1], ranges[2], ranges[3]}), row_.n);
  expected_ = reference.download<uint32_t>(buffers[written_], size_t(buffers[written_].sizeBytes() / 4));
}

// ---------------------------------------------------------------------------------------------- verify
std::string OpSubject::verifySmall() const {
  cases::Case small = row_;
  shrink(*plan_, small);
  if (!cases::isBounded(row_)) small.recipe = cases::Recipe::kMixed;
  const RunRows run = findOp(row_.op())->runRows(&small.desc.op);
  small.n = run.max;
  if (!run.fixed && multiplyAdds(row_) > 0) {
    const Sides sides = findOp(row_.op())->sides(&small.desc.op);
    const uint64_t fitting = kSmallProducts / std::max(uint64_t(sides.rows) * sides.cols, uint64_t(1));
    small.n = std::min(small.n, uint32_t(std::clamp(fitting, uint64_t(2), uint64_t(kFewTokens))));
  }
  const cases::Outcome outcome = cases::runCase(shared_.device(), small);
  return outcome.passed ? std::string() : small.name() + ": " + outcome.message;
}

// Some of the result against sums in double precision.
std::string OpSubject::compareBounded(uint32_t set) {
  constexpr uint64_t kProducts = uint64_t(1) << 24;
  const Words output = shared_.device().download<uint32_t>((*results_)[set], size_t(plan_->sizeBytes(NIB_ROLE_OUTPUT) / 4));
  std::string content;
  const Words& weights = image(NIB_ROLE_WEIGHTS, &content);
  const Words& input = image(NIB_ROLE_INPUT, &content);
  const uint32_t* const before[NIB_ROLE_COUNT] = {weights.data(), input.data(), nullptr, nullptr};
  const double ratio = cases::boundRatio(row_, plan_->memory(), before, output.data(), kProducts);
  if (ratio <= 1) return {};
  return "copy " + std::to_string(set) + ": largest error / bound " + std::to_string(ratio);
}

std::string OpSubject::compare(uint32_t set) {
  if (cases::isBounded(row_)) return compareBounded(set);
  const kit::Device& device = shared_.device();
  const kit::Buffer& buffer = (*results_)[set];
  const uint64_t bytes = expected_.size() * 4;
  Words copy;
  const uint32_t* got = static_cast<const uint32_t*>(buffer.mapped());
  // A software device's memory is the host's own; other mapped memory may be slow to read.
  if (got == nullptr || (!device.isCpu() && device.info().type != kit::DeviceType::kSoftware)) {
    copy = device.download<uint32_t>(buffer, expected_.size());
    got = copy.data();
  }
  if (std::memcmp(got, expected_.data(), size_t(bytes)) == 0) return {};
  uint64_t bad = 0, first = 0;
  for (uint64_t i = expected_.size(); i > 0; --i) {
    if (got[i - 1] == expected_[i - 1]) continue;
    ++bad;
    first = i - 1;
  }
  char text[200];
  std::snprintf(text, sizeof text,
                "%s of copy %u: %llu of %llu words differ, first word %llu: device 0x%08x, reference 0x%08x",
                kRoleNames[written_], set, (unsigned long long)bad, (unsigned long long)expected_.size(),
                (unsigned long long)first, got[first], expected_[first]);
  return text;
}

std::string OpSubject::verify() {
  const std::string small = verifySmall();
  if (!small.empty()) return small;
  upload();
  makeExpected();
  for (uint32_t set = 0; set < sets_; ++set) {
    // What is judged element by element in double precision: the first and the last copy.
    if (cases::isBounded(row_) && set != 0 && set + 1 != sets_) continue;
    shared_.device().run(bindings_[set], row_.n);
    const std::string difference = compare(set);
    if (!difference.empty()) return difference;
  }
  return {};
}

std::string OpSubject::verifyAgain() {
  const uint32_t last = (next_set_ + sets_ - 1) % sets_;
  std::string difference = compare(last);
  if (difference.empty() && last != 0) difference = compare(0);
  return difference.empty() ? difference : "after timing: " + difference;
}

// ---------------------------------------------------------------------------------------------- run
Batch OpSubject::run(uint32_t repetitions) {
  const kit::Device& device = shared_.device();
  if (device.isCpu()) {
    Batch batch;
    for (uint32_t i = 0; i < repetitions; ++i) {
      batch.wall_seconds += device.run(bindings_[next_set_], row_.n).seconds;
      next_set_ = (next_set_ + 1) % sets_;
    }
    return batch;
  }
#if !defined(NIB_NO_VULKAN)
  NibRun run{sizeof(NibRun)};
  run.n = row_.n;
  run.slice_count = UINT32_MAX;
  return submitBatch(device, *timer_, repetitions, [&](VkCommandBuffer commands) {
    nibCmdRun(commands, plan_->handle(), bindings_[next_set_].handle(), &run);
    next_set_ = (next_set_ + 1) % sets_;
  });
#else
  return {};
#endif
}

}  // namespace nib::bench
