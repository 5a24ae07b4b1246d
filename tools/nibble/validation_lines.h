// A validation as lines: what was measured, the limit if one is given, and whether it holds.
#ifndef NIB_TOOLS_VALIDATION_LINES_H
#define NIB_TOOLS_VALIDATION_LINES_H

#include "model/eval/validate.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nib::tool {

struct Limits {
  std::optional<double> max_kl, max_ppl_rise, min_top1, min_tokens_per_s;
  std::optional<uint64_t> max_memory;
};

struct ValidationLine {
  std::string key;  // in JSON
  std::string what, value, limit;
  double measured = 0;  // NaN = not known
  std::optional<double> bound;
  std::optional<bool> passed;  // none = not judged
};

// Every value must be finite and every edge input pass, whatever the limits. A value that is not known fails its limit.
std::vector<ValidationLine> validationLines(const model::Validation& validation, const Limits& limits);
// How many lines fail.
size_t failedLines(const std::vector<ValidationLine>& lines);
// "pass", "FAIL" or "".
std::string verdictText(const ValidationLine& line);

// A self-contained HTML page with a table of the lines. about: plain text, one paragraph each.
std::string validationPage(const std::vector<ValidationLine>& lines, const std::vector<std::string>& about);

}  // namespace nib::tool
#endif
