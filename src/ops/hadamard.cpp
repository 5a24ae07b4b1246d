// NIB_OP_HADAMARD: validation, memory, kernels, and the transform of one block on the host.
#include "plan/op.h"

#include <bit>
#include <cmath>

#include "ops/hadamard_shape.h"
#include "ops/parts.h"
#include "ops/tuning.h"
#include "plan/probe.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#include "shaders/ops/hadamard.h"
#endif

namespace nib {
namespace {

// Words of elements and tables that every device's shared memory holds.
constexpr uint32_t kLeastShared = 16384 / 4;

// Whether some device has no room for a whole block.
bool mayNeedScratch(const HadamardShape& s) {
  return s.size + (s.matrix.order > 1 ? s.matrix.order : 0) > kLeastShared;
}

}  // namespace

NibResult makeHadamardShape(const NibHadamardDesc& d, const Log& log, HadamardShape* s) {
  constexpr const char* kName = "hadamard";
  *s = {};
  if (d.flags & ~uint32_t(NIB_HADAMARD_SIGNS)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: flags 0x%x has unknown bits", kName, d.flags);
  }
  s->source_stride = d.source_stride;
  s->result_stride = d.result_stride;
  NibResult result = checkDense(kName, "source", d.rows, d.cols, d.source_type, false, log, &s->source_stride);
  if (result == NIB_SUCCESS)
    result = checkDense(kName, "result", d.rows, d.cols, d.result_type, true, log, &s->result_stride);
  if (result != NIB_SUCCESS) return result;
  s->size = d.size != 0 ? d.size : d.cols;
  if (d.cols % s->size != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: size %u must divide cols %u", kName, s->size, d.cols);
  }
  s->matrix = hadamard::findMatrix(s->size);
  if (s->matrix.order == 0) {
    return log.fail(NIB_ERROR_UNSUPPORTED,
                    "%s: %s %u: no Hadamard matrix of that order is known here (nibHadamardOrder); choose a size of "
                    "blocks that divides cols",
                    kName, d.size != 0 ? "size" : "cols", s->size);
  }
  s->factor = float(1.0 / std::sqrt(double(s->size)));
  return NIB_SUCCESS;
}

namespace {

NibResult getMemory(const NibHadamardDesc& d, const Log& log, NibMemory* memory) {
  HadamardShape s;
  const NibResult result = makeHadamardShape(d, log, &s);
  if (result != NIB_SUCCESS) return result;
  if (d.flags & NIB_HADAMARD_SIGNS) {
    setRange(memory, NIB_ROLE_WEIGHTS, addPart(memory, NIB_ROLE_WEIGHTS, NIB_PART_SIGNS, 0, uint64_t(d.cols) * 4));
  }
  const uint64_t source_bytes = denseBytes(d.rows, d.cols, d.source_type, s.source_stride);
  setRange(memory, NIB_ROLE_INPUT, addPart(memory, NIB_ROLE_INPUT, NIB_PART_SOURCE, 0, source_bytes));
  const uint64_t result_bytes = denseBytes(d.rows, d.cols, d.result_type, s.result_stride);
  setRange(memory, NIB_ROLE_OUTPUT, addPart(memory, NIB_ROLE_OUTPUT, NIB_PART_RESULT, 0, result_bytes));
  if (mayNeedScratch(s)) {
    const uint64_t scratch_bytes = uint64_t(d.rows) * d.cols * 4;
    setPart(memory, NIB_PART_SCRATCH, 0, scratch_bytes);
    setRange(memory, NIB_ROLE_AUX, scratch_bytes);
  }
  return NIB_SUCCESS;
}

void runReference(const NibHadamardDesc& d, const HostRun& run) {
  HadamardShape s;
  if (makeHadamardShape(d, Log(), &s) == NIB_SUCCESS) hadamardReference(d, s, run);
}

uint32_t blockSize(const NibHadamardDesc& d) { return d.size != 0 ? d.size : d.cols; }

// Whole blocks.
NibHadamardDesc resized(const NibHadamardDesc& desc, Dims dims) {
  NibHadamardDesc d = desc;
  d.size = blockSize(desc);
  d.rows = dims.rows;
  d.cols = uint32_t(ceilDiv(dims.cols, d.size)) * d.size;
  d.source_stride = strideLike(d.source_stride, desc.cols, d.cols);
  d.result_stride = strideLike(d.result_stride, desc.cols, d.cols);
  return d;
}

constexpr uint32_t kTileElements = 1024;  // of blocks that are shorter
constexpr uint32_t kWorkgroup = 128, kLongWorkgroup = 256;
constexpr uint32_t kMostRun = 64;  // neighbouring columns of a tile of parts

// Several tiles of a row, the last one partial; and all of a long block.
void smallDims(const NibHadamardDesc& d, SmallDims* list) {
  const uint32_t size = blockSize(d), blocks = d.cols / size;
  const uint32_t tile = size < kTileElements ? kTileElements / size : 1;
  const uint32_t cols = (blocks < 2 * tile + 1 ? blocks : 2 * tile + 1) * size;
  list->add(ampleRows(d.rows, cols), cols);
  if (blocks * uint64_t(size) <= UINT32_MAX) list->add(d.rows < 3 ? d.rows : 3, d.cols);
}

// Elements up to 2, signs of either kind.
void fillProbe(const NibHadamardDesc& d, const NibMemory& memory, const NibCpuBinding& binding) {
  probe::Sequence sequence(0x27d4eb2fu);
  void* source = partOf<void>(memory, binding, NIB_ROLE_INPUT, NIB_PART_SOURCE);
  for (uint64_t i = 0; i < memory.part[NIB_PART_SOURCE].size_bytes / typeBytes(d.source_type); ++i) {
    const uint32_t r = sequence.next();
    storeDense(source, d.source_type, i, (r & 0x80000000u) | (0x3c000000u + (r >> 1 & 0x03ffffffu)));
  }
  uint32_t* signs = partOf<uint32_t>(memory, binding, NIB_ROLE_WEIGHTS, NIB_PART_SIGNS);
  for (uint32_t i = 0; signs != nullptr && i < d.cols; ++i) signs[i] = 0x3f800000u | (sequence.next() & 0x80000000u);
}

Tolerance tolerance(const NibHadamardDesc& d, NibPart) { return {d.result_type, 0x1p-13}; }

bool mayAlias(const NibHadamardDesc& d, NibPart written, NibPart other) {
  HadamardShape s;
  return written == NIB_PART_RESULT && other == NIB_PART_SOURCE && d.result_type == d.source_type &&
         makeHadamardShape(d, Log(), &s) == NIB_SUCCESS && s.result_stride == s.source_stride;
}

#if !defined(NIB_NO_VULKAN)

NIB_SPEC_STRUCT(HadamardSpec, HADAMARD_SPEC)

uint32_t log2Of(uint32_t power_of_two) { return uint32_t(std::bit_width(power_of_two)) - 1; }

struct Build {
  const NibHadamardDesc& d;
  const NibMemory& memory;
  PlanBuilder& builder;
  HadamardShape s;

  uint32_t order() const { return s.matrix.order; }
  uint32_t length() const { return s.size / order(); }
  uint32_t tableBytes() const { return hadamard::tableSize(s.matrix) * 4; }
  uint32_t word(NibPart part) const { return uint32_t(memory.part[part].offset_bytes / 4); }

  // Types, strides and slots of a phase; one of two phases has scratch for its source or its result.
  struct Ends {
    bool from_scratch, to_scratch;
  };

  NibResult add(HadamardSpec spec, HadamardPush push, const Ends& ends, bool with_matrix, uint64_t item) const {
    spec.WG = builder.workgroupSize(spec.QUADS > 512 ? kLongWorkgroup : kWorkgroup);
    spec.SOURCE_TYPE = ends.from_scratch ? uint32_t(NIB_TYPE_F32) : d.source_type;
    spec.RESULT_TYPE = ends.to_scratch ? uint32_t(NIB_TYPE_F32) : d.result_type;
    push.cols = d.cols;
    push.source_stride = ends.from_scratch ? d.cols : s.source_stride;
    push.result_stride = ends.to_scratch ? d.cols : s.result_stride;
    const auto aligned = [&](uint32_t stride) { return d.rows == 1 || stride % 4 == 0; };
    spec.VEC = d.cols % 4 == 0 && aligned(push.source_stride) && aligned(push.result_stride);
    spec.SIGNS = !ends.from_scratch && (d.flags & NIB_HADAMARD_SIGNS) != 0;
    if (with_matrix) {
      spec.KIND = s.matrix.kind;
      spec.ORDER = order();
      spec.PRIME = s.matrix.prime;
      spec.TABLE = hadamard::tableSize(s.matrix);
    }
    push.source_word = ends.from_scratch ? 0 : word(NIB_PART_SOURCE);
    push.result_word = ends.to_scratch ? 0 : word(NIB_PART_RESULT);
    push.signs_word = word(NIB_PART_SIGNS);
    TileRule tiles;
    tiles.mul = push.tiles;
    const auto slotOf = [&](NibPart part, uint32_t type, uint32_t stride) {
      const NibMemoryPart& p = memory.part[part];
      const uint64_t bytes = typeBytes(type);
      return itemSlot(NibRole(p.role), p.offset_bytes, stride * bytes, item * bytes, d.cols * bytes);
    };
    const Slot scratch = slotOf(NIB_PART_SCRATCH, NIB_TYPE_F32, d.cols);
    const Slot source = slotOf(NIB_PART_SOURCE, d.source_type, s.source_stride).of(NIB_PART_SOURCE);
    const Slot result = slotOf(NIB_PART_RESULT, d.result_type, s.result_stride).of(NIB_PART_RESULT).moving();
    Slot signs;
    if (spec.SIGNS) signs = tailSlot(NIB_ROLE_WEIGHTS, memory.part[NIB_PART_SIGNS].offset_bytes).of(NIB_PART_SIGNS);
    const Slot slots[kSlotCount] = {signs, ends.from_scratch ? scratch : source, ends.to_scratch ? scratch : result,
                                    Slot{}};
    const uint64_t tile_bytes =
        uint64_t(spec.QUADS) * 4 *
        (typeBytes(spec.SOURCE_TYPE) + typeBytes(spec.RESULT_TYPE) + (with_matrix ? order() / 4 : 0));
    return builder.add(with_matrix ? "hadamard_matrix" : "hadamard", 0, spec, push,
                       spec.QUADS * 16 + (with_matrix ? tableBytes() : 0), tiles, slots, tile_bytes);
  }

  // Whole blocks, of `size` elements with butterflies over `length` of them.
  NibResult addBlocks(uint32_t size, uint32_t butterflies, const Ends& ends, bool with_matrix, float factor) const {
    HadamardSpec spec;
    const uint32_t blocks = d.cols / size;
    uint32_t pack = size < kTileElements ? kTileElements / size : 1;
    if (pack > blocks) pack = blocks;
    spec.QUADS = uint32_t(ceilDiv(pack * size, 4));  // blocks of two elements may end within a quad
    spec.LOW = 1;
    spec.STAGES = log2Of(butterflies);
    spec.RUN = spec.QUADS * 4;
    HadamardPush push{};
    push.span = spec.QUADS * 4;
    push.tiles = uint32_t(ceilDiv(d.cols, push.span));
    push.parts = 1;
    push.step = 0;
    push.factor = factor;
    return add(spec, push, ends, with_matrix, push.span);
  }

  // The parts of a block, of `length` elements each whose butterflies are done: those across parts, and the matrix.
  NibResult addParts(uint32_t part, uint32_t most_elements) const {
    HadamardSpec spec;
    const uint32_t parts = s.size / part;
    spec.RUN = 4;
    while (spec.RUN * 2 <= kMostRun && spec.RUN * 2 <= part && uint64_t(parts) * spec.RUN * 2 <= most_elements)
      spec.RUN *= 2;
    spec.QUADS = parts * spec.RUN / 4;
    spec.LOW = spec.RUN;
    spec.STAGES = log2Of(parts / order());
    HadamardPush push{};
    push.span = s.size;
    push.parts = part / spec.RUN;
    push.tiles = push.parts * (d.cols / s.size);
    push.step = part;
    push.factor = s.factor;
    return add(spec, push, {true, false}, order() > 1, 0);
  }
};

NibResult build(const NibHadamardDesc& d, const NibMemory& memory, PlanBuilder& builder) {
  Build b{d, memory, builder, {}};
  const NibResult checked = makeHadamardShape(d, Log(), &b.s);
  if (checked != NIB_SUCCESS) return checked;
  const uint32_t shared = builder.caps().max_shared_bytes;
  const uint32_t room = (shared - b.tableBytes()) / 4;
  if (b.s.size <= room) return b.addBlocks(b.s.size, b.length(), {false, false}, b.order() > 1, b.s.factor);
  uint32_t part = b.length() < kLeastShared ? b.length() : kLeastShared;
  if (part < 4 || uint64_t(b.s.size / part) * 4 > room) {
    return builder.log().fail(NIB_ERROR_UNSUPPORTED,
                              "hadamard: size %u needs more than the device's %u bytes of shared memory", b.s.size,
                              shared);
  }
  const NibResult result = b.addBlocks(part, part, {false, true}, false, 1.0f);
  return result == NIB_SUCCESS ? b.addParts(part, kLeastShared) : result;
}

#endif

constexpr Op<NibHadamardDesc> kHadamard = {
    .op = NIB_OP_HADAMARD,
    .name = "hadamard",
    .getMemory = getMemory,
    .runRows =
        [](const NibHadamardDesc& d) {
          return RunRows{d.rows, false, d.rows};
        },
    .runReference = runReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims =
        [](const NibHadamardDesc& d) {
          return Dims{d.rows, d.cols};
        },
    .resized = resized,
    .smallDims = smallDims,
    .fillProbe = fillProbe,
    .tolerance = tolerance,
    .mayAlias = mayAlias,
};

}  // namespace

NIB_DEFINE_OP(hadamard, NibHadamardDesc, kHadamard)

}  // namespace nib

extern "C" uint32_t nibHadamardOrder(uint32_t size) { return nib::hadamard::findMatrix(size).order; }

extern "C" NibResult nibHadamardTransform(double* x, uint32_t size, const float* signs) {
  if (x == nullptr) return NIB_ERROR_INVALID_ARGUMENT;
  const nib::hadamard::Matrix matrix = nib::hadamard::findMatrix(size);
  if (matrix.order == 0) return NIB_ERROR_UNSUPPORTED;
  for (uint32_t i = 0; signs != nullptr && i < size; ++i) {
    if (std::signbit(signs[i])) x[i] = -x[i];
  }
  const uint32_t length = size / matrix.order;
  for (uint32_t gap = 1; gap < length; gap *= 2) {
    for (uint32_t i = 0; i < size; ++i) {
      if (i & gap) continue;
      const double a = x[i], b = x[i + gap];
      x[i] = a + b;
      x[i + gap] = a - b;
    }
  }
  const nib::hadamard::Entries entries(matrix);
  const double factor = 1.0 / std::sqrt(double(size));
  for (uint32_t col = 0; col < length; ++col) {
    double column[nib::hadamard::kMostOrder];
    for (uint32_t j = 0; j < matrix.order; ++j) column[j] = x[j * size_t(length) + col];
    for (uint32_t k = 0; k < matrix.order; ++k) {
      double sum = 0;
      for (uint32_t j = 0; j < matrix.order; ++j) sum += entries.at(k, j) * column[j];
      x[k * size_t(length) + col] = sum * factor;
    }
  }
  return NIB_SUCCESS;
}
