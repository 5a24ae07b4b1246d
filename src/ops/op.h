// An op as data. Each src/ops/NAME.cpp defines one kOp_NAME; the build lists them from kernels.list.
#ifndef NIB_OPS_OP_H
#define NIB_OPS_OP_H

#include <nibble/nibble.h>

#include "base/log.h"

namespace nib {

class PlanBuilder;

// How far a device's result of exact sums may be from the reference's: bounded ops. Zero: not at all.
struct Tolerance {
  uint32_t type;    // NibType of the result's elements
  double relative;  // to the largest of them; an ulp of the type on top
};

struct OpRow {
  uint32_t op;  // NibOp
  const char* name;
  uint32_t desc_bytes;  // of the description struct, which begins with NibOpDesc
  // Validates the description, naming the field that is wrong, and sizes its memory. Alignments are the CPU's.
  NibResult (*getMemory)(const NibOpDesc* desc, const Log& log, NibMemory* memory);
  // The largest NibRun.n, and whether a run may have fewer rows.
  uint32_t (*maxRows)(const NibOpDesc* desc, bool* fixed);
  // The reference. Arguments are validated.
  void (*runCpu)(const NibOpDesc* desc, const NibMemory& memory, const NibCpuBinding& binding, uint32_t n,
                 const NibParallelFor* parallel);
#if !defined(NIB_NO_VULKAN)
  // Chooses kernels and adds phases. The description is valid.
  NibResult (*build)(const NibOpDesc* desc, const NibMemory& memory, PlanBuilder& builder);
#endif
  // Rows and columns as kernels see them.
  void (*sides)(const NibOpDesc* desc, uint32_t* rows, uint32_t* cols);
  // The same description for other sides: a dense operand stays dense, another keeps its stride's residue. Writes
  // desc_bytes to `out`.
  void (*resize)(const NibOpDesc* desc, uint32_t rows, uint32_t cols, void* out);
  // Fills what the op reads, in ranges of the sizes of `memory`.
  void (*fillProbe)(const NibOpDesc* desc, const NibMemory& memory, const NibCpuBinding& binding);
  NibRole written;  // the role that holds the result
  NibRole (*writtenBy)(const NibOpDesc* desc) = nullptr;  // where it depends on the description
  Tolerance (*tolerance)(const NibOpDesc* desc) = nullptr;  // of self-tests; nullptr = the same bytes
  // Whether runs add to what the result's role holds, which fillProbe then fills too.
  bool (*accumulates)(const NibOpDesc* desc) = nullptr;
};

inline NibRole writtenRole(const OpRow& op, const NibOpDesc* desc) {
  return op.writtenBy != nullptr ? op.writtenBy(desc) : op.written;
}

// NULL if this build lacks it.
const OpRow* findOp(uint32_t op);
// In the order of kernels.list; NULL beyond the last.
const OpRow* opAt(uint32_t index);

}  // namespace nib
#endif
