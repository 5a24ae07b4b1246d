#include "formats/layout.h"

namespace nib {

const LayoutDesc* findLayout(uint32_t layout) {
  static constexpr const LayoutDesc* kLayouts[] = {&kLayout_rows, &kLayout_packed_rows, &kLayout_bitsandbytes, &kLayout_gguf};
  for (const LayoutDesc* desc : kLayouts) {
    if (desc->layout == layout) return desc;
  }
  return nullptr;
}

}  // namespace nib
