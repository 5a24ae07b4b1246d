// CALIB.json, written and read.
#include "model/calibrate/calibration.h"

#include "model/archive/error.h"
#include "model/archive/posix_file.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;
constexpr uint64_t kMostBytes = 2'000'000'000;

// ---------------------------------------------------------------------------------------------- writing

// Counts in order; -n stands for n zeros.
Json packed(const std::vector<uint64_t>& counts) {
  Json list = Json::array();
  int64_t zeros = 0;
  const auto flush = [&] {
    if (zeros != 0) list.push_back(-zeros);
    zeros = 0;
  };
  for (const uint64_t count : counts) {
    if (count == 0) {
      ++zeros;
      continue;
    }
    flush();
    list.push_back(count);
  }
  flush();
  return list;
}

Json histogramJson(const Histogram& h) {
  return {{"exponent", h.head.exponent}, {"min", h.head.min}, {"max", h.head.max}, {"count", h.head.finite_count},
          {"nonfinite", h.head.nonfinite_count}, {"counts", packed(h.counts)}};
}

Json momentsJson(const NibMoments& m) { return {{"sum", m.sum}, {"squares", m.squares}}; }

Json emaJson(const NibEma& e) { return {{"min", e.min}, {"max", e.max}, {"batches", e.batches}}; }

// One of a tensor, a list of channels.
template <class List, class Make>
Json perChannel(bool by_channel, const List& list, Make&& make) {
  if (!by_channel) return make(list.front());
  Json json = Json::array();
  for (const auto& item : list) json.push_back(make(item));
  return json;
}

Json tensorJson(const CalibratedTensor& t) {
  const Collected& c = t.collected;
  const auto ranges = [&](auto&& get) { return perChannel(c.by_channel, t.ranges, [&](const ChosenRange& r) { return Json(get(r)); }); };
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
  json["histogram"] = perChannel(c.by_channel, c.histograms, histogramJson);
  return json;
}

// ---------------------------------------------------------------------------------------------- reading

// A value and where it stands.
struct Place {
  const Json& json;
  std::string path;

  [[noreturn]] void fail(const std::string& what) const { throw Error(path + ": " + what); }
  Place at(const char* key) const {
    if (!json.is_object() || !json.contains(key)) fail(std::string("has no \"") + key + "\"");
    return {json[key], path + "." + key};
  }
  double number() const {
    if (!json.is_number() || !std::isfinite(json.get<double>())) fail("must be a finite number");
    return json.get<double>();
  }
  uint64_t count() const {
    if (!json.is_number_unsigned()) fail("must be a whole number from 0 on");
    return json.get<uint64_t>();
  }
  std::string text() const {
    if (!json.is_string()) fail("must be a text");
    return json.get<std::string>();
  }
  bool boolean() const {
    if (!json.is_boolean()) fail("must be true or false");
    return json.get<bool>();
  }
  // body(place) of the one value, or of each channel's.
  template <class Body>
  void forChannels(bool by_channel, uint32_t channels, Body&& body) const {
    if (!by_channel) return body(*this);
    if (!json.is_array() || json.size() != channels) fail("must be a list of " + std::to_string(channels) + ", one per channel");
    for (size_t i = 0; i < json.size(); ++i) body(Place{json[i], path + "[" + std::to_string(i) + "]"});
  }
};

std::vector<uint64_t> unpacked(const Place& place, uint32_t bins) {
  std::vector<uint64_t> counts;
  if (!place.json.is_array()) place.fail("must be a list");
  for (const Json& item : place.json) {
    if (item.is_number_unsigned()) {
      counts.push_back(item.get<uint64_t>());
    } else {
      // As is what a hand wrote: more zeros than bins.
      const int64_t zeros = item.is_number_integer() ? item.get<int64_t>() : 0;
      if (zeros >= 0 || zeros < -int64_t(bins)) place.fail("must hold counts, and -n for n zeros");
      counts.resize(counts.size() + size_t(-zeros), 0);
    }
    if (counts.size() > bins) break;
  }
  if (counts.size() != bins) place.fail("must hold " + std::to_string(bins) + " counts");
  return counts;
}

Histogram readHistogram(const Place& place, uint32_t bins) {
  Histogram h;
  const uint64_t exponent = place.at("exponent").count();
  if (exponent > 254) place.at("exponent").fail("must be at most 254");
  h.head.exponent = uint32_t(exponent);
  h.head.min = float(place.at("min").number());
  h.head.max = float(place.at("max").number());
  if (!(std::isfinite(h.head.min) && std::isfinite(h.head.max) && h.head.min <= h.head.max)) place.fail("has no range from min to max");
  h.head.finite_count = place.at("count").count();
  h.head.nonfinite_count = place.at("nonfinite").count();
  h.counts = unpacked(place.at("counts"), bins);
  uint64_t total = 0;
  for (const uint64_t c : h.counts) total += c;
  if (total != h.head.finite_count) place.at("counts").fail("do not add up to \"count\"");
  return h;
}

CalibratedTensor readTensor(const Place& place) {
  CalibratedTensor t;
  Collected& c = t.collected;
  const std::string method = place.at("method").text();
  const auto choice = findRangeChoice(method);
  if (!choice) place.at("method").fail(quoteText(method) + " is no method");
  t.choice = *choice;
  t.choice.symmetric = place.at("symmetric").boolean();
  const std::string granularity = place.at("granularity").text();
  if (granularity != "tensor" && granularity != "channel") place.at("granularity").fail("must be tensor or channel");
  c.by_channel = granularity == "channel";
  const uint64_t channels = place.at("channels").count(), bins = place.at("bins").count();
  if (channels == 0 || channels > UINT32_MAX) place.at("channels").fail("is no number of channels");
  if (bins < NIB_HISTOGRAM_LEAST_BINS || bins > NIB_HISTOGRAM_MOST_BINS || (bins & (bins - 1)) != 0) {
    place.at("bins").fail("must be a power of two from 128 to 4096");
  }
  c.channels = uint32_t(channels);
  c.bins = uint32_t(bins);
  place.at("histogram").forChannels(c.by_channel, c.channels, [&](const Place& p) { c.histograms.push_back(readHistogram(p, c.bins)); });
  size_t i = 0;
  place.at("moments").forChannels(c.by_channel, c.channels, [&](const Place& p) {
    const NibHistogramHead& head = c.histograms[i++].head;
    const double absmax = std::max(std::fabs(double(head.min)), std::fabs(double(head.max)));
    c.moments.push_back({head.finite_count, head.nonfinite_count, absmax, p.at("sum").number(), p.at("squares").number()});
  });
  const Place ema = place.at("ema");
  if (!ema.json.is_null()) {
    ema.forChannels(c.by_channel, c.channels, [&](const Place& p) {
      c.ema.push_back({p.at("min").number(), p.at("max").number(), p.at("batches").count()});
    });
  }
  const Place data = place.at("data");
  if (!data.json.is_array()) data.fail("must be a list");
  for (size_t d = 0; d < data.json.size(); ++d) {
    const Place item{data.json[d], data.path + "[" + std::to_string(d) + "]"};
    c.data.push_back({item.at("xxh3").text(), item.at("tokens").count()});
  }
  std::sort(c.data.begin(), c.data.end());
  t.ranges.resize(c.histograms.size());
  const auto read = [&](const char* key, auto&& set) {
    size_t at = 0;
    place.at(key).forChannels(c.by_channel, c.channels, [&](const Place& p) { set(t.ranges[at++], p); });
  };
  read("min", [](ChosenRange& r, const Place& p) { r.min = p.number(); });
  read("max", [](ChosenRange& r, const Place& p) { r.max = p.number(); });
  read("scale", [](ChosenRange& r, const Place& p) { r.scale = float(p.number()); });
  read("zero_point", [](ChosenRange& r, const Place& p) {
    const double zero = p.number();
    if (zero < -128 || zero > 127 || zero != std::floor(zero)) p.fail("must be a whole number from -128 to 127");
    r.zero_point = int32_t(zero);
  });
  for (const ChosenRange& r : t.ranges) {
    if (!(r.min <= 0 && r.max >= 0)) place.fail("has a range without 0: min " + std::to_string(r.min) + ", max " + std::to_string(r.max));
    if (!(r.scale >= 0 && std::isfinite(r.scale))) place.at("scale").fail("must be a finite number from 0 on");
  }
  return t;
}

}  // namespace

std::string calibrationText(const Calibration& calibration) {
  // A line per tensor: files of many tensors are looked at.
  std::string text = "{\"schema\":" + std::to_string(kSchema) + ",\"nibble\":" + Json(nibVersionString()).dump() + ",\"tensors\":{";
  bool first = true;
  for (const auto& [name, tensor] : calibration) {
    text += (first ? "\n" : ",\n") + Json(name).dump(-1, ' ', false, Json::error_handler_t::replace) + ":" + tensorJson(tensor).dump();
    first = false;
  }
  return text + "\n}}\n";
}

Calibration readCalibration(const std::filesystem::path& path) {
  const std::vector<char> text = readWholeFile(path, kMostBytes);
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) throw Error(shown(path) + ": is no JSON");
  const Place root{json, shown(path)};
  if (root.at("schema").count() != kSchema) {
    root.at("schema").fail("is " + json["schema"].dump() + "; this version reads " + std::to_string(kSchema));
  }
  const Place tensors = root.at("tensors");
  if (!tensors.json.is_object()) tensors.fail("must be an object");
  Calibration calibration;
  for (const auto& [name, tensor] : tensors.json.items()) {
    calibration[name] = readTensor({tensor, shown(path) + ": tensor " + quoteText(name)});
  }
  return calibration;
}

bool looksLikeCalibration(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && path.extension() == ".json";
}

}  // namespace nib::model
