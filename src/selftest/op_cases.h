// The cases of an op as data. Each src/selftest/cases/NAME.cpp describes those of one op as an OpCases<Desc> with
// designated initializers and makes its row, kCases_NAME, from it; the build lists the rows from kernels.list. Tests,
// `nibble selftest`, `nibble devices --verify` and `nibble bench` know ops from these rows alone.
#ifndef NIB_SELFTEST_OP_CASES_H
#define NIB_SELFTEST_OP_CASES_H

#include "selftest/bench_rows.h"
#include "selftest/cases.h"
#include "selftest/inputs.h"

namespace nib::selftest {

// How a part is divided into rows.
struct Lines {
  uint64_t row_bits = 0;  // 0 = one row
  uint32_t element_bits = 32;
};

// The memory that a bounded op's result is checked with. `output` is the range after the run.
struct Judged {
  uint32_t n;
  const NibMemory& memory;
  const uint32_t* const (&before)[NIB_ROLE_COUNT];
  const uint32_t* output;
  uint64_t most_products;
};

// The functions for an op whose description is Desc. Members without a default are required.
template <class Desc>
struct OpCases {
  NibOp op;
  // Appends the cases of a format, or with NULL those without a format. The caller drops cases of formats that this
  // build lacks.
  void (*list)(const NibFormatInfo* format, Extent extent, std::vector<Case>& list);
  // The name of a case without the op's name at its beginning.
  std::string (*name)(const Case& c, const Desc& desc);
  // A number that roughly identifies the kernels that a description uses. A thinned list keeps one case of each kind.
  uint64_t (*kind)(const Desc& desc);
  // Writes the parts of the role's range that a run reads. The range has the size of `memory` and is filled with marks.
  void (*fill)(const Case& c, const Desc& desc, const NibMemory& memory, NibRole role, Words& range);
  // The weights, if the op has any.
  NibWeights* (*weights)(Desc& desc) = nullptr;
  // The format of other codes: those that the weights are multiplied by, or of a result. NULL = there are none.
  uint32_t (*input_format)(const Desc& desc) = nullptr;
  // Whether each format has its own list. If not, the list without a format has all cases.
  bool by_format = true;
  // The row layout of a part, to report the row and column of a wrong word. NULL = the words are one row.
  Lines (*lines)(const Desc& desc, const NibMemory& memory, NibRole role, NibPart part) = nullptr;
  // Whether the result is compared within a bound, by `farthest`. NULL = results have the reference's bytes.
  bool (*bounded)(const Case& c, const Desc& desc) = nullptr;
  Farthest (*farthest)(const Desc& desc, const Judged& judged) = nullptr;
  // Appends cases of other sizes. The caller drops those that this build or the op does not support.
  void (*large)(Large purpose, const NibFormatInfo* format, const LargeOptions& options,
                std::vector<Case>& list) = nullptr;
  // Appends descriptions for `nibble devices --verify`.
  void (*verify)(const NibFormatInfo* format, std::vector<NamedCase>& list) = nullptr;
  // The rows of `nibble bench`. Empty = none.
  OpBench<Desc> bench = {};
};

// OpCases with the description's type erased.
struct CasesRow {
  uint32_t op;
  void (*list)(const NibFormatInfo* format, Extent extent, std::vector<Case>& list);
  std::string (*name)(const Case& c);
  uint64_t (*kind)(const Case& c);
  void (*fill)(const Case& c, const NibMemory& memory, NibRole role, Words& range);
  NibWeights* (*weights)(Case& c);          // NULL = none
  uint32_t (*input_format)(const Case& c);  // 0 = none
  bool by_format;
  Lines (*lines)(const Case& c, const NibMemory& memory, NibRole role, NibPart part);
  bool (*bounded)(const Case& c);
  Farthest (*farthest)(const Case& c, const Judged& judged);
  void (*large)(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list);
  void (*verify)(const NibFormatInfo* format, std::vector<NamedCase>& list);
  BenchRow bench;
};

namespace detail {

// kCases is a constexpr OpCases<Desc>; its functions are called through pointers that take any case.
template <class Desc, const OpCases<Desc>& kCases>
constexpr CasesRow makeCasesRow() {
  static_assert((kCases.bounded == nullptr) == (kCases.farthest == nullptr),
                "bounded results need a function farthest");
  return {
      .op = uint32_t(kCases.op),
      .list = kCases.list,
      .name = [](const Case& c) { return kCases.name(c, c.as<Desc>()); },
      .kind = [](const Case& c) { return kCases.kind(c.as<Desc>()); },
      .fill = [](const Case& c, const NibMemory& memory, NibRole role,
                 Words& range) { kCases.fill(c, c.as<Desc>(), memory, role, range); },
      .weights = [](Case& c) -> NibWeights* {
        if constexpr (kCases.weights != nullptr) return kCases.weights(c.as<Desc>());
        return nullptr;
      },
      .input_format = [](const Case& c) -> uint32_t {
        if constexpr (kCases.input_format != nullptr) return kCases.input_format(c.as<Desc>());
        return 0;
      },
      .by_format = kCases.by_format&& kCases.weights != nullptr,
      .lines =
          [](const Case& c, const NibMemory& memory, NibRole role, NibPart part) {
            if constexpr (kCases.lines != nullptr) return kCases.lines(c.as<Desc>(), memory, role, part);
            return Lines{};
          },
      .bounded =
          [](const Case& c) {
            if constexpr (kCases.bounded != nullptr) return kCases.bounded(c, c.as<Desc>());
            return false;
          },
      .farthest =
          [](const Case& c, const Judged& judged) {
            if constexpr (kCases.farthest != nullptr) return kCases.farthest(c.as<Desc>(), judged);
            return Farthest{};
          },
      .large =
          [](Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
            if constexpr (kCases.large != nullptr) kCases.large(purpose, format, options, list);
          },
      .verify =
          [](const NibFormatInfo* format, std::vector<NamedCase>& list) {
            if constexpr (kCases.verify != nullptr) kCases.verify(format, list);
          },
      .bench = makeBenchRow<Desc, kCases>(),
  };
}

}  // namespace detail

// Defines kCases_NAME from DESCRIPTION, a constexpr OpCases<...> of the same file.
#define NIB_DEFINE_CASES(NAME, DESC, DESCRIPTION) \
  extern const CasesRow kCases_##NAME;            \
  constinit const CasesRow kCases_##NAME = detail::makeCasesRow<DESC, DESCRIPTION>();

// Returns NULL if this build lacks the op.
const CasesRow* findCases(uint32_t op);
// In the order of kernels.list; NULL beyond the last.
const CasesRow* casesAt(uint32_t index);

// Whether this build has every format that the case names.
bool hasFormats(const Case& c);

// Whether this build and the op support the case. Lists may contain cases that they do not.
bool canBePlanned(const Case& c);

}  // namespace nib::selftest
#endif
