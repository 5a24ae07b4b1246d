// Calibration with recorded activations: reading files, collecting in pieces, CALIB.json against its schema, merging.
#include "model_test.h"

#include <nibble/formats.h>

#include "../bench/schema_check.h"
#include "model/archive/npy.h"
#include "model/calibrate/collect.h"
#include "model/calibrate/static_inputs.h"
#include "model/calibrate/trial.h"

#include <nlohmann/json.hpp>

#include <bit>
#include <cmath>
#include <cstring>

using namespace nib;
using namespace nib::model;
using namespace nib::model::test;

namespace {

using Json = nlohmann::ordered_json;

std::string npyText(const std::string& type, const std::string& shape, std::string_view data, char version = 1) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string text = "\x93NUMPY";
  text += version;
  text += '\0';
  text += char(header.size() & 255);
  text += char(header.size() >> 8);
  if (version > 1) text += std::string(2, '\0');
  return text + header + std::string(data);
}

// Values of many magnitudes, by token and channel.
float valueAt(uint64_t token, uint64_t channel) {
  const uint32_t r = uint32_t((token * 1000003 + channel) * 2654435761u) ^ uint32_t(token * 97);
  const float unit = float(r >> 8) * 0x1p-24f;
  return (unit - 0.4f) * std::ldexp(1.0f, int(r % 7) - 3) * (channel == 2 ? 8.0f : 1.0f);
}

std::string bytesOf(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * 4};
}

std::vector<float> matrix(uint64_t first, uint64_t tokens, uint64_t channels) {
  std::vector<float> values;
  for (uint64_t t = first; t < first + tokens; ++t) {
    for (uint64_t c = 0; c < channels; ++c) values.push_back(valueAt(t, c));
  }
  return values;
}

void writeNpy(const fs::path& path, const std::vector<float>& values, uint64_t channels) {
  writeText(path, npyText("<f4", "(" + std::to_string(values.size() / channels) + ", " + std::to_string(channels) + ")",
                          bytesOf(values)));
}

// The message of the exception that `body` throws.
template <class Body>
std::string refusal(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

CalibratedTensor calibrated(const fs::path& path, const CollectOptions& options, const char* range,
                            bool symmetric = true) {
  CalibratedTensor t;
  t.collected = collect(kit::Device::cpu(), openRecordings(path).at(0), options);
  RangeChoice choice = *findRangeChoice(range);
  choice.symmetric = symmetric;
  chooseRanges(t, choice, "x");
  return t;
}

Json schema() { return Json::parse(readText(NIB_CALIBRATION_SCHEMA)); }

// The same statistics as version 1 wrote them, without log-spaced counts.
std::string asSchema1(const std::string& text) {
  Json json = Json::parse(text);
  json["schema"] = 1;
  for (auto& [name, tensor] : json["tensors"].items()) {
    tensor.erase("log_bits");
    Json& histogram = tensor["histogram"];
    if (histogram.is_object()) histogram.erase("log_counts");
    if (histogram.is_array()) {
      for (Json& channel : histogram) channel.erase("log_counts");
    }
  }
  return json.dump();
}

// Values of a few hundredths, and one that is far larger.
std::vector<float> massive(uint64_t tokens, uint64_t channels, float value) {
  std::vector<float> values = matrix(0, tokens, channels);
  for (float& v : values) v *= 0.01f;
  values[values.size() / 2] = value;
  return values;
}

double percentileOf(std::vector<float> values, double p) {
  for (float& v : values) v = std::fabs(v);
  std::sort(values.begin(), values.end());
  const double rank = p / 100 * double(values.size() - 1);
  const size_t below = size_t(rank);
  return values[below] + (rank - double(below)) * (double(values[below + 1]) - values[below]);
}

}  // namespace

TEST_CASE("npy files of every version are read, and malformed ones refused in one line") {
  const TempFolder folder;
  const std::string data = bytesOf({1, 2, 3, 4, 5, 6});
  for (const char version : {char(1), char(2), char(3)}) {
    writeText(folder / "a.npy", npyText("<f4", "(3, 2)", data, version));
    const NpyFile file(folder / "a.npy");
    CHECK(file.shape() == std::vector<uint64_t>{3, 2});
    float value = 0;
    file.read(8, std::as_writable_bytes(std::span(&value, 1)));
    CHECK(value == 3);
    CHECK_THROWS_AS(file.read(24, std::as_writable_bytes(std::span(&value, 1))), Error);
  }
  const auto refused = [&](const std::string& text) {
    writeText(folder / "b.npy", text);
    const std::string line = refusal([&] { NpyFile file(folder / "b.npy"); });
    CHECK(line.find('\n') == std::string::npos);
    return line;
  };
  CHECK(refused("").find("too short") != std::string::npos);
  CHECK(refused("PK\3\4 something else").find("is not an .npy file") != std::string::npos);
  CHECK(refused(npyText("<f8", "(3, 2)", data)).find("<f8") != std::string::npos);
  CHECK(refused(npyText(">f4", "(3, 2)", data)).find("little-endian") != std::string::npos);
  CHECK(refused(npyText("<f4", "(3, 3)", data)).find("bytes") != std::string::npos);
  CHECK(refused(npyText("<f4", "(4294967296, 4294967296, 4)", data)).find("bytes") != std::string::npos);
  CHECK(refused(npyText("<f4", "3", data)).find("tuple") != std::string::npos);
  CHECK(refused(npyText("<f4", "(x, 2)", data)).find("tuple") != std::string::npos);
  CHECK(refused(npyText("<f4", "(3, 2)", data, 4)).find("version 4") != std::string::npos);
  for (const char* shape :
       {"(3, 2", "(3,, 2)", "(,)", "(6)", "(0x3, 2)", "(03, 2)", "(3.0, 2)", "[3, 2]", "(+3, 2)", "(3 2)", "(-3, -2)",
        "(3, 2), 'shape': (2, 3)", "(3, 2) 5", "(3, 2), 'more': 1", "(1, 1, 1, 1, 1, 1, 1, 3, 2)"}) {
    INFO(shape);
    CHECK(refused(npyText("<f4", shape, data)).find("its .npy header") != std::string::npos);
  }
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{{"False", "Falsy"},
                                                                                           {"False", "0    "},
                                                                                           {"{", " "},
                                                                                           {"}", " "},
                                                                                           {"descr", "dexcr"},
                                                                                           {":", "="},
                                                                                           {",", ";"},
                                                                                           {"'descr'", "\"descr'"},
                                                                                           {" 'shape'", "+'shape'"},
                                                                                           {"'descr'", " descr "},
                                                                                           {"}", "}x"}}) {
    INFO(to);
    std::string text = npyText("<f4", "(3, 2)", data);
    text.replace(text.find(from), std::strlen(from), to);
    CHECK(!refused(text).empty());
  }
  std::string fortran = npyText("<f4", "(3, 2)", data);
  fortran.replace(fortran.find("False"), 5, "True ");
  CHECK(refused(fortran).find("Fortran") != std::string::npos);
  // Every truncation of a valid file.
  const std::string whole = npyText("<f4", "(3, 2)", data);
  for (size_t size = 0; size < whole.size(); ++size) CHECK(!refused(whole.substr(0, size)).empty());
}

TEST_CASE("recordings are found by name, and must have tokens and channels") {
  const TempFolder folder;
  writeNpy(folder / "d/b.npy", matrix(0, 2, 3), 3);
  writeNpy(folder / "d/a.input.npy", matrix(0, 4, 3), 3);
  writeText(folder / "d/notes.txt", "nothing");
  const std::vector<Recording> list = openRecordings(folder / "d");
  REQUIRE(list.size() == 2);
  CHECK(list[0].name == "a.input");
  CHECK(list[0].tokens == 4);
  CHECK(list[1].channels == 3);
  writeText(folder / "one.npy", npyText("<f4", "(4,)", bytesOf({1, 2, 3, 4})));
  CHECK(refusal([&] { openRecordings(folder / "one.npy"); }).find("dimensions") != std::string::npos);
  writeText(folder / "deep.npy", npyText("<f4", "(2, 1, 2)", bytesOf({1, 2, 3, 4})));
  CHECK(openRecordings(folder / "deep.npy").at(0).tokens == 2);
  CHECK(refusal([&] { openRecordings(folder / "d/notes.txt"); }).find(".npy or .safetensors") != std::string::npos);
  CHECK(!refusal([&] { openRecordings(folder / "none.npy"); }).empty());
  fs::create_directory(folder / "empty");
  CHECK(refusal([&] { openRecordings(folder / "empty"); }).find("no activations") != std::string::npos);
}

TEST_CASE("sequences are drawn by the seed alone, without replacement, in order") {
  const auto firsts = [](const std::vector<Sequence>& list) {
    std::vector<uint64_t> f;
    for (const Sequence& s : list) f.push_back(s.first);
    return f;
  };
  CHECK(chooseSequences(0, 8, 0, 0).empty());
  const std::vector<Sequence> all = chooseSequences(20, 8, 0, 5);
  CHECK(firsts(all) == std::vector<uint64_t>{0, 8, 16});
  CHECK(all[2].count == 4);
  CHECK(chooseSequences(20, 8, 7, 5).size() == 3);
  const std::vector<Sequence> some = chooseSequences(10000, 10, 30, 1);
  CHECK(some.size() == 30);
  for (size_t i = 1; i < some.size(); ++i) CHECK(some[i - 1].first < some[i].first);
  CHECK(firsts(some) == firsts(chooseSequences(10000, 10, 30, 1)));
  CHECK(firsts(some) != firsts(chooseSequences(10000, 10, 30, 2)));
}

TEST_CASE("CALIB.json follows its schema and reads back as the same text") {
  const TempFolder folder;
  writeNpy(folder / "x.npy", matrix(0, 70, 5), 5);
  writeNpy(folder / "zeros.npy", std::vector<float>(20, 0.0f), 5);
  writeNpy(folder / "nothing.npy", {}, 5);
  writeNpy(folder / "nan.npy", {std::nanf(""), 1, 2, HUGE_VALF, -3, 4}, 3);
  for (const bool by_channel : {false, true}) {
    for (const char* range : {"minmax", "ema", "percentile:99.5", "mse", "entropy-ort", "entropy-trt"}) {
      for (const bool symmetric : {false, true}) {
        CollectOptions options;
        options.by_channel = by_channel;
        options.sequence_length = 16;
        Calibration calibration;
        for (const char* name : {"x", "zeros", "nothing", "nan"}) {
          calibration[name] = calibrated(folder / (std::string(name) + ".npy"), options, range, symmetric);
        }
        const std::string text = calibrationText(calibration);
        CAPTURE(range);
        const std::vector<std::string> violations = nib::test::SchemaCheck(schema()).violations(Json::parse(text));
        CHECK_MESSAGE(violations.empty(), (violations.empty() ? "" : violations[0]));
        writeText(folder / "calib.json", text);
        CHECK(calibrationText(readCalibration(folder / "calib.json")) == text);
      }
    }
  }
  // The schema refuses a wrong document.
  Json wrong = Json::parse(readText(folder / "calib.json"));
  wrong["tensors"]["x"]["histogram"][0]["exponent"] = 300;
  CHECK(nib::test::SchemaCheck(schema()).violations(wrong).size() == 1);
  wrong["tensors"]["nan"].erase("scale");
  CHECK(nib::test::SchemaCheck(schema()).violations(wrong).size() == 2);
}

TEST_CASE("a broken CALIB.json is refused with the path of the error") {
  const TempFolder folder;
  writeNpy(folder / "x.npy", matrix(0, 9, 3), 3);
  CollectOptions options;
  Calibration calibration;
  calibration["x"] = calibrated(folder / "x.npy", options, "mse");
  const Json good = Json::parse(calibrationText(calibration));
  const auto refused = [&](const char* word, auto&& spoil) {
    Json json = good;
    spoil(json);
    writeText(folder / "bad.json", json.dump());
    const std::string line = refusal([&] { readCalibration(folder / "bad.json"); });
    CAPTURE(line);
    CHECK(line.find(word) != std::string::npos);
    CHECK(line.find('\n') == std::string::npos);
  };
  refused("schema", [](Json& j) { j["schema"] = 3; });
  refused("schema", [](Json& j) { j["schema"] = 0; });
  refused("log_bits", [](Json& j) { j["tensors"]["x"].erase("log_bits"); });
  refused("log_bits", [](Json& j) { j["tensors"]["x"]["log_bits"] = 10; });
  refused("log_counts", [](Json& j) { j["tensors"]["x"]["log_bits"] = 8; });
  refused("log_counts", [](Json& j) { j["tensors"]["x"]["histogram"].erase("log_counts"); });
  refused("log_counts", [](Json& j) { j["tensors"]["x"]["histogram"]["log_counts"].push_back(1); });
  refused("log_counts", [](Json& j) { j["tensors"]["x"]["histogram"]["log_counts"] = Json::array({-260097}); });
  refused("log_counts", [](Json& j) { j["tensors"]["x"]["histogram"]["log_counts"] = Json::array({-1ll << 62}); });
  // All 27 values are zeros, as -0.5 to 2 are not.
  refused("bin of", [](Json& j) {
    j["tensors"]["x"]["histogram"]["log_counts"] = Json::array({-130048, 27, -130048});
  });
  refused("tensors", [](Json& j) { j["tensors"] = 3; });
  refused("method", [](Json& j) { j["tensors"]["x"]["method"] = "guess"; });
  refused("granularity", [](Json& j) { j["tensors"]["x"]["granularity"] = "row"; });
  refused("\"x\".min", [](Json& j) { j["tensors"]["x"]["min"] = "a"; });
  refused("histogram", [](Json& j) { j["tensors"]["x"]["granularity"] = "channel"; });
  refused("bins", [](Json& j) { j["tensors"]["x"]["bins"] = 1000; });
  refused("counts", [](Json& j) { j["tensors"]["x"]["histogram"]["counts"].push_back(1); });
  refused("counts", [](Json& j) { j["tensors"]["x"]["histogram"]["counts"] = Json::array({-9223372036854775807ll}); });
  refused("counts", [](Json& j) { j["tensors"]["x"]["histogram"]["counts"] = Json::array({1e300}); });
  refused("count", [](Json& j) { j["tensors"]["x"]["histogram"]["count"] = 5; });
  refused("exponent", [](Json& j) { j["tensors"]["x"]["histogram"]["exponent"] = 255; });
  refused("channels", [](Json& j) { j["tensors"]["x"]["channels"] = 0; });
  refused("zero_point", [](Json& j) { j["tensors"]["x"]["zero_point"] = 1.5; });
  refused("range without 0", [](Json& j) { j["tensors"]["x"]["min"] = 1; });
  // Files that contradict themselves.
  refused("has scale", [](Json& j) { j["tensors"]["x"]["scale"] = 2 * j["tensors"]["x"]["scale"].get<double>(); });
  refused("has scale", [](Json& j) { j["tensors"]["x"]["scale"] = 0; });
  refused("zero point 3", [](Json& j) { j["tensors"]["x"]["zero_point"] = 3; });
  refused("is symmetric", [](Json& j) { j["tensors"]["x"]["min"] = 2 * j["tensors"]["x"]["min"].get<double>(); });
  refused("beyond fp32", [](Json& j) { j["tensors"]["x"]["max"] = 1e300, j["tensors"]["x"]["min"] = -1e300; });
  refused("\"x\".tokens", [](Json& j) { j["tensors"]["x"]["tokens"] = 8; });
  refused("\"x\".count", [](Json& j) { j["tensors"]["x"]["count"] = 28; });
  refused("\"x\".nonfinite", [](Json& j) { j["tensors"]["x"]["nonfinite"] = 1; });
  refused("twice", [](Json& j) { j["tensors"]["x"]["data"].push_back(j["tensors"]["x"]["data"][0]); });
  refused("must be at least 0", [](Json& j) { j["tensors"]["x"]["moments"]["squares"] = -1; });
  refused("min above its max", [](Json& j) { j["tensors"]["x"]["ema"]["min"] = 100; });
  refused("of minmax", [](Json& j) {
    Json& x = j["tensors"]["x"];
    x["method"] = "minmax";
    for (const char* key : {"min", "max", "scale"}) x[key] = 0.25 * x[key].get<double>();
  });
  refused("beyond its bins", [](Json& j) { j["tensors"]["x"]["histogram"]["exponent"] = 100; });
  // A sum that wraps to the right one.
  refused("counts", [](Json& j) {
    Json& counts = j["tensors"]["x"]["histogram"]["counts"];
    std::vector<uint64_t> all;
    for (const Json& item : counts) {
      if (item.is_number_unsigned()) {
        all.push_back(item.get<uint64_t>());
      } else {
        all.insert(all.end(), size_t(-item.get<int64_t>()), 0);
      }
    }
    all[0] += uint64_t(1) << 63;
    all[1] += uint64_t(1) << 63;
    counts = all;
  });
  refused("xxh3", [](Json& j) { j["tensors"]["x"]["data"][0].erase("xxh3"); });
  std::string text = good.dump();
  const std::string tensor = text.substr(text.find("\"x\":"), text.size() - 2 - text.find("\"x\":"));
  writeText(folder / "bad.json", text.insert(text.size() - 2, "," + tensor));
  CHECK(refusal([&] { readCalibration(folder / "bad.json"); }).find("\"x\" appears twice") != std::string::npos);
  writeText(folder / "bad.json", "{\"schema\":1,");
  CHECK(refusal([&] { readCalibration(folder / "bad.json"); }).find("bad.json: byte 12 of the file") !=
        std::string::npos);
}

TEST_CASE("files of schema 1 are read, and statistics that were merged with theirs have no log-spaced counts") {
  const TempFolder folder;
  writeNpy(folder / "x.npy", massive(200, 5, 1500), 5);
  writeNpy(folder / "y.npy", matrix(300, 70, 5), 5);
  for (const bool by_channel : {false, true}) {
    CollectOptions options;
    options.by_channel = by_channel;
    Calibration calibration;
    calibration["x"] = calibrated(folder / "x.npy", options, "percentile:99");
    CHECK(!calibration["x"].ranges[0].coarse);
    const std::string text = calibrationText(calibration), old = asSchema1(text);
    const std::vector<std::string> violations =
        nib::test::SchemaCheck(Json::parse(readText(NIB_CALIBRATION_SCHEMA_1))).violations(Json::parse(old));
    CHECK_MESSAGE(violations.empty(), (violations.empty() ? "" : violations[0]));
    writeText(folder / "old.json", old);
    Calibration read = readCalibration(folder / "old.json");
    CHECK(!read["x"].collected.log_bits);
    CHECK(read["x"].collected.histograms[0].counts == calibration["x"].collected.histograms[0].counts);
    CHECK(read["x"].ranges[0].max == calibration["x"].ranges[0].max);
    // Written again, it is a file of schema 2 that says so.
    const Json again = Json::parse(calibrationText(read));
    CHECK(again["schema"] == 2);
    CHECK(again["tensors"]["x"]["log_bits"].is_null());
    CHECK(nib::test::SchemaCheck(schema()).violations(again).empty());
    // A range from the bins alone says that they are too wide.
    chooseRanges(read["x"], *findRangeChoice("percentile:99"), "x");
    CHECK(std::any_of(read["x"].ranges.begin(), read["x"].ranges.end(), [](const ChosenRange& r) { return r.coarse; }));
    for (const bool old_first : {false, true}) {
      Collected merged = (old_first ? read["x"] : calibrated(folder / "y.npy", options, "minmax")).collected;
      mergeCollected(merged,
                     old_first ? calibrated(folder / "y.npy", options, "minmax").collected : read["x"].collected, "x");
      CHECK(!merged.log_bits);
      CHECK(merged.histograms[0].log_counts.empty());
    }
  }
}

TEST_CASE("percentiles and clipped shares with a massive value are those of the values, by tensor and by channel") {
  const TempFolder folder;
  const std::vector<float> values = massive(2000, 4, -1500);
  writeNpy(folder / "x.npy", values, 4);
  CollectOptions options;
  CalibratedTensor t = calibrated(folder / "x.npy", options, "percentile:99.9");
  const double expected = percentileOf(values, 99.9);
  CHECK(t.collected.log_bits == 9);
  CHECK(t.ranges[0].max == doctest::Approx(expected).epsilon(1.0 / 500));
  CHECK(clippedShare(t.collected, 0, t.ranges[0]) == doctest::Approx(0.001).epsilon(0.1));
  options.by_channel = true;
  t = calibrated(folder / "x.npy", options, "percentile:99.9");
  CHECK(t.collected.log_bits == 3);
  std::vector<float> channel;
  for (size_t i = 0; i < values.size(); i += 4) channel.push_back(values[i]);
  REQUIRE(std::count(channel.begin(), channel.end(), -1500.0f) == 1);
  CHECK(t.ranges[0].max == doctest::Approx(percentileOf(channel, 99.9)).epsilon(0.05));
}

TEST_CASE("two merged streams give the result of one, in any order, except moving averages") {
  const TempFolder folder;
  writeNpy(folder / "all/x.npy", matrix(0, 96, 4), 4);
  writeNpy(folder / "a/x.npy", matrix(0, 32, 4), 4);
  writeNpy(folder / "b/x.npy", matrix(32, 48, 4), 4);
  writeNpy(folder / "c/x.npy", matrix(80, 16, 4), 4);
  for (const bool by_channel : {false, true}) {
    CollectOptions options;
    options.by_channel = by_channel;
    options.sequence_length = 16;
    const CalibratedTensor whole = calibrated(folder / "all", options, "percentile:99");
    const auto merged = [&](const std::vector<const char*>& order) {
      CalibratedTensor t = calibrated(folder / order[0], options, "percentile:99");
      for (size_t i = 1; i < order.size(); ++i)
        mergeCollected(t.collected, calibrated(folder / order[i], options, "minmax").collected, "x");
      chooseRanges(t, t.choice, "x");
      return t;
    };
    const CalibratedTensor forward = merged({"a", "b", "c"}), backward = merged({"c", "b", "a"});
    for (size_t i = 0; i < whole.collected.histograms.size(); ++i) {
      for (const CalibratedTensor* t : {&forward, &backward}) {
        const Histogram& h = t->collected.histograms[i];
        CHECK(h.counts == whole.collected.histograms[i].counts);
        CHECK(h.log_counts == whole.collected.histograms[i].log_counts);
        CHECK(std::memcmp(&h.head, &whole.collected.histograms[i].head, sizeof h.head) == 0);
        CHECK(t->ranges[i].max == whole.ranges[i].max);
        CHECK(t->collected.moments[i].squares == doctest::Approx(whole.collected.moments[i].squares).epsilon(1e-12));
      }
    }
    CHECK(forward.collected.data == backward.collected.data);
    CHECK(forward.collected.data.size() == 3);
    CalibratedTensor t = forward;
    CHECK(refusal([&] { chooseRanges(t, *findRangeChoice("ema"), "x"); }).find("order") != std::string::npos);
    CHECK(refusal([&] { mergeCollected(t.collected, whole.collected, "x"); }) == "");
    CHECK(refusal([&] { mergeCollected(t.collected, whole.collected, "x"); }).find("twice") != std::string::npos);
  }
  CollectOptions options;
  Collected other = calibrated(folder / "a", options, "minmax").collected;
  options.by_channel = true;
  Collected by_channel = calibrated(folder / "b", options, "minmax").collected;
  CHECK(refusal([&] { mergeCollected(other, by_channel, "x"); }).find("channel") != std::string::npos);
}

TEST_CASE("collected statistics equal those of the values") {
  const TempFolder folder;
  const std::vector<float> values = matrix(0, 64, 4);
  writeNpy(folder / "x.npy", values, 4);
  CollectOptions options;
  options.sequence_length = 16;
  const CalibratedTensor t = calibrated(folder / "x.npy", options, "ema", false);
  double sum = 0, squares = 0, low = 0, high = 0;
  for (size_t s = 0; s < 4; ++s) {
    float least = HUGE_VALF, most = -HUGE_VALF;
    for (size_t i = s * 64; i < s * 64 + 64; ++i) {
      sum += values[i];
      squares += double(values[i]) * values[i];
      least = std::min(least, values[i]);
      most = std::max(most, values[i]);
    }
    low = s == 0 ? least : low + 0.01 * (least - low);
    high = s == 0 ? most : high + 0.01 * (most - high);
  }
  CHECK(t.collected.moments[0].sum == doctest::Approx(sum).epsilon(1e-10));
  CHECK(t.collected.moments[0].squares == doctest::Approx(squares).epsilon(1e-10));
  CHECK(t.ranges[0].min == doctest::Approx(low).epsilon(1e-12));
  CHECK(t.ranges[0].max == doctest::Approx(high).epsilon(1e-12));
  CHECK(t.collected.histograms[0].head.finite_count == 256);
  // The errors of the codes follow the definition.
  const ChosenRange& r = t.ranges[0];
  double mse = 0, clipped = 0;
  for (const float v : values) {
    const double code = std::clamp(std::nearbyint(double(v) / r.scale) + r.zero_point, -128.0, 127.0);
    mse += (v - (code - r.zero_point) * r.scale) * (v - (code - r.zero_point) * r.scale) / 256;
    clipped += (v < r.min || v > r.max) / 256.0;
  }
  CHECK(tryRange(kit::Device::cpu(), openRecordings(folder / "x.npy")[0], r, false).mse ==
        doctest::Approx(mse).epsilon(1e-3));
  CHECK(clippedShare(t.collected, 0, r) == doctest::Approx(clipped).epsilon(0.3));
}

TEST_CASE("static inputs are read by module, and empty ranges and ranges per channel are refused") {
  const TempFolder folder;
  writeNpy(folder / "d/m.up_proj.input.npy", matrix(0, 64, 4), 4);
  const auto write = [&](const char* range, bool by_channel, bool symmetric) {
    CollectOptions options;
    options.by_channel = by_channel;
    Calibration calibration;
    for (const Recording& r : openRecordings(folder / "d")) {
      CalibratedTensor& t = calibration[r.name];
      t.collected = collect(kit::Device::cpu(), r, options);
      RangeChoice choice = *findRangeChoice(range);
      choice.symmetric = symmetric;
      chooseRanges(t, choice, r.name);
    }
    writeText(folder / "calib.json", calibrationText(calibration));
    return calibration;
  };
  const Calibration calibration = write("minmax", false, false);
  const auto inputs = staticInputs(folder / "calib.json", NIB_FORMAT_INT8);
  REQUIRE(inputs.count("m.up_proj") == 1);
  const ChosenRange& range = calibration.at("m.up_proj.input").ranges[0];
  CHECK(inputs.at("m.up_proj").scale == range.scale);
  CHECK(inputs.at("m.up_proj").zero_point == range.zero_point);
  CHECK(inputs.at("m.up_proj").asymmetric);
  const StaticInput fp8 = staticInputs(folder / "calib.json", NIB_FORMAT_FP8).at("m.up_proj");
  CHECK(double(fp8.scale) == doctest::Approx(std::max(-range.min, range.max) / 448).epsilon(1e-6));
  CHECK(!fp8.asymmetric);
  // The weights of the module have as many columns as the recording has channels.
  WeightSpec weight;
  weight.name = "m.up_proj.weight";
  weight.cols = 4;
  CHECK(inputOf(inputs, weight).scale == range.scale);
  weight.cols = 8;
  const std::string line = refusal([&] { inputOf(inputs, weight); });
  CHECK(line.find("\"m.up_proj.weight\": its input has 8 channels") != std::string::npos);
  CHECK(line.find("in --calib has 4") != std::string::npos);
  weight.name = "m.down_proj.weight";
  CHECK(refusal([&] { inputOf(inputs, weight); }).find("no range") != std::string::npos);
  write("minmax", true, true);
  CHECK(refusal([&] { staticInputs(folder / "calib.json", NIB_FORMAT_INT8); }).find("--granularity tensor") !=
        std::string::npos);
  writeNpy(folder / "d/z.npy", std::vector<float>(8, 0.0f), 4);
  write("minmax", false, true);
  CHECK(refusal([&] { staticInputs(folder / "calib.json", NIB_FORMAT_INT8); }).find("empty range") !=
        std::string::npos);
}
