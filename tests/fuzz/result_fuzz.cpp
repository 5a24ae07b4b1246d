#include <stdexcept>

#include "bench/compare.h"
#include "bench/markdown.h"
#include "model/archive/json_document.h"
#include "readers.h"

namespace nib::fuzz {

void result(Input input) {
  nlohmann::ordered_json run;
  try {
    run = model::readJsonText(input, "f");
  } catch (const std::runtime_error& error) {
    return requireLine(error.what());
  }
  try {
    bench::checkResult(run, "f");
    // A result compared with itself has no row that only one of them has, but rows without a time.
    const bench::Comparison comparison = bench::compareRuns(run, run);
    for (const bench::Compared& row : comparison.rows) require(row.ratio > 0, "a ratio");
  } catch (const std::runtime_error&) {
  }
  try {
    bench::markdownOf(run);
  } catch (const std::runtime_error&) {
  }
}

}  // namespace nib::fuzz
