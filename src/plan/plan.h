// A validated op: phases of one pipeline each, how a phase's tiles map to buffers, and where it may be cut.
#ifndef NIB_PLAN_PLAN_H
#define NIB_PLAN_PLAN_H

#include "plan/kernel_table.h"
#include "plan/context.h"
#include "plan/op.h"
#include "shaders/common/interface.h"
#include "plan/choose.h"

namespace nib {

// Tiles (workgroups) of a phase for n rows: ceil(ceil(n / row_block) * mul / div), or `fixed` whatever n is.
// An item is one of the row_block * mul things a row block has: a run of elements, a group, a chunk, a row.
struct TileRule {
  uint32_t row_block = 1;
  uint64_t mul = 1;  // items per row block
  uint64_t div = 1;  // items per tile
  uint32_t fixed = 0;
  uint32_t rows = 0;  // of the phase, however many a run has, if it has any; 0 = the run's

  uint32_t rowsOf(uint32_t n) const { return rows != 0 && n != 0 ? rows : n; }
  uint64_t items(uint32_t n) const { return (uint64_t(n) + row_block - 1) / row_block * mul; }
  uint64_t tiles(uint32_t n) const {
    if (n == 0) return 0;
    return fixed != 0 ? fixed : (items(n) + div - 1) / div;
  }
};

// What a kernel's binding sees. Windows follow the items of the tiles in a dispatch.
struct Slot {
  enum Kind : uint32_t {
    kUnused,
    kWhole,  // the role's range from part_offset on, whatever the tiles; must fit one window
    kItems,  // row block r, item i: bytes from r * row_block * row_bytes + i * item_bytes on
    kShared  // item i of every row block: bytes from i * item_bytes on, row_size_bytes in all
  };
  Kind kind = kUnused;
  uint32_t role = 0;          // NibRole
  uint64_t part_offset = 0;   // bytes from the range's start to row 0
  uint64_t row_bytes = 0;     // from row to row
  uint64_t item_bytes = 0;    // of one item within a row; 0 = an item may touch all of its row block
  uint64_t row_size_bytes = 0;  // of a row, without padding
  uint64_t origin_bytes = 0;    // from the range's start to where the kernel counts from; see PlanBuilder::place
  uint64_t end_bytes = 0;       // of what the kernel takes for the range; 0 = the range's
};

struct Span {
  uint64_t begin, end;  // bytes from the role's range start
};

struct Segment {  // tiles [first, end) whose windows fit the device
  uint64_t tile_first, tile_end;
};

struct Phase {
  const KernelRow* row;
  VkPipeline pipeline;
  uint64_t spec_hash;
  TileRule tiles;
  uint64_t tile_count;  // for max_rows
  uint64_t tiles_per_slice;
  uint32_t first_slice, slice_count;
  uint32_t first_segment, segment_count;
  Slot slot[kSlotCount];
  uint32_t push_bytes;
  alignas(4) uint8_t push[kPushBytes];  // head left empty
};

inline constexpr uint32_t kMaxPhases = 6;

}  // namespace nib

struct NibPlan {
  explicit NibPlan(NibContext* owner) : context(owner), segments(owner->allocator) {}
  NibContext* context;
  const nib::OpRow* op = nullptr;
  NibMemory memory{};
  uint32_t max_rows = 0;
  bool sketch = false;      // choices and sizes only: no pipelines, no windows, no messages; never recorded
  bool fixed_rows = false;  // a run takes all rows, and kernels see them as one (FLAT)
  uint32_t phase_count = 0;
  nib::Phase phase[nib::kMaxPhases];
  nib::Array<nib::Segment> segments;
  alignas(8) uint8_t desc[128];  // the description, for the self-test

  uint32_t kernelRows(uint32_t n) const { return fixed_rows && n != 0 ? 1u : n; }
};

struct NibBinding {
  explicit NibBinding(const NibPlan* owner)
      : plan(owner), sets(owner->context->allocator), deltas(owner->context->allocator) {}
  struct Delta {
    uint32_t words[nib::kSlotCount];
  };
  const NibPlan* plan;
  nib::Array<nib::PooledSet> sets;  // by segment
  nib::Array<Delta> deltas;         // by segment
  uint64_t slack_bytes[NIB_ROLE_COUNT] = {};  // how far a run may move each range
};

namespace nib {

// Bytes of a slot that tiles [first, end) of a phase touch.
Span slotSpan(const NibPlan& plan, const Phase& phase, const Slot& slot, uint64_t first, uint64_t end);

// Window starts are multiples of this: the device's offset alignment, and four words for wide loads.
inline uint64_t windowAlignment(const NibContext& context) {
  return context.caps.offset_alignment_bytes > 16u ? context.caps.offset_alignment_bytes : 16u;
}

// What ops build plans with.
class PlanBuilder {
 public:
  explicit PlanBuilder(NibPlan& plan) : plan_(plan) {}

  const vk::Caps& caps() const { return plan_.context->caps; }
  const Log& log() const { return plan_.sketch ? kSilent : plan_.context->log; }
  // The largest range that a binding can see wherever the caller's buffers begin.
  uint64_t room() const { return caps().max_storage_range_bytes - windowAlignment(*plan_.context); }
  // Invocations for a kernel that wants `wanted`: the device's limit rounded down to a power of two.
  uint32_t workgroupSize(uint32_t wanted) const;

  // The values of the tuning that counts, or NULL.
  const uint32_t* tuned(NibTunable tunable, uint32_t format, uint32_t tokens) const;

  // Whether a kernel of this name would be found for a phase, so that an op can prefer one that not every device has.
  bool offers(const char* name, uint32_t format, uint32_t workgroup, uint32_t shared_bytes, uint32_t push_bytes) const;

  // From now on, what phases take for the range of `role` is `size_bytes` of the range of `of`, from a multiple of 256 bytes
  // on: how an op records another one's phases, on its own scratch.
  void place(NibRole role, NibRole of, uint64_t offset_bytes, uint64_t size_bytes) {
    places_[role] = {of, offset_bytes, size_bytes};
  }

  // From now on, phases take so many rows, however many a run has: all of several matrices. 0 = the run's again.
  void takeRows(uint32_t rows) { rows_ = rows; }

  // Adds a phase running kernel `name` for `format` (0 = none). Spec and Push are the kernel's interface structs; the
  // push's head is filled while recording. bytes_per_tile: traffic, for cutting slices.
  template <class Spec, class Push>
  NibResult add(const char* name, uint32_t format, const Spec& spec, const Push& push, uint32_t shared_bytes,
                const TileRule& tiles, const Slot (&slot)[kSlotCount], uint64_t bytes_per_tile) {
    static_assert(sizeof(Spec) % 4 == 0 && sizeof(Push) <= kPushBytes);
    return addPhase(name, format, reinterpret_cast<const uint32_t*>(&spec), sizeof(Spec) / 4u, &push, sizeof(Push),
                    shared_bytes, tiles, slot, bytes_per_tile);
  }

 private:
  NibResult addPhase(const char* name, uint32_t format, const uint32_t* spec, uint32_t spec_count, const void* push,
                     uint32_t push_bytes, uint32_t shared_bytes, const TileRule& tiles,
                     const Slot (&slot)[kSlotCount], uint64_t bytes_per_tile);
  static const Log kSilent;
  struct Place {
    NibRole role;
    uint64_t offset_bytes;
    uint64_t size_bytes;  // 0 = all there is
  };
  NibPlan& plan_;
  uint32_t rows_ = 0;
  Place places_[NIB_ROLE_COUNT] = {{NIB_ROLE_WEIGHTS, 0, 0}, {NIB_ROLE_INPUT, 0, 0}, {NIB_ROLE_OUTPUT, 0, 0}, {NIB_ROLE_AUX, 0, 0}};
};

// Validates and fills `plan`, which has its op.
NibResult planInto(NibPlan& plan, const NibOpDesc* desc);

// For self-tests: the description of a small problem with the pipelines of `plan`, and more than one tile in every
// direction in which the plan has more. Writes plan.op->desc_bytes to `desc`.
void smallProblem(const NibPlan& plan, void* desc);

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

// What every row block reads alike, item by item: the weights of a product with rows of activations.
inline Slot sharedSlot(NibRole role, uint64_t part_offset, uint64_t item_bytes, uint64_t size_bytes) {
  Slot slot;
  slot.kind = Slot::kShared;
  slot.role = role;
  slot.part_offset = part_offset;
  slot.item_bytes = item_bytes;
  slot.row_size_bytes = size_bytes;
  return slot;
}

// The struct of a kernel's specialization constants, from its NAME_SPEC list.
#define NIB_SPEC_STRUCT(Type, LIST) \
  struct Type {                     \
    LIST(NIB_SPEC_MEMBER)           \
  };

}  // namespace nib
#endif
