// Markdown tables of made-up results.
#include <doctest/doctest.h>

#include "bench/markdown.h"

using nib::bench::markdownOf;
using Json = nlohmann::ordered_json;

namespace {

Json madeUpRow(const char* op, const char* type, Json source, Json result, double gbps) {
  return {{"op", op},
          {"type", type},
          {"m", 8},
          {"n", 1},
          {"k", 16},
          {"source", source},
          {"result", result},
          {"granularity", "group"},
          {"group_size", 64},
          {"modes", {"flat"}},
          {"scales", nullptr},
          {"verified", true},
          {"gbps", gbps},
          {"ceiling_fraction", 0.5},
          {"instructions_per_element", nullptr}};
}

Json madeUpRun() {
  Json fast = madeUpRow("dequantize", "nf4", nullptr, "f32", 1.234);
  fast["instructions_per_element"] = 31.6875;
  Json wrong = madeUpRow("dequantize", "nf4", nullptr, "bf16", 1);
  wrong["verified"] = false;
  wrong["gbps"] = nullptr;
  Json given = madeUpRow("quantize", "int4", "f16", nullptr, 20);
  given["scales"] = "given";
  given["ceiling_fraction"] = nullptr;
  Json extent = madeUpRow("minmax", "f32", "f32", nullptr, 300);
  extent["granularity"] = "row";
  extent["group_size"] = nullptr;
  extent["modes"] = Json::array();
  return {{"schema", 1},
          {"machine",
           {{"device", "D"},
            {"driver", "R 1"},
            {"type", "software"},
            {"cpu", "C"},
            {"cpu_threads", 2},
            {"date", "2026-01-02T03:04:05Z"},
            {"ceilings", {{"copy", {{"value", 18.71}, {"unit", "GB/s"}}}, {"coopmat", {{"value", nullptr}}}}}}},
          {"rows", {fast, given, wrong, extent}},
          {"skipped", {"one"}}};
}

}  // namespace

TEST_CASE("rows that differ in their dense type share a line") {
  CHECK(markdownOf(madeUpRun()) ==
        "**D**, R 1, on 2 threads of C, 2026-01-02.\nCeilings: copy 18.7 GB/s.\n\n"
        "| op | format | scales per | MxNxK | f32 | f16 | bf16 | instructions per element |\n"
        "|---|---|---|---|---:|---:|---:|---:|\n"
        "| dequantize | nf4 | group 64 flat | 8x1x16 | 1.23 (50 %) |  | FAILED | 31.7 / - / - |\n"
        "| quantize, given scales | int4 | group 64 flat | 8x1x16 |  | 20.0 |  |  |\n"
        "| minmax |  | row | 8x1x16 | 300 (50 %) |  |  |  |\n"
        "\nRows not measured yet: 1.\n");
}

TEST_CASE("products have a table of their own") {
  Json run = madeUpRun();
  Json product = madeUpRow("matmul", "int4", "f32", "f32", 0.3);
  product["gflops"] = 1.25;
  product["median_us"] = 26781.4;
  product["speedup_over_f32"] = 2.93;
  product["ceiling"] = "fma";
  run["rows"] = {product};
  run["skipped"] = Json::array();
  CHECK(markdownOf(run) ==
        "**D**, R 1, on 2 threads of C, 2026-01-02.\nCeilings: copy 18.7 GB/s.\n\n"
        "| product | weights | scales per | MxNxK | activations | ms | times fp32 weights | of limit |\n"
        "|---|---|---|---|---|---:|---:|---:|\n"
        "| matmul | int4 | group 64 flat | 8x1x16 | f32 | 26.8 | 2.93 | 50 % of fma |\n");
  run["rows"].push_back(madeUpRow("dequantize", "nf4", nullptr, "f32", 1.234));
  CHECK(markdownOf(run).find("| dequantize | nf4 ") < markdownOf(run).find("\n\n| product |"));
}

TEST_CASE("a file of several runs says so") {
  Json run = madeUpRun();
  run["runs"] = {run["machine"], run["machine"], run["machine"]};
  CHECK(markdownOf(run).find("**D**, R 1, on 2 threads of C, 2026-01-02.\nCeilings: copy 18.7 GB/s.\n"
                             "The rows come from 3 runs; date and ceilings are the newest run's.\n"
                             "\"times fp32 weights\" and \"of limit\" compare a row with its own run.\n\n| op |") == 0);
  run["runs"] = {run["machine"]};
  CHECK(markdownOf(run) == markdownOf(madeUpRun()));
}

TEST_CASE("malformed results are refused") {
  CHECK_THROWS_AS(markdownOf(Json::object()), std::runtime_error);
  Json other = madeUpRun();
  other["schema"] = 2;
  CHECK_THROWS_WITH(markdownOf(other), "schema 2, 1 is known");
  Json short_row = madeUpRun();
  short_row["rows"][0].erase("gbps");
  CHECK_THROWS_AS(markdownOf(short_row), std::runtime_error);
}
