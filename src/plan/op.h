// An op as data. Each src/ops/NAME.cpp describes one op as an Op<Desc> with designated initializers and makes its row,
// kOp_NAME, from it; the build lists the rows from kernels.list.
#ifndef NIB_PLAN_OP_H
#define NIB_PLAN_OP_H

#include <nibble/nibble.h>

#include "base/log.h"
#include "formats/dense.h"
#include "formats/geometry.h"

namespace nib {

class PlanBuilder;

// NibRun.n of an op.
struct RunRows {
  uint32_t max;        // the most rows of one run
  bool fixed = false;  // a run takes exactly that many
};

// How far a device's result of exact sums may be from the reference's. Only bounded ops have one.
struct Tolerance {
  uint32_t type;    // NibType of the result's elements
  double relative;  // times the largest result; one ulp of the type is added
};

// The functions of an op whose description is Desc. Members without a default are required.
template <class Desc>
struct Op {
  NibOp op;
  const char* name;
  // Validates the description, names the field that is wrong, and computes the memory's layout. Alignments are the CPU's.
  NibResult (*getMemory)(const Desc& desc, const Log& log, NibMemory* memory);
  RunRows (*runRows)(const Desc& desc);
  void (*runReference)(const Desc& desc, const HostRun& run);
#if !defined(NIB_NO_VULKAN)
  // Chooses kernels and adds phases. The description is valid.
  NibResult (*build)(const Desc& desc, const NibMemory& memory, PlanBuilder& builder);
#endif
  // Rows and columns as kernels see them.
  Sides (*sides)(const Desc& desc);
  // The same description for other sides: a dense operand stays dense, another keeps its stride's residue.
  Desc (*resized)(const Desc& desc, Sides sides);
  // Fills what the op reads for a self-test, in ranges of the sizes of `memory`.
  void (*fillProbe)(const Desc& desc, const NibMemory& memory, const NibCpuBinding& binding);
  // The role that holds the result. NULL = OUTPUT.
  NibRole (*written)(const Desc& desc) = nullptr;
  // Of self-tests. NULL = results are the same bytes.
  Tolerance (*tolerance)(const Desc& desc) = nullptr;
  // Whether runs add to what the result's role holds; fillProbe then fills it too. NULL = they do not.
  bool (*accumulates)(const Desc& desc) = nullptr;
};

// An op with its description's type erased.
struct OpRow {
  uint32_t op;
  const char* name;
  uint32_t desc_bytes;  // of the description struct
  NibResult (*getMemory)(const NibOpDesc* desc, const Log& log, NibMemory* memory);
  RunRows (*runRows)(const NibOpDesc* desc);
  void (*runReference)(const NibOpDesc* desc, const HostRun& run);
#if !defined(NIB_NO_VULKAN)
  NibResult (*build)(const NibOpDesc* desc, const NibMemory& memory, PlanBuilder& builder);
#endif
  Sides (*sides)(const NibOpDesc* desc);
  void (*resized)(const NibOpDesc* desc, Sides sides, void* out);  // writes desc_bytes
  void (*fillProbe)(const NibOpDesc* desc, const NibMemory& memory, const NibCpuBinding& binding);
  NibRole (*written)(const NibOpDesc* desc);
  Tolerance (*tolerance)(const NibOpDesc* desc);  // relative 0 = the same bytes
  bool (*accumulates)(const NibOpDesc* desc);
};

namespace detail {

template <class Desc>
const Desc& as(const NibOpDesc* desc) {
  return *reinterpret_cast<const Desc*>(desc);
}

// kOp is a constexpr Op<Desc>; its functions are called through pointers that take any description.
template <class Desc, const Op<Desc>& kOp>
constexpr OpRow makeOpRow() {
  return {
      .op = uint32_t(kOp.op),
      .name = kOp.name,
      .desc_bytes = sizeof(Desc),
      .getMemory = [](const NibOpDesc* d, const Log& log, NibMemory* memory) {
        return kOp.getMemory(as<Desc>(d), log, memory);
      },
      .runRows = [](const NibOpDesc* d) { return kOp.runRows(as<Desc>(d)); },
      .runReference = [](const NibOpDesc* d, const HostRun& run) { kOp.runReference(as<Desc>(d), run); },
#if !defined(NIB_NO_VULKAN)
      .build = [](const NibOpDesc* d, const NibMemory& memory, PlanBuilder& builder) {
        return kOp.build(as<Desc>(d), memory, builder);
      },
#endif
      .sides = [](const NibOpDesc* d) { return kOp.sides(as<Desc>(d)); },
      .resized = [](const NibOpDesc* d, Sides sides, void* out) {
        *static_cast<Desc*>(out) = kOp.resized(as<Desc>(d), sides);
      },
      .fillProbe = [](const NibOpDesc* d, const NibMemory& memory, const NibCpuBinding& binding) {
        kOp.fillProbe(as<Desc>(d), memory, binding);
      },
      .written = [](const NibOpDesc* d) {
        if constexpr (kOp.written != nullptr) return kOp.written(as<Desc>(d));
        return NIB_ROLE_OUTPUT;
      },
      .tolerance = [](const NibOpDesc* d) {
        if constexpr (kOp.tolerance != nullptr) return kOp.tolerance(as<Desc>(d));
        return Tolerance{NIB_TYPE_F32, 0};
      },
      .accumulates = [](const NibOpDesc* d) {
        if constexpr (kOp.accumulates != nullptr) return kOp.accumulates(as<Desc>(d));
        return false;
      },
  };
}

}  // namespace detail

// Defines kOp_NAME in namespace nib from DESCRIPTION, a constexpr Op<...> of the same file.
#define NIB_DEFINE_OP(NAME, DESC, DESCRIPTION) \
  extern const OpRow kOp_##NAME;               \
  constinit const OpRow kOp_##NAME = detail::makeOpRow<DESC, DESCRIPTION>();

// Members that only a build with Vulkan has.
#if defined(NIB_NO_VULKAN)
#define NIB_VULKAN_MEMBER(...)
#else
#define NIB_VULKAN_MEMBER(...) __VA_ARGS__
#endif

// NULL if this build lacks it.
const OpRow* findOp(uint32_t op);
// In the order of kernels.list; NULL beyond the last.
const OpRow* opAt(uint32_t index);

}  // namespace nib
#endif
