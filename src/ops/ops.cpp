// The op table, made from kernels.list, and the functions of nibble.h that need no device.
#include "plan/op.h"

#include <cstring>

#include "base/sized.h"
#include "ops/cpu_run.h"

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

// The name of an op that NIBBLE_OPS left out, NULL for other numbers.
const char* leftOut(uint32_t op) {
  switch (op) {
#define NIB_LEFT_OUT_OP(name, number) \
  case number:                        \
    return #name;
#include "left_out_ops.inc"
#undef NIB_LEFT_OUT_OP
    default: return nullptr;
  }
}
}  // namespace

const OpRow* opAt(uint32_t index) { return index < sizeof kOps / sizeof kOps[0] ? kOps[index] : nullptr; }

const OpRow* findOp(uint32_t op) {
  for (const OpRow* row : kOps) {
    if (row->op == op) return row;
  }
  return nullptr;
}

NibResult readDesc(const NibOpDesc* desc, const Log& log, const OpRow** op, AnyDesc* out) {
  *op = findOp(desc->op);
  if (*op == nullptr) {
    const char* const name = leftOut(desc->op);
    if (name == nullptr) return log.fail(NIB_ERROR_UNSUPPORTED, "desc.op %u is not in this build", desc->op);
    return log.fail(NIB_ERROR_UNSUPPORTED, "%s: the op is not in this build: add %s to NIBBLE_OPS", name, name);
  }
  const uint32_t own = (*op)->desc_bytes;
  if (readSized(desc, desc->desc_bytes, (*op)->least_desc_bytes, out->bytes, own)) return NIB_SUCCESS;
  if (desc->desc_bytes < (*op)->least_desc_bytes) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: desc.desc_bytes %u must be the size of the description, at least %u", (*op)->name,
                    desc->desc_bytes, (*op)->least_desc_bytes);
  }
  return log.fail(NIB_ERROR_UNSUPPORTED,
                  "%s: the description has fields that this library does not know (%u bytes, it knows %u)", (*op)->name,
                  desc->desc_bytes, own);
}

NibResult checkRows(const OpRow& op, const RunRows& rows, uint32_t n, uint32_t first_row, const Log& log) {
  const RunRows::Problem problem = rows.problem(n, first_row);
  if (problem.text == nullptr) return NIB_SUCCESS;
  if (problem.limit == 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: n %u, first_row %u: %s", op.name, n, first_row, problem.text);
  }
  return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: n %u, first_row %u: %s, %u", op.name, n, first_row, problem.text,
                  problem.limit);
}

namespace {

// Adds the run's offsets to the ranges of a binding. Checks alignment and size.
NibResult moveRanges(const OpRow& op, const NibMemory& memory, const NibRun& run, const Log& log,
                     NibCpuBinding* binding) {
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    NibCpuRange& range = binding->range[role];
    if (memory.range[role].size_bytes == 0) continue;
    if (range.data == nullptr || reinterpret_cast<uintptr_t>(range.data) % 4u != 0 ||
        run.offset_bytes[role] % 4u != 0) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range must be 4-byte aligned memory", op.name,
                      roleName(role));
    }
    const uint64_t needed = memory.range[role].size_bytes + run.offset_bytes[role];
    if (range.size_bytes < needed) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range has %llu bytes, needs %llu", op.name,
                      roleName(role), (unsigned long long)range.size_bytes, (unsigned long long)needed);
    }
    if (range.size_bytes > UINTPTR_MAX - reinterpret_cast<uintptr_t>(range.data)) {
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: the %s range of %llu bytes goes beyond the end of memory",
                      op.name, roleName(role), (unsigned long long)range.size_bytes);
    }
    range.data = static_cast<uint8_t*>(range.data) + run.offset_bytes[role];
    range.size_bytes -= run.offset_bytes[role];
  }
  return NIB_SUCCESS;
}

// Runs the reference, or only checks the arguments.
NibResult cpuRun(const NibOpDesc* desc, const NibCpuBinding* binding, const NibRun* run, const NibParallelFor* parallel,
                 const Log& log, bool runs) {
  if (desc == nullptr || binding == nullptr || run == nullptr) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibCpuRun: NULL argument");
  }
  NibCpuBinding bound;
  NibRun whole_run;
  if (!readSized(*binding, &bound)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibCpuRun: set binding->struct_bytes to sizeof(NibCpuBinding)");
  }
  if (!readSized(*run, &whole_run)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibCpuRun: set run->struct_bytes to sizeof(NibRun)");
  }
  const OpRow* op = nullptr;
  AnyDesc whole;
  NibResult result = readDesc(desc, log, &op, &whole);
  if (result != NIB_SUCCESS) return result;
  NibMemory memory{};
  result = op->getMemory(whole.get(), log, &memory);
  if (result == NIB_SUCCESS) {
    result = checkRows(*op, op->runRows(whole.get()), whole_run.n, whole_run.first_row, log);
  }
  if (result == NIB_SUCCESS) result = moveParts(*op, bound.part_offset_bytes, log, &memory);
  if (result == NIB_SUCCESS) result = moveRanges(*op, memory, whole_run, log, &bound);
  if (result == NIB_SUCCESS) {
    OperandRange ranges[NIB_ROLE_COUNT];
    for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
      const NibCpuRange& range = bound.range[role];
      ranges[role] = {nullptr, reinterpret_cast<uintptr_t>(range.data), range.size_bytes};
    }
    result = checkOverlaps(*op, whole.get(), memory, ranges, bound.part_offset_bytes, log);
  }
  if (result != NIB_SUCCESS) return result;
  if (runs && whole_run.n > 0)
    op->runReference(whole.get(), {memory, bound, whole_run.n, whole_run.first_row, parallel});
  return NIB_SUCCESS;
}

}  // namespace

bool canCpuRun(const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run) {
  return cpuRun(desc, &binding, &run, nullptr, Log(), false) == NIB_SUCCESS;
}

}  // namespace nib

using namespace nib;

extern "C" {

uint32_t nibAbiVersion(void) { return NIB_ABI_VERSION; }

const char* nibOpName(NibOp op) {
  const OpRow* row = findOp(op);
  return row != nullptr ? row->name : nullptr;
}

NibResult nibGetMemory(const NibOpDesc* desc, const NibLog* log_callback, NibMemory* out_memory) {
  const Log log(log_callback);
  if (desc == nullptr || out_memory == nullptr)
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibGetMemory: NULL argument");
  const OpRow* op = nullptr;
  AnyDesc whole;
  NibResult result = readDesc(desc, log, &op, &whole);
  if (result != NIB_SUCCESS) return result;
  NibMemory memory{};
  memory.dynamic_alignment_bytes = 1;
  memory.slice_count = 1;
  result = op->getMemory(whole.get(), log, &memory);
  if (result != NIB_SUCCESS) return result;
  if (writeSized(memory, out_memory)) return NIB_SUCCESS;
  return log.fail(NIB_ERROR_INVALID_ARGUMENT, "nibGetMemory: set out_memory->struct_bytes to sizeof(NibMemory)");
}

NibResult nibCpuRun(const NibOpDesc* desc, const NibCpuBinding* binding, const NibRun* run,
                    const NibParallelFor* parallel, const NibLog* log_callback) {
  return cpuRun(desc, binding, run, parallel, Log(log_callback), true);
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
    case NIB_ERROR_DEVICE_LOST: return "the device is lost";
    case NIB_ERROR_NOT_COMPILED: return "a pipeline is not compiled yet";
    case NIB_ERROR_CANCELLED: return "cancelled";
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
