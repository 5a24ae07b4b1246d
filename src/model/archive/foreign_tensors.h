// Recognizes by names and types of tensors the quantized weights of programs whose formats nibble does not read.
#ifndef NIB_MODEL_ARCHIVE_FOREIGN_TENSORS_H
#define NIB_MODEL_ARCHIVE_FOREIGN_TENSORS_H

#include "model/archive/checkpoint.h"

#include <optional>
#include <string>

namespace nib::model {

struct ForeignTensors {
  std::string method;  // for messages: "GPTQ"
  std::string example;
  size_t count = 0;  // of such weights
};

// The first method of which there are tensors.
std::optional<ForeignTensors> findForeignTensors(const Checkpoint& checkpoint);

}  // namespace nib::model
#endif
