// The tensor types of ggml.
#ifndef NIB_MODEL_ARCHIVE_GGUF_TYPES_H
#define NIB_MODEL_ARCHIVE_GGUF_TYPES_H

#include "model/archive/dtype.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace nib::model {

struct GgmlType {
  uint32_t id;
  const char* name;
  uint32_t block;              // elements of a block; 1 = a type of single elements
  uint32_t bytes;              // of a block
  std::optional<Dtype> dense;  // of types of single elements that safetensors has too
  uint32_t file_type;          // general.file_type of a model of this type
  // Halves in a block that are scales or minima, and the byte of the first. 0 = nibble does not decode the type.
  uint32_t scales = 0, scales_at = 0;
};

inline constexpr uint32_t kGgmlMxfp4 = 39;
inline constexpr uint32_t kGgmlTypes = 43;  // their ids are below it

// All types that files may have, also those that nibble does not read. NULL = unknown.
const GgmlType* findGgmlType(uint32_t id);
const GgmlType* findGgmlType(Dtype dense);

// Whether the scales and minima of these blocks, of a type that nibble decodes, are finite.
bool haveFiniteScales(const GgmlType& type, std::span<const std::byte> blocks);

}  // namespace nib::model
#endif
