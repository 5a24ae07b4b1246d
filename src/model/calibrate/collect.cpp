#include "model/calibrate/collect.h"

#include "model/archive/error.h"
#include "model/archive/hash.h"
#include "model/quantize/weight_type.h"

#include <algorithm>

namespace nib::model {
namespace {

constexpr uint64_t kChunkBytes = 64u << 20;
constexpr uint32_t kTensorBins = 4096;
constexpr uint32_t kMaxChannelBins = 1024;
constexpr uint64_t kHistogramBytes = 64u << 20;  // all channels together: half of the range that any device can bind

// The number of bins per channel with which the histograms of all channels fit into kHistogramBytes.
uint32_t channelBins(uint32_t channels, const std::string& name) {
  uint32_t bins = kMaxChannelBins;
  while (bins >= NIB_HISTOGRAM_MIN_BINS && uint64_t(channels) * bins * 8 > kHistogramBytes) bins /= 2;
  if (bins < NIB_HISTOGRAM_MIN_BINS) {
    throw Error("tensor " + quoteText(name) + ": " + std::to_string(channels) +
                " channels are too many for a histogram each; use --granularity tensor");
  }
  return bins;
}

// A collecting op with its output buffers. All ops share one input buffer.
template <class Desc>
struct CollectOp {
  kit::Plan plan;
  kit::Buffer output, aux;
  kit::Binding binding;

  CollectOp(const kit::Device& device, const Desc& desc, const kit::Buffer& input)
      : plan(device, desc),
        output(device, plan.sizeBytes(NIB_ROLE_OUTPUT)),
        aux(device, plan.sizeBytes(NIB_ROLE_AUX)),
        binding(plan, kit::Ranges{.weights = {},
                                  .input = kit::Range(input, 0, plan.sizeBytes(NIB_ROLE_INPUT)),
                                  .output = output,
                                  .aux = aux}) {}
};

// The extent of a batch, accumulated over its chunks.
struct Batch {
  NibExtent extent{};
  bool has_values = false;  // any finite value

  void add(const NibExtent& more, uint64_t elements) {
    if (more.nonfinite_count == elements) return;  // without finite values min and max are undefined
    extent.min = has_values ? std::min(extent.min, more.min) : more.min;
    extent.max = has_values ? std::max(extent.max, more.max) : more.max;
    has_values = true;
  }
};

class Collector {
 public:
  Collector(const kit::Device& device, const Recording& recording, const CollectOptions& options, uint32_t rows)
      : device_(device),
        recording_(recording),
        options_(options),
        rows_(rows),
        type_(uint32_t(*nibTypeOf(recording.dtype))),
        granularity_(options.by_channel ? NIB_GRANULARITY_COLUMN : NIB_GRANULARITY_TENSOR),
        bins_(options.by_channel ? channelBins(recording.channels, recording.name) : kTensorBins),
        count_(options.by_channel ? recording.channels : 1),
        input_(device, (rows * recording.rowBytes() + 3) / 4 * 4),
        histogram_(device,
                   NibHistogramDesc{NIB_OP_HISTOGRAM, sizeof(NibHistogramDesc),
                                    NIB_HISTOGRAM_SIGNED | NIB_HISTOGRAM_ACCUMULATE, rows, recording.channels, type_, 0,
                                    granularity_, bins_},
                   input_),
        minmax_(
            device,
            NibMinMaxDesc{NIB_OP_MINMAX, sizeof(NibMinMaxDesc), 0, rows, recording.channels, type_, 0, granularity_},
            input_),
        moments_(
            device,
            NibMomentsDesc{NIB_OP_MOMENTS, sizeof(NibMomentsDesc), 0, rows, recording.channels, type_, 0, granularity_},
            input_),
        result_moments_(count_),
        ema_(count_),
        batch_(count_) {
    device.fill(histogram_.output, 0, 0, (histogram_.output.sizeBytes() + 3) / 4 * 4);
  }

  void add(std::span<const std::byte> bytes) {
    const uint32_t rows = uint32_t(bytes.size() / recording_.rowBytes());
    device_.uploadBytes(input_, 0, bytes.data(), bytes.size());
    device_.run(histogram_.binding, rows);
    device_.run(minmax_.binding, rows);
    device_.run(moments_.binding, rows);
    const std::vector<NibExtent> extents = device_.download<NibExtent>(minmax_.output, count_);
    const uint64_t elements = options_.by_channel ? rows : uint64_t(rows) * recording_.channels;
    for (size_t i = 0; i < count_; ++i) batch_[i].add(extents[i], elements);
    const uint64_t blocks = options_.by_channel ? (rows + NIB_MOMENT_ROWS - 1) / NIB_MOMENT_ROWS
                                                : (elements + NIB_MOMENT_TILE - 1) / NIB_MOMENT_TILE;
    const std::vector<NibMomentTile> tiles = device_.download<NibMomentTile>(moments_.output, size_t(blocks * count_));
    for (size_t i = 0; i < count_; ++i) nibMomentsAdd(&result_moments_[i], tiles.data() + i, blocks, count_);
  }

  void endBatch() {
    for (size_t i = 0; i < count_; ++i) {
      if (batch_[i].has_values) nibEmaAdd(&ema_[i], &batch_[i].extent, options_.ema_constant);
      batch_[i] = {};
    }
  }

  void finish(Collected& collected) const {
    collected.channels = recording_.channels;
    collected.by_channel = options_.by_channel;
    collected.bins = bins_;
    collected.moments = result_moments_;
    collected.ema = ema_;
    const NibMemory& memory = histogram_.plan.memory();
    const auto heads =
        device_.download<NibHistogramHead>(histogram_.output, count_, memory.part[NIB_PART_HEADS].offset_bytes);
    const auto counts = device_.download<uint64_t>(histogram_.output, size_t(count_) * bins_,
                                                   memory.part[NIB_PART_COUNTS].offset_bytes);
    for (size_t i = 0; i < count_; ++i) {
      collected.histograms.push_back(
          {heads[i], {counts.begin() + std::ptrdiff_t(i * bins_), counts.begin() + std::ptrdiff_t((i + 1) * bins_)}});
    }
  }

 private:
  const kit::Device& device_;
  const Recording& recording_;
  const CollectOptions& options_;
  uint32_t rows_, type_, granularity_, bins_;
  size_t count_;
  kit::Buffer input_;
  CollectOp<NibHistogramDesc> histogram_;
  CollectOp<NibMinMaxDesc> minmax_;
  CollectOp<NibMomentsDesc> moments_;
  std::vector<NibMoments> result_moments_;
  std::vector<NibEma> ema_;
  std::vector<Batch> batch_;
};

// The statistics of a recording without tokens.
Collected emptyStatistics(const Recording& recording, const CollectOptions& options) {
  Collected c;
  c.channels = recording.channels;
  c.by_channel = options.by_channel;
  c.bins = options.by_channel ? channelBins(recording.channels, recording.name) : kTensorBins;
  const size_t count = options.by_channel ? recording.channels : 1;
  c.histograms.assign(count, {{}, std::vector<uint64_t>(c.bins, 0)});
  c.moments.resize(count);
  c.ema.resize(count);
  return c;
}

}  // namespace

Collected collect(const kit::Device& device, const Recording& recording, const CollectOptions& options) {
  const std::vector<Sequence> sequences =
      chooseSequences(recording.tokens, options.sequence_length, options.samples, options.seed);
  const uint64_t row_bytes = recording.rowBytes();
  Hasher hasher;
  hasher.add(dtypeName(recording.dtype));
  hasher.add(uint64_t(recording.channels));
  uint64_t tokens = 0;
  Collected collected;
  if (sequences.empty()) {
    collected = emptyStatistics(recording, options);
  } else {
    const uint64_t longest = std::min(options.sequence_length, recording.tokens);
    const uint32_t rows = uint32_t(std::clamp<uint64_t>(kChunkBytes / row_bytes, 1, longest));
    Collector collector(device, recording, options, rows);
    std::vector<std::byte> bytes(size_t(rows * row_bytes));
    for (const Sequence& sequence : sequences) {
      for (uint64_t at = 0; at < sequence.count; at += rows) {
        const std::span<std::byte> chunk(bytes.data(),
                                         size_t(std::min<uint64_t>(rows, sequence.count - at) * row_bytes));
        recording.read((sequence.first + at) * row_bytes, chunk);
        hasher.add(std::as_bytes(chunk));
        collector.add(chunk);
        if (options.progress) options.progress(chunk.size());
      }
      collector.endBatch();
      tokens += sequence.count;
    }
    collector.finish(collected);
  }
  collected.data.push_back({hasher.digest().hex(), tokens});
  return collected;
}

}  // namespace nib::model
