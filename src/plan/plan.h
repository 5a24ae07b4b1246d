// A plan: a validated op as phases of one pipeline each, how a phase's tiles map to buffers, and where it may be split.
#ifndef NIB_PLAN_PLAN_H
#define NIB_PLAN_PLAN_H

#include <atomic>
#include <initializer_list>

#include "plan/choose.h"
#include "plan/context.h"
#include "plan/kernel_table.h"
#include "plan/op.h"
#include "shaders/common/interface.h"

namespace nib {

// How many tiles (workgroups) a phase has for n rows: ceil(ceil(n / row_block) * mul / div), or `fixed` for every n.
// Each row block has `mul` items. An item is a unit of work: a run of elements, a group, a chunk or a row.
struct TileRule {
  uint32_t row_block = 1;
  uint64_t mul = 1;  // items per row block
  uint64_t div = 1;  // items per tile
  uint32_t fixed = 0;
  uint32_t rows = 0;  // the phase's rows in every run that is not empty; 0 = the run's rows, or the placement's
  // Neighbouring items whose results may share a word, counted from the result's first row. If the run's first word
  // also has items of earlier rows, the run starts with as many idle items, so that one invocation owns each word.
  uint32_t share = 1;
  // Tiles are counted from the matrix's first row, not from the run's: every operand has the run's rows at first_row.
  // NibPushHead.rows is then the row after the run's last.
  bool absolute = false;
  // Tiles form steps of this many, and a step may read results of an earlier one: no segment has tiles of two steps. 0
  // = the order of tiles does not matter.
  uint64_t step_tiles = 0;
  // `rows` is the number of rows of tiles alone: NibPushHead.rows is the run's n.
  bool push_n = false;

  uint32_t rowsOf(uint32_t n) const { return rows != 0 && n != 0 ? rows : n; }
  uint64_t items(uint32_t n) const { return (uint64_t(n) + row_block - 1) / row_block * mul; }
  uint32_t lead(uint32_t first_row) const { return share > 1 ? uint32_t(first_row * mul % share) : 0; }
  uint64_t tiles(uint32_t n, uint32_t lead_items = 0) const {
    if (n == 0) return 0;
    return fixed != 0 ? fixed : (items(n) + lead_items + div - 1) / div;
  }
};

inline constexpr uint32_t kNoPart = UINT32_MAX;
constexpr uint64_t partBit(uint32_t part) { return part < NIB_PART_COUNT ? uint64_t(1) << part : 0; }
static_assert(NIB_PART_COUNT <= 64);

// The bytes that one binding of a kernel accesses. Its window covers the items of a segment's tiles.
struct Slot {
  enum Kind : uint32_t {
    kUnused,
    kWhole,   // the role's range from part_offset on, for every tile; must fit one window
    kItems,   // row block r, item i: bytes from r * row_block * row_bytes + i * item_bytes on
    kShared,  // item i of every row block: bytes from i * item_bytes on, row_size_bytes in all
    kAnyRow   // any tile may access any of slot_rows rows: all tiles run once per window of window_rows rows, and each
              // time work on what lies in it. Several such slots of a phase have windows of the same rows
  };
  Kind kind = kUnused;
  uint32_t role = 0;            // NibRole
  uint64_t part_offset = 0;     // bytes from the range's start to row 0
  uint64_t row_bytes = 0;       // from row to row
  uint64_t item_bytes = 0;      // of one item within a row; 0 = an item may access all of its row block
  uint64_t row_size_bytes = 0;  // of a row, without padding
  uint64_t same_items = 1;      // kShared: so many neighbouring items access the same item_bytes
  uint64_t origin_bytes = 0;    // from the range's start to the kernel's index 0; see Placement
  uint64_t end_bytes = 0;       // end of the slot's bytes in the range; 0 = the range's end
  uint32_t slot_rows = 0;       // kAnyRow
  uint32_t window_rows = 0;     // kAnyRow: rows of a window; 0 = not even one fits
  // kAnyRow: the same rows of a second part, which the window covers too, with all that lies between. kNoPart = none.
  struct {
    uint32_t part = kNoPart;
    uint64_t offset = 0, row_bytes = 0, row_size_bytes = 0;
  } second;
  // How far NibRun.first_row moves the slot: bytes per row, a multiple of 4; 0 = not at all.
  uint64_t first_row_bytes = 0;
  // The NibPart that the kernel's indices are relative to, if a binding may move it, and the set of all parts covered.
  uint32_t base_part = kNoPart;
  uint64_t parts = 0;
  // Set while planning a slot that moves: it has one window over all rows (covers_all_rows), or a window of
  // sliding_bytes that dynamic offsets slide along the rows.
  bool covers_all_rows = false;
  uint64_t sliding_bytes = 0;

  // A copy that covers the parts `base` and `covered`. Indices are relative to `base`; kNoPart = to the range's start.
  Slot of(uint32_t base, std::initializer_list<uint32_t> covered = {}) const {
    Slot slot = *this;
    slot.base_part = base;
    slot.parts = partBit(base);
    for (const uint32_t part : covered) slot.parts |= partBit(part);
    return slot;
  }
  // A copy whose rows begin at NibRun.first_row and are `bytes` apart.
  Slot moving(uint64_t bytes) const {
    Slot slot = *this;
    slot.first_row_bytes = bytes;
    return slot;
  }
  Slot moving() const { return moving(row_bytes); }
};

// A push constant that holds a part's first word, counted from the start of the range of slot `slot`'s role.
struct PartWord {
  const uint32_t* word;  // in the push struct
  NibPart part;
  uint32_t slot;
};

struct Span {
  uint64_t begin, end;  // bytes from the start of the role's range
};

struct Segment {  // tiles [first, end) whose windows fit the device
  uint64_t tile_first, tile_end;
  uint32_t first_row;  // of the window of a kAnyRow slot
};

inline constexpr uint32_t kMaxPartWords = 8;

struct Phase {
  const KernelRow* row;
  VkPipeline pipeline;
  uint64_t spec_hash;
  TileRule tiles;
  uint64_t tile_count;  // for max_rows
  uint64_t tiles_per_slice;
  uint32_t first_slice, slice_count;
  uint64_t bytes_per_tile;  // memory traffic
  uint32_t first_segment, segment_count;
  Slot slot[kSlotCount];
  bool sees_first_row;  // false: the kernel works on scratch, whose rows begin at 0
  uint32_t part_word_count;
  struct {
    uint16_t push_word, part, slot;
  } part_word[kMaxPartWords];
  uint32_t first_row_word;  // the push constant that holds Segment::first_row; 0 = none
  uint32_t push_bytes;
  alignas(4) uint8_t push[kPushBytes];  // the recorder fills the head
};

inline constexpr uint32_t kMaxPhases = 6;

// A pipeline that a plan needs.
struct PipelineWanted {
  const KernelRow* row;
  uint32_t spec_count;
  uint32_t spec[PipelineStore::kMaxSpec];
};
using PipelineList = Array<PipelineWanted>;

}  // namespace nib

struct NibPlan {
  explicit NibPlan(NibContext* owner) : context(owner), segments(owner->allocator), fewer(owner->allocator) {}
  NibContext* context;
  const nib::OpRow* op = nullptr;
  NibMemory memory{};
  nib::RunRows rows{};  // rows.fixed: kernels see all rows as one row (FLAT)
  bool draft = false;   // only kernel choices and sizes: no pipelines, windows or messages; never recorded
  nib::PipelineList* wanted = nullptr;  // of a draft: gets its pipelines, and the log its messages
  nib::PipelineStore::Compile compile = nib::PipelineStore::Compile::kIfNeeded;
  uint32_t phase_count = 0;
  nib::Phase phase[nib::kMaxPhases];
  nib::Array<nib::Segment> segments;
  nib::AnyDesc desc;  // for the self-test
  // Plans of the same op for fewer rows, ascending, whose kernels suit those better. They share this plan's operands.
  nib::Array<NibPlan*> fewer;
  // A plan that is destroyed before its bindings keeps its host memory until the last of them is destroyed.
  mutable std::atomic<uint32_t> references{1};  // the application's, and one of every binding
  std::atomic<bool> destroyed{false};

  uint32_t kernelRows(uint32_t n) const { return rows.fixed && n != 0 ? 1u : n; }
};

struct NibBinding {
  explicit NibBinding(const NibPlan* owner)
      : plan(owner),
        sets(owner->context->allocator),
        windows(owner->context->allocator),
        fewer(owner->context->allocator) {}
  // The windows of a segment, by slot.
  struct Window {
    uint32_t delta_words;     // see NibPushHead
    uint64_t sliding_from;    // sliding: from the descriptor's start to the segment's first byte, in a run from row 0
    uint64_t largest_offset;  // sliding: the largest dynamic offset; UINT64_MAX = the window does not slide
  };
  struct Windows {
    Window slot[nib::kSlotCount];
  };
  const NibPlan* plan;
  nib::Array<nib::PooledSet> sets;            // by segment
  nib::Array<Windows> windows;                // by segment
  uint64_t slack_bytes[NIB_ROLE_COUNT] = {};  // the largest NibRun.offset_bytes of each role
  nib::Array<NibBinding*> fewer;              // of plan->fewer
  mutable std::atomic<bool> refused{false};   // a run of it was refused, which the log was told
  uint32_t part_words[NIB_PART_COUNT] = {};   // words from a part's offset in the plan to the binding's, modulo 2^32
};

namespace nib {

// The rows of a phase in a run, as the kernel sees them, and the first row of the result.
struct PhaseRows {
  uint32_t rows, first_row;
};
PhaseRows rowsOf(const NibPlan& plan, const Phase& phase, const NibRun& run);

// Tiles of a phase that belong to slices [first_slice, slice_end) of a run; first >= end: none.
struct TileSpan {
  uint64_t first, end;
};
TileSpan tilesOf(const NibPlan& plan, const Phase& phase, const NibRun& run, uint64_t first_slice, uint64_t slice_end);

// The plan, of `plan` and its plans for fewer rows, that a run takes. *out_index: its index in plan.fewer, or their
// number.
const NibPlan& planFor(const NibPlan& plan, const NibRun& run, uint32_t* out_index);

// Lists descriptions of fewer rows for which a plan has other kernels, in descending order of rows.
inline constexpr uint32_t kMostFewer = 12;
struct FewerRows {
  uint32_t count = 0;
  AnyDesc desc[kMostFewer];
};
void listFewer(const NibPlan& plan, FewerRows* list);

// nibCreatePlan. alone: no plans for fewer rows.
NibResult createPlan(NibContext* context, const NibOpDesc* desc, PipelineStore::Compile compile, bool alone,
                     NibPlan** out_plan);

// Frees the plan if nothing refers to it any more.
void releasePlan(const NibPlan& plan);

// The bytes of a slot that tiles [first, end) of a phase access, in a run from row 0. kAnyRow: the first window.
Span slotSpan(const NibPlan& plan, const Phase& phase, const Slot& slot, uint64_t first, uint64_t end);
// The window of a kAnyRow slot from a row on, where a binding moves the slot's part and its second part by so many
// bytes (modulo 2^64).
Span windowSpan(const NibPlan& plan, const Slot& slot, uint32_t first_row, uint64_t shift = 0,
                uint64_t second_shift = 0);
// The bytes of a slot that moves, for all rows that runs may reach.
Span allRowsSpan(const NibPlan& plan, const Slot& slot);

// Alignment of window starts: the device's offset alignment, at least the four words of a wide load.
inline uint64_t windowAlignment(const NibContext& context) {
  return context.caps.offset_alignment_bytes > 16u ? context.caps.offset_alignment_bytes : 16u;
}

// Where an op that runs as phases of another op finds its operands: for each of its roles, a range of the outer op.
struct Placement {
  struct Operand {
    NibRole role;
    uint64_t offset_bytes = 0;  // a multiple of 256
    uint64_t size_bytes = 0;    // 0 = to the end of the range
    bool scratch = false;       // rows begin at 0 for every first_row, and no binding moves a part
    bool input_codes = false;   // its codes, scales and zeros are the outer op's INPUT_CODES, INPUT_SCALES, INPUT_ZEROS
  };
  Operand operand[NIB_ROLE_COUNT] = {{NIB_ROLE_WEIGHTS}, {NIB_ROLE_INPUT}, {NIB_ROLE_OUTPUT}, {NIB_ROLE_AUX}};
  uint32_t rows = 0;           // the phases' rows in every run; 0 = the run's rows
  bool sees_first_row = true;  // see Phase
  bool whole = false;          // nothing moves with first_row: phases process all rows
};

// Builds a plan's phases; an op's build function gets one.
class PlanBuilder {
 public:
  explicit PlanBuilder(NibPlan& plan) : plan_(plan) {}
  // A builder of the same plan whose phases have their operands where `placement` says.
  PlanBuilder placed(const Placement& placement) const {
    PlanBuilder other(plan_);
    other.placement_ = placement;
    return other;
  }

  const vk::Caps& caps() const { return plan_.context->caps; }
  const Log& log() const { return plan_.draft && plan_.wanted == nullptr ? kSilent : plan_.context->log; }
  // The largest span that one binding can cover at any offset of the caller's buffers.
  uint64_t largestWindow() const { return caps().max_storage_range_bytes - windowAlignment(*plan_.context); }
  // The largest power of two up to `wanted` and the device's limits on a workgroup.
  uint32_t workgroupSize(uint32_t wanted) const;

  // The values of the context's tuning with the largest token count up to `tokens`, or NULL.
  const uint32_t* tuned(NibTunable tunable, uint32_t format, uint32_t tokens) const;

  // Whether the device can run this kernel, so that an op can prefer a kernel that not every device supports.
  bool offers(const char* name, uint32_t format, uint32_t workgroup, uint32_t shared_bytes, uint32_t push_bytes) const;

  // Rows of a part, row_bytes apart.
  struct PartRows {
    NibPart part;
    uint64_t offset, row_bytes, row_size_bytes;
  };
  // A slot of `rows` rows, any of which any tile may access.
  Slot anyRowSlot(NibRole role, uint64_t part_offset, uint32_t rows, uint64_t row_bytes, uint64_t row_size_bytes) const;
  // The same, of two parts with as many rows. Indices are relative to the first.
  Slot anyRowSlot(NibRole role, uint32_t rows, const PartRows& first, const PartRows& second) const;
  // Gives the kAnyRow slots of a phase windows of the same rows, and returns how many these are.
  static uint32_t shareWindows(std::initializer_list<Slot*> slots);

  // Adds a phase that runs kernel `name` for `format` (0 = none). Spec and Push are the kernel's interface structs; the
  // recorder fills the push's head. bytes_per_tile is the memory traffic of a tile, which decides the size of slices.
  // part_words lists the push constants that hold first words of parts. first_row: the one, if any, that shall hold the
  // first row of a kAnyRow slot's window.
  template <class Spec, class Push>
  NibResult add(const char* name, uint32_t format, const Spec& spec, const Push& push, uint32_t shared_bytes,
                const TileRule& tiles, const Slot (&slot)[kSlotCount], uint64_t bytes_per_tile,
                std::initializer_list<PartWord> part_words = {}, const uint32_t* first_row = nullptr) {
    static_assert(sizeof(Spec) % 4 == 0 && sizeof(Push) <= kPushBytes);
    return addPhase(name, format, reinterpret_cast<const uint32_t*>(&spec), sizeof(Spec) / 4u, &push, sizeof(Push),
                    shared_bytes, tiles, slot, bytes_per_tile, part_words, first_row);
  }

 private:
  NibResult addPhase(const char* name, uint32_t format, const uint32_t* spec, uint32_t spec_count, const void* push,
                     uint32_t push_bytes, uint32_t shared_bytes, const TileRule& tiles, const Slot (&slot)[kSlotCount],
                     uint64_t bytes_per_tile, std::initializer_list<PartWord> part_words, const uint32_t* first_row);
  // Adds to the list of pipelines that a draft wants.
  NibResult want(const KernelRow& row, const uint32_t* spec, uint32_t spec_count);
  // The slot in the range that the placement gives its role.
  Slot placedSlot(const Slot& slot) const;
  NibResult addSegments(Phase& phase);
  static const Log kSilent;
  NibPlan& plan_;
  Placement placement_;
};

// Validates `desc` and fills `plan`, whose op is set.
NibResult planInto(NibPlan& plan, const AnyDesc& desc);

// For self-tests: the description of a small problem with the same pipelines as `plan`, and, if one is found, with
// more than one tile in every direction in which the plan has more than one.
AnyDesc smallProblem(const NibPlan& plan);

inline Slot wholeSlot(NibRole role) {
  Slot slot;
  slot.kind = Slot::kWhole;
  slot.role = role;
  return slot;
}

// The bytes of a role's range from part_offset on.
inline Slot tailSlot(NibRole role, uint64_t part_offset) {
  Slot slot = wholeSlot(role);
  slot.part_offset = part_offset;
  return slot;
}

inline Slot itemSlot(NibRole role, uint64_t part_offset, uint64_t row_bytes, uint64_t item_bytes,
                     uint64_t row_size_bytes) {
  Slot slot;
  slot.kind = Slot::kItems;
  slot.role = role;
  slot.part_offset = part_offset;
  slot.row_bytes = row_bytes;
  slot.item_bytes = item_bytes;
  slot.row_size_bytes = row_size_bytes;
  return slot;
}

// Bytes that every row block reads, one part per item: the weights of a product.
inline Slot sharedSlot(NibRole role, uint64_t part_offset, uint64_t item_bytes, uint64_t size_bytes) {
  Slot slot;
  slot.kind = Slot::kShared;
  slot.role = role;
  slot.part_offset = part_offset;
  slot.item_bytes = item_bytes;
  slot.row_size_bytes = size_bytes;
  return slot;
}

// Defines the struct of a kernel's specialization constants from its NAME_SPEC list.
#define NIB_SPEC_STRUCT(Type, LIST) \
  struct Type {                     \
    LIST(NIB_SPEC_MEMBER)           \
  };

}  // namespace nib
#endif
