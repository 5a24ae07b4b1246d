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
// All channels together, of each kind of histogram: half of the range that any device can bind.
constexpr uint64_t kHistogramBytes = 64u << 20;

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

// The mantissa bits of log-spaced counts: of a tensor the most; of channels as many as fit into kHistogramBytes, or
// none if not even one bin a binade does.
std::optional<uint32_t> logBits(bool by_channel, uint32_t channels) {
  if (!by_channel) return NIB_LOG_HISTOGRAM_MAX_BITS;
  for (uint32_t bits = NIB_LOG_HISTOGRAM_MAX_COLUMN_BITS + 1; bits-- > 0;) {
    if (uint64_t(channels) * NIB_LOG_HISTOGRAM_BINS(bits) * 8 <= kHistogramBytes) return bits;
  }
  return std::nullopt;
}

// A collecting op with its output buffers.
template <class Desc>
struct CollectOp {
  kit::Plan plan;
  kit::Buffer output, aux;
  kit::Binding binding;

  CollectOp(const kit::Device& device, const Desc& desc, const kit::Range& input)
      : plan(device, desc),
        output(device, plan.sizeBytes(NIB_ROLE_OUTPUT)),
        aux(device, plan.sizeBytes(NIB_ROLE_AUX)),
        binding(plan, kit::Ranges{.weights = {},
                                  .input = {*input.buffer, input.offset_bytes, plan.sizeBytes(NIB_ROLE_INPUT)},
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

}  // namespace

struct Collector::State {
  State(const kit::Device& on, const CollectedShape& of, bool channels, const kit::Range& input)
      : device(on),
        shape(of),
        by_channel(channels),
        bins(channels ? channelBins(of.channels, of.name) : kTensorBins),
        log_bits(logBits(channels, of.channels)),
        count(channels ? of.channels : 1),
        histogram(on,
                  NibHistogramDesc{NIB_OP_HISTOGRAM, sizeof(NibHistogramDesc),
                                   NIB_HISTOGRAM_SIGNED | NIB_HISTOGRAM_ACCUMULATE, of.rows, of.channels, of.type,
                                   of.stride, granularity(), bins},
                  input),
        minmax(on,
               NibMinMaxDesc{NIB_OP_MINMAX, sizeof(NibMinMaxDesc), 0, of.rows, of.channels, of.type, of.stride,
                             granularity()},
               input),
        moments(on,
                NibMomentsDesc{NIB_OP_MOMENTS, sizeof(NibMomentsDesc), 0, of.rows, of.channels, of.type, of.stride,
                               granularity()},
                input),
        result_moments(count),
        ema(count),
        batch(count) {
    device.fill(histogram.output, 0, 0, (histogram.output.sizeBytes() + 3) / 4 * 4);
    if (!log_bits) return;
    log_histogram.emplace(on,
                          NibLogHistogramDesc{NIB_OP_LOG_HISTOGRAM, sizeof(NibLogHistogramDesc), 0, of.rows,
                                              of.channels, of.type, of.stride, granularity(), *log_bits},
                          input);
    device.fill(log_histogram->output, 0, 0, log_histogram->output.sizeBytes());
  }
  uint32_t granularity() const { return by_channel ? NIB_GRANULARITY_COLUMN : NIB_GRANULARITY_TENSOR; }

  kit::Device device;
  CollectedShape shape;
  bool by_channel;
  uint32_t bins;
  std::optional<uint32_t> log_bits;
  size_t count;
  CollectOp<NibHistogramDesc> histogram;
  std::optional<CollectOp<NibLogHistogramDesc>> log_histogram;
  CollectOp<NibMinMaxDesc> minmax;
  CollectOp<NibMomentsDesc> moments;
  std::vector<NibMoments> result_moments;
  std::vector<NibEma> ema;
  std::vector<Batch> batch;
};

Collector::Collector(const kit::Device& device, const CollectedShape& shape, bool by_channel, const kit::Range& input)
    : state_(std::make_unique<State>(device, shape, by_channel, input)) {}
Collector::~Collector() = default;
Collector::Collector(Collector&&) noexcept = default;

void Collector::run(const std::function<void(const kit::Binding&)>& run) const {
  run(state_->histogram.binding);
  if (state_->log_histogram) run(state_->log_histogram->binding);
  run(state_->minmax.binding);
  run(state_->moments.binding);
}

void Collector::read(uint32_t rows) {
  State& s = *state_;
  const std::vector<NibExtent> extents = s.device.download<NibExtent>(s.minmax.output, s.count);
  const uint64_t elements = s.by_channel ? rows : uint64_t(rows) * s.shape.channels;
  for (size_t i = 0; i < s.count; ++i) s.batch[i].add(extents[i], elements);
  const uint64_t blocks = s.by_channel ? (rows + NIB_MOMENT_ROWS - 1) / NIB_MOMENT_ROWS
                                       : (elements + NIB_MOMENT_TILE - 1) / NIB_MOMENT_TILE;
  const std::vector<NibMomentTile> tiles = s.device.download<NibMomentTile>(s.moments.output, size_t(blocks * s.count));
  for (size_t i = 0; i < s.count; ++i) nibMomentsAdd(&s.result_moments[i], tiles.data() + i, blocks, s.count);
}

void Collector::endBatch(double ema_constant) {
  for (size_t i = 0; i < state_->count; ++i) {
    if (state_->batch[i].has_values) nibEmaAdd(&state_->ema[i], &state_->batch[i].extent, ema_constant);
    state_->batch[i] = {};
  }
}

void Collector::finish(Collected& collected) const {
  const State& s = *state_;
  collected.channels = s.shape.channels;
  collected.by_channel = s.by_channel;
  collected.bins = s.bins;
  collected.log_bits = s.log_bits;
  collected.moments = s.result_moments;
  collected.ema = s.ema;
  const NibMemory& memory = s.histogram.plan.memory();
  const auto heads =
      s.device.download<NibHistogramHead>(s.histogram.output, s.count, memory.part[NIB_PART_HEADS].offset_bytes);
  const auto counts =
      s.device.download<uint64_t>(s.histogram.output, s.count * s.bins, memory.part[NIB_PART_COUNTS].offset_bytes);
  std::vector<uint64_t> log_counts;
  const size_t log_bins = s.log_bits ? NIB_LOG_HISTOGRAM_BINS(*s.log_bits) : 0;
  if (s.log_bits) log_counts = s.device.download<uint64_t>(s.log_histogram->output, s.count * log_bins);
  for (size_t i = 0; i < s.count; ++i) {
    collected.histograms.push_back(
        {heads[i],
         {counts.begin() + std::ptrdiff_t(i * s.bins), counts.begin() + std::ptrdiff_t((i + 1) * s.bins)},
         withoutEmpty(std::span(log_counts).subspan(i * log_bins, log_bins))});
  }
}

namespace {

// The statistics of a recording without tokens.
Collected emptyStatistics(const Recording& recording, const CollectOptions& options) {
  Collected c;
  c.channels = recording.channels;
  c.by_channel = options.by_channel;
  c.bins = options.by_channel ? channelBins(recording.channels, recording.name) : kTensorBins;
  const size_t count = options.by_channel ? recording.channels : 1;
  c.log_bits = logBits(options.by_channel, recording.channels);
  c.histograms.assign(count, {{}, std::vector<uint64_t>(c.bins, 0), {}});
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
    const kit::Buffer input(device, (rows * row_bytes + 3) / 4 * 4);
    Collector collector(device, {recording.name, rows, recording.channels, uint32_t(*nibTypeOf(recording.dtype)), 0},
                        options.by_channel, input);
    std::vector<std::byte> bytes(size_t(rows * row_bytes));
    for (const Sequence& sequence : sequences) {
      for (uint64_t at = 0; at < sequence.count; at += rows) {
        const std::span<std::byte> chunk(bytes.data(),
                                         size_t(std::min<uint64_t>(rows, sequence.count - at) * row_bytes));
        recording.read((sequence.first + at) * row_bytes, chunk);
        hasher.add(std::as_bytes(chunk));
        device.uploadBytes(input, 0, chunk.data(), chunk.size());
        const uint32_t count = uint32_t(chunk.size() / row_bytes);
        collector.run([&](const kit::Binding& binding) { device.run(binding, count); });
        collector.read(count);
        if (options.progress) options.progress(chunk.size());
      }
      collector.endBatch(options.ema_constant);
      tokens += sequence.count;
    }
    collector.finish(collected);
  }
  collected.data.push_back({hasher.digest().hex(), tokens});
  return collected;
}

}  // namespace nib::model
