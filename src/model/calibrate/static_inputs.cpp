#include "model/calibrate/static_inputs.h"

#include <nibble/formats.h>

#include "model/archive/error.h"
#include "model/archive/hash.h"
#include "model/calibrate/calibration.h"

#include <cstring>

namespace nib::model {

std::map<std::string, StaticInput> staticInputs(const std::filesystem::path& path, uint32_t format) {
  return staticInputs(readCalibration(path), shown(path), format);
}

std::map<std::string, StaticInput> staticInputs(const Calibration& calibration, const std::string& where,
                                                uint32_t format) {
  std::map<std::string, StaticInput> inputs;
  for (const auto& [name, tensor] : calibration) {
    const auto refuse = [&](const char* what) -> Error {
      return Error(where + ": tensor " + quoteText(name) + " " + what);
    };
    if (tensor.collected.by_channel)
      throw refuse("has ranges by channel; static activations need --granularity tensor");
    const ChosenRange& range = tensor.ranges[0];
    StaticInput input;
    int32_t zero_point = range.zero_point;
    input.scale = range.scale;
    input.channels = tensor.collected.channels;
    input.asymmetric = format == NIB_FORMAT_INT8 && !tensor.choice.symmetric;
    if (format == NIB_FORMAT_FP8 && nibRangeScale(format, NIB_RANGE_SYMMETRIC, range.min, range.max, nullptr,
                                                  &input.scale, &zero_point) != NIB_SUCCESS) {
      throw refuse("has a range beyond fp32");
    }
    if (input.scale == 0) {
      throw refuse("has an empty range: it saw no values, or only zeros; calibrate with data that reaches it");
    }
    input.zero_point = input.asymmetric ? int8_t(zero_point) : int8_t(0);
    constexpr std::string_view kEnding = ".input";
    const std::string module = name.ends_with(kEnding) ? name.substr(0, name.size() - kEnding.size()) : name;
    if (!inputs.emplace(module, input).second) {
      throw refuse("is of a module that is named twice, with and without \".input\": delete one");
    }
  }
  return inputs;
}

const StaticInput& inputOf(const std::map<std::string, StaticInput>& inputs, const WeightSpec& weight) {
  const auto found = inputs.find(weight.module());
  if (found == inputs.end()) {
    throw Error("tensor " + quoteText(weight.name) + ": --calib has no range for its input, " +
                quoteText(weight.module()) + ": calibrate a recording of that name, or --exclude the tensor");
  }
  if (found->second.channels != weight.cols) {
    throw Error("tensor " + quoteText(weight.name) + ": its input has " + std::to_string(weight.cols) +
                " channels, but the recording of " + quoteText(weight.module()) + " in --calib has " +
                std::to_string(found->second.channels) + ": calibrate the input of this layer");
  }
  return found->second;
}

std::string inputsHash(const std::map<std::string, StaticInput>& inputs) {
  Hasher hasher;
  for (const auto& [name, input] : inputs) {
    uint32_t bits;
    std::memcpy(&bits, &input.scale, sizeof bits);
    hasher.add(name);
    hasher.add(uint64_t(bits));
    hasher.add(uint64_t(uint8_t(input.zero_point)) | uint64_t(input.asymmetric) << 8);
  }
  return hasher.digest().hex();
}

}  // namespace nib::model
