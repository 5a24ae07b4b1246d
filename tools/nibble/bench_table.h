// Prints bench results as text tables.
#ifndef NIB_TOOLS_BENCH_TABLE_H
#define NIB_TOOLS_BENCH_TABLE_H

#include "bench/bench.h"
#include "bench/compare.h"
#include "options.h"

namespace nib::tool {

// The device and its ceilings.
void printMachine(std::FILE* file, const bench::BenchResult& result);
void printRows(std::FILE* file, const bench::BenchResult& result);
void printComparison(std::FILE* file, const bench::Comparison& comparison);

}  // namespace nib::tool
#endif
