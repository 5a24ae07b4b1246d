// Cases of repack: every layout that takes the format, both ways; whole words and rows that share them, odd block
// counts, zero points.
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibRepackDesc;

constexpr Shape kRepackShapes[] = {{33, 160}, {5, 36}, {7, 32}, {64, 256}, {3, 1058}, {130, 96}};
// Whole super-blocks, in rows that share words of packed ones or not.
constexpr Shape kSuperShapes[] = {{33, 512}, {5, 256}, {7, 768}, {64, 256}, {3, 2304}, {1, 1280}};
static_assert(std::size(kSuperShapes) == std::size(kRepackShapes));
constexpr Sharing kRepackSharings[] = {{NIB_GRANULARITY_GROUP, 32, 0},
                                       {NIB_GRANULARITY_ROW, 0, 0},
                                       {NIB_GRANULARITY_TENSOR, 0, 0},
                                       {NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT}};

bool unpacks(const Desc& d) { return (d.flags & NIB_REPACK_UNPACK) != 0; }

void list(const NibFormatInfo* format, Extent extent, std::vector<Case>& list) {
  if (format == nullptr) return;
  Counter counter;
  const bool super = (format->flags & NIB_FORMAT_SUPER_BLOCKS) != 0;
  for (uint32_t layout = NIB_LAYOUT_ROWS; layout <= NIB_LAYOUT_WORDS; ++layout) {
    for (const Sharing& sharing : kRepackSharings) {
      for (const Shape& shape : super ? kSuperShapes : kRepackShapes) {
        for (const uint32_t flags : {0u, uint32_t(NIB_REPACK_UNPACK)}) {
          const uint32_t mode = layout == NIB_LAYOUT_PACKED_ROWS ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) : 0u;
          ++counter.i;
          const bool grouped = sharing.granularity == NIB_GRANULARITY_GROUP;
          const uint32_t group = super && grouped ? format->group_max : sharing.group;
          if (!canHave(*format, {sharing.granularity, group, sharing.flags}, mode)) continue;
          if (extent == Extent::kQuick && counter.pick(3) != 0) continue;
          Case c;
          c.seed = counter.i;
          c.n = sharing.flags != 0 || counter.i % 5 != 2 ? shape.rows : (shape.rows + 1) / 2;
          Desc& d = c.describe<Desc>(NIB_OP_REPACK);
          d.flags = flags;
          d.rows = shape.rows;
          d.cols = shape.cols;
          d.layout = layout;
          d.weights = weightsOf(format->format, sharing.granularity, group, sharing.flags | mode,
                                scaleType(*format, counter.i / 7));
          if (canBePlanned(c)) list.push_back(c);
        }
      }
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  static const char* const kLayouts[] = {"?", "rows", "packed rows", "bitsandbytes", "gguf", "words"};
  return std::string(unpacks(d) ? " from " : " to ") + kLayouts[d.layout] + " " + weightsName(d.weights) +
         dimsName(d.rows, d.cols, 0, c.n) + dataName(c);
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == (unpacks(d) ? NIB_ROLE_INPUT : NIB_ROLE_WEIGHTS)) range = makeBits(memory.range[role].size_bytes, c.seed);
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_REPACK,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.layout | d.flags << 8); },
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .lines =
        [](const Desc& d, const NibMemory& memory, NibRole role, NibPart part) {
          return role == NIB_ROLE_WEIGHTS ? linesOfWeights(d.weights, d.rows, memory, part) : Lines{};
        },
};

}  // namespace

NIB_DEFINE_CASES(repack, NibRepackDesc, kCases)

}  // namespace nib::selftest
