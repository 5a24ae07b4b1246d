#include "plan.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

namespace nib::faults {
namespace {

struct CallRow {
  const char* name;
  std::vector<int> codes;
};

const std::vector<CallRow>& rows() {
  static const std::vector<CallRow> kRows = {
#define NIB_FAULT_CALL(name, ...) {#name, {__VA_ARGS__}},
#include "calls.inc"
  };
  return kRows;
}

enum class Times { kOnce, kEver, kLost };

struct Rule {
  Call call = kCallCount;
  uint64_t use = 0;
  Times times = Times::kOnce;
  VkResult result = VK_SUCCESS;
};

[[noreturn]] void wrongPlan(const std::string& what) {
  std::fprintf(stderr, "nibble_faults: %s\n", what.c_str());
  std::_Exit(99);
}

Rule parseRule(const std::string& text) {
  std::istringstream words(text);
  std::string name, times;
  int code = 0;
  Rule rule;
  if (!(words >> name >> rule.use >> times >> code)) wrongPlan("a rule needs CALL N TIMES CODE: " + text);
  const auto& all = rows();
  const auto found = std::find_if(all.begin(), all.end(), [&](const CallRow& row) { return name == row.name; });
  if (found == all.end()) wrongPlan("no such call: " + name);
  rule.call = Call(found - all.begin());
  rule.times = times == "once" ? Times::kOnce : times == "ever" ? Times::kEver : Times::kLost;
  rule.result = VkResult(code);
  return rule;
}

struct State {
  std::atomic<uint64_t>* uses = nullptr;
  std::vector<Rule> rules;
  std::atomic<bool> lost{false};

  State() {
    const char* path = std::getenv("NIBBLE_FAULTS_STATE");
    const int file = path != nullptr ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) wrongPlan("NIBBLE_FAULTS_STATE does not name a file");
    void* mapped = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) wrongPlan("NIBBLE_FAULTS_STATE cannot be mapped");
    uses = static_cast<std::atomic<uint64_t>*>(mapped);
    const char* fail = std::getenv("NIBBLE_FAULTS_FAIL");
    std::istringstream list(fail != nullptr ? fail : "");
    for (std::string rule; std::getline(list, rule, ';');) rules.push_back(parseRule(rule));
  }
};

State& state() {
  static State state;
  return state;
}

}  // namespace

const char* nameOf(Call call) { return rows()[call].name; }

bool isLost() { return state().lost; }

Fault use(Call call) {
  State& s = state();
  const uint64_t number = ++s.uses[call];
  const std::vector<int>& codes = rows()[call].codes;
  if (s.lost && std::find(codes.begin(), codes.end(), VK_ERROR_DEVICE_LOST) != codes.end()) {
    return {VK_ERROR_DEVICE_LOST, false};
  }
  for (const Rule& rule : s.rules) {
    if (rule.call != call) continue;
    if (rule.times == Times::kEver ? number < rule.use : number != rule.use) continue;
    return {rule.result, rule.times == Times::kLost && !s.lost.exchange(true)};
  }
  return {};
}

void violation(const char* what) {
  std::fprintf(stderr, "nibble_faults: %s\n", what);
  std::fflush(stderr);
  std::abort();
}

}  // namespace nib::faults
