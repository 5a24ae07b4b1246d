// The rows of an op in the suites of `nibble bench`: their cases, names and data.
#ifndef NIB_SELFTEST_BENCH_ROWS_H
#define NIB_SELFTEST_BENCH_ROWS_H

#include "selftest/case.h"

namespace nib::selftest {

// W is M x K, N counts tokens, as everywhere in nibble.
struct BenchShape {
  uint32_t m = 0, n = 1, k = 0;
};

enum class Suite { kQuick, kFull, kQuantize, kGemv, kGemm, kCalibrate };

// A suite is a sequence of parts, each with a shape. Every op lists its rows for a part.
enum class BenchPart {
  kQuick,      // suite quick: every op, every format with its usual granularity
  kEveryWay,   // suites quantize and full: every granularity and type
  kTails,      // suite quantize: the cost of tails, once per format and direction
  kCalibrate,  // collectors of activations
  kCalibrateTails,
  kProducts,  // suites gemv and gemm, and `layer`
  kSquares,   // suite gemm: square float products, to compare products of codes with
  kCodes      // products of codes
};

struct BenchRequest {
  Suite suite;
  BenchPart part;
  BenchShape shape;
  uint32_t layer = 0;  // kProducts: the number of the layer shape
  bool first = true;   // kProducts: whether this is the suite's first shape
  bool given = false;  // whether the user gave the shape
};

// The rows of a part, sorted by `order` and then in the order of the ops. Rows that read the same data should be
// adjacent, because the data is then uploaded once.
struct BenchList {
  struct Row {
    uint32_t order;
    Case c;
  };
  std::vector<Row> rows;
  // Sets the seed. n = 0 means all rows of the shape.
  void add(uint32_t order, const BenchShape& shape, Case c, uint32_t n = 0, Recipe recipe = Recipe::kNormal);
};

// Values of `order`. Rows of a format add its number. kTails uses two values per format: first for rows that read its
// blobs, then for rows that write them.
enum BenchOrder : uint32_t {
  kReadsBlobs = 0,  // dequantize and gather
  kReadsProducts = 1000,
  kQuickDense = 2000,  // statistics and conversions of kQuick
  kQuickQuantize = 3000,
  kQuickQuantizeHalf = 4000,
  kEveryQuantize = 5000,  // plus 1000 per dense type: quantize, then statistics and conversions
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
// Scales as model files store them: fp16, but fp32 for the blocks of NF4 (bitsandbytes).
NibWeights benchWeights(const NibFormatInfo& info, BenchSharing sharing, uint32_t flags = 0);
// Formats that are timed with every granularity. The others differ in how a code is computed, not in memory access.
bool inEveryWay(const NibFormatInfo& info);
inline constexpr NibType kBenchTypes[] = {NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16};

// The arithmetic whose peak rate multiply-adds are compared with.
enum class Arithmetic { kFloat, kHalf, kCodes };

// The names that identify a row. Empty = does not apply to the op.
struct RowNames {
  std::string op;           // "quantize"
  std::string type;         // "int4"; minmax: the source type, convert: the result type, errors: the candidate type
  std::string source;       // "f32": the type of a dense source
  std::string result;       // "f16": the type of a dense result
  std::string granularity;  // "group"
  uint32_t group_size = 0;
  std::string scale_type;
  std::string scales;              // "found" or "given"
  std::vector<std::string> modes;  // "asymmetric", "narrow", "flat"
  uint32_t m = 0, n = 1, k = 0;

  // "group 128", "row asymmetric given", for display.
  std::string sharing() const;
  void describe(const NibWeights& weights);
};

// The initial contents of WEIGHTS, INPUT or OUTPUT. Adjacent rows with equal contents share one upload.
struct RowData {
  enum class Kind {
    kOwn,    // filled by the op's cases
    kDense,  // numbers of `recipe` and `type`, from `seed`
    kBlob,   // normal random numbers, quantized as `blob` says
    kMarks,  // nothing
    kGiven   // scales near those that quantize finds for normal random numbers
  };
  Kind kind = Kind::kOwn;
  Recipe recipe = Recipe::kNormal;
  NibType type = NIB_TYPE_F32;
  uint64_t seed = 0;
  NibQuantizeDesc blob{};
  std::string content;  // kOwn: rows with equal texts have equal contents; "" = never shared

  static RowData dense(const Case& c, uint32_t type) { return {Kind::kDense, c.recipe, NibType(type), c.seed, {}, {}}; }
  static RowData marks() { return {Kind::kMarks, Recipe::kNormal, NIB_TYPE_F32, 0, {}, {}}; }
  static RowData quantized(uint32_t rows, uint32_t cols, const NibWeights& weights);
};

// OpBench.data of ops that read dense numbers and nothing else.
template <class Desc>
RowData denseInput(const Case& c, const Desc& desc, NibRole role) {
  return role == NIB_ROLE_INPUT ? RowData::dense(c, desc.source_type) : RowData::marks();
}

// One of several ways in which a device can run a row. The context normally picks one.
struct RowForm {
  std::string name;  // "fused"; becomes a mode of the row
  NibTuning tuning;
};

template <class Desc>
struct OpBench {
  // Appends the rows of a part. The caller drops rows that this build cannot plan.
  void (*list)(const BenchRequest& request, BenchList& list) = nullptr;
  // Fills in all names except `op`.
  void (*names)(const Case& c, const Desc& desc, RowNames& names) = nullptr;
  // NULL = filled by the op's cases and never shared.
  RowData (*data)(const Case& c, const Desc& desc, NibRole role) = nullptr;
  // Products only: of n rows.
  double (*multiplyAdds)(const Desc& desc, uint32_t n) = nullptr;
  Arithmetic (*arithmetic)(const Desc& desc) = nullptr;
  // Products only: the activation type of the product with dense fp32 weights that the row is compared with.
  // NULL = the row's own.
  const char* (*denseSource)(const Desc& desc) = nullptr;
  // Whether this is a product with dense fp32 weights, which other products are compared with.
  bool (*isDenseCounterpart)(const Desc& desc) = nullptr;
  // NULL = there is only one.
  std::vector<RowForm> (*forms)(const Desc& desc) = nullptr;
  // The name of the same op in bench/peer/ggml_bench.c. NULL = it has none.
  const char* peer = nullptr;
};

// OpBench with the description's type erased. All functions may be called: NULL ones of OpBench return a default.
struct BenchRow {
  void (*list)(const BenchRequest& request, BenchList& list);
  void (*names)(const Case& c, RowNames& names);
  RowData (*data)(const Case& c, NibRole role);
  double (*multiplyAdds)(const Case& c);
  Arithmetic (*arithmetic)(const Case& c);
  const char* (*denseSource)(const Case& c);  // NULL = its own
  bool (*isDenseCounterpart)(const Case& c);
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
            if constexpr (kCases.bench.multiplyAdds != nullptr) return kCases.bench.multiplyAdds(c.as<Desc>(), c.n);
            return 0.0;
          },
      .arithmetic =
          [](const Case& c) {
            if constexpr (kCases.bench.arithmetic != nullptr) return kCases.bench.arithmetic(c.as<Desc>());
            return Arithmetic::kFloat;
          },
      .denseSource = [](const Case& c) -> const char* {
        if constexpr (kCases.bench.denseSource != nullptr) return kCases.bench.denseSource(c.as<Desc>());
        return nullptr;
      },
      .isDenseCounterpart =
          [](const Case& c) {
            if constexpr (kCases.bench.isDenseCounterpart != nullptr) {
              return kCases.bench.isDenseCounterpart(c.as<Desc>());
            }
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
