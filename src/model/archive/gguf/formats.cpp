#include "model/archive/gguf/formats.h"

#include <nibble/nibble.h>

namespace nib::model {

const GgmlType* ggmlTypeOf(uint32_t format) {
  for (uint32_t id = 0; id < kGgmlTypes; ++id) {
    const GgmlType* const type = findGgmlType(id);
    if (type == nullptr || type->dense) continue;
    const NibFormatInfo* const info = nibFormatByName(type->name);
    if (info != nullptr && info->format == format) return type;
  }
  return nullptr;
}

uint32_t formatOfGgml(uint32_t id) {
  const GgmlType* const type = findGgmlType(id);
  if (type == nullptr || type->dense) return 0;
  const NibFormatInfo* const info = nibFormatByName(type->name);
  return info != nullptr ? info->format : 0;
}

}  // namespace nib::model
