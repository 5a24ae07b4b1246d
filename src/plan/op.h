// The interface of an op: a struct of functions. Each src/ops/NAME.cpp defines one op as an Op<Desc> with designated
// initializers, and makes its table row kOp_NAME from it. The build generates the table from kernels.list.
#ifndef NIB_PLAN_OP_H
#define NIB_PLAN_OP_H

#include <nibble/nibble.h>

#include "base/log.h"
#include "base/names.h"
#include "formats/dense.h"
#include "formats/geometry.h"
#include "plan/small_dims.h"

namespace nib {

class PlanBuilder;

// The rows that a run of an op may process.
struct RunRows {
  uint32_t max;        // the most rows of one run
  bool fixed = false;  // a run takes exactly that many
  uint32_t all = 0;    // NibRun.first_row + n is at most this; 0 = first_row must be 0
  // Runs are the steps of one computation, in ascending order: first_row is a multiple of this. 0 = runs are
  // independent and may begin at any row.
  uint32_t step = 0;

  struct Problem {
    const char* text;    // NULL = none
    uint32_t limit = 0;  // what the field must keep to; 0 = the text says it
  };
  // Why a run cannot have n rows from first_row on.
  Problem problem(uint32_t n, uint32_t first_row) const {
    if (fixed && n != max) return {"n must be exactly the description's rows", max};
    if (n > max) return {"n must be at most the description's rows", max};
    if (first_row == 0) return {nullptr};
    if (all == 0) return {"first_row must be 0: the result has no rows of its own"};
    if (uint64_t(first_row) + n > all) return {"first_row + n must be at most the rows of the result", all};
    if (step != 0 && first_row % step != 0) return {"first_row must be a multiple of the rows of a step", step};
    return {nullptr};
  }
};

// How far a part of a device's result may be from the reference's in a self-test. Only ops with an error bound have
// one.
struct Tolerance {
  uint32_t type;  // NibType of the part's elements, or kCodeType
  double
      relative;  // the bound is relative * the largest |element| of the part + one ulp of the type; of codes, relative
};
inline constexpr uint32_t kCodeType = NIB_INT8_RESULT_I8;  // int8 codes

// The functions of an op whose description is Desc. Members without a default are required.
template <class Desc>
struct Op {
  NibOp op;  // NIB_OP_*
  const char* name;
  uint32_t least_desc_bytes = 0;  // size of the description's first released version; 0 = still sizeof(Desc)
  // Validates the description and computes the memory's layout. An error is logged with the name of the wrong field.
  // Alignments are those of the CPU.
  NibResult (*getMemory)(const Desc& desc, const Log& log, NibMemory* memory);
  RunRows (*runRows)(const Desc& desc);
  void (*runReference)(const Desc& desc, const HostRun& run);
#if !defined(NIB_NO_VULKAN)
  // Chooses kernels and adds phases. getMemory has accepted the description.
  NibResult (*build)(const Desc& desc, const NibMemory& memory, PlanBuilder& builder);
#endif
  // Rows and columns as kernels see them.
  Dims (*dims)(const Desc& desc);
  // The same description with other rows and columns. A contiguous operand stays contiguous, another keeps its stride
  // modulo 8.
  Desc (*resized)(const Desc& desc, Dims dims);
  // Lists small sizes. For every device, some of them make the op run the description's kernels on several workgroups.
  // Self-tests try these, then the description's own. NULL = usualSmallDims.
  void (*smallDims)(const Desc& desc, SmallDims* list) = nullptr;
  // Fills the op's inputs with test data for a self-test. The binding's ranges have the sizes in `memory`.
  void (*fillProbe)(const Desc& desc, const NibMemory& memory, const NibCpuBinding& binding);
  // The role that holds the result. NULL = OUTPUT.
  NibRole (*written)(const Desc& desc) = nullptr;
  // The error bound of a part of the written role, NIB_PART_COUNT if that has no parts. NULL, or a bound of 0 = results
  // must be the same bytes.
  Tolerance (*tolerance)(const Desc& desc, NibPart part) = nullptr;
  // Whether the op may write part `written` in place over part `other`. NULL = never.
  bool (*mayAlias)(const Desc& desc, NibPart written, NibPart other) = nullptr;
  // Writes the same description for fewer rows of a run, and returns true, if its operands lie where the whole's do but
  // for scratch: then a plan may have kernels for fewer rows. NULL = never.
  bool (*withRows)(const Desc& desc, uint32_t rows, Desc* out) = nullptr;
  // Multiply-adds of a run of n rows. NULL = not counted, 0.
  uint64_t (*multiplyAdds)(const Desc& desc, uint32_t n) = nullptr;
  // Whether a run adds to the previous result; fillProbe then fills the result too. NULL = never.
  bool (*accumulates)(const Desc& desc) = nullptr;
};

// A row of the op table: an Op<Desc> whose functions take any description.
struct OpRow {
  uint32_t op;
  const char* name;
  uint32_t desc_bytes;        // of the description struct
  uint32_t least_desc_bytes;  // of its first released version
  NibResult (*getMemory)(const NibOpDesc* desc, const Log& log, NibMemory* memory);
  RunRows (*runRows)(const NibOpDesc* desc);
  void (*runReference)(const NibOpDesc* desc, const HostRun& run);
#if !defined(NIB_NO_VULKAN)
  NibResult (*build)(const NibOpDesc* desc, const NibMemory& memory, PlanBuilder& builder);
#endif
  Dims (*dims)(const NibOpDesc* desc);
  void (*resized)(const NibOpDesc* desc, Dims dims, void* out);  // writes desc_bytes
  void (*smallDims)(const NibOpDesc* desc, SmallDims* list);
  void (*fillProbe)(const NibOpDesc* desc, const NibMemory& memory, const NibCpuBinding& binding);
  NibRole (*written)(const NibOpDesc* desc);
  Tolerance (*tolerance)(const NibOpDesc* desc, NibPart part);  // relative 0 = the same bytes
  bool (*mayAlias)(const NibOpDesc* desc, NibPart written, NibPart other);
  bool (*withRows)(const NibOpDesc* desc, uint32_t rows, void* out);  // writes desc_bytes
  uint64_t (*multiplyAdds)(const NibOpDesc* desc, uint32_t n);
  bool (*accumulates)(const NibOpDesc* desc);
};

namespace detail {

template <class Desc>
const Desc& as(const NibOpDesc* desc) {
  return *reinterpret_cast<const Desc*>(desc);
}

// kOp is a constexpr Op<Desc>; the lambdas cast the description to its type.
template <class Desc, const Op<Desc>& kOp>
constexpr OpRow makeOpRow() {
  return {
    .op = kOp.op, .name = kOp.name, .desc_bytes = sizeof(Desc),
    .least_desc_bytes = kOp.least_desc_bytes != 0 ? kOp.least_desc_bytes : uint32_t(sizeof(Desc)),
    .getMemory = [](const NibOpDesc* d, const Log& log,
                    NibMemory* memory) { return kOp.getMemory(as<Desc>(d), log, memory); },
    .runRows = [](const NibOpDesc* d) { return kOp.runRows(as<Desc>(d)); },
    .runReference = [](const NibOpDesc* d, const HostRun& run) { kOp.runReference(as<Desc>(d), run); },
#if !defined(NIB_NO_VULKAN)
    .build = [](const NibOpDesc* d, const NibMemory& memory,
                PlanBuilder& builder) { return kOp.build(as<Desc>(d), memory, builder); },
#endif
    .dims = [](const NibOpDesc* d) { return kOp.dims(as<Desc>(d)); },
    .resized = [](const NibOpDesc* d, Dims dims,
                  void* out) { *static_cast<Desc*>(out) = kOp.resized(as<Desc>(d), dims); },
    .smallDims =
        [](const NibOpDesc* d, SmallDims* list) {
          if constexpr (kOp.smallDims != nullptr) return kOp.smallDims(as<Desc>(d), list);
          usualSmallDims(kOp.dims(as<Desc>(d)), list);
        },
    .fillProbe = [](const NibOpDesc* d, const NibMemory& memory,
                    const NibCpuBinding& binding) { kOp.fillProbe(as<Desc>(d), memory, binding); },
    .written =
        [](const NibOpDesc* d) {
          if constexpr (kOp.written != nullptr) return kOp.written(as<Desc>(d));
          return NIB_ROLE_OUTPUT;
        },
    .tolerance =
        [](const NibOpDesc* d, NibPart part) {
          if constexpr (kOp.tolerance != nullptr) return kOp.tolerance(as<Desc>(d), part);
          return Tolerance{NIB_TYPE_F32, 0};
        },
    .mayAlias =
        [](const NibOpDesc* d, NibPart written, NibPart other) {
          if constexpr (kOp.mayAlias != nullptr) return kOp.mayAlias(as<Desc>(d), written, other);
          return false;
        },
    .withRows =
        [](const NibOpDesc* d, uint32_t rows, void* out) {
          if constexpr (kOp.withRows != nullptr) return kOp.withRows(as<Desc>(d), rows, static_cast<Desc*>(out));
          return false;
        },
    .multiplyAdds =
        [](const NibOpDesc* d, uint32_t n) {
          if constexpr (kOp.multiplyAdds != nullptr) return kOp.multiplyAdds(as<Desc>(d), n);
          return uint64_t{0};
        },
    .accumulates = [](const NibOpDesc* d) {
      if constexpr (kOp.accumulates != nullptr) return kOp.accumulates(as<Desc>(d));
      return false;
    },
  };
}

}  // namespace detail

// Defines kOp_NAME in namespace nib from DESCRIPTION, a constexpr Op<...> of the same file.
#define NIB_DEFINE_OP(NAME, DESC, DESCRIPTION)       \
  static_assert(sizeof(DESC) <= AnyDesc::kMaxBytes); \
  extern const OpRow kOp_##NAME;                     \
  constinit const OpRow kOp_##NAME = detail::makeOpRow<DESC, DESCRIPTION>();

// Initializers of members that only a build with Vulkan has.
#if defined(NIB_NO_VULKAN)
#define NIB_VULKAN_MEMBER(...)
#else
#define NIB_VULKAN_MEMBER(...) __VA_ARGS__
#endif

// Storage for a description of any op, in the library's own size.
struct AnyDesc {
  static constexpr uint32_t kMaxBytes = 256;
  alignas(8) uint8_t bytes[kMaxBytes];
  const NibOpDesc* get() const { return reinterpret_cast<const NibOpDesc*>(bytes); }
};

// Finds the op and copies the caller's description, which may be smaller or larger than the library's.
NibResult readDesc(const NibOpDesc* desc, const Log& log, const OpRow** op, AnyDesc* out);

// Applies a binding's part_offset_bytes to *memory. A range with moved parts then ends with its last part.
NibResult moveParts(const OpRow& op, const uint64_t* part_offset_bytes, const Log& log, NibMemory* memory);

// A role's range as a binding gives it: bytes [begin, begin + size_bytes) of a buffer, or of the host's memory (NULL).
struct OperandRange {
  const void* memory;
  uint64_t begin, size_bytes;
};

// Two whole ranges must not overlap. A moved part may overlap memory unless one of the two is written. A written part
// may be the same bytes as another part if the op works in place there (mayAlias). *memory is as moveParts left it.
NibResult checkOverlaps(const OpRow& op, const NibOpDesc* desc, const NibMemory& memory,
                        const OperandRange (&ranges)[NIB_ROLE_COUNT], const uint64_t* part_offset_bytes,
                        const Log& log);

// Checks n and first_row of a run.
NibResult checkRows(const OpRow& op, const RunRows& rows, uint32_t n, uint32_t first_row, const Log& log);

// NULL if this build lacks the op.
const OpRow* findOp(uint32_t op);
// In the order of kernels.list; NULL beyond the last.
const OpRow* opAt(uint32_t index);

}  // namespace nib
#endif
