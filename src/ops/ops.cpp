// The op table, from kernels.list, and the entry points that need no device.
#include "plan/op.h"

#include <cstring>

namespace nib {

#define NIB_OP_ROW(name) extern const OpRow kOp_##name;
#include "ops.inc"
#undef NIB_OP_ROW

namespace {
#define NIB_OP_ROW(name) &kOp_##name,
const OpRow* const kOps[] = {
#include "ops.inc"
};
#undef NIB_OP_ROW
}  // namespace

const OpRow* opAt(uint32_t index) { return index < sizeof kOps / sizeof kOps[0] ? kOps[index] : nullptr; }

const OpRow* findOp(uint32_t op) {
  for (const OpRow* row : kOps) {
    if (row->op == op) return row;
  }
  return nullptr;
}

}  // namespace nib

using namespace nib;

extern "C" {

NibResult nibGetMemory(const NibOpDesc* desc, const NibLog* log_callback, NibMemory* out_memory) {
  const Log log(log_callback);
  if (desc == nullptr || out_memory == nullptr) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibGetMemory: NULL argument");
  const OpRow* op = findOp(desc->op);
  if (op == nullptr) return log.fail(NIB_ERROR_UNSUPPORTED, "desc.op %u is not in this build", desc->op);
  NibMemory memory{};
  memory.dynamic_alignment_bytes = 1;
  memory.slice_count = 1;
  const NibResult result = op->getMemory(desc, log, &memory);
  if (result == NIB_SUCCESS) *out_memory = memory;
  return result;
}

NibResult nibCpuRun(const NibOpDesc* desc, const NibCpuBinding* binding, uint32_t n, const NibParallelFor* parallel,
                    const NibLog* log_callback) {
  const Log log(log_callback);
  if (desc == nullptr || binding == nullptr) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibCpuRun: NULL argument");
  NibMemory memory;
  const NibResult result = nibGetMemory(desc, log_callback, &memory);
  if (result != NIB_SUCCESS) return result;
  const OpRow* op = findOp(desc->op);
  const RunRows rows = op->runRows(desc);
  if (n > rows.max || (rows.fixed && n != rows.max)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: n %u must be %s %u", op->name, n, rows.fixed ? "exactly" : "at most",
                    rows.max);
  }
  static const char* const kRoles[] = {"weights", "input", "output", "aux"};
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    const NibCpuRange& range = binding->range[role];
    if (memory.range[role].size_bytes == 0) continue;
    if (range.data == nullptr || reinterpret_cast<uintptr_t>(range.data) % 4u != 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range must be 4-byte aligned memory", op->name, kRoles[role]);
    }
    if (range.size_bytes < memory.range[role].size_bytes) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range has %llu bytes, needs %llu", op->name, kRoles[role],
                      (unsigned long long)range.size_bytes, (unsigned long long)memory.range[role].size_bytes);
    }
  }
  if (n > 0) op->runReference(desc, {memory, *binding, n, parallel});
  return NIB_SUCCESS;
}

const char* nibResultString(NibResult result) {
  switch (result) {
    case NIB_SUCCESS: return "success";
    case NIB_ERROR_INVALID_ARGUMENT: return "invalid argument";
    case NIB_ERROR_UNSUPPORTED: return "unsupported";
    case NIB_ERROR_OUT_OF_MEMORY: return "out of memory";
    case NIB_ERROR_VULKAN: return "a Vulkan call failed";
    case NIB_ERROR_BROKEN_DEVICE: return "the device fails its self-test";
    case NIB_ERROR_VERSION: return "header and library versions differ";
    case NIB_RESULT_MAX_ENUM: break;
  }
  return "unknown result";
}

const char* nibVersionString(void) {
#define NIB_TEXT2(x) #x
#define NIB_TEXT(x) NIB_TEXT2(x)
  return NIB_TEXT(NIB_VERSION_MAJOR) "." NIB_TEXT(NIB_VERSION_MINOR) "." NIB_TEXT(NIB_VERSION_PATCH);
#undef NIB_TEXT
#undef NIB_TEXT2
}

}  // extern "C"
