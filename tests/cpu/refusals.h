// Descriptions that are wrong in one field: the documented code, exactly one line that names the field, and nothing
// touched.
#ifndef NIB_TESTS_REFUSALS_H
#define NIB_TESTS_REFUSALS_H

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "cpu/cpu_run.h"
#include "op_test.h"
#include "run_op.h"

namespace nib::tests {

// Both entry points refuse it with the same code: nibGetMemory, and nibCpuRun before it reads the binding.
inline void expectRefused(const NibOpDesc* desc, NibResult code, const std::string& op, const std::string& field) {
  INFO(op, ", ", field);
  LogLines lines;
  const NibLog log = lines.log();
  NibMemory memory, before;
  std::memset(&memory, 0x5a, sizeof memory);
  std::memset(&before, 0x5a, sizeof before);
  CHECK(nibGetMemory(desc, &log, &memory) == code);
  CHECK(std::memcmp(&memory, &before, sizeof memory) == 0);
  REQUIRE(lines.lines.size() == 1);
  const std::string line = lines.lines[0];
  INFO(line);
  CHECK(line.find(field) != std::string::npos);
  CHECK(line.rfind(op, 0) == 0);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(nibGetMemory(desc, nullptr, &memory) == code);

  std::vector<uint32_t> storage(64, 0xa5a5a5a5u);
  NibCpuBinding binding{sizeof(NibCpuBinding)};
  for (NibCpuRange& range : binding.range) range = {storage.data(), storage.size() * 4};
  CHECK(cpuRun(desc, &binding, 1, nullptr, &log) == code);
  CHECK(lines.lines.size() == 2);
  CHECK(storage == std::vector<uint32_t>(64, 0xa5a5a5a5u));
}

template <class Desc>
struct Wrong {
  const char* field;
  NibResult code;
  std::function<void(Desc&)> spoil;
};

// Checks that the description is valid before a field is changed.
template <class Desc>
void expectEachRefused(const Desc& right, const char* op, const std::vector<Wrong<Desc>>& list) {
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibGetMemory(asOp(right), nullptr, &memory) == NIB_SUCCESS);
  for (const Wrong<Desc>& wrong : list) {
    Desc desc = right;
    wrong.spoil(desc);
    expectRefused(asOp(desc), wrong.code, op, wrong.field);
  }
}

inline constexpr NibResult kInvalid = NIB_ERROR_INVALID_ARGUMENT, kUnsupported = NIB_ERROR_UNSUPPORTED;

// Checks common to all ops with weights. The valid description has groups of 32. takes_dense: the op takes dense
// weights too, which have no groups.
template <class Desc>
std::vector<Wrong<Desc>> wrongWeights(bool takes_dense = false) {
  return {
      {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
      {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
      {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = 65536; }},
      {"rows", kInvalid, [](Desc& d) { d.rows = 2, d.cols = 0x80000000u; }},
      {"flags", kInvalid, [](Desc& d) { d.flags = 1u << 31; }},
      {takes_dense ? "weights.granularity" : "weights.format", takes_dense ? kInvalid : kUnsupported,
       [](Desc& d) { d.weights.format = 0; }},
      {"weights.format", kUnsupported, [](Desc& d) { d.weights.format = 0x7ffffffeu; }},
      {"weights.granularity", kInvalid, [](Desc& d) { d.weights.granularity = 4, d.weights.group_size = 0; }},
      {"weights.granularity", kInvalid, [](Desc& d) { d.weights.granularity = UINT32_MAX, d.weights.group_size = 0; }},
      {"weights.granularity", kInvalid, [](Desc& d) { d.weights.granularity = 7; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 8; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 1; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 24; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 100; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 272; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 512; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = UINT32_MAX - 1; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.granularity = NIB_GRANULARITY_ROW; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.granularity = NIB_GRANULARITY_TENSOR; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.granularity = NIB_GRANULARITY_COLUMN; }},
      {"weights.scale_type", kUnsupported, [](Desc& d) { d.weights.scale_type = NIB_TYPE_E8M0; }},
      {"weights.scale_type", kInvalid, [](Desc& d) { d.weights.scale_type = 5; }},
      {"weights.scale_type", kUnsupported, [](Desc& d) { d.weights.scale_type = NIB_TYPE_BYTE; }},
      {"weights.scale_type", kInvalid, [](Desc& d) { d.weights.scale_type = UINT32_MAX; }},
      {"weights.flags", kInvalid, [](Desc& d) { d.weights.flags = 64; }},
      {"weights.flags", kInvalid, [](Desc& d) { d.weights.flags = 0x80000000u; }},
      {"weights.flags", kInvalid,
       [](Desc& d) {
         d.weights.granularity = NIB_GRANULARITY_ROW, d.weights.group_size = 0, d.weights.flags = NIB_WEIGHTS_FLAT;
       }},
  };
}

template <class Desc>
std::vector<Wrong<Desc>> plus(std::vector<Wrong<Desc>> list, const std::vector<Wrong<Desc>>& more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

}  // namespace nib::tests
#endif
