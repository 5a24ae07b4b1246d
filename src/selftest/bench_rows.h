// What of an op `nibble bench` measures: rows of its suites, the words that rows are known by, and the data they read.
#ifndef NIB_SELFTEST_BENCH_ROWS_H
#define NIB_SELFTEST_BENCH_ROWS_H

#include "selftest/case.h"

namespace nib::selftest {

// W is M x K, N counts tokens, as everywhere in nibble.
struct BenchShape {
  uint32_t m = 0, n = 1, k = 0;
};

enum class Suite { kQuick, kFull, kQuantize, kGemv, kGemm, kCalibrate };

// A suite is a sequence of these, each with a shape; every op says what it has for it.
enum class BenchPart {
  kQuick,      // of suite quick: every op, every format in its usual way
  kEveryWay,   // of quantize and full: every way and type
  kTails,      // of quantize: what tails cost, once per format and direction
  kCalibrate,  // collectors of activations
  kCalibrateTails,
  kProducts,  // of gemv and gemm, and `layer`
  kSquares,   // of gemm: what squares of codes are held against
  kCodes      // products of codes
};

struct BenchRequest {
  Suite suite;
  BenchPart part;
  BenchShape shape;
  uint32_t layer = 0;  // of kProducts: shapes of layers are numbered
  bool first = true;   // of kProducts: the suite's first shape
  bool given = false;  // the shape is not the suite's own
};

// Rows of a part. Those with a smaller turn come first, of one turn in the order of the ops: rows that read the same
// data shall follow each other, for it is uploaded once.
struct BenchList {
  struct Row {
    uint32_t turn;
    Case c;
  };
  std::vector<Row> rows;
  // Sets the seed; n = 0: the shape's rows.
  void add(uint32_t turn, const BenchShape& shape, Case c, uint32_t n = 0, Recipe recipe = Recipe::kNormal);
};

// The turns of rows; the number of a format is added. Of kTails two for each: what reads its blobs, then what makes
// them.
enum BenchTurn : uint32_t {
  kReadsBlobs = 0,  // dequantizing and looking up
  kReadsProducts = 1000,
  kQuickDense = 2000,  // statistics and conversions of quick
  kQuickQuantize = 3000,
  kQuickQuantizeHalf = 4000,
  kEveryQuantize = 5000,  // and 1000 more for each type: quantizing, then statistics and conversions
  kEveryDense = 5500,
  kTailsDense = 1000
};

// How weights share scales.
struct BenchSharing {
  NibGranularity granularity;
  uint32_t group;
};
inline constexpr BenchSharing kPerTensor{NIB_GRANULARITY_TENSOR, 0};
inline constexpr BenchSharing kPerRow{NIB_GRANULARITY_ROW, 0};
inline constexpr BenchSharing kPerColumn{NIB_GRANULARITY_COLUMN, 0};
inline constexpr BenchSharing kPerGroup32{NIB_GRANULARITY_GROUP, 32};
inline constexpr BenchSharing kPerGroup64{NIB_GRANULARITY_GROUP, 64};
inline constexpr BenchSharing kPerGroup128{NIB_GRANULARITY_GROUP, 128};

BenchSharing usualSharing(const NibFormatInfo& info);
// Scales as model files keep them: half precision, but bitsandbytes' NF4 blocks single.
NibWeights benchWeights(const NibFormatInfo& info, BenchSharing sharing, uint32_t flags = 0);
// Formats that are timed in every way; others differ from these in how a code is made, not in how memory is walked.
bool inEveryWay(const NibFormatInfo& info);
inline constexpr NibType kBenchTypes[] = {NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16};

// What multiply-adds are held against.
enum class Arithmetic { kFloat, kHalf, kCodes };

// The words a row is known by. Empty = the op has no such thing.
struct RowNames {
  std::string op;           // "quantize"
  std::string type;         // "int4"; of minmax the source's, of convert the result's, of errors the candidate's
  std::string source;       // "f32": of what is read, where that is dense
  std::string result;       // "f16": of what is written, where that is dense
  std::string granularity;  // "group"
  uint32_t group_size = 0;
  std::string scale_type;
  std::string scales;              // "found" or "given"
  std::vector<std::string> modes;  // "asymmetric", "narrow", "flat"
  uint32_t m = 0, n = 1, k = 0;

  // "group 128", "row asymmetric given", for people.
  std::string sharing() const;
  void describe(const NibWeights& weights);
};

// What the range of WEIGHTS, INPUT or OUTPUT holds before a row runs. Rows that share it have it made and uploaded
// once.
struct RowData {
  enum class Kind {
    kOwn,    // as the op's cases fill it
    kDense,  // numbers of `recipe` and `type`, from `seed`
    kBlob,   // ordinary numbers, quantized as `blob` says
    kMarks,  // nothing
    kGiven   // scales near those that would have been found in ordinary numbers
  };
  Kind kind = Kind::kOwn;
  Recipe recipe = Recipe::kNormal;
  NibType type = NIB_TYPE_F32;
  uint64_t seed = 0;
  NibQuantizeDesc blob{};
  std::string content;  // of kOwn: rows with equal texts share it; "" = none does

  static RowData dense(const Case& c, uint32_t type) { return {Kind::kDense, c.recipe, NibType(type), c.seed, {}, {}}; }
  static RowData marks() { return {Kind::kMarks, Recipe::kNormal, NIB_TYPE_F32, 0, {}, {}}; }
  static RowData quantized(uint32_t rows, uint32_t cols, const NibWeights& weights);
};

// One of several ways in which a device can run a row, of which the context picks one.
struct RowForm {
  std::string name;  // "fused": a mode of the row's
  NibTuning tuning;
};

template <class Desc>
struct OpBench {
  // Appends rows of a part; what this build cannot plan is left out by the caller.
  void (*list)(const BenchRequest& request, BenchList& list) = nullptr;
  // Fills in all words but the op's.
  void (*names)(const Case& c, const Desc& desc, RowNames& names) = nullptr;
  // NULL = as the cases fill it, shared by no other row.
  RowData (*data)(const Case& c, const Desc& desc, NibRole role) = nullptr;
  // Of products.
  double (*multiplyAdds)(const Desc& desc) = nullptr;
  Arithmetic (*arithmetic)(const Desc& desc) = nullptr;
  // Of products: the activations of the product of dense fp32 weights that the row is compared with. NULL = its own.
  const char* (*twinSource)(const Desc& desc) = nullptr;
  // Whether it is such a product.
  bool (*isTwin)(const Desc& desc) = nullptr;
  // NULL = there is but one.
  std::vector<RowForm> (*forms)(const Desc& desc) = nullptr;
  // What bench/peer/ggml_bench.c calls the same op. NULL = it has none.
  const char* peer = nullptr;
};

// The same with the description's type erased; functions may be called whatever the op has.
struct BenchRow {
  void (*list)(const BenchRequest& request, BenchList& list);
  void (*names)(const Case& c, RowNames& names);
  RowData (*data)(const Case& c, NibRole role);
  double (*multiplyAdds)(const Case& c);
  Arithmetic (*arithmetic)(const Case& c);
  const char* (*twinSource)(const Case& c);  // NULL = its own
  bool (*isTwin)(const Case& c);
  std::vector<RowForm> (*forms)(const Case& c);
  const char* peer;
};

namespace detail {

// kCases.bench is the OpBench.
template <class Desc, const auto& kCases>
constexpr BenchRow makeBenchRow() {
  static_assert((kCases.bench.list == nullptr) == (kCases.bench.names == nullptr), "rows need names");
  return {
      .list =
          [](const BenchRequest& request, BenchList& list) {
            if constexpr (kCases.bench.list != nullptr) kCases.bench.list(request, list);
          },
      .names =
          [](const Case& c, RowNames& names) {
            if constexpr (kCases.bench.names != nullptr) kCases.bench.names(c, c.as<Desc>(), names);
          },
      .data =
          [](const Case& c, NibRole role) {
            if constexpr (kCases.bench.data != nullptr) return kCases.bench.data(c, c.as<Desc>(), role);
            return RowData{};
          },
      .multiplyAdds =
          [](const Case& c) {
            if constexpr (kCases.bench.multiplyAdds != nullptr) return kCases.bench.multiplyAdds(c.as<Desc>());
            return 0.0;
          },
      .arithmetic =
          [](const Case& c) {
            if constexpr (kCases.bench.arithmetic != nullptr) return kCases.bench.arithmetic(c.as<Desc>());
            return Arithmetic::kFloat;
          },
      .twinSource = [](const Case& c) -> const char* {
        if constexpr (kCases.bench.twinSource != nullptr) return kCases.bench.twinSource(c.as<Desc>());
        return nullptr;
      },
      .isTwin =
          [](const Case& c) {
            if constexpr (kCases.bench.isTwin != nullptr) return kCases.bench.isTwin(c.as<Desc>());
            return false;
          },
      .forms =
          [](const Case& c) {
            if constexpr (kCases.bench.forms != nullptr) return kCases.bench.forms(c.as<Desc>());
            return std::vector<RowForm>{};
          },
      .peer = kCases.bench.peer,
  };
}

}  // namespace detail
}  // namespace nib::selftest
#endif
