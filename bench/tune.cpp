#include "bench/tune.h"

#include "bench/cache.h"
#include "bench/op_subject.h"
#include "ops/matmul_tiles.h"
#include "plan/plan.h"

#include <algorithm>
#include <map>

namespace nib::bench {
namespace {

constexpr Shape kShape{4096, 1, 4096};
constexpr double kFaster = 0.97;  // of the usual time; smaller gains are noise

// Candidates for each NibTuning::value.
using Axes = std::vector<std::vector<uint32_t>>;

Axes axesOf(NibTunable tunable, const kit::Device& device, uint32_t tokens) {
  std::vector<uint32_t> lanes = {1, 2, 4, 8, 16, 32, 64, 128}, each;
  if (device.info().subgroup_size != 0) lanes.push_back(device.info().subgroup_size);
  std::sort(lanes.begin(), lanes.end());
  lanes.erase(std::unique(lanes.begin(), lanes.end()), lanes.end());
  for (uint32_t t = 1; t <= kRowsTokens && t < 2 * tokens; t *= 2) each.push_back(t);
  if (tunable == NIB_TUNABLE_MATVEC) {
    lanes.insert(lanes.begin(), 0u);  // whole rows
    return {lanes, {2, 4}, each, {1, 2, 4, 8, 16}};
  }
  if (tunable == NIB_TUNABLE_DYNAMIC) return {{0, 1}, {0}, {0}, {0}};
  std::vector<uint32_t> tiles;
  for (uint32_t i = 0; i <= kMatmulTileCount; ++i) tiles.push_back(i);
  if (tunable == NIB_TUNABLE_MATMUL) return {tiles, {0}, {0}, {0}};
  return {{0, 1, 2}, {1, 2, 4, 8}, lanes, {0}};
}

// Identifies the pipelines of a plan. Two candidates with the same pipelines are timed once.
std::vector<uint64_t> pipelinesOf(const kit::Plan& plan) {
  std::vector<uint64_t> hashes;
  const NibPlan& handle = *plan.handle();
  for (uint32_t p = 0; p < handle.phase_count; ++p) {
    hashes.push_back(handle.phase[p].spec_hash ^ reinterpret_cast<uintptr_t>(handle.phase[p].row));
  }
  return hashes;
}

class Tuner {
 public:
  Tuner(const kit::Device& device, const TuneOptions& options)
      : device_(device),
        options_(options),
        shared_(device),
        rotation_(options.rotation_bytes != 0
                      ? options.rotation_bytes
                      : rotationFor(device.info(), hostCacheBytes(), hostAvailableBytes()).bytes) {}

  void step(NibTunable tunable, const selftest::Case& row, uint32_t tokens, const std::string& type,
            TuneResult& result) {
    const Axes axes = axesOf(tunable, device_, tokens);
    TuneStep step;
    step.type = type;
    step.best = {uint32_t(tunable), row.weights()->format, tokens, {}};
    times_.clear();
    result_ = &result;
    const double usual = timeOf(row, result.tuning, type);
    if (usual <= 0) return;
    step.usual_us = step.best_us = usual;
    // Searches one axis after the other, starting from the middle of each: the axes are nearly independent.
    std::vector<size_t> at(axes.size());
    for (size_t axis = 0; axis < axes.size(); ++axis) at[axis] = axes[axis].size() / 2;
    for (size_t axis = 0; axis < axes.size(); ++axis) {
      size_t best = at[axis];
      double best_us = 0;
      for (size_t i = 0; i < axes[axis].size(); ++i) {
        at[axis] = i;
        NibTuning choice = step.best;
        for (size_t v = 0; v < axes.size(); ++v) choice.value[v] = axes[v][at[v]];
        std::vector<NibTuning> tuning = result.tuning;
        tuning.push_back(choice);
        const double us = timeOf(row, tuning, type);
        if (us <= 0) continue;
        ++step.candidates;
        if (best_us == 0 || us < best_us) best = i, best_us = us;
        if (us < step.best_us) step.best_us = us, step.best = choice;
      }
      at[axis] = best;
    }
    step.faster = step.best_us < kFaster * step.usual_us;
    if (step.faster) result.tuning.push_back(step.best);
    result.steps.push_back(step);
  }

 private:
  // Median time, or 0 if the candidate cannot be planned or gives wrong results.
  double timeOf(const selftest::Case& row, const std::vector<NibTuning>& tuning, const std::string& type) {
    const kit::Device under = device_.tuned(tuning);
    try {
      const auto [known, fresh] = times_.insert({pipelinesOf(selftest::planOf(under, row)), 0.0});
      if (!fresh) return known->second;
      shared_.use(under);
      OpSubject subject(shared_, row, rotation_);
      MeasureOptions measuring;
      measuring.seconds = options_.seconds;
      const Measurement measured = measure(subject, measuring);
      if (measured.verified) return known->second = measured.us.median;
      result_->failures.push_back(type + ": " + measured.problem);
    } catch (const std::runtime_error& error) {
      result_->failures.push_back(type + ": " + error.what());
    }
    return 0;
  }

  kit::Device device_;
  const TuneOptions& options_;
  SharedData shared_;
  uint64_t rotation_;
  std::map<std::vector<uint64_t>, double> times_;  // of the current step, by pipelinesOf
  TuneResult* result_ = nullptr;
};

struct Task {
  NibTunable tunable;
  selftest::Case row;
  uint32_t tokens;
  std::string type;
};

std::vector<Task> tasksOf(const TuneOptions& options) {
  std::vector<Task> tasks;
  for (const std::string& type : suiteTypes()) {
    const auto& wanted = options.types;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), type) == wanted.end()) continue;
    for (const uint32_t tokens : options.tokens) {
      Shape shape = options.shape.value_or(kShape);
      shape.n = tokens;
      const auto add = [&](NibTunable tunable, const char* suite, NibOp op) {
        const std::vector<selftest::Case> rows = suiteRows({suite, {type}, {}, shape});
        const auto row =
            std::find_if(rows.begin(), rows.end(), [&](const selftest::Case& c) { return c.op() == uint32_t(op); });
        if (row != rows.end()) tasks.push_back({tunable, *row, tokens, type});
      };
      if (tokens > kMatvecTokens) add(NIB_TUNABLE_MATMUL, "gemv", NIB_OP_MATMUL);
      add(NIB_TUNABLE_MATVEC, "gemv", NIB_OP_MATMUL);
      add(NIB_TUNABLE_INT8, "gemm", NIB_OP_INT8_GEMM);
      add(NIB_TUNABLE_DYNAMIC, "gemm", NIB_OP_DYNAMIC_GEMM);
    }
  }
  return tasks;
}

}  // namespace

TuneResult tune(const kit::Device& device, const TuneOptions& options) {
  TuneResult result;
  const std::vector<Task> tasks = tasksOf(options);
  Tuner tuner(device, options);
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = tasks[i];
    if (options.progress) options.progress(i, tasks.size(), task.type + ", " + std::to_string(task.tokens) + " tokens");
    tuner.step(task.tunable, task.row, task.tokens, task.type, result);
  }
  if (options.progress) options.progress(tasks.size(), tasks.size(), "done");
  return result;
}

}  // namespace nib::bench
