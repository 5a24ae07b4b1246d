#include "bench_gptq.h"

#include "model_text.h"
#include "verb.h"

#include "model/quantize/gptq/speed.h"

#include <charconv>

namespace nib::tool {
namespace {

model::GptqSpeedOptions readShape(const std::string& text) {
  model::GptqSpeedOptions options;
  const char* const end = text.data() + text.size();
  const auto rows = std::from_chars(text.data(), end, options.rows);
  if (rows.ec == std::errc() && rows.ptr != end && *rows.ptr == 'x') {
    const auto cols = std::from_chars(rows.ptr + 1, end, options.cols);
    const bool sane = options.rows > 0 && options.cols > 0 && options.rows <= 1u << 20 && options.cols <= 1u << 15;
    if (cols.ec == std::errc() && cols.ptr == end && sane && options.cols % options.group == 0) return options;
  }
  throw UsageError("--gptq " + text + ": expected rows x columns, such as 4096x4096, columns a multiple of 128");
}

}  // namespace

int benchGptq(const DeviceArguments& device_arguments, const JsonArguments& json, const std::string& shape) {
  PathCheck paths(json.force);
  readsDevice(paths, device_arguments);
  const Output output(json, paths);
  const model::GptqSpeedOptions options = readShape(shape);
  const kit::Device device = openDevice(device_arguments);
  const model::GptqSpeed speed = model::measureGptq(device, options);
  Table table({"phase", "ms", "GFLOP", "GFLOP/s", "of fp32 products"}, {false, true, true, true, true});
  nlohmann::ordered_json phases = nlohmann::ordered_json::object();
  double total = 0;
  for (size_t p = 0; p < model::kBlockPhases; ++p) {
    const auto phase = model::BlockPhase(p);
    const double seconds = speed.seconds[p], flops = speed.flops[p];
    if (seconds == 0) continue;
    const double rate = flops / seconds;
    // The Hessian comes with the forward pass, and the measurement is for the report.
    if (phase != model::BlockPhase::kHessian && phase != model::BlockPhase::kMeasure) total += seconds;
    table.add({model::phaseName(phase), numberText("%.1f", 1e3 * seconds),
               flops != 0 ? numberText("%.2f", 1e-9 * flops) : "-", flops != 0 ? numberText("%.2f", 1e-9 * rate) : "-",
               flops != 0 ? numberText("%.0f %%", 100 * rate / speed.product_flops_per_second) : "-"});
    phases[model::phaseName(phase)] = {{"seconds", seconds},
                                       {"flop", flops},
                                       {"of_products", flops != 0 ? rate / speed.product_flops_per_second : 0.0}};
  }
  std::FILE* const file = output.text();
  std::fprintf(file, "GPTQ of %s, int4 g%u, %u tokens, on %s; fp32 products: %.1f GFLOP/s\n", shape.c_str(),
               options.group, options.tokens, device.info().name.c_str(), 1e-9 * speed.product_flops_per_second);
  table.print(file);
  std::fprintf(file, "H given, without the measurement of rounding to nearest: %.1f ms\n", 1e3 * total);
  output.json({{"device", device.info().name},
               {"rows", options.rows},
               {"cols", options.cols},
               {"group_size", options.group},
               {"tokens", options.tokens},
               {"product_gflops", 1e-9 * speed.product_flops_per_second},
               {"phases", phases},
               {"seconds_h_given", total}});
  return kExitDone;
}

}  // namespace nib::tool
