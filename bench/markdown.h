// Result files as Markdown tables.
#ifndef NIB_BENCH_MARKDOWN_H
#define NIB_BENCH_MARKDOWN_H

#include <nlohmann/json.hpp>

#include <string>

namespace nib::bench {

// Formats one run: a paragraph about the machine, then a line per op, format, granularity of scales and shape, with a
// column per dense type; then a line per product. Throws std::runtime_error if the file is not a result of this schema.
std::string markdownOf(const nlohmann::ordered_json& run);

}  // namespace nib::bench
#endif
