// The bytes of an output do not depend on how tensors are split into pieces.
#include "model/quantize/lanes.h"

#include <nibble/formats.h>

#include "model/quantize/pipeline.h"
#include "model/quantize/slab.h"
#include "model_test.h"

#include <atomic>
#include <stdexcept>

namespace nib::model::test {
namespace {

struct Way {
  const char* container;
  const char* type;
  Granularity granularity;
  int64_t group_size;
  bool asymmetric;
  bool and_back;  // also decoded in pieces
};

std::map<std::string, std::string> quantized(const fs::path& in, const fs::path& out, const Way& way,
                                             uint64_t memory_bytes) {
  QuantizeOptions options;
  options.in = in;
  options.out = out;
  options.container = findContainer(way.container);
  options.selection.type = *findWeightType(way.type);
  options.selection.granularity = way.granularity;
  options.selection.group_size = way.group_size;
  options.selection.asymmetric = way.asymmetric;
  options.memory_bytes = memory_bytes;
  options.command = "test";
  const QuantizeReport report = quantizeModel(kit::Device::cpu(), options);
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(out)) {
    files[entry.path().filename().string()] = readText(entry.path());
  }
  // The tensors' reports are compared too.
  for (const TensorReport& tensor : report.tensors) {
    files["report"] += tensor.name + " " + std::to_string(tensor.errors.mse * 1e9) + " " +
                       std::to_string(tensor.errors.max_error_index) + "\n";
  }
  return files;
}

}  // namespace

TEST_CASE("small pieces give the bytes and the errors of large ones") {
  const TempFolder folder;
  const Way ways[] = {
      {"compressed-tensors", "int4", Granularity::kGroup, 64, false, false},
      {"compressed-tensors", "int4", Granularity::kGroup, 32, true, true},
      {"compressed-tensors", "int2", Granularity::kGroup, 32, true, true},
      {"compressed-tensors", "int8", Granularity::kChannel, 0, true, false},
      {"compressed-tensors", "fp8", Granularity::kTensor, 0, false, true},
      {"compressed-tensors", "mxfp4", Granularity::kGroup, 32, false, false},
      {"bnb", "nf4", Granularity::kGroup, 64, false, true},
      {"bnb", "int8", Granularity::kChannel, 0, false, true},
      {"dense", "int3", Granularity::kGroup, 32, false, false},
      {"dense", "nf4", Granularity::kGroup, 64, false, false},
      {"safetensors", "BF16", Granularity::kChannel, 0, false, false},
  };
  for (const Way& way : ways) {
    CAPTURE(std::string(way.container) + " " + way.type);
    const std::string name =
        std::string(way.container) + way.type + (way.asymmetric ? "a" : "") + std::to_string(way.group_size);
    const auto large = quantized(NIB_SAMPLE_MODEL, folder / (name + "_large"), way, kDefaultMemory);
    // Pieces of 4 KB, or the smallest possible.
    const auto small = quantized(NIB_SAMPLE_MODEL, folder / (name + "_small"), way, 60'000);
    CHECK(large.size() >= 5);
    CHECK(small == large);
    if (!way.and_back) continue;
    // As input: decoding in small pieces gives the same as decoding whole tensors.
    const Way back{"safetensors", "F32", Granularity::kChannel, 0, false, false};
    const auto whole = quantized(folder / (name + "_large"), folder / (name + "_back"), back, kDefaultMemory);
    const auto pieces = quantized(folder / (name + "_large"), folder / (name + "_back_small"), back, 60'000);
    CHECK(whole.size() == pieces.size());
    for (const auto& [file, text] : whole) {
      CAPTURE(file);
      CHECK(pieces.count(file) == 1);
      CHECK((pieces.count(file) == 1 && pieces.at(file) == text));
    }
  }
}

TEST_CASE("pieces are multiples of the unit, within the target, and of equal size if possible") {
  WeightSpec weight;
  weight.weights = {NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 64, NIB_TYPE_F16, 0};
  for (const uint32_t rows : {1u, 8u, 100u, 4096u, 14336u, 11008u, 151936u}) {
    for (const uint32_t cols : {64u, 704u, 4096u, 4160u}) {
      weight.rows = rows;
      weight.cols = cols;
      const uint64_t unit = slabUnit(weight);
      for (const uint64_t target : {uint64_t(1) << 12, uint64_t(40'000'000), uint64_t(1) << 32}) {
        const SlabShape shape = slabShape(weight, unit, 2, target);
        CAPTURE(rows);
        CAPTURE(cols);
        CAPTURE(target);
        const uint64_t elements = uint64_t(shape.rows) * cols;
        CHECK(uint64_t(shape.rows) * shape.count >= rows);
        CHECK(uint64_t(shape.rows) * (shape.count - 1) < rows);
        CHECK((shape.count == 1 || elements % unit == 0));
        CHECK((elements * 2 <= target || elements <= unit));
      }
    }
  }
  weight.rows = 14336;
  weight.cols = 4096;
  const SlabShape shape = slabShape(weight, slabUnit(weight), 2, 43'000'000);
  CHECK(shape.count == 4);
  CHECK(shape.rows == 3584);
}

TEST_CASE("lanes run each job once, and the error of the first failing job is thrown") {
  std::vector<std::atomic<int>> done(100);
  std::atomic<int> inside = 0;
  std::atomic<bool> shared_lane = false;
  std::vector<std::atomic<int>> in_lane(3);
  runLanes(3, done.size(), [&](uint32_t lane, size_t job) {
    if (in_lane[lane]++ != 0) shared_lane = true;
    ++inside;
    ++done[job];
    --in_lane[lane];
  });
  CHECK(inside == 100);
  for (const auto& count : done) CHECK(count == 1);
  CHECK(!shared_lane);

  std::atomic<int> begun = 0;
  const auto work = [&](uint32_t, size_t job) {
    ++begun;
    // The later job fails first.
    while (job == 4 && begun < 6) {
    }
    if (job == 4 || job == 5) throw std::runtime_error("job " + std::to_string(job));
    while (job < 4 && begun < int(job) + 2) {
    }
  };
  CHECK_THROWS_WITH(runLanes(3, 1000, work), "job 4");
  CHECK(begun < 1000);
  runLanes(3, 0, [](uint32_t, size_t) { throw 1; });
}

}  // namespace nib::model::test
