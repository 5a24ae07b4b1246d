#include "bench/suite.h"

#include <nibble/formats.h>

#include <algorithm>
#include <cctype>

#include "base/names.h"
#include "selftest/op_cases.h"

namespace nib::bench {
namespace {

using selftest::BenchPart;
using selftest::BenchRequest;
using selftest::Suite;

// At least 16 Mi elements. The second has tails of every kind: odd rows, odd columns, a partial last group in a row.
constexpr Shape kShape{4096, 1, 4096};
constexpr Shape kTailShape{4099, 1, 4111};
// 1 GB of fp32, like activations of many tokens.
constexpr Shape kStreamShape{65536, 1, 4096};

// Linear layers of models of 7 and 70 billion weights.
constexpr Shape kLayers[] = {{4096, 1, 4096}, {11008, 1, 4096}, {4096, 1, 11008}, {28672, 1, 8192}};
constexpr uint32_t kTokens[] = {16, 64, 512, 2048};
constexpr uint32_t kSquares[] = {1024, 2048, 4096, 8192};
// Shapes of products of codes in suite full.
constexpr Shape kCodes[] = {{1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 16, 4096},   {4096, 64, 4096},
                            {4096, 512, 4096},  {4096, 4096, 4096}, {11008, 512, 4096}, {4096, 1, 4096}};

bool sameWord(const std::string& a, const std::string& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
         });
}

bool isWanted(const std::vector<std::string>& wanted, const std::string& word) {
  return wanted.empty() ||
         std::any_of(wanted.begin(), wanted.end(), [&](const std::string& w) { return sameWord(w, word); });
}

// The parts of a suite in order, each with the rows of every op.
class Rows {
 public:
  explicit Rows(const SuiteOptions& options) : options_(options) {}

  void add(const BenchRequest& request) {
    selftest::BenchList list;
    for (uint32_t i = 0; const selftest::CasesRow* op = selftest::casesAt(i); ++i) op->bench.list(request, list);
    std::stable_sort(list.rows.begin(), list.rows.end(),
                     [](const auto& a, const auto& b) { return a.order < b.order; });
    for (selftest::BenchList::Row& row : list.rows) {
      const RowNames names = namesOf(row.c);
      if (!isWanted(options_.types, names.type) || !isWanted(options_.ops, names.op) || !selftest::canBePlanned(row.c))
        continue;
      rows_.push_back(std::move(row.c));
    }
  }
  // The suite's shapes, or the requested one.
  void add(Suite suite, BenchPart part, const Shape& shape) {
    add({suite, part, options_.shape.value_or(shape), 0, true, options_.shape.has_value()});
  }
  // The longest rows come last, so that a budget drops those.
  void sortByLength() {
    std::stable_sort(rows_.begin(), rows_.end(), [](const selftest::Case& a, const selftest::Case& b) {
      return multiplyAdds(a) < multiplyAdds(b);
    });
  }
  bool given() const { return options_.shape.has_value(); }
  std::vector<selftest::Case> take() { return std::move(rows_); }

 private:
  const SuiteOptions& options_;
  std::vector<selftest::Case> rows_;
};

void listLayers(Suite suite, BenchPart part, Rows& rows) {
  const bool many_tokens = suite == Suite::kGemm;
  if (rows.given()) {
    rows.add(suite, part, {});
    return;
  }
  bool first = true;
  for (uint32_t layer = 0; layer < std::size(kLayers); ++layer) {
    for (uint32_t i = 0; i < (many_tokens ? std::size(kTokens) : 1); ++i) {
      Shape shape = kLayers[layer];
      if (many_tokens) shape.n = kTokens[i];
      rows.add({suite, part, shape, layer, first, false});
      first = false;
    }
  }
}

}  // namespace

const std::vector<std::string>& suiteNames() {
  static const std::vector<std::string> kNames = {"quick", "full", "quantize", "gemv", "gemm", "calibrate"};
  return kNames;
}

std::vector<std::string> suiteTypes() {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < nibFormatCount(); ++i) names.emplace_back(nibFormatAt(i)->name);
  for (const NibType type : {NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16}) names.emplace_back(typeName(type));
  return names;
}

std::vector<std::string> suiteOps() { return selftest::opNames(); }

std::vector<selftest::Case> suiteRows(const SuiteOptions& options) {
  Rows rows(options);
  if (options.suite == "gemv") {
    listLayers(Suite::kGemv, BenchPart::kProducts, rows);
    rows.sortByLength();
  } else if (options.suite == "gemm") {
    listLayers(Suite::kGemm, BenchPart::kProducts, rows);
    for (const uint32_t side : kSquares) {
      if (!rows.given()) rows.add(Suite::kGemm, BenchPart::kSquares, {side, side, side});
    }
    listLayers(Suite::kGemm, BenchPart::kCodes, rows);
    for (const uint32_t side : kSquares) {
      if (!rows.given()) rows.add(Suite::kGemm, BenchPart::kCodes, {side, side, side});
    }
    rows.sortByLength();
  } else if (options.suite == "calibrate") {
    rows.add(Suite::kCalibrate, BenchPart::kCalibrate, kStreamShape);
    if (!rows.given()) rows.add(Suite::kCalibrate, BenchPart::kCalibrateTails, kTailShape);
  } else if (options.suite == "quantize") {
    rows.add(Suite::kQuantize, BenchPart::kEveryWay, kShape);
    if (!rows.given()) rows.add(Suite::kQuantize, BenchPart::kTails, kTailShape);
  } else if (options.suite == "full") {
    for (const Shape& shape : kCodes) {
      rows.add(Suite::kFull, BenchPart::kCodes, shape);
      if (rows.given()) break;
    }
    rows.add(Suite::kFull, BenchPart::kEveryWay, kShape);
    if (!rows.given()) rows.add(Suite::kFull, BenchPart::kEveryWay, kTailShape);
  } else {
    rows.add(Suite::kQuick, BenchPart::kQuick, kShape);
  }
  return rows.take();
}

RowNames namesOf(const selftest::Case& row) {
  RowNames names;
  names.op = selftest::opName(row.op());
  selftest::findCases(row.op())->bench.names(row, names);
  return names;
}

double multiplyAdds(const selftest::Case& row) { return selftest::findCases(row.op())->bench.multiplyAdds(row); }

uint64_t bytesMoved(const selftest::Case& row) {
  NibMemory memory{sizeof(NibMemory)};
  if (nibGetMemory(row.desc(), nullptr, &memory) != NIB_SUCCESS) return 0;
  uint64_t bytes = memory.range[NIB_ROLE_INPUT].size_bytes + memory.range[NIB_ROLE_OUTPUT].size_bytes;
  for (const NibPart part : {NIB_PART_CODES, NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED})
    bytes += memory.part[part].size_bytes;
  return bytes;
}

}  // namespace nib::bench
