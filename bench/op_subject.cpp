#include "bench/op_subject.h"

#include "bench/cache.h"
#include "bench/record.h"
#include "bench/suite.h"
#include "formats/geometry.h"
#include "formats/scale_store.h"
#include "numerics/exact.h"
#include "plan/op.h"
#include "selftest/op_cases.h"
#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace nib::bench {
namespace {

// Limits of the small problem of products: more tokens than a tile of any kernel, unless one thread of the reference
// would take long for its multiply-adds.
constexpr uint32_t kFewTokens = 131;
constexpr uint64_t kSmallProducts = uint64_t(1) << 28;
// Elements after which dense data repeats, because generating it takes longer than timing; even, but not a multiple of
// the row length.
constexpr uint64_t kPeriod = (uint64_t(1) << 24) + 2;

// Scales near those of normal data of deviation 0.02.
void fillScales(std::vector<uint32_t>& image, const NibMemoryPart& part, const NibWeights& weights, uint64_t seed) {
  const NibFormatInfo* info = nibFormatById(weights.format);
  const bool affine = info != nullptr && (info->weights_flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
  const double largest = affine ? double((1u << (info->bits - 1)) - 1) : 1.0;
  selftest::Random random(seed ^ 0x5ca1e);
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

void fewRows(selftest::Case& row) {
  const OpRow* op = findOp(row.op());
  const Dims dims = op->dims(row.desc());
  const selftest::Case whole = row;
  op->resized(whole.desc(), {std::min(dims.rows, 37u), dims.cols}, row.storage());
}

#if !defined(NIB_NO_VULKAN)
// Reduces the case to a small one with the same pipelines; on the CPU to few rows.
void shrink(const kit::Plan& plan, selftest::Case& row) {
  if (plan.handle() != nullptr) {
    const AnyDesc small = smallProblem(*plan.handle());
    std::memcpy(row.storage(), small.bytes, plan.handle()->op->desc_bytes);
    return;
  }
  fewRows(row);
}

uint32_t pipelineCount(const kit::Device& device) {
  return device.context() != nullptr ? device.context()->pipelines.count() : 0;
}
#else
void shrink(const kit::Plan&, selftest::Case& row) { fewRows(row); }
uint32_t pipelineCount(const kit::Device&) { return 0; }
#endif

}  // namespace

// ---------------------------------------------------------------------------------------------- shared data
const std::vector<uint32_t>& SharedData::dense(selftest::Recipe recipe, NibType type, uint64_t size_bytes,
                                               uint64_t seed) {
  const std::string key = std::string(selftest::recipeName(recipe)) + " " + std::to_string(type) + " " +
                          std::to_string(size_bytes) + " " + std::to_string(seed);
  if (key != dense_[newest_].key) newest_ = 1 - newest_;
  Dense& dense = dense_[newest_];
  if (key == dense.key) return dense.words;
  dense = {};  // freed before the new one is allocated
  std::vector<uint32_t>& words = dense.words;
  words = selftest::makeDense(recipe, type, std::min(size_bytes / typeBytes(type), kPeriod), seed);
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
  reference_.upload(input, dense(selftest::Recipe::kNormal, NibType(desc.source_type), input.sizeBytes(), seed));
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
  buffers.list.clear();  // freed before the new ones are allocated
  for (uint32_t i = 0; i < count; ++i) buffers.list.emplace_back(device_, size_bytes);
  return buffers;
}

// ---------------------------------------------------------------------------------------------- plan
OpSubject::OpSubject(SharedData& shared, const selftest::Case& row, uint64_t rotation_bytes)
    : shared_(shared), row_(row) {
  const uint32_t pipelines = pipelineCount(shared_.device());
  const auto start = std::chrono::steady_clock::now();
  plan_ = std::make_unique<kit::Plan>(selftest::planOf(shared_.device(), row_));
  build_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  pipelines_built_ = pipelineCount(shared_.device()) - pipelines;
  written_ = selftest::writtenRole(row_);
  for (uint32_t role = 0; role < NIB_ROLE_AUX; ++role) set_bytes_ += plan_->sizeBytes(NibRole(role));
  sets_ = setCount(set_bytes_, rotation_bytes);
  timer_ = std::make_unique<kit::Timer>(shared_.device(), kMaxBatch);
}

// ---------------------------------------------------------------------------------------------- data
const OpSubject::Words& OpSubject::image(NibRole role, std::string* content) {
  using Kind = selftest::RowData::Kind;
  const NibMemory& memory = plan_->memory();
  const uint64_t bytes = memory.range[role].size_bytes;
  const selftest::RowData data =
      role == NIB_ROLE_AUX ? selftest::RowData() : selftest::findCases(row_.op())->bench.data(row_, role);
  const std::string size =
      std::to_string(bytes) + " " + std::to_string(data.kind == Kind::kDense ? data.seed : row_.seed);
  content->clear();
  switch (data.kind) {
    case Kind::kDense:
      *content = std::string(selftest::recipeName(data.recipe)) + " " + std::to_string(data.type) + " " + size;
      return shared_.dense(data.recipe, data.type, bytes, data.seed);
    case Kind::kBlob:
      *content = "blob " + std::string(reinterpret_cast<const char*>(&data.blob), sizeof data.blob) + size;
      return shared_.blob(data.blob, row_.seed);
    case Kind::kOwn:
      if (!data.content.empty()) *content = data.content + " " + size;
      scratch_ = selftest::makeRange(row_, memory, role);
      return scratch_;
    case Kind::kMarks:
    case Kind::kGiven: break;
  }
  scratch_.assign(size_t((bytes + 3) / 4), selftest::kUntouched);
  if (data.kind == Kind::kGiven) fillScales(scratch_, memory.part[NIB_PART_SCALES], *row_.weights(), row_.seed);
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
    // Scratch is not a result: all sets share one buffer.
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
  if (selftest::isBounded(row_)) return;  // checked by its bound instead of by bytes
  const kit::Device& reference = shared_.reference();
  const kit::Plan plan = selftest::planOf(reference, row_);
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
bool OpSubject::accumulates() const { return findOp(row_.op())->accumulates(row_.desc()); }

std::string OpSubject::verifySmall() const {
  selftest::Case small = row_;
  shrink(*plan_, small);
  if (!selftest::isBounded(row_)) small.recipe = selftest::Recipe::kMixed;
  const RunRows run = findOp(row_.op())->runRows(small.desc());
  small.n = run.max;
  if (!run.fixed && multiplyAdds(row_) > 0) {
    const Dims dims = findOp(row_.op())->dims(small.desc());
    const uint64_t fitting = kSmallProducts / std::max(uint64_t(dims.rows) * dims.cols, uint64_t(1));
    small.n = std::min(small.n, uint32_t(std::clamp(fitting, uint64_t(2), uint64_t(kFewTokens))));
  }
  const selftest::Outcome outcome = selftest::runCase(shared_.device(), small);
  return outcome.passed ? std::string() : small.name() + ": " + outcome.message;
}

// Compares a part of the result with sums in double precision.
std::string OpSubject::compareBounded(uint32_t set) {
  constexpr uint64_t kProducts = uint64_t(1) << 24;
  const Words output =
      shared_.device().download<uint32_t>((*results_)[set], size_t(plan_->sizeBytes(NIB_ROLE_OUTPUT) / 4));
  std::string content;
  // A copy, because the next image may be made in the same place.
  const Words weights = image(NIB_ROLE_WEIGHTS, &content);
  Words earlier;
  if (accumulates()) earlier = image(NIB_ROLE_OUTPUT, &content);
  const Words& input = image(NIB_ROLE_INPUT, &content);
  const uint32_t* const before[NIB_ROLE_COUNT] = {weights.data(), input.data(),
                                                  earlier.empty() ? nullptr : earlier.data(), nullptr};
  const selftest::Farthest worst = selftest::farthest(row_, plan_->memory(), before, output.data(), kProducts);
  if (worst.ratio <= 1) return {};
  return "copy " + std::to_string(set) + ", " + worst.text(row_, plan_->memory());
}

std::string OpSubject::compare(uint32_t set) {
  if (selftest::isBounded(row_)) return compareBounded(set);
  const kit::Device& device = shared_.device();
  const kit::Buffer& buffer = (*results_)[set];
  const uint64_t bytes = expected_.size() * 4;
  Words copy;
  const uint32_t* got = static_cast<const uint32_t*>(buffer.mapped());
  // A software device's memory is host memory; other mapped memory may be slow to read.
  if (got == nullptr || (!device.isCpu() && device.info().type != kit::DeviceType::kSoftware)) {
    copy = device.download<uint32_t>(buffer, expected_.size());
    got = copy.data();
  }
  if (std::memcmp(got, expected_.data(), size_t(bytes)) == 0) return {};
  return "copy " + std::to_string(set) + ", " + selftest::difference(row_, plan_->memory(), written_, got, expected_);
}

std::string OpSubject::verify() {
  const std::string small = verifySmall();
  if (!small.empty()) return small;
  upload();
  makeExpected();
  for (uint32_t set = 0; set < sets_; ++set) {
    // Bounded results are compared in double precision, in the first and the last copy.
    if (selftest::isBounded(row_) && set != 0 && set + 1 != sets_) continue;
    shared_.device().run(bindings_[set], row_.n);
    const std::string difference = compare(set);
    if (!difference.empty()) return difference;
  }
  return {};
}

std::string OpSubject::verifyAgain() {
  const uint32_t last = (next_set_ + sets_ - 1) % sets_;
  if (accumulates()) {
    // Many runs have changed the result that they read: one more, from the first contents.
    upload();
    shared_.device().run(bindings_[0], row_.n);
    if (last != 0) shared_.device().run(bindings_[last], row_.n);
  }
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
