#include "model/calibrate/calibration.h"

#include <nibble/formats.h>

#include "model/archive/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace nib::model {
namespace {

constexpr struct {
  std::string_view name;
  NibRangeMethod method;
} kMethods[] = {{"minmax", NIB_RANGE_MINMAX},
                {"percentile", NIB_RANGE_PERCENTILE},
                {"mse", NIB_RANGE_MSE},
                {"entropy-ort", NIB_RANGE_ENTROPY_ORT},
                {"entropy-trt", NIB_RANGE_ENTROPY_TRT}};
constexpr double kDefaultPercentile = 99.99;

// The shortest text that reads back as the same number.
std::string shortest(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return std::string(text, end);
}

NibRange emaRange(const NibEma& ema, bool symmetric) {
  NibRange range{sizeof(NibRange)};
  range.max = symmetric ? std::max(std::fabs(ema.min), std::fabs(ema.max)) : std::max(ema.max, 0.0);
  range.min = symmetric ? -range.max : std::min(ema.min, 0.0);
  return range;
}

// Keeps the last log line of a call, for the message of an exception.
struct LastLine {
  std::string text;
  NibLog log() {
    return {[](void* user, NibSeverity, const char* line) { static_cast<LastLine*>(user)->text = line; }, this};
  }
};

// A histogram of Collected as nibFindRange takes it.
class RangeSource {
 public:
  RangeSource(const Collected& collected, size_t index) {
    const Histogram& h = collected.histograms[index];
    data_.bins = collected.bins;
    data_.histogram_flags = NIB_HISTOGRAM_SIGNED;
    data_.head = &h.head;
    data_.counts = h.counts.data();
    if (!collected.log_bits) return;
    log_counts_ = withEmpty(h.log_counts, *collected.log_bits);
    data_.mantissa_bits = *collected.log_bits;
    data_.log_counts = log_counts_.data();
  }
  RangeSource(const RangeSource&) = delete;  // data_ points into it
  RangeSource& operator=(const RangeSource&) = delete;

  const NibRangeData* data() const { return &data_; }

 private:
  std::vector<uint64_t> log_counts_;
  NibRangeData data_{sizeof(NibRangeData)};
};

}  // namespace

std::string RangeChoice::name() const {
  if (ema) return "ema";
  for (const auto& m : kMethods) {
    if (m.method != method) continue;
    return std::string(m.name) + (method == NIB_RANGE_PERCENTILE ? ":" + shortest(percentile) : "");
  }
  return "?";
}

std::optional<RangeChoice> findRangeChoice(std::string_view name) {
  RangeChoice choice;
  if (name == "ema") {
    choice.ema = true;
    return choice;
  }
  const size_t colon = name.find(':');
  for (const auto& m : kMethods) {
    if (m.name != name.substr(0, colon)) continue;
    choice.method = m.method;
    if (m.method == NIB_RANGE_PERCENTILE) choice.percentile = kDefaultPercentile;
    if (colon == std::string_view::npos) return choice;
    const std::string_view number = name.substr(colon + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), choice.percentile);
    const bool whole = error == std::errc() && end == number.data() + number.size();
    if (m.method != NIB_RANGE_PERCENTILE || !whole || !(choice.percentile > 50 && choice.percentile <= 100))
      return std::nullopt;
    return choice;
  }
  return std::nullopt;
}

void mergeCollected(Collected& into, const Collected& from, const std::string& name) {
  const auto refuse = [&](const std::string& what) {
    throw Error("tensor " + quoteText(name) + ": cannot be merged: " + what);
  };
  if (into.channels != from.channels) {
    refuse(std::to_string(into.channels) + " channels in one, " + std::to_string(from.channels) + " in the other");
  }
  if (into.by_channel != from.by_channel) refuse("one is by channel, the other is not");
  if (into.bins != from.bins) refuse("their histograms have different numbers of bins");
  if (into.log_bits && from.log_bits && *into.log_bits != *from.log_bits) {
    refuse("their log-spaced counts have different numbers of mantissa bits");
  }
  for (const CollectedData& data : from.data) {
    if (std::any_of(into.data.begin(), into.data.end(), [&](const CollectedData& d) { return d.hash == data.hash; })) {
      refuse("both were collected from the data " + data.hash + ", which would count twice");
    }
  }
  for (size_t i = 0; i < into.histograms.size(); ++i) {
    const NibHistogramHead &one = into.histograms[i].head, &other = from.histograms[i].head;
    uint64_t sum = 0;
    if (__builtin_add_overflow(one.finite_count, other.finite_count, &sum) ||
        __builtin_add_overflow(one.nonfinite_count, other.nonfinite_count, &sum)) {
      refuse("they have more than 2^64 values together");
    }
  }
  uint64_t tokens = 0;
  for (const std::vector<CollectedData>* list : {&std::as_const(into.data), &from.data}) {
    for (const CollectedData& data : *list) {
      if (__builtin_add_overflow(tokens, data.tokens, &tokens)) refuse("they have more than 2^64 tokens together");
    }
  }
  for (size_t i = 0; i < into.histograms.size(); ++i) {
    Histogram& a = into.histograms[i];
    const Histogram& b = from.histograms[i];
    nibHistogramMerge(into.bins, NIB_HISTOGRAM_SIGNED, &a.head, a.counts.data(), &b.head, b.counts.data(), nullptr);
    if (into.log_bits && from.log_bits) {
      mergeCounts(a.log_counts, b.log_counts);
    } else {
      a.log_counts.clear();
    }
    NibMoments& m = into.moments[i];
    m.finite_count += from.moments[i].finite_count;
    m.nonfinite_count += from.moments[i].nonfinite_count;
    m.absmax = std::max(m.absmax, from.moments[i].absmax);
    m.sum += from.moments[i].sum;
    m.squares += from.moments[i].squares;
  }
  if (!from.log_bits) into.log_bits.reset();
  // A moving average depends on the order of the data, which merging does not define.
  into.ema.clear();
  into.data.insert(into.data.end(), from.data.begin(), from.data.end());
  std::sort(into.data.begin(), into.data.end());
}

void chooseRanges(CalibratedTensor& tensor, const RangeChoice& choice, const std::string& name) {
  const Collected& c = tensor.collected;
  if (choice.ema && c.ema.empty()) {
    throw Error("tensor " + quoteText(name) +
                ": --range ema: moving averages follow one order of the data and were lost in merging; "
                "calibrate on all data at once, or use another method");
  }
  tensor.choice = choice;
  tensor.ranges.clear();
  const uint32_t flags = choice.symmetric ? uint32_t(NIB_RANGE_SYMMETRIC) : 0u;
  for (size_t i = 0; i < c.histograms.size(); ++i) {
    NibRange range{sizeof(NibRange)};
    LastLine last_line;
    const NibLog log = last_line.log();
    if (choice.ema) {
      range = emaRange(c.ema[i], choice.symmetric);
    } else {
      const NibRangeDesc desc{sizeof desc, uint32_t(choice.method), flags, 0, choice.percentile};
      const RangeSource source(c, i);
      if (nibFindRange(&desc, source.data(), &log, &range) != NIB_SUCCESS) {
        throw Error("tensor " + quoteText(name) + ": " + last_line.text);
      }
    }
    ChosenRange chosen{range.min, range.max, 0, 0, (range.flags & NIB_RANGE_COARSE) != 0};
    if (nibRangeScale(NIB_FORMAT_INT8, flags, range.min, range.max, &log, &chosen.scale, &chosen.zero_point) !=
        NIB_SUCCESS) {
      throw Error("tensor " + quoteText(name) + ": " + last_line.text);
    }
    tensor.ranges.push_back(chosen);
  }
}

double clippedShare(const Collected& collected, size_t index, const ChosenRange& range) {
  const RangeSource source(collected, index);
  LastLine last_line;
  const NibLog log = last_line.log();
  double share = 0;
  if (nibClippedShare(source.data(), range.min, range.max, &log, &share) != NIB_SUCCESS) throw Error(last_line.text);
  return share;
}

}  // namespace nib::model
