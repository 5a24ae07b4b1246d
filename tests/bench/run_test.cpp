// Whole runs on small tensors, and their reports against the committed schema.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "bench/bench.h"
#include "bench/schema_check.h"

using namespace nib;
using namespace nib::bench;

namespace {

test::SchemaCheck schema() {
  std::ifstream file(NIB_BENCH_SCHEMA);
  REQUIRE(file.good());
  return test::SchemaCheck(Json::parse(file));
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

BenchResult shortRun(const kit::Device& device) {
  BenchOptions options;
  options.suite.suite = "full";
  options.suite.shape = Shape{67, 1, 200};
  options.budget_seconds = 12;
  options.rotation_bytes = 1 << 20;
  return runBench(device, options);
}

void checkRun(const BenchResult& result) {
  CHECK_MESSAGE(result.failures.empty(), joined(result.failures));
  const std::vector<std::string> violations = schema().violations(result.json);
  CHECK_MESSAGE(violations.empty(), joined(violations));
  const SuiteOptions whole = {.suite = "full", .shape = Shape{67, 1, 200}};
  CHECK(result.rows.size() + result.skipped.size() == suiteRows(whole).size());
  CHECK(result.rows.size() > 10);
  for (const RowReport& row : result.rows) {
    CHECK_MESSAGE(row.measured.verified, row.name());
    CHECK(row.gbps > 0);
    CHECK(!row.path.empty());
  }
}

// By file name.
std::map<std::string, Json> committedResults() {
  std::map<std::string, Json> results;
  for (const auto& entry : std::filesystem::directory_iterator(NIB_BENCH_RESULTS)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    results[entry.path().filename().string()] = Json::parse(file);
  }
  return results;
}

// Rows that occur more than once for one device, and device and suite pairs that occur more than once.
std::vector<std::string> repeated(const std::vector<Json>& results) {
  std::set<std::string> seen;
  std::vector<std::string> found;
  const auto add = [&](const std::string& text) {
    if (!seen.insert(text).second) found.push_back(text);
  };
  for (const Json& result : results) {
    add(result["machine"]["device"].dump() + " " + result["suite"].dump());
    for (const Json& row : result["rows"]) {
      std::string key;
      for (const char* field : {"device", "op", "type", "m", "n", "k", "source", "result", "granularity", "group_size",
                                "scale_type", "scales", "modes"}) {
        key += row[field].dump() + " ";
      }
      add(key);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("a run on the CPU follows the schema") {
  const BenchResult result = shortRun(kit::Device::cpu());
  checkRun(result);
  const Json& ceilings = result.json["machine"]["ceilings"];
  CHECK(ceilings["copy"]["value"].get<double>() > 0);
  CHECK(ceilings["copy_kernel"]["value"].is_null());
  for (const RowReport& row : result.rows) {
    const bool arithmetic = row.ceiling.name == "fma" || row.ceiling.name == "dot4";
    CHECK((row.ceiling.name == (row.beyond_cache ? "copy" : "") || (arithmetic && row.multiply_adds > 0)));
    if (row.multiply_adds == 0) CHECK(row.beyond_cache);
  }
  for (const char* name : {"fma", "dot4"}) CHECK(ceilings[name]["value"].get<double>() > 0);
  CHECK(ceilings["coopmat"]["value"].is_null());
  CHECK(!ceilings["coopmat"]["reason"].is_null());
}

TEST_CASE("a run on Vulkan follows the schema") {
  const kit::Device device = kit::Device::best();
  if (device.isCpu()) {
    MESSAGE("SKIPPED: no Vulkan device");
    return;
  }
  const BenchResult result = shortRun(device);
  checkRun(result);
  const Json& ceilings = result.json["machine"]["ceilings"];
  for (const char* name : {"copy", "copy_kernel", "copy_buffer", "fma"}) {
    CHECK(ceilings[name]["value"].get<double>() > 0);
  }
  CHECK(ceilings["copy"]["value"] ==
        std::max(ceilings["copy_kernel"]["value"].get<double>(), ceilings["copy_buffer"]["value"].get<double>()));
  // Every tier of the device has a measured ceiling.
  if (device.info().tier >= 2) CHECK(ceilings["dot4"]["value"].get<double>() > 0);
  if (device.info().tier >= 3) {
    for (const char* name : {"coopmat", "coopmat_f16"}) CHECK(ceilings[name]["value"].get<double>() > 0);
  }
  const char* tier = std::getenv("NIBBLE_TEST_TIER");
  if (tier != nullptr) CHECK(device.info().tier == std::atoi(tier));
  const bool software = device.info().type == kit::DeviceType::kSoftware;
  for (const Json& row : result.json["rows"]) {
    CHECK(row["path"] != "cpu");
    if (row["gflops"].is_number()) {
      // Small products are in the cache or bound by arithmetic: no ceiling applies.
      CHECK(row["gflops"].get<double>() > 0);
      continue;
    }
    CHECK(row["ceiling"] == (software ? "copy_kernel" : "copy"));
    CHECK(row["yardstick"].is_object() == software);
    CHECK(row["ceiling_fraction"].get<double>() > 0);
    if (row["type"] == "nf4" && row["path"].get<std::string>().find('+') == std::string::npos) {
      CHECK_MESSAGE(row["instructions_per_element"].is_number(), row.dump());
    }
  }
}

TEST_CASE("a part of a suite includes the fp32 products that its rows are compared with") {
  BenchOptions options;
  options.suite.suite = "gemm";
  options.suite.shape = Shape{5, 3, 64};
  options.rotation_bytes = 1 << 16;
  options.only = {"matmul f32 -> q4_0 -> f32 group 32, 5x3x64", "int8_gemm int8 -> f32 row, 5x3x64"};
  const BenchResult result = runBench(kit::Device::cpu(), options);
  std::vector<std::string> names;
  for (const RowReport& row : result.rows) {
    names.push_back(row.name());
    CHECK_MESSAGE(row.speedup_over_f32, row.name());
  }
  CHECK(joined(names) == joined({"matmul f32 -> f32 tensor, 5x3x64", options.only[0], options.only[1]}));
  options.only = {"matmul f32 -> q4_0 -> f32 group 32, 6x3x64"};
  CHECK(runBench(kit::Device::cpu(), options).json.is_null());
}

TEST_CASE("committed results follow the schema and contain no paths") {
  test::SchemaCheck check = schema();
  for (const auto& [name, result] : committedResults()) {
    const std::vector<std::string> violations = check.violations(result);
    INFO(name);
    CHECK_MESSAGE(violations.empty(), joined(violations));
    CHECK(result["failures"].empty());
    const std::string text = result.dump();
    for (const char* root : {"/home/", "/root/", "/tmp/", "/Users/", "C:\\"}) {
      CHECK(text.find(root) == std::string::npos);
    }
  }
}

TEST_CASE("committed results have one file per device and suite, and no row twice") {
  std::vector<Json> results;
  for (const auto& [name, result] : committedResults()) results.push_back(result);
  REQUIRE(results.size() > 1);
  CHECK(joined(repeated(results)) == "");
  // Planted: a row that two files have, a row that one file has twice, and a second file of a device and suite.
  std::vector<Json> planted = {results[0]};
  planted[0]["rows"].push_back(results[0]["rows"][0]);
  planted[0]["rows"].back()["median_us"] = 1;
  CHECK(repeated(planted).size() == 1);
  planted = {results[0], results[0]};
  planted[1]["suite"] = "another";
  planted[1]["rows"] = {results[0]["rows"][0]};
  CHECK(repeated(planted).size() == 1);
  planted[1]["suite"] = results[0]["suite"];
  planted[1]["rows"] = Json::array();
  CHECK(repeated(planted).size() == 1);
}

TEST_CASE("rows of merged results name their runs, and the machine is the newest run's") {
  for (const auto& [name, result] : committedResults()) {
    INFO(name);
    if (!result.contains("runs")) {
      for (const Json& row : result["rows"]) CHECK(!row.contains("run"));
      continue;
    }
    const Json& runs = result["runs"];
    REQUIRE(!runs.empty());
    CHECK(result["machine"] == runs.back());
    for (size_t i = 1; i < runs.size(); ++i) {
      CHECK(runs[i - 1]["date"].get<std::string>() < runs[i]["date"].get<std::string>());
    }
    for (const Json& row : result["rows"]) {
      REQUIRE(row.contains("run"));
      CHECK(row["run"].get<size_t>() < runs.size());
    }
  }
}

TEST_CASE("the schema check finds each violation") {
  BenchOptions options;
  options.suite.types = {"f32"};
  options.suite.shape = Shape{8, 1, 16};
  options.budget_seconds = 1;
  options.rotation_bytes = 1 << 16;
  const Json good = runBench(kit::Device::cpu(), options).json;
  test::SchemaCheck check = schema();
  REQUIRE(joined(check.violations(good)) == "");
  REQUIRE(!good["rows"].empty());
  Json bad = good;
  bad.erase("machine");
  CHECK(joined(check.violations(bad)) == "$: no machine\n");
  bad = good;
  bad["rows"][0]["gbps"] = "fast";
  CHECK(check.violations(bad).size() == 1);
  bad = good;
  bad["rows"][0].erase("path");
  CHECK(joined(check.violations(bad)) == "$.rows[0]: no path\n");
  bad = good;
  bad["rows"][0]["more"] = 1;
  CHECK(joined(check.violations(bad)) == "$.rows[0].more: not allowed\n");
  bad = good;
  bad["schema"] = 2;
  CHECK(check.violations(bad).size() == 1);
  bad = good;
  bad["machine"]["type"] = "quantum";
  CHECK(check.violations(bad).size() == 1);
}
