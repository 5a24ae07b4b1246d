// Quantize against the definition in double precision (model.h), byte for byte: every format, granularity, type and
// flag of the shared case list with its adversarial inputs, and many more random groups.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"
#include "searched_model.h"

using namespace nib;
using namespace nib::tests;

namespace {

// Runs a quantize case; the message of the first difference, or nothing.
std::string compareWithModel(const selftest::Case& c) {
  const NibQuantizeDesc& d = c.as<NibQuantizeDesc>();
  Ranges ranges(c.desc());
  if (!ranges.valid()) return "refused";
  prepare(c, ranges);
  if (d.flags & NIB_QUANTIZE_GIVEN_SCALES) fillEdgeScales(c, ranges);
  model::Bytes blob = ranges.copy(NIB_ROLE_WEIGHTS);
  const model::Bytes source = ranges.copy(NIB_ROLE_INPUT);
  NibStatus status{};
  const bool counts = (d.flags & NIB_QUANTIZE_STATUS) != 0;
  if (model::formatOf(d.weights.format)->kind == model::Kind::kSearched) {
    if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
    if (!ranges.guardsHold()) return "wrote outside its ranges";
    if (ranges.copy(NIB_ROLE_INPUT) != source) return "wrote its input";
    if (counts) status = ranges.status();
    return model::checkSearched(d, source.data(), c.n, blob, ranges.bytes(NIB_ROLE_WEIGHTS),
                                counts ? &status : nullptr);
  }
  model::quantize(d, source.data(), c.n, blob, counts ? &status : nullptr);

  if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
  if (!ranges.guardsHold()) return "wrote outside its ranges";
  if (ranges.copy(NIB_ROLE_INPUT) != source) return "wrote its input";
  const std::string difference = firstDifference(ranges.bytes(NIB_ROLE_WEIGHTS), blob.data(), blob.size());
  if (!difference.empty()) return difference;
  if (counts) {
    const NibStatus found = ranges.status();
    if (std::memcmp(&found, &status, sizeof status) != 0) {
      return "status " + std::to_string(found.nonfinite_count) + ", " + std::to_string(found.saturated_count) + ", " +
             std::to_string(~found.first_nonfinite_not) + ", must be " + std::to_string(status.nonfinite_count) + ", " +
             std::to_string(status.saturated_count) + ", " + std::to_string(~status.first_nonfinite_not);
    }
  }
  return {};
}

void expectModel(const std::vector<selftest::Case>& list) {
  for (const selftest::Case& c : list) {
    const std::string difference = compareWithModel(c);
    if (!difference.empty()) {
      INFO(c.name());
      CHECK(difference == "");
    }
  }
}

void checkMemory() {
  forEachWeights([](const NibWeights& w, const Extents& shape, uint64_t count) {
    const uint32_t dense = uint32_t(count % 3);
    const bool status = count % 2 == 0, flat = (w.flags & NIB_WEIGHTS_FLAT) != 0;
    const uint64_t padded = uint64_t(shape.cols) + 3 + count % 5 * 2;
    const bool strided = !flat && count % 7 == 0 && padded * shape.rows <= kMostElements;
    NibQuantizeDesc d = quantizeDesc(shape.rows, shape.cols, w, NibType(dense));
    if (!status) d.flags = 0;
    if (strided) d.source_stride = uint32_t(padded);
    const NibMemory memory = memoryOf(d);
    checkWeights(memory, model::layoutOf(shape.rows, shape.cols, w));
    checkAux(memory, status);
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes ==
          denseBytes(shape.rows, shape.cols, strided ? padded : shape.cols, dense));
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 0);
  });
}

void checkRefusals() {
  using Desc = NibQuantizeDesc;
  for (const NibFormatInfo* info : scaledFormats()) {
    Desc right = quantizeDesc(4, 64, weights(info->format, NIB_GRANULARITY_GROUP, 32), NIB_TYPE_F16);
    right.flags = 0;
    right.source_stride = 66;
    expectEachRefused(right, "quantize",
                      plus<Desc>(wrongWeights<Desc>(),
                                 {
                                     {"flags", kInvalid, [](Desc& d) { d.flags = 8; }},
                                     {"IMPORTANCE", kUnsupported, [](Desc& d) { d.flags = NIB_QUANTIZE_IMPORTANCE; }},
                                     {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                                     {"source_type", kInvalid, [](Desc& d) { d.source_type = UINT32_MAX; }},
                                     {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                                     {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 0x40000000u; }},
                                     {"source_stride", kInvalid, [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }},
                                 }));
  }
}

}  // namespace

NIB_DEFINE_OP_TEST(quantize, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("quantize gives the model's bytes for every case of the shared list") {
  for (const model::Format& format : model::formats()) {
    const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_QUANTIZE, format.id, selftest::Extent::kFull);
    INFO(nibFormatById(format.id)->name);
    CHECK(list.size() >= (nibFormatById(format.id)->granularities == 1u << NIB_GRANULARITY_GROUP ? 10 : 100));
    expectModel(list);
  }
}

TEST_CASE("every format of this build has a model") {
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    INFO(nibFormatAt(i)->name, " has no zero points, so it is a codebook, and model.h lacks its values");
    CHECK(model::formatOf(nibFormatAt(i)->format) != nullptr);
  }
}

// The shared list varies every parameter a little. This test runs every combination of recipe, types and flags on
// thousands of small groups, with and without given scales.
TEST_CASE("quantize gives the model's bytes for every recipe, type and mode") {
  uint64_t seed = 1000;
  for (const model::Format& format : model::formats()) {
    const NibFormatInfo* info = nibFormatById(format.id);
    std::vector<selftest::Case> list;
    for (int recipe = 0; recipe <= int(selftest::Recipe::kMixed); ++recipe) {
      for (const uint32_t mode :
           {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC), uint32_t(NIB_WEIGHTS_NARROW), uint32_t(NIB_WEIGHTS_SCALE_CEIL),
            uint32_t(NIB_WEIGHTS_SCALE_EVEN), uint32_t(NIB_WEIGHTS_SCALE_RCEIL)}) {
        if ((mode & ~info->weights_flags) != 0) continue;
        for (uint32_t types = 0; types < 15; ++types) {
          if (!(info->scale_types >> types % 5 & 1u)) continue;
          for (const uint32_t flags : {0u, uint32_t(NIB_QUANTIZE_GIVEN_SCALES)}) {
            if (flags != 0 && (info->flags & NIB_FORMAT_OWN_SCALES)) continue;
            selftest::Case c;
            c.recipe = selftest::Recipe(recipe);
            c.seed = ++seed;
            c.n = 64;
            c.set(quantizeDesc(
                64, 81, weights(format.id, NIB_GRANULARITY_GROUP, info->group_multiple, mode, NibType(types % 5)),
                NibType(types / 5), flags));
            list.push_back(c);
          }
        }
      }
    }
    expectModel(list);
  }
}

// Sources and given scales of any bit pattern: nothing may trap, and the definition still holds.
TEST_CASE("quantize gives the model's bytes for scales of any bit pattern") {
  uint64_t seed = 77;
  for (const model::Format& format : model::scaledFormats()) {
    for (uint32_t type = 0; type < 3; ++type) {
      const NibQuantizeDesc d = quantizeDesc(512, 33, weights(format.id, NIB_GRANULARITY_ROW, 0, 0, NibType(type)),
                                             NIB_TYPE_F32, NIB_QUANTIZE_GIVEN_SCALES);
      Ranges ranges(asOp(d));
      REQUIRE(ranges.valid());
      ranges.clearStatus();
      fillBits(ranges.bytes(NIB_ROLE_INPUT), ranges.size(NIB_ROLE_INPUT), ++seed);
      fillBits(ranges.scales(), size_t(ranges.memory.part[NIB_PART_SCALES].size_bytes), ++seed);
      model::Bytes blob = ranges.copy(NIB_ROLE_WEIGHTS);
      NibStatus status{};
      model::quantize(d, ranges.bytes(NIB_ROLE_INPUT), 512, blob, &status);
      REQUIRE(ranges.run(512) == NIB_SUCCESS);
      CHECK(firstDifference(ranges.bytes(NIB_ROLE_WEIGHTS), blob.data(), blob.size()) == "");
      CHECK(ranges.status().nonfinite_count == status.nonfinite_count);
    }
  }
}
