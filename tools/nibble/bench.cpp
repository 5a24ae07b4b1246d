// nibble bench: measures the ops and compares them with the limits of the machine.
#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/markdown.h"
#include "bench/tune.h"
#if defined(NIBBLE_HAS_MODEL)
#include "bench_gptq.h"
#endif
#include "bench_model.h"
#include "bench_table.h"
#include "verb.h"

#include "kit/file.h"
#include "model/archive/error.h"
#include "model/archive/json_document.h"
#include "selftest/op_cases.h"

#include <chrono>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace nib::tool {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  std::string suite = "quick";
  ChoiceArguments choice;
  std::string shape;
  std::string budget;
  std::string rotate;
  std::string compare;
  std::string rest;
  std::vector<std::string> table;
  std::string tune;
  bool list = false;
  BenchModelArguments model;
  std::string gptq;  // rows x columns
};

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

bool isOneOf(const std::string& word, const std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bench::BenchOptions benchOptions(const Arguments& arguments) {
  bench::BenchOptions options;
  options.profile = arguments.device.profile;
  options.suite.suite = lower(arguments.suite);
  if (!isOneOf(options.suite.suite, bench::suiteNames())) {
    throw UsageError("--suite " + arguments.suite + ": expected one of " + listed(bench::suiteNames()));
  }
  options.suite.types = chosen("--type", arguments.choice.types, bench::suiteTypes());
  options.suite.ops = chosen("--op", arguments.choice.ops, bench::suiteOps());
  if (!arguments.shape.empty()) {
    options.suite.shape = bench::parseShape(arguments.shape);
    if (!options.suite.shape) {
      throw UsageError("--shape " + arguments.shape + ": expected MxNxK, for example 4096x1x4096, with M*K below 2^32");
    }
  }
  if (!arguments.budget.empty()) {
    const std::optional<double> seconds = bench::parseSeconds(arguments.budget);
    if (!seconds) throw UsageError("--budget " + arguments.budget + ": expected a time, for example 60s or 2m");
    options.budget_seconds = *seconds;
  } else if (options.suite.suite == "quick") {
    options.budget_seconds = 60;
  }
  if (!arguments.rotate.empty()) options.rotation_bytes = parseSize("--rotate", arguments.rotate);
  if (bench::suiteRows(options.suite).empty()) {
    throw UsageError("no row of suite " + options.suite.suite + " has" +
                     (arguments.choice.types.empty() ? "" : " --type " + listed(arguments.choice.types)) +
                     (arguments.choice.ops.empty() ? "" : " --op " + listed(arguments.choice.ops)) +
                     (arguments.shape.empty() ? "" : " --shape " + arguments.shape));
  }
  return options;
}

Json readRun(const std::string& option, const std::string& path) {
  const kit::Bytes bytes = kit::detail::readFile(path);
  if (bytes.empty()) throw UsageError(option + " " + path + ": there is no such file, or it is empty");
  try {
    return model::readJsonText({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, option + " " + path);
  } catch (const model::Error& error) {
    throw UsageError(error.what());
  }
}

// Files that the verb reads, and the file of --tune.
PathCheck pathsOf(const Arguments& arguments) {
  PathCheck paths(arguments.json.force);
  paths.reads("--compare", arguments.compare);
  paths.reads("--rest", arguments.rest);
  for (const std::string& path : arguments.table) paths.reads("--table", path);
  readsDevice(paths, arguments.device);
  paths.writes("--tune", arguments.tune);
  return paths;
}

// The names of the rows that an earlier run skipped because its budget was spent.
std::vector<std::string> restOf(const Arguments& arguments, const bench::SuiteOptions& suite) {
  const std::string option = "--rest " + arguments.rest;
  const Json run = readRun("--rest", arguments.rest);
  if (!run.is_object() || !run.contains("suite") || !run.contains("skipped") || !run["skipped"].is_array()) {
    throw UsageError(option + ": is not a result of nibble bench");
  }
  if (run["suite"] != suite.suite) {
    throw UsageError(option + ": is a result of suite " + run["suite"].dump() + ", not " + suite.suite);
  }
  std::vector<std::string> names;
  for (const Json& name : run["skipped"]) {
    if (!name.is_string()) throw UsageError(option + ": is not a result of nibble bench");
    names.push_back(name.get<std::string>());
  }
  if (names.empty()) throw UsageError(option + ": that run measured all its rows");
  return names;
}

// The rows that would be measured.
int listRows(const Arguments& arguments, const bench::BenchOptions& options) {
  const Output output(arguments.json, pathsOf(arguments));
  Json rows = Json::array();
  for (const selftest::Case& row : bench::suiteRows(options.suite)) {
    bench::RowReport report;
    report.row = row;
    report.names = bench::namesOf(row);
    const bench::RowNames& names = report.names;
    std::fprintf(output.text(), "%s\n", report.name().c_str());
    const char* peer = selftest::findCases(row.op())->bench.peer;
    rows.push_back({{"name", report.name()},
                    {"op", names.op},
                    {"type", names.type},
                    {"source", names.source},
                    {"m", names.m},
                    {"n", names.n},
                    {"k", names.k},
                    {"peer", peer != nullptr ? Json(peer) : Json()}});
  }
  output.json({{"suite", options.suite.suite}, {"rows", rows}});
  return kExitDone;
}

// Prints existing results as Markdown. Measures nothing.
int printTables(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) {
    const Json run = readRun("--table", path);
    try {
      text += (text.empty() ? "" : "\n") + bench::markdownOf(run);
    } catch (const std::runtime_error& error) {
      throw UsageError("--table " + path + ": " + error.what());
    }
  }
  std::fputs(text.c_str(), stdout);
  return kExitDone;
}

// Progress on stderr: one line that is overwritten on a terminal, else a line per step.
class Progress {
 public:
  void operator()(size_t done, size_t count, const std::string& name) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    if (!terminal_) {
      if (done < count) std::fprintf(stderr, "bench %zu/%zu: %s\n", done + 1, count, name.c_str());
      return;
    }
    const double left = done > 0 ? seconds / double(done) * double(count - done) : 0;
    if (done < count) {
      std::fprintf(stderr, "\r\033[K%zu/%zu  %.0f s left  %.60s", done + 1, count, left, name.c_str());
    } else {
      std::fprintf(stderr, "\r\033[K");
    }
    std::fflush(stderr);
  }

 private:
  static bool isTerminal() {
#if defined(__unix__) || defined(__APPLE__)
    return isatty(2) != 0;
#else
    return false;
#endif
  }
  bool terminal_ = isTerminal();
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

#if !defined(NIB_NO_VULKAN)
std::string valuesOf(const NibTuning& tuning) {
  std::string text;
  for (const uint32_t value : tuning.value) text += (text.empty() ? "" : " ") + std::to_string(value);
  return text;
}

int writeTuning(const Arguments& arguments, const bench::BenchOptions& bench) {
  if (!arguments.json.target.empty()) throw UsageError("--tune writes no --json");
  const Output output(arguments.json, pathsOf(arguments));
  const kit::Device device = openDevice(arguments.device);
  if (device.isCpu()) throw UsageError("--tune: the CPU reference has nothing to tune");
  bench::TuneOptions options;
  options.types = bench.suite.types;
  options.shape = bench.suite.shape;
  auto progress = std::make_shared<Progress>();
  options.progress = [progress](size_t done, size_t count, const std::string& name) { (*progress)(done, count, name); };
  const bench::TuneResult result = bench::tune(device, options);
  Table table({"what", "type", "tokens", "tried", "usual us", "best us", "faster", "choice"},
              {false, false, true, true, true, true, true, false});
  for (const bench::TuneStep& step : result.steps) {
    char usual[32], best[32], ratio[32];
    std::snprintf(usual, sizeof usual, "%.0f", step.usual_us);
    std::snprintf(best, sizeof best, "%.0f", step.best_us);
    std::snprintf(ratio, sizeof ratio, "%.2f", step.usual_us / step.best_us);
    table.add({kit::tunableName(step.best.tunable), step.type, std::to_string(step.best.tokens),
               std::to_string(step.candidates), usual, best, ratio, step.faster ? valuesOf(step.best) : "as it was"});
  }
  table.print(output.text());
  for (const std::string& failure : result.failures)
    std::fprintf(stderr, "nibble bench: %s\n", oneLine(failure).c_str());
  kit::saveTuning(result.tuning, "nibble tuning: " + oneLine(device.info().name) + ", " + oneLine(device.info().driver),
                  arguments.tune);
  return result.failures.empty() ? kExitDone : kExitFailed;
}
#else
int writeTuning(const Arguments&, const bench::BenchOptions&) { throw UsageError("--tune: this build has no Vulkan"); }
#endif

#if defined(NIBBLE_HAS_MODEL)
int runModel(const Arguments& arguments) {
  if (!arguments.gptq.empty()) return benchGptq(arguments.device, arguments.json, arguments.gptq);
  BenchModelArguments model = arguments.model;
  if (arguments.choice.types.size() > 1) throw UsageError("--model takes one --type");
  if (!arguments.choice.types.empty()) model.type = arguments.choice.types[0];
  return benchModel(arguments.device, arguments.json, model);
}
#else
int runModel(const Arguments&) { throw UsageError("--model, --gptq: this build lacks nibble::model (NIBBLE_MODEL)"); }
#endif

int run(const Arguments& arguments) {
  if (!arguments.model.model.empty() || !arguments.gptq.empty()) return runModel(arguments);
  if (!arguments.table.empty()) return printTables(arguments.table);
  bench::BenchOptions options = benchOptions(arguments);
  if (arguments.list) return listRows(arguments, options);
  if (!arguments.tune.empty()) return writeTuning(arguments, options);
  const Output output(arguments.json, pathsOf(arguments));
  // Read the file first, so that an error in it is not reported after minutes of measuring.
  const Json old_run = arguments.compare.empty() ? Json() : readRun("--compare", arguments.compare);
  if (!arguments.compare.empty()) {
    try {
      bench::checkResult(old_run, "--compare " + arguments.compare);
    } catch (const std::runtime_error& error) {
      throw UsageError(error.what());
    }
  }
  if (!arguments.rest.empty()) options.only = restOf(arguments, options.suite);
  const kit::Device device = openDevice(arguments.device);
  if (options.suite.shape && options.suite.shape->n != 1 && options.suite.suite != "gemv" &&
      options.suite.suite != "gemm") {
    std::fprintf(stderr, "nibble bench: only products have tokens: other ops use N = 1 instead of that of --shape\n");
  }
  auto progress = std::make_shared<Progress>();
  options.progress = [progress](size_t done, size_t count, const std::string& name) { (*progress)(done, count, name); };
  if (output.wantsJsonFile()) {
    options.save = [&output](const Json& unfinished) {
      try {
        output.json(unfinished);
      } catch (const kit::Error&) {  // the end of the run reports it; until then it measures
      }
    };
  }
  const bench::BenchResult result = bench::runBench(device, options);
  if (result.rows.empty() && result.skipped.empty()) {
    throw UsageError("--rest " + arguments.rest + ": none of its rows match this suite, --type, --op and --shape");
  }

  std::FILE* file = output.text();
  printMachine(file, result);
  printRows(file, result);
  for (const std::string& name : result.skipped)
    std::fprintf(file, "not measured, the budget is spent: %s\n", name.c_str());
  std::fflush(file);
  output.json(result.json);
  if (!arguments.compare.empty()) printComparison(file, bench::compareRuns(old_run, result.json));
  for (const std::string& failure : result.failures) {
    std::fprintf(stderr, "nibble bench: %s\n", oneLine(failure).c_str());
  }
  return result.failures.empty() ? kExitDone : kExitFailed;
}

}  // namespace

Verb makeBenchVerb(CLI::App& parent) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand("bench", "Measure the ops against the limits of this machine");
  addDeviceOptions(*app, arguments->device);
  addJsonOptions(*app, arguments->json);
  app->add_option(
         "--suite", arguments->suite,
         "quick (default, a minute), quantize (quantize, dequantize, minmax), full (the same with all tails),\n"
         "gemv and gemm (products of weights with one token, with many),\n"
         "calibrate (the ops that collect statistics of activations, on 1 GB)")
      ->type_name("S");
  addChoiceOptions(*app, arguments->choice,
                   "only rows of these weight formats (int4), or of these dense types (f32: minmax)",
                   "only rows of these ops: matmul,gather");
  app->add_option("--shape", arguments->shape, "instead of the suite's shapes: M rows, N tokens, K columns")
      ->type_name("MxNxK");
  app->add_option("--budget", arguments->budget, "time for the run: 60s, 2m (quick: 60s; else what the rows need)")
      ->type_name("TIME");
  app->add_option("--rotate", arguments->rotate,
                  "data that the repetitions of a row go through, so that a cache does not hold it: 500M, 2G, ...\n"
                  "(default four times the cache); 4M measures what the cache gives")
      ->type_name("SIZE");
  app->add_option("--compare", arguments->compare, "ratio to an earlier result, slower rows marked")
      ->type_name("OLD.json");
  app->add_option("--rest", arguments->rest, "only the rows that the budget of that earlier run did not reach")
      ->type_name("OLD.json");
  app->add_flag("--list", arguments->list, "measure nothing: print the names of the rows");
  app->add_option("--table", arguments->table, "measure nothing: print these results as Markdown")
      ->type_name("FILE...");
  app->add_option("--model", arguments->model.model,
                  "instead of ops, a whole network of this model's shape (its folder or config.json) with made-up\n"
                  "weights of --type (default F16): tokens/s of prefill and decode, share of products, overhead")
      ->type_name("DIR");
  app->add_option("--gptq", arguments->gptq, "instead of ops, GPTQ of one layer with made-up weights, by phase")
      ->type_name("ROWSxCOLS");
  app->add_option("--tokens", arguments->model.tokens, "tokens of the prefill of --model (default 512)")
      ->check(CLI::Range(1u, 65536u));
  app->add_option("--tune", arguments->tune,
                  "find the fastest tiling of products on this device and write it to FILE, for --tuning; "
                  "--type and --shape restrict it")
      ->type_name("FILE");
  app->footer(
      "Each row is verified bit for bit against the CPU reference before it is timed; a row that fails is not timed.\n"
      "Products are verified within the bound of their rounding errors, against sums in double precision. Their limit\n"
      "is the machine's memory bandwidth or its multiply-add rate, whichever is reached first; \"x f32\" is the "
      "speed-up\n"
      "over dense fp32 weights.\n"
      "GB/s = dense source + result + codes + scales, each counted once. The copy ceiling counts both the bytes read\n"
      "and the bytes written, so a row that moves its bytes as fast as a copy has 100 %. On software devices the\n"
      "ceiling is that of a copy kernel that alternates with the row; a row may exceed it, but not the driver's own\n"
      "copy.\n"
      "Example:\n  nibble bench\n  nibble bench --suite full --type int4 --device 0 --json=result.json\n"
      "  nibble bench --model model/ --type int4\n  nibble bench --compare result.json\n  nibble bench --table "
      "result.json\n"
      "  nibble bench --suite gemm --budget 30m --json=a.json && nibble bench --suite gemm --rest a.json "
      "--json=b.json\n"
      "  nibble bench --tune here.tuning --type int4 && nibble bench --suite gemv --tuning here.tuning");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace nib::tool
