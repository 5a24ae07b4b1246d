// The settings of weights in the configuration files of GPTQ and AWQ: config.json and the file beside it.
#ifndef NIB_MODEL_ARCHIVE_GPTQ_SETTINGS_H
#define NIB_MODEL_ARCHIVE_GPTQ_SETTINGS_H

#include "model/archive/checkpoint.h"
#include "model/archive/quantization_config.h"
#include "model/quantize/name_pattern.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nib::model {

// The settings of one module. None = the files do not say.
struct PackedSettings {
  std::optional<int64_t> bits, group_size;  // group_size: -1 = one group per row
  bool symmetric = true;
  bool reorders = false;  // desc_act
};

class PackedConfig {
 public:
  // Reads the statements of this method. Throws if they contradict each other, or hold a value that has no meaning.
  PackedConfig(const Checkpoint& checkpoint, ReadMethod method);
  // GPTQ only: whether zero points are stored as they are.
  bool v2() const { return v2_; }
  PackedSettings of(const std::string& module) const;

 private:
  struct Override {
    NamePattern pattern;
    nlohmann::ordered_json values;
  };
  void read(const QuantizationStatement& statement);

  bool v2_ = false;
  PackedSettings settings_;
  std::vector<Override> overrides_;
};

}  // namespace nib::model
#endif
