// Parses command-line arguments of the bench.
#ifndef NIB_BENCH_PARSE_H
#define NIB_BENCH_PARSE_H

#include "selftest/bench_rows.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace nib::bench {

using Shape = selftest::BenchShape;

// "60s", "2m", "1.5h", "500ms", "90" (seconds); nullopt for anything else, or if it is not above zero.
std::optional<double> parseSeconds(std::string_view text);

// "4096x1x4096" (MxNxK), or "4096x4096" (MxK, N = 1). Sizes are 1 .. 2^31 - 1 and M * K below 2^32.
std::optional<Shape> parseShape(std::string_view text);

}  // namespace nib::bench
#endif
