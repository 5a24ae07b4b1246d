#include <cmath>
#include <string>

#include "model/archive/error.h"
#include "model/calibrate/calibration.h"
#include "readers.h"

namespace nib::fuzz {

void calibration(Input input) {
  std::string text(input);
  model::Calibration read;
  try {
    read = model::parseCalibration(text, "f");
  } catch (const model::Error& error) {
    return requireLine(error.what());
  }
  for (const auto& [name, tensor] : read) {
    const size_t count = tensor.collected.by_channel ? tensor.collected.channels : 1;
    require(tensor.ranges.size() == count && tensor.collected.histograms.size() == count &&
                tensor.collected.moments.size() == count,
            "a calibration with a part per channel too many");
    for (const model::ChosenRange& range : tensor.ranges) {
      require(range.min <= 0 && range.max >= 0 && std::isfinite(range.scale) && range.scale >= 0, "a range");
    }
  }
  // A calibration that was read can be written, read again, and gives the same.
  std::string written = model::calibrationText(read);
  std::string again = written;
  require(model::calibrationText(model::parseCalibration(again, "f")) == written, "a calibration that changes");
}

}  // namespace nib::fuzz
