// The formats of nibble that are types of ggml, which have the same names.
#ifndef NIB_MODEL_ARCHIVE_GGUF_FORMATS_H
#define NIB_MODEL_ARCHIVE_GGUF_FORMATS_H

#include "model/archive/gguf/types.h"

#include <cstdint>

namespace nib::model {

// The type of a NibFormat; NULL = ggml has no such type.
const GgmlType* ggmlTypeOf(uint32_t format);
// The NibFormat of a type; 0 = nibble, or this build of it, does not have the type.
uint32_t formatOfGgml(uint32_t id);

}  // namespace nib::model
#endif
