// nibble selftest: runs the cases of op x type x path x profile x subgroup size and reports which cells ran or why they
// were skipped. Also checks a list of cells that must have run in at least one of several results.
#include <fstream>
#include <sstream>

#include "cells_json.h"
#include "options.h"
#include "selftest/cells.h"
#include "verb.h"

namespace nib::tool {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  DeviceArguments device;
  JsonArguments json;
  bool list = false;
  bool full = false;
  uint32_t every = 1;
  ChoiceArguments choice;
  uint32_t emulated = 0;
  std::string expect;
  std::vector<std::string> merge;
};

std::string readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw std::runtime_error("cannot read " + path);
  return text.str();
}

std::vector<selftest::Cell> readCells(const std::string& path) { return parseCells(readFile(path), path); }

std::vector<std::string> knownTypes() {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < nibFormatCount(); ++i) names.emplace_back(nibFormatAt(i)->name);
  return names;
}

int runSelftest(const Arguments& arguments) {
  const std::vector<std::string> types = chosen("--type", arguments.choice.types, knownTypes());
  const std::vector<std::string> ops = chosen("--op", arguments.choice.ops, selftest::opNames());
  PathCheck paths(arguments.json.force);
  for (const std::string& path : arguments.merge) paths.reads("--merge", path);
  paths.reads("--expect", arguments.expect);
  readsDevice(paths, arguments.device);
  const Output output(arguments.json, paths);
  std::vector<selftest::Cell> cells;
  std::vector<std::string> devices;
  for (const std::string& path : arguments.merge) selftest::mergeCells(cells, readCells(path));
  if (arguments.merge.empty()) {
    for (const std::string& selector : expandDevices(arguments.device)) {
      DeviceArguments one = arguments.device;
      one.device = selector;
      const kit::DeviceOptions device = deviceOptions(one);
      devices.push_back(kit::Device::open(device).info().name);
      selftest::SelftestOptions options;
      options.extent = arguments.full ? selftest::Extent::kFull : selftest::Extent::kQuick;
      options.every = arguments.every;
      options.types = types;
      options.ops = ops;
      options.plan_only = arguments.list;
      options.emulated_subgroup = arguments.emulated;
      selftest::mergeCells(cells, selftest::runSelftest(device, options));
    }
  }

  uint64_t ran = 0, failed = 0;
  uint32_t skipped = 0;
  ordered_json object = {{"devices", devices}, {"cells", ordered_json::array()}};
  for (const selftest::Cell& cell : cells) {
    object["cells"].push_back(cellJson(cell));
    std::string state = cell.ran > 0 ? "ran " + std::to_string(cell.ran) : "would run";
    if (!cell.skipped.empty()) state = "skipped (" + cell.skipped + ")";
    if (cell.bound_ratio > 0) {
      char text[48];
      std::snprintf(text, sizeof text, ", largest error / bound %.3f", cell.bound_ratio);
      state += text;
    }
    if (cell.failed > 0) state += ", " + std::to_string(cell.failed) + " FAILED: " + cell.first_failure;
    std::fprintf(output.text(), "%-10s %-5s %-60s %-10s %3s  %s\n", cell.op.c_str(), cell.type.c_str(),
                 cell.path.c_str(), cell.profile.c_str(), cell.subgroup.c_str(), state.c_str());
    ran += cell.ran;
    failed += cell.failed;
    skipped += cell.skipped.empty() ? 0 : 1;
  }
  std::fprintf(output.text(), "%zu cells, %llu cases ran, %llu failed, %u cells skipped\n", cells.size(),
               (unsigned long long)ran, (unsigned long long)failed, skipped);

  std::vector<std::string> missing;
  if (!arguments.expect.empty()) {
    const std::vector<selftest::Cell> expected = selftest::parseMatrix(readFile(arguments.expect));
    missing = selftest::missingCells(expected, cells);
    for (const std::string& line : missing) std::fprintf(stderr, "expected: %s\n", line.c_str());
    std::fprintf(output.text(), "%zu cells expected, %zu lacking\n", expected.size(), missing.size());
    object["missing"] = missing;
  }
  output.json(object);
  return failed == 0 && missing.empty() ? kExitDone : kExitFailed;
}

}  // namespace

Verb makeSelftestVerb(CLI::App& parent) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app =
      parent.add_subcommand("selftest", "Compare every op, type and path with the reference, byte for byte.");
  app->footer("Example: nibble selftest --device all --json=cells.json");
  addDeviceOptions(*app, arguments->device);
  addJsonOptions(*app, arguments->json);
  app->add_flag("--list", arguments->list, "Show the cells that would run");
  app->add_flag("--full", arguments->full, "All cases instead of a selection");
  app->add_option("--every", arguments->every,
                  "Only every Nth case of each op and type, and one of each path: for slow devices")
      ->check(CLI::PositiveNumber);
  addChoiceOptions(*app, arguments->choice, "Only these weight formats, and ops without one: int4,nf4",
                   "Only these ops: quantize,matmul");
  app->add_option("--expect", arguments->expect, "A list of cells that must have run: exit 1 if one did not");
  app->add_option("--merge", arguments->merge, "Run nothing: read results of earlier runs");
  // Used with builds whose subgroup kernels emulate a subgroup size.
  app->add_option("--emulated-subgroup", arguments->emulated)->group("");
  return {app, [arguments] { return runSelftest(*arguments); }};
}

}  // namespace nib::tool
