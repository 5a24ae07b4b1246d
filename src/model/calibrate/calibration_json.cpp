// Writes and reads CALIB.json.
#include "model/calibrate/calibration.h"

#include <nibble/formats.h>

#include "model/archive/error.h"
#include "model/archive/json_document.h"
#include "model/archive/posix_file.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 2;
constexpr int kOldestSchema = 1;  // without log-spaced counts
constexpr uint64_t kMaxBytes = 2'000'000'000;

// ---------------------------------------------------------------------------------------------- writing

// Run-length encodes empty bins: the counts of `bins` bins in order, where -n stands for n zeros.
Json packed(const SparseCounts& counts, uint32_t bins) {
  Json list = Json::array();
  uint32_t next = 0;
  const auto skipTo = [&](uint32_t bin) {
    if (bin != next) list.push_back(-int64_t(bin - next));
    next = bin + 1;
  };
  for (const SparseCount& c : counts) {
    skipTo(c.bin);
    list.push_back(c.count);
  }
  skipTo(bins);
  return list;
}

Json histogramJson(const Histogram& h, std::optional<uint32_t> log_bits) {
  Json json = {{"exponent", h.head.exponent},
               {"min", h.head.min},
               {"max", h.head.max},
               {"count", h.head.finite_count},
               {"nonfinite", h.head.nonfinite_count},
               {"counts", packed(withoutEmpty(h.counts), uint32_t(h.counts.size()))}};
  if (log_bits) json["log_counts"] = packed(h.log_counts, NIB_LOG_HISTOGRAM_BINS(*log_bits));
  return json;
}

Json momentsJson(const NibMoments& m) { return {{"sum", m.sum}, {"squares", m.squares}}; }

Json emaJson(const NibEma& e) { return {{"min", e.min}, {"max", e.max}, {"batches", e.batches}}; }

// A single value for granularity tensor, a list with one entry per channel for granularity channel.
template <class List, class Make>
Json perChannel(bool by_channel, const List& list, Make&& make) {
  if (!by_channel) return make(list.front());
  Json json = Json::array();
  for (const auto& item : list) json.push_back(make(item));
  return json;
}

Json tensorJson(const CalibratedTensor& t) {
  const Collected& c = t.collected;
  const auto ranges = [&](auto&& get) {
    return perChannel(c.by_channel, t.ranges, [&](const ChosenRange& r) { return Json(get(r)); });
  };
  uint64_t count = 0, nonfinite = 0, tokens = 0;
  for (const Histogram& h : c.histograms) {
    count += h.head.finite_count;
    nonfinite += h.head.nonfinite_count;
  }
  Json data = Json::array();
  for (const CollectedData& d : c.data) {
    data.push_back({{"xxh3", d.hash}, {"tokens", d.tokens}});
    tokens += d.tokens;
  }
  Json json;
  json["method"] = t.choice.name();
  json["symmetric"] = t.choice.symmetric;
  json["granularity"] = c.by_channel ? "channel" : "tensor";
  json["min"] = ranges([](const ChosenRange& r) { return r.min; });
  json["max"] = ranges([](const ChosenRange& r) { return r.max; });
  json["scale"] = ranges([](const ChosenRange& r) { return double(r.scale); });
  json["zero_point"] = ranges([](const ChosenRange& r) { return r.zero_point; });
  json["channels"] = c.channels;
  json["tokens"] = tokens;
  json["count"] = count;
  json["nonfinite"] = nonfinite;
  json["data"] = data;
  json["moments"] = perChannel(c.by_channel, c.moments, momentsJson);
  json["ema"] = c.ema.empty() ? Json(nullptr) : perChannel(c.by_channel, c.ema, emaJson);
  json["bins"] = c.bins;
  json["log_bits"] = c.log_bits ? Json(*c.log_bits) : Json(nullptr);
  json["histogram"] =
      perChannel(c.by_channel, c.histograms, [&](const Histogram& h) { return histogramJson(h, c.log_bits); });
  return json;
}

// ---------------------------------------------------------------------------------------------- reading

// A JSON value and its path, for messages.
struct Value {
  const Json& json;
  std::string path;

  [[noreturn]] void fail(const std::string& what) const { throw Error(path + ": " + what); }
  Value at(const char* key) const {
    if (!json.is_object() || !json.contains(key)) fail(std::string("has no \"") + key + "\"");
    return {json[key], path + "." + key};
  }
  double number() const {
    if (!json.is_number() || !std::isfinite(json.get<double>())) fail("must be a finite number");
    return json.get<double>();
  }
  uint64_t count() const {
    if (!json.is_number_unsigned()) fail("must be a whole number of at least 0");
    return json.get<uint64_t>();
  }
  std::string text() const {
    if (!json.is_string()) fail("must be a string");
    return json.get<std::string>();
  }
  bool boolean() const {
    if (!json.is_boolean()) fail("must be true or false");
    return json.get<bool>();
  }
  // Calls body(value) once, or once per channel.
  template <class Body>
  void forChannels(bool by_channel, uint32_t channels, Body&& body) const {
    if (!by_channel) return body(*this);
    if (!json.is_array() || json.size() != channels)
      fail("must be a list of " + std::to_string(channels) + ", one per channel");
    for (size_t i = 0; i < json.size(); ++i) body(Value{json[i], path + "[" + std::to_string(i) + "]"});
  }
};

// A sum of counts that does not wrap.
class Sum {
 public:
  void add(uint64_t count) { wrapped_ = __builtin_add_overflow(total_, count, &total_) || wrapped_; }
  bool is(uint64_t count) const { return !wrapped_ && total_ == count; }

 private:
  uint64_t total_ = 0;
  bool wrapped_ = false;
};

// Calls body(bin, count) for each of `bins` run-length encoded counts that is not 0.
template <class Body>
void unpack(const Value& value, uint32_t bins, Body&& body) {
  if (!value.json.is_array()) value.fail("must be a list");
  uint64_t bin = 0;
  for (const Json& item : value.json) {
    if (bin > bins) break;
    if (item.is_number_unsigned()) {
      const uint64_t count = item.get<uint64_t>();
      if (bin < bins && count != 0) body(uint32_t(bin), count);
      ++bin;
      continue;
    }
    const int64_t zeros = item.is_number_integer() ? item.get<int64_t>() : 0;
    if (zeros >= 0 || zeros < -int64_t(bins)) value.fail("must hold counts, and -n for n zeros");
    bin += uint64_t(-zeros);
  }
  if (bin != bins) value.fail("must hold " + std::to_string(bins) + " counts");
}

void readLogCounts(const Value& value, uint32_t mantissa_bits, Histogram* h) {
  Sum total;
  unpack(value, NIB_LOG_HISTOGRAM_BINS(mantissa_bits), [&](uint32_t bin, uint64_t count) {
    h->log_counts.push_back({bin, count});
    total.add(count);
  });
  if (!total.is(h->head.finite_count)) value.fail("do not add up to \"count\"");
  if (h->log_counts.empty()) return;
  if (h->log_counts.front().bin != logBinOf(h->head.min, mantissa_bits) ||
      h->log_counts.back().bin != logBinOf(h->head.max, mantissa_bits)) {
    value.fail("do not begin with the bin of \"min\" and end with that of \"max\"");
  }
}

Histogram readHistogram(const Value& value, uint32_t bins, std::optional<uint32_t> log_bits) {
  Histogram h;
  const uint64_t exponent = value.at("exponent").count();
  if (exponent > 254) value.at("exponent").fail("must be at most 254");
  h.head.exponent = uint32_t(exponent);
  h.head.min = float(value.at("min").number());
  h.head.max = float(value.at("max").number());
  if (!(std::isfinite(h.head.min) && std::isfinite(h.head.max) && h.head.min <= h.head.max))
    value.fail("has no range from min to max");
  h.head.finite_count = value.at("count").count();
  h.head.nonfinite_count = value.at("nonfinite").count();
  h.counts.assign(bins, 0);
  Sum total;
  unpack(value.at("counts"), bins, [&](uint32_t bin, uint64_t count) {
    h.counts[bin] = count;
    total.add(count);
  });
  if (!total.is(h.head.finite_count)) value.at("counts").fail("do not add up to \"count\"");
  // Bins reach to the power of two that `exponent` says; 0: all values are zero.
  const double reach = h.head.exponent == 0 ? 0 : std::ldexp(1.0, int(h.head.exponent) - 126);
  if (std::max(std::fabs(double(h.head.min)), std::fabs(double(h.head.max))) > reach) {
    value.fail("has values beyond its bins, which \"exponent\" ends at " + std::to_string(reach));
  }
  if (log_bits) readLogCounts(value.at("log_counts"), *log_bits, &h);
  return h;
}

// The totals that a tensor states for its parts.
void checkTotals(const Value& value, const Collected& c) {
  Sum count, nonfinite, tokens;
  for (const Histogram& h : c.histograms) {
    count.add(h.head.finite_count);
    nonfinite.add(h.head.nonfinite_count);
  }
  for (size_t i = 0; i < c.data.size(); ++i) {
    tokens.add(c.data[i].tokens);
    if (i > 0 && c.data[i].hash == c.data[i - 1].hash) {
      value.at("data").fail("has " + quoteText(c.data[i].hash, 40) + " twice, which would count twice");
    }
  }
  const auto check = [&](const char* key, const Sum& sum, const char* parts) {
    const Value stated = value.at(key);
    if (!sum.is(stated.count())) stated.fail(std::string("is not the sum of those of ") + parts);
  };
  check("count", count, "\"histogram\"");
  check("nonfinite", nonfinite, "\"histogram\"");
  check("tokens", tokens, "\"data\"");
}

// Scale and zero point follow from the ends of a range. A file that states others contradicts itself, and there is no
// way to know which value was meant.
void checkScale(const Value& value, bool symmetric, ChosenRange& range) {
  if (symmetric && range.min != -range.max) {
    value.fail("is symmetric, but its range is from " + std::to_string(range.min) + " to " + std::to_string(range.max));
  }
  ChosenRange follows = range;
  if (nibRangeScale(NIB_FORMAT_INT8, symmetric ? uint32_t(NIB_RANGE_SYMMETRIC) : 0u, range.min, range.max, nullptr,
                    &follows.scale, &follows.zero_point) != NIB_SUCCESS) {
    value.fail("has a range beyond fp32");
  }
  if (follows.scale != range.scale || follows.zero_point != range.zero_point) {
    char text[160];
    std::snprintf(text, sizeof text, "has scale %.9g and zero point %d, but min and max give %.9g and %d",
                  double(range.scale), int(range.zero_point), double(follows.scale), int(follows.zero_point));
    value.fail(std::string(text) + ": write it again with `nibble calibrate --merge`");
  }
  range = follows;
}

// The range of minmax follows from the smallest and the largest value seen.
void checkMinmax(const Value& value, bool symmetric, const NibHistogramHead& head, const ChosenRange& range) {
  const double low = std::min(0.0, double(head.min)), high = std::max(0.0, double(head.max));
  const double reach = std::max(-low, high);
  if (range.min == (symmetric ? -reach : low) && range.max == (symmetric ? reach : high)) return;
  char text[200];
  std::snprintf(text, sizeof text, "has the range %.9g to %.9g of minmax, but its histogram is from %.9g to %.9g",
                range.min, range.max, double(head.min), double(head.max));
  value.fail(std::string(text) + ": write it again with `nibble calibrate --merge`");
}

NibMoments readMoments(const Value& value, const NibHistogramHead& head) {
  const double absmax = std::max(std::fabs(double(head.min)), std::fabs(double(head.max)));
  const NibMoments m{head.finite_count, head.nonfinite_count, absmax, value.at("sum").number(),
                     value.at("squares").number()};
  if (m.squares < 0) value.at("squares").fail("must be at least 0");
  return m;
}

NibEma readEma(const Value& value) {
  const NibEma e{value.at("min").number(), value.at("max").number(), value.at("batches").count()};
  if (e.min > e.max) value.fail("has a min above its max");
  return e;
}

// None if there are no log-spaced counts: in files of schema 1, and after merging with such a file.
std::optional<uint32_t> readLogBits(const Value& value, uint64_t schema) {
  if (schema == kOldestSchema) return std::nullopt;
  const Value bits = value.at("log_bits");
  if (bits.json.is_null()) return std::nullopt;
  if (bits.count() > NIB_LOG_HISTOGRAM_MAX_BITS) {
    bits.fail("must be at most " + std::to_string(int(NIB_LOG_HISTOGRAM_MAX_BITS)));
  }
  return uint32_t(bits.count());
}

CalibratedTensor readTensor(const Value& value, uint64_t schema) {
  CalibratedTensor t;
  Collected& c = t.collected;
  const std::string method = value.at("method").text();
  const auto choice = findRangeChoice(method);
  if (!choice) value.at("method").fail(quoteText(method) + " is not a known method");
  t.choice = *choice;
  t.choice.symmetric = value.at("symmetric").boolean();
  const std::string granularity = value.at("granularity").text();
  if (granularity != "tensor" && granularity != "channel") value.at("granularity").fail("must be tensor or channel");
  c.by_channel = granularity == "channel";
  const uint64_t channels = value.at("channels").count(), bins = value.at("bins").count();
  if (channels == 0 || channels > UINT32_MAX) value.at("channels").fail("must be from 1 to 4294967295");
  if (bins < NIB_HISTOGRAM_MIN_BINS || bins > NIB_HISTOGRAM_MAX_BINS || (bins & (bins - 1)) != 0) {
    value.at("bins").fail("must be a power of two from 128 to 4096");
  }
  c.channels = uint32_t(channels);
  c.bins = uint32_t(bins);
  c.log_bits = readLogBits(value, schema);
  value.at("histogram").forChannels(c.by_channel, c.channels, [&](const Value& p) {
    c.histograms.push_back(readHistogram(p, c.bins, c.log_bits));
  });
  size_t i = 0;
  value.at("moments").forChannels(c.by_channel, c.channels,
                                  [&](const Value& p) { c.moments.push_back(readMoments(p, c.histograms[i++].head)); });
  const Value ema = value.at("ema");
  if (!ema.json.is_null()) {
    ema.forChannels(c.by_channel, c.channels, [&](const Value& p) { c.ema.push_back(readEma(p)); });
  }
  const Value data = value.at("data");
  if (!data.json.is_array()) data.fail("must be a list");
  for (size_t d = 0; d < data.json.size(); ++d) {
    const Value item{data.json[d], data.path + "[" + std::to_string(d) + "]"};
    c.data.push_back({item.at("xxh3").text(), item.at("tokens").count()});
  }
  std::sort(c.data.begin(), c.data.end());
  t.ranges.resize(c.histograms.size());
  const auto read = [&](const char* key, auto&& set) {
    size_t at = 0;
    value.at(key).forChannels(c.by_channel, c.channels, [&](const Value& p) { set(t.ranges[at++], p); });
  };
  read("min", [](ChosenRange& r, const Value& p) { r.min = p.number(); });
  read("max", [](ChosenRange& r, const Value& p) { r.max = p.number(); });
  read("scale", [](ChosenRange& r, const Value& p) { r.scale = float(p.number()); });
  read("zero_point", [](ChosenRange& r, const Value& p) {
    const double zero = p.number();
    if (zero < -128 || zero > 127 || zero != std::floor(zero)) p.fail("must be a whole number from -128 to 127");
    r.zero_point = int32_t(zero);
  });
  for (size_t at = 0; at < t.ranges.size(); ++at) {
    ChosenRange& r = t.ranges[at];
    if (!(r.min <= 0 && r.max >= 0)) {
      value.fail("has a range without 0: min " + std::to_string(r.min) + ", max " + std::to_string(r.max));
    }
    if (!(r.scale >= 0 && std::isfinite(r.scale))) value.at("scale").fail("must be a finite number of at least 0");
    checkScale(value, t.choice.symmetric, r);
    if (!t.choice.ema && t.choice.method == NIB_RANGE_MINMAX) {
      checkMinmax(value, t.choice.symmetric, c.histograms[at].head, r);
    }
  }
  checkTotals(value, c);
  return t;
}

}  // namespace

std::string calibrationText(const Calibration& calibration) {
  // One line per tensor, so that people and line tools can read files of many tensors.
  std::string text =
      "{\"schema\":" + std::to_string(kSchema) + ",\"nibble\":" + Json(nibVersionString()).dump() + ",\"tensors\":{";
  bool first = true;
  for (const auto& [name, tensor] : calibration) {
    text += (first ? "\n" : ",\n") + Json(name).dump(-1, ' ', false, Json::error_handler_t::replace) + ":" +
            tensorJson(tensor).dump();
    first = false;
  }
  return text + "\n}}\n";
}

Calibration readCalibration(const std::filesystem::path& path) {
  std::vector<char> text = readWholeFile(path, kMaxBytes);
  return parseCalibration(text, shown(path));
}

Calibration parseCalibration(std::span<char> text, const std::string& where) {
  const Json json = readJson(text, where);
  const Value root{json, where};
  const uint64_t schema = root.at("schema").count();
  if (schema < kOldestSchema || schema > kSchema) {
    root.at("schema").fail("is " + json["schema"].dump() + "; this version reads " + std::to_string(kOldestSchema) +
                           " to " + std::to_string(kSchema));
  }
  const Value tensors = root.at("tensors");
  if (!tensors.json.is_object()) tensors.fail("must be an object");
  Calibration calibration;
  for (const auto& [name, tensor] : tensors.json.items()) {
    calibration[name] = readTensor({tensor, where + ": tensor " + quoteText(name)}, schema);
  }
  return calibration;
}

bool looksLikeCalibration(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && path.extension() == ".json";
}

}  // namespace nib::model
