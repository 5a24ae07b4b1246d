// Reference of NIB_OP_HISTOGRAM.
#include "reference/histogram.h"

#include <cstring>

#include "reference/reference.h"

namespace nib {
namespace {

constexpr uint32_t kMaxExponent = 254;  // of finite fp32 values

// One histogram and the elements that it counts.
struct Job {
  const NibHistogramDesc& d;
  const void* source;
  uint64_t first, step, run, runs, stride;  // elements first + r * stride + i * step with r < runs and i < run
  uint32_t* head;                           // a NibHistogramHead, as words: ranges have no larger alignment
  uint32_t* counts;                         // 64 bits each in two words, low word first

  template <class Body>
  void forElements(Body&& body) const {
    for (uint64_t r = 0; r < runs; ++r) {
      for (uint64_t i = 0; i < run; ++i) body(loadDense(source, d.source_type, first + r * stride + i * step));
    }
  }
};

uint64_t loadCount(const uint32_t* at) { return uint64_t(at[1]) << 32 | at[0]; }

void storeCount(uint32_t* at, uint64_t value) {
  at[0] = uint32_t(value);
  at[1] = uint32_t(value >> 32);
}

// Bin k of the positive or the negative side, counted from zero; a side has `side` bins.
uint32_t* binAt(const Job& job, uint32_t side, bool negative, uint32_t k) {
  const bool both = (job.d.flags & NIB_HISTOGRAM_SIGNED) != 0;
  return job.counts + 2 * (!both ? k : negative ? side - 1 - k : side + k);
}

// Doubles the width of the bins `doublings` times: each time two neighbours become one.
void widen(const Job& job, uint32_t side, uint32_t doublings) {
  const uint32_t sides = (job.d.flags & NIB_HISTOGRAM_SIGNED) != 0 ? 2 : 1;
  for (uint32_t s = 0; s < sides; ++s) {
    for (uint32_t i = 0; i < doublings; ++i) {
      for (uint32_t k = 0; k < side; ++k) {
        uint64_t sum = 0;
        for (uint32_t from = 2 * k; from < 2 * k + 2 && from < side; ++from) {
          sum += loadCount(binAt(job, side, s != 0, from));
        }
        storeCount(binAt(job, side, s != 0, k), sum);
      }
    }
  }
}

void runJob(const Job& job) {
  const bool fresh = (job.d.flags & NIB_HISTOGRAM_ACCUMULATE) == 0;
  const uint32_t side = (job.d.flags & NIB_HISTOGRAM_SIGNED) != 0 ? job.d.bins / 2 : job.d.bins;
  NibHistogramHead head{};
  if (fresh) {
    for (uint32_t i = 0; i < 2 * job.d.bins; ++i) job.counts[i] = 0;
  } else {
    std::memcpy(&head, job.head, sizeof head);
  }
  reference::Extent extent;
  job.forElements([&](uint32_t bits) { extent.add(bits); });

  const uint32_t before = head.exponent < kMaxExponent ? head.exponent : kMaxExponent;
  const uint32_t needed = extent.absmaxBits() >> 23;
  head.exponent = needed > before ? needed : before;
  // A side has at most 2^12 bins, so 12 doublings merge all of them into one.
  widen(job, side, head.exponent - before < 12 ? head.exponent - before : 12);

  const uint64_t finite = job.run * job.runs - extent.nonfinite;
  if (finite != 0) {
    uint32_t low = extent.low, high = extent.high, bits[2];
    if (head.finite_count != 0) {
      std::memcpy(bits, &head.min, sizeof bits);
      if (exact::nibKey(bits[0]) < low) low = exact::nibKey(bits[0]);
      if (exact::nibKey(bits[1]) > high) high = exact::nibKey(bits[1]);
    }
    bits[0] = exact::nibUnkey(low);
    bits[1] = exact::nibUnkey(high);
    std::memcpy(&head.min, bits, sizeof bits);
  }
  head.finite_count += finite;
  head.nonfinite_count += extent.nonfinite;
  std::memcpy(job.head, &head, sizeof head);

  // width = 2^(exponent - 126) / side, and an element is mantissa * 2^(field - 150).
  uint32_t log = 0;
  while ((1u << log) < side) ++log;
  job.forElements([&](uint32_t bits) {
    if (exact::nibIsNonFinite(bits)) return;
    const uint32_t magnitude = exact::magnitudeOf(exact::nibFlushBits(bits));
    const uint32_t shift = head.exponent - (magnitude >> 23) + 24 - log;
    const uint32_t k = magnitude == 0 || shift > 31 ? 0 : exact::mantissaOf(magnitude) >> shift;
    uint32_t* bin = binAt(job, side, magnitude != 0 && exact::signOf(bits) != 0, k);
    storeCount(bin, loadCount(bin) + 1);
  });
}

}  // namespace

void histogramReference(const NibHistogramDesc& desc, const HostRun& run) {
  const void* source = run.binding.range[NIB_ROLE_INPUT].data;
  auto* heads = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_HEADS);
  auto* counts = partOf<uint32_t>(run.memory, run.binding, NIB_ROLE_OUTPUT, NIB_PART_COUNTS);
  const uint64_t stride = desc.source_stride != 0 ? desc.source_stride : desc.cols;
  const uint32_t first = desc.granularity == NIB_GRANULARITY_ROW ? run.first_row : 0;
  auto body = [&](uint32_t index) {
    uint32_t* const head = heads + uint64_t(first + index) * (sizeof(NibHistogramHead) / 4);
    uint32_t* const bins = counts + uint64_t(first + index) * desc.bins * 2;
    switch (desc.granularity) {
      case NIB_GRANULARITY_ROW: runJob({desc, source, index * stride, 1, desc.cols, 1, 0, head, bins}); break;
      case NIB_GRANULARITY_COLUMN: runJob({desc, source, index, stride, run.n, 1, 0, head, bins}); break;
      default: runJob({desc, source, 0, 1, desc.cols, run.n, stride, head, bins});
    }
  };
  const uint32_t count = desc.granularity == NIB_GRANULARITY_ROW ? run.n : uint32_t(histogramCount(desc));
  if (run.n != 0) reference::forEach(run.parallel, count, body);
}

}  // namespace nib
