// Finds a small problem that runs the same pipelines as a plan. The op lists sizes that may do so on some device, and
// drafts of plans show which of them do on this one: a draft costs microseconds.
#include <cstring>

#include "plan/plan.h"

namespace nib {
namespace {

constexpr uint64_t kSmallElements = 1u << 21;
// Limit on the sum of all ranges. A result may be larger than its inputs, and a self-test keeps 32 copies of it.
constexpr uint64_t kMaxBytes = 8u << 20;

// How well a small problem represents the plan, best last.
enum Similarity : uint32_t {
  kOther,  // other pipelines
  kSame,   // the same pipelines
  kTiles,  // also several tiles, if the plan has several
  kSpread  // also several row blocks, items and tiles along a row, where the plan has several
};

Similarity similarityOf(const NibPlan& small, const NibPlan& plan) {
  if (small.phase_count != plan.phase_count) return kOther;
  Similarity similarity = kSpread;
  for (uint32_t p = 0; p < plan.phase_count; ++p) {
    const Phase& s = small.phase[p];
    const Phase& l = plan.phase[p];
    if (s.row != l.row || s.spec_hash != l.spec_hash) return kOther;
    const TileRule& from = l.tiles;
    const TileRule& to = s.tiles;
    const bool spread = (from.rowsOf(plan.kernelRows(plan.rows.max)) <= from.row_block ||
                         to.rowsOf(small.kernelRows(small.rows.max)) > to.row_block) &&
                        (from.mul == 1 || to.mul > 1) && (from.mul <= from.div || to.mul > to.div);
    if (l.tile_count > 1 && s.tile_count < 2) {
      similarity = kSame;
    } else if (!spread && similarity == kSpread) {
      similarity = kTiles;
    }
  }
  return similarity;
}

}  // namespace

AnyDesc smallProblem(const NibPlan& plan) {
  const OpRow& op = *plan.op;
  const NibOpDesc* whole = plan.desc.get();
  AnyDesc small = plan.desc;
  SmallDims list;
  op.smallDims(whole, &list);
  uint32_t best = 0;
  uint64_t best_elements = UINT64_MAX;
  const auto consider = [&](Dims dims) {
    const uint64_t elements = uint64_t(dims.rows) * dims.cols;
    if (elements == 0 || elements > kSmallElements) return;
    const uint32_t ample = elements < kAmpleElements ? 0u : dims.cols < kAmpleCols ? 1u : 2u;
    if (elements >= best_elements && kSpread * 3u + ample <= best) return;  // cannot be better than the best so far
    AnyDesc candidate;
    op.resized(whole, dims, candidate.bytes);
    NibPlan draft(plan.context);
    draft.op = plan.op;
    draft.draft = true;
    if (planInto(draft, candidate) != NIB_SUCCESS) return;
    uint64_t bytes = 0;
    for (const NibMemoryRange& range : draft.memory.range) bytes += range.size_bytes;
    if (bytes > kMaxBytes) return;
    const Similarity similarity = similarityOf(draft, plan);
    const uint32_t score = similarity * 3u + ample;
    if (similarity == kOther || score < best || (score == best && elements >= best_elements)) return;
    best = score;
    best_elements = elements;
    small = candidate;
  };
  for (const Dims& dims : list) consider(dims);
  consider(op.dims(whole));
  return small;
}

}  // namespace nib
