#include "bench/bench.h"

#include "bench/forms.h"
#include "bench/instructions.h"
#include "bench/op_subject.h"
#include "selftest/op_cases.h"

#include <algorithm>
#include <chrono>
#include <new>

namespace nib::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kCeilingShare = 0.12;  // of the budget
constexpr double kCeilingSeconds = 3;   // without a budget
constexpr double kRowSeconds = 0.5;
constexpr double kInterleavedRowSeconds = 1.0;  // for rows interleaved with a yardstick
constexpr double kMinRowSeconds = 0.05;
// Dense data is made, copied to the device, quantized by the reference and compared, at this speed at best.
constexpr double kLeastSecondsPerByte = 4e-9;
constexpr double kLeastBudget = 1;  // rows that take no longer are begun however little time is left
constexpr uint64_t kLargeRow = uint64_t(16) << 20;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : "+") + name;
  return text;
}

// GB/s.
double rate(uint64_t bytes, double us) { return us > 0 ? double(bytes) / us * 1e-3 : 0; }

Json numberOrNull(std::optional<double> value) { return value ? rounded(*value) : Json(); }

Json textOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

// Divides the remaining budget among the remaining rows, and subtracts the mean overhead (all but the timing) of the
// rows so far.
class Budget {
 public:
  explicit Budget(double seconds) : seconds_(seconds), start_(Clock::now()) {}
  void interleaveRows() { row_seconds_ = kInterleavedRowSeconds; }
  double forCeilings() const {
    return seconds_ > 0 ? std::min(kCeilingShare * seconds_, 2 * kCeilingSeconds) : kCeilingSeconds;
  }
  bool isSpent() const { return seconds_ > 0 && since(start_) >= seconds_; }
  double forRow(size_t rows_left) const {
    if (seconds_ <= 0) return row_seconds_;
    const double share = (seconds_ - since(start_)) / double(rows_left);
    const double overhead = rows_ > 0 ? overhead_ / double(rows_) : share / 2;
    return std::clamp(share - overhead, kMinRowSeconds, 2 * row_seconds_);
  }
  // Whether making, verifying and timing a row of this size cannot end within the remaining budget. Such a row is not
  // begun, because nothing interrupts it.
  bool cannotHold(uint64_t bytes) const {
    if (seconds_ <= 0) return false;
    const double least = double(bytes) * std::max(kLeastSecondsPerByte, per_byte_);
    return least > std::max(seconds_ - since(start_), kLeastBudget);
  }
  void rowTook(double seconds, double timed, uint64_t bytes) {
    const double overhead = std::max(0.0, seconds - timed);
    overhead_ += overhead;
    ++rows_;
    // Small rows tell nothing about large ones.
    if (bytes > kLargeRow) per_byte_ = std::max(per_byte_, overhead / double(bytes));
  }

 private:
  double seconds_;
  double row_seconds_ = kRowSeconds;
  Clock::time_point start_;
  double overhead_ = 0;
  size_t rows_ = 0;
  double per_byte_ = 0;  // of overhead, of the slowest large row so far
};

// A row of the suite in one of the forms that the device has for it.
struct Task {
  selftest::Case row;
  Form form;
};

std::vector<Task> suiteTasks(const kit::Device& device, const BenchOptions& options) {
  std::vector<Task> tasks;
  for (const selftest::Case& row : suiteRows(options.suite)) {
    std::vector<Form> forms = {{"", device}};
    if (options.profile.empty()) forms = formsOf(device, row);
    for (Form& form : forms) tasks.push_back({row, std::move(form)});
  }
  return tasks;
}

RowReport makeReport(const Task& task) {
  const selftest::Case& row = task.row;
  RowReport report;
  report.row = row;
  report.names = namesOf(row);
  if (!task.form.name.empty()) report.names.modes.push_back(task.form.name);
  report.bytes = bytesMoved(row);
  report.multiply_adds = multiplyAdds(row);
  return report;
}

const selftest::BenchRow& benchOf(const selftest::Case& row) { return selftest::findCases(row.op())->bench; }

// Whether `dense` is the product with dense fp32 weights that `row` is compared with.
bool isDenseCounterpart(const RowReport& row, const RowReport& dense) {
  const RowNames& a = row.names;
  const RowNames& b = dense.names;
  if (row.multiply_adds == 0 || !benchOf(dense.row).isDenseCounterpart(dense.row)) return false;
  const char* dense_source = benchOf(row.row).denseSource(row.row);
  const bool same_source = a.source == b.source || (dense_source != nullptr && b.source == dense_source);
  return a.m == b.m && a.n == b.n && a.k == b.k && same_source && a.result == b.result;
}

// The rows of the suite that the options select.
std::vector<Task> tasksOf(const kit::Device& device, const BenchOptions& options) {
  const std::vector<Task> all = suiteTasks(device, options);
  if (options.only.empty()) return all;
  std::vector<RowReport> wanted;
  for (const Task& task : all) {
    RowReport report = makeReport(task);
    const bool is = std::find(options.only.begin(), options.only.end(), report.name()) != options.only.end();
    if (is) wanted.push_back(std::move(report));
  }
  std::vector<Task> tasks;
  for (const Task& task : all) {
    const RowReport report = makeReport(task);
    const bool is = std::any_of(wanted.begin(), wanted.end(), [&](const RowReport& row) {
      return row.name() == report.name() || isDenseCounterpart(row, report);
    });
    if (is) tasks.push_back(task);
  }
  return tasks;
}

Ceiling fasterOf(const CeilingReport& a, const CeilingReport& b) {
  return (b.value.value_or(0) > a.value.value_or(0) ? b : a).ceiling();
}

// The arithmetic ceiling of the row: the faster of the scalar and the matrix ceiling for its type.
Ceiling arithmeticCeiling(const selftest::Case& row, const Ceilings& ceilings) {
  switch (benchOf(row).arithmetic(row)) {
    case selftest::Arithmetic::kCodes: return fasterOf(ceilings.dot4, ceilings.coopmat);
    case selftest::Arithmetic::kHalf: return fasterOf(ceilings.fma, ceilings.coopmat_f16);
    case selftest::Arithmetic::kFloat: break;
  }
  return ceilings.fma.ceiling();
}

void measureRow(RowReport& report, SharedData& shared, PipelineInspector& inspector, const Rotation& rotation,
                const Ceilings& ceilings, double seconds) {
  OpSubject subject(shared, report.row, rotation.bytes);
  report.path = joined(subject.path());
  report.build_us = subject.buildSeconds() * 1e6;
  report.pipelines_built = subject.pipelinesBuilt();
  report.beyond_cache = subject.roundBytes() >= rotation.bytes && rotation.bytes > 4 * rotation.cache_bytes;
  MeasureOptions options{.seconds = seconds};
  // The row is compared with the ceiling, of memory or of arithmetic, at which its work takes longer.
  const double bytes_us = ceilings.copy.value ? double(report.bytes) / (*ceilings.copy.value * 1e3) : 0;
  const Ceiling arithmetic = arithmeticCeiling(report.row, ceilings);
  const double arithmetic_us = arithmetic.value ? 2 * report.multiply_adds / (*arithmetic.value * 1e3) : 0;
  if (report.multiply_adds > 0 && arithmetic_us > bytes_us) {
    report.limit = report.ceiling = arithmetic;
  } else if (!report.beyond_cache) {
    // Memory bandwidth does not limit data that stay in the cache.
    report.ceiling_note = "the data of a round fits the cache";
  } else if (!ceilings.copy.value) {
    report.ceiling_note = "the copy ceiling was not measured";
  } else {
    report.limit = report.ceiling = ceilings.copy.ceiling();
    if (const Yardstick& yardstick = ceilings.yardstick; yardstick.subject) {
      options.yardstick = yardstick.subject.get();
      options.yardstick_seconds = yardstick.seconds;
      report.ceiling = {yardstick.name, {}};
      report.yardstick_bytes = yardstick.bytes;
    }
  }
  report.measured = measure(subject, options);
  judge(report);
  // The count shows the cost of a format's decoding, for example the table lookup of codes.
  if (report.problem.empty() && report.row.format() != 0) {
    const InstructionCount count = inspector.count(subject.plan(), report.row);
    report.instructions_per_element = count.per_element;
    report.instructions_kind = count.kind;
    report.instructions_note = count.note;
  }
}

}  // namespace

std::string RowReport::name() const {
  std::string text = names.op + " ";
  if (!names.source.empty() && names.source != names.type) text += names.source + " -> ";
  text += names.type;
  if (!names.result.empty()) text += " -> " + names.result;
  return text + " " + names.sharing() + ", " + std::to_string(names.m) + "x" + std::to_string(names.n) + "x" +
         std::to_string(names.k);
}

bool isArithmetic(const Ceiling& ceiling) {
  return ceiling.name == "fma" || ceiling.name == "dot4" || ceiling.name == "coopmat" || ceiling.name == "coopmat_f16";
}

void judge(RowReport& row) {
  if (!row.measured.verified) {
    row.problem = row.measured.problem.empty() ? "not verified" : row.measured.problem;
    return;
  }
  const Measurement& measured = row.measured;
  row.gbps = rate(row.bytes, measured.us.median);
  row.gflops = 2 * row.multiply_adds / (measured.us.median * 1e3);
  if (isArithmetic(row.ceiling)) {
    row.fraction = ceilingFraction(row.gflops, row.ceiling);
    if (isAboveCeiling(row.fraction)) {
      char text[160];
      std::snprintf(text, sizeof text, "%.4g GFLOPS is above the measured ceiling \"%s\" of %.4g", row.gflops,
                    row.limit.name.c_str(), *row.limit.value);
      row.problem = text;
    }
    return;
  }
  if (measured.yardstick_repetitions > 0) {
    // The machine's load is about the same within a round and changes between rounds: compare within rounds.
    row.ceiling.value = rate(row.yardstick_bytes, measured.yardstick_us.median);
    row.fraction = double(row.bytes) / double(row.yardstick_bytes) / measured.yardstick_ratio;
  } else {
    row.fraction = ceilingFraction(row.gbps, row.ceiling);
  }
  if (isAboveCeiling(ceilingFraction(row.gbps, row.limit))) {
    char text[160];
    std::snprintf(text, sizeof text, "%.4g GB/s is above the measured ceiling \"%s\" of %.4g GB/s", row.gbps,
                  row.limit.name.c_str(), *row.limit.value);
    row.problem = text;
  }
}

Json rowJson(const RowReport& row, const std::string& device) {
  const Measurement& measured = row.measured;
  const RowNames& names = row.names;
  // Times that were not verified are not reported.
  const auto timed = [&](double value) { return measured.verified ? rounded(value) : Json(); };
  const double elements = double(names.m) * names.k;  // for products: of their weights
  Json json = {{"op", names.op},
               {"type", names.type},
               {"m", names.m},
               {"n", names.n},
               {"k", names.k},
               {"device", device},
               {"path", row.path},
               {"median_us", timed(measured.us.median)},
               {"p5_us", timed(measured.us.p5)},
               {"p95_us", timed(measured.us.p95)},
               {"p99_us", timed(measured.us.p99)},
               {"reps", measured.verified ? Json(measured.repetitions) : Json(0)},
               {"gbps", timed(row.gbps)},
               {"gflops", row.multiply_adds > 0 ? timed(row.gflops) : Json()},
               {"ceiling", row.ceiling.value ? Json(row.ceiling.name) : Json()},
               {"ceiling_fraction", numberOrNull(row.fraction)},
               {"build_us", rounded(row.build_us)},
               {"verified", measured.verified}};
  json["speedup_over_f32"] = numberOrNull(row.speedup_over_f32);
  json["source"] = textOrNull(names.source);
  json["result"] = textOrNull(names.result);
  json["granularity"] = names.granularity;
  json["group_size"] = names.group_size != 0 ? Json(names.group_size) : Json();
  json["scale_type"] = textOrNull(names.scale_type);
  json["scales"] = textOrNull(names.scales);
  json["modes"] = names.modes;
  json["bytes"] = row.bytes;
  json["elements_per_s"] = timed(measured.us.median > 0 ? elements / (measured.us.median * 1e-6) : 0);
  json["clock"] = measured.verified ? Json(measured.device_clock ? "timestamp" : "wall") : Json();
  json["clock_note"] = textOrNull(measured.clock_note);
  json["submit_to_wait_us"] = timed(measured.submit_to_wait_us);
  json["pipelines_built"] = row.pipelines_built;
  json["beyond_cache"] = row.beyond_cache;
  json["ceiling_note"] = textOrNull(row.ceiling_note);
  json["ceiling_gbps"] = row.ceiling.value && !isArithmetic(row.ceiling) ? rounded(*row.ceiling.value) : Json();
  json["cpu_us"] = measured.yardstick_repetitions > 0 ? numberOrNull(measured.cpu_us) : Json();
  json["yardstick"] = Json();
  if (measured.yardstick_repetitions > 0) {
    json["yardstick"] = {{"bytes", row.yardstick_bytes},
                         {"median_us", rounded(measured.yardstick_us.median)},
                         {"p5_us", rounded(measured.yardstick_us.p5)},
                         {"time_ratio", rounded(measured.yardstick_ratio)},
                         {"reps", measured.yardstick_repetitions},
                         {"cpu_us", numberOrNull(measured.yardstick_cpu_us)}};
  }
  json["instructions_per_element"] = numberOrNull(row.instructions_per_element);
  json["instructions_kind"] = textOrNull(row.instructions_kind);
  json["instructions_note"] = textOrNull(row.instructions_note);
  json["problem"] = textOrNull(row.problem);
  return json;
}

namespace {

// Sets speedup_over_f32 of products.
void compareWithDense(std::vector<RowReport>& rows) {
  for (RowReport& row : rows) {
    if (!row.measured.verified) continue;
    for (const RowReport& dense : rows) {
      if (!dense.measured.verified || !isDenseCounterpart(row, dense)) continue;
      row.speedup_over_f32 = dense.measured.us.median / row.measured.us.median;
    }
  }
}

}  // namespace

namespace {

constexpr double kSaveSeconds = 1;

bool isLost(const std::exception& error) {
  return std::string_view(error.what()).find("VK_ERROR_DEVICE_LOST") != std::string_view::npos;
}

// interrupted: why rows are lacking, "" = the run reached its end.
Json resultJson(const BenchOptions& options, const kit::Device& device, const Json& machine, BenchResult& result,
                const std::vector<std::string>& skipped, const std::string& interrupted) {
  compareWithDense(result.rows);
  Json list = Json::array();
  for (const RowReport& row : result.rows) list.push_back(rowJson(row, device.info().name));
  Json json = {{"schema", 1},  {"suite", options.suite.suite}, {"machine", machine},
               {"rows", list}, {"skipped", skipped},           {"failures", result.failures}};
  if (!interrupted.empty()) json["interrupted"] = interrupted;
  return json;
}

}  // namespace

BenchResult runBench(const kit::Device& device, const BenchOptions& options) {
  BenchResult result;
  const std::vector<Task> rows = tasksOf(device, options);
  if (rows.empty()) return result;
  Rotation rotation = rotationFor(device.info(), hostCacheBytes(), hostAvailableBytes());
  if (options.rotation_bytes != 0) rotation = {0, options.rotation_bytes, "as asked"};
  const auto progress = [&](size_t done, const std::string& name) {
    if (options.progress) options.progress(done, rows.size() + 1, name);
  };

  Json machine = machineJson(device, options.profile, rotation);
  Budget budget(options.budget_seconds);
  progress(0, "ceilings of " + device.info().name);
  const Ceilings ceilings = measureCeilings(device, rotation, budget.forCeilings());
  for (const CeilingReport* report : ceilings.all()) {
    if (report->failed()) result.failures.push_back("ceiling " + report->name + " FAILED: " + report->reason);
  }
  if (ceilings.yardstick.subject) budget.interleaveRows();
  machine["ceilings"] = ceilingsJson(ceilings);
  machine["empty_dispatch_us"] = ceilings.empty_dispatch_us > 0 ? rounded(ceilings.empty_dispatch_us) : Json();
  machine["empty_submit_us"] = ceilings.empty_submit_us > 0 ? rounded(ceilings.empty_submit_us) : Json();

  SharedData shared(device);
  PipelineInspector inspector(device);
  std::string lost;
  Clock::time_point saved;
  for (size_t i = 0; i < rows.size(); ++i) {
    RowReport report = makeReport(rows[i]);
    if (budget.isSpent() || budget.cannotHold(report.bytes) || !lost.empty()) {
      result.skipped.push_back(report.name());
      continue;
    }
    progress(i + 1, report.name());
    const double seconds = budget.forRow(rows.size() - i);
    const auto start = Clock::now();
    try {
      shared.use(rows[i].form.device);
      measureRow(report, shared, inspector, rotation, ceilings, seconds);
    } catch (const std::bad_alloc&) {
      report.measured = {};
      report.problem = "there is not enough memory for its data";
    } catch (const std::exception& error) {
      report.measured = {};
      report.problem = error.what();
      if (isLost(error)) lost = "the device was lost in the row \"" + report.name() + "\": " + error.what();
    }
    budget.rowTook(since(start), seconds, report.bytes);
    if (!report.problem.empty()) result.failures.push_back(report.name() + ": " + report.problem);
    result.rows.push_back(std::move(report));
    if (!options.save || since(saved) < kSaveSeconds || i + 1 == rows.size()) continue;
    std::vector<std::string> rest = result.skipped;
    for (size_t k = i + 1; k < rows.size(); ++k) rest.push_back(makeReport(rows[k]).name());
    options.save(resultJson(options, device, machine, result, rest, "the run has not reached its end"));
    saved = Clock::now();
  }
  if (ceilings.yardstick.subject && lost.empty()) {
    const std::string problem = ceilings.yardstick.subject->verifyAgain();
    if (!problem.empty()) result.failures.push_back("the yardstick (" + ceilings.yardstick.name + "): " + problem);
  }
  progress(rows.size() + 1, "done");
  result.json = resultJson(options, device, machine, result, result.skipped, lost);
  return result;
}

}  // namespace nib::bench
