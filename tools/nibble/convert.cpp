// nibble convert: writes a quantized model in another container.
#include "model_paths.h"
#include "model_text.h"
#include "options.h"
#include "progress_line.h"
#include "verb.h"

#include "model/quantize/pipeline.h"

#include <cstdio>

namespace nib::tool {
namespace {

struct Arguments {
  DeviceArguments device;
  JsonArguments json;  // --force replaces OUT too
  std::string in, out;
  std::string format;  // "" = by the name of OUT
  std::string max_shard_size = "5G";
  std::string memory = "640M";
  bool resume = false;
};

model::QuantizeOptions optionsOf(const Arguments& a) {
  model::QuantizeOptions options;
  options.in = a.in;
  options.out = a.out;
  std::string format = a.format;
  const bool is_file = a.out.ends_with(".gguf");
  if (format.empty() && is_file) format = "gguf";
  if (is_file && format != "gguf") {
    throw UsageError("-o " + a.out + ": is the name of a GGUF file, and --format " + format +
                     " writes a folder: name a folder, or leave out --format");
  }
  options.container = format.empty() ? nullptr : model::findContainer(format);
  if (options.container == nullptr) {
    std::string names;
    for (const std::string& name : model::containerNames()) names += (names.empty() ? "" : ", ") + name;
    throw UsageError((format.empty() ? "--format F is needed" : "--format " + format) + ": expected one of " + names);
  }
  options.convert = true;
  options.errors = false;
  options.max_shard_bytes = parseSize("--max-shard-size", a.max_shard_size);
  options.memory_bytes = parseSize("--memory", a.memory);
  if (options.memory_bytes < model::kLeastMemory) {
    throw UsageError("--memory " + a.memory + ": must be at least " + std::to_string(model::kLeastMemory / 1'000'000) +
                     "M");
  }
  options.force = a.json.force;
  options.resume = a.resume;
  options.command = "convert --format " + format + " --max-shard-size " + a.max_shard_size;
  return options;
}

// How many weights were converted in the same way.
struct Count {
  size_t kept = 0, again = 0, decoded = 0;
  std::string why;  // of the first that was quantized again
};

Count countOf(const model::QuantizeReport& report) {
  Count count;
  for (const model::TensorReport& t : report.tensors) {
    using Way = model::TensorReport::Conversion;
    count.kept += t.conversion == Way::kLossless ? 1 : 0;
    count.decoded += t.conversion == Way::kDecoded ? 1 : 0;
    if (t.conversion != Way::kRequantized) continue;
    if (++count.again == 1) count.why = plainName(t.name) + ": " + t.note;
  }
  return count;
}

int runConvert(const Arguments& arguments) {
  PathCheck paths(arguments.json.force);
  readsModel(paths, "IN", arguments.in);
  copiesFiles(paths, "IN", arguments.in);
  readsDevice(paths, arguments.device);
  paths.writesFolder("-o", arguments.out);
  const Output output(arguments.json, paths);
  model::QuantizeOptions options = optionsOf(arguments);
  const kit::Device device = openDevice(arguments.device);
  ProgressLine line("convert", "MB", 1e6);
  options.progress = [&line](const model::Progress& p) { line.show(p.done_bytes, p.total_bytes); };
  const model::QuantizeReport report = model::quantizeModel(device, options);
  line.clear();
  const Count count = countOf(report);
  const bool lossless = count.again == 0 && count.decoded == 0;
  std::FILE* file = output.text();
  for (const std::string& note : report.notes) std::fprintf(file, "note: %s\n", note.c_str());
  std::fprintf(file, "%zu tensors, %.1f MB -> %.1f MB in %.2f s on %s\n", report.tensors.size(),
               double(report.bytes_in) / 1e6, double(report.bytes_out) / 1e6, report.seconds, report.device.c_str());
  if (lossless) std::fprintf(file, "lossless: %zu weights keep their codes and scales\n", count.kept);
  if (!lossless && count.kept != 0) std::fprintf(file, "%zu weights keep their codes and scales\n", count.kept);
  if (count.again != 0) {
    std::fprintf(file, "not lossless: %zu weights were decoded and quantized again, the first %s\n", count.again,
                 count.why.c_str());
  }
  if (count.decoded != 0) std::fprintf(file, "not lossless: %zu weights became dense values\n", count.decoded);
  if (output.wantsJson()) {
    nlohmann::ordered_json json = {{"device", report.device},
                                   {"seconds", report.seconds},
                                   {"bytes_in", report.bytes_in},
                                   {"bytes_out", report.bytes_out},
                                   {"lossless", lossless},
                                   {"notes", report.notes},
                                   {"tensors", nlohmann::ordered_json::array()}};
    for (const model::TensorReport& t : report.tensors) {
      static constexpr const char* kWays[] = {"dense", "lossless", "requantized", "decoded"};
      nlohmann::ordered_json tensor = {
          {"name", t.name}, {"shape", t.shape}, {"type", t.type}, {"conversion", kWays[size_t(t.conversion)]}};
      if (!t.note.empty()) tensor["note"] = t.note;
      json["tensors"].push_back(tensor);
    }
    output.json(json);
  }
  return kExitDone;
}

}  // namespace

Verb makeConvertVerb(CLI::App& parent) {
  auto a = std::make_shared<Arguments>();
  CLI::App* app = parent.add_subcommand(
      "convert", "Write a quantized model in another container: with its own codes and scales where that is possible.");
  app->footer("Example: nibble convert model-gptq/ -o model-awq/ --format awq");
  app->add_option("IN", a->in, "Folder of the model, or a .safetensors or .gguf file")->required();
  app->add_option("-o,--output", a->out, "Folder to write, or a .gguf file; appears whole or not at all")->required();
  app->add_option("--format", a->format,
                  "compressed-tensors, gptq, gptq_v2, awq, bnb, gguf; safetensors: the values of the codes");
  app->add_option("--max-shard-size", a->max_shard_size, "5G (default), 200M, ...");
  app->add_option("--memory", a->memory, "Approximate size of all buffers, 640M (default), 8G, ...");
  app->add_flag("--resume", a->resume, "Continue an interrupted run");
  addDeviceOptions(*app, a->device);
  addJsonOptions(*app, a->json);
  return {app, [a] { return runConvert(*a); }};
}

}  // namespace nib::tool
