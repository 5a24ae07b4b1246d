// Shared by the cases of ops that reduce a dense matrix to statistics.
#ifndef NIB_SELFTEST_STATISTICS_H
#define NIB_SELFTEST_STATISTICS_H

#include "selftest/lists.h"

#include <span>

namespace nib::selftest {

// Every granularity, shape and type; of the quick list one in `quick_every`.
template <class Desc>
void listStatistics(NibOp op, std::span<const uint32_t> granularities, uint32_t quick_every, Extent extent,
                    std::vector<Case>& list) {
  Counter counter;
  for (const uint32_t granularity : granularities) {
    for (const Shape& shape : kShapes) {
      for (uint32_t type = 0; type < 3; ++type) {
        ++counter.i;
        if (extent == Extent::kQuick && counter.pick(quick_every) != 0) continue;
        Case c;
        c.seed = counter.i;
        c.recipe = counter.recipe();
        Desc& d = c.describe<Desc>(op);
        d.rows = shape.rows;
        d.cols = shape.cols;
        d.source_type = type;
        d.granularity = granularity;
        if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.pick(5);
        c.n = rowsOfRun(counter, shape.rows);
        list.push_back(c);
      }
    }
  }
}

template <class Desc>
std::string nameStatistics(const Case& c, const Desc& d) {
  return std::string(" ") + typeName(d.source_type) + " per " + granularityName(d.granularity) +
         dimsName(d.rows, d.cols, d.source_stride, c.n) + dataName(c);
}

template <class Desc>
void fillStatistics(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_INPUT) range = makeNumbers(c.recipe, d.source_type, memory.range[role].size_bytes, c.seed);
}

// A case of fp32 without strides, of all rows.
template <class Desc>
Case plainStatistics(NibOp op, uint64_t first_seed, uint32_t rows, uint32_t cols, uint32_t granularity, Recipe recipe) {
  Case c;
  c.recipe = recipe;
  c.seed = first_seed + rows;
  c.n = rows;
  Desc& d = c.describe<Desc>(op);
  d.rows = rows;
  d.cols = cols;
  d.source_type = NIB_TYPE_F32;
  d.granularity = granularity;
  return c;
}

// The large cases of tails and slices. plain(rows, cols, granularity, recipe) makes one.
template <class Plain>
void addStatistics(Large purpose, std::span<const uint32_t> granularities, Plain plain, std::vector<Case>& list) {
  if (purpose == Large::kTails) {
    forEachTail([&](const Shape& shape, uint32_t granularity) {
      list.push_back(plain(shape.rows, shape.cols, granularity, Recipe::kMixed));
    });
  }
  if (purpose != Large::kSlices) return;
  for (const uint32_t granularity : granularities) {
    list.push_back(plain(kSliceShape.rows, kSliceShape.cols, granularity, Recipe::kNonFinite));
  }
}

}  // namespace nib::selftest
#endif
