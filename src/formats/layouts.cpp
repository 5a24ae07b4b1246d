#include "formats/layout.h"

#include "formats/format.h"

namespace nib {

const LayoutDesc* findLayout(uint32_t layout) {
  static constexpr const LayoutDesc* kLayouts[] = {&kLayout_rows, &kLayout_packed_rows, &kLayout_bitsandbytes,
                                                   &kLayout_gguf, &kLayout_words};
  for (const LayoutDesc* desc : kLayouts) {
    if (desc->layout == layout) return desc;
  }
  return nullptr;
}

void listFormats(const LayoutDesc& layout, char* text, uint32_t size) {
  uint32_t at = 0;
  const auto put = [&](const char* word) {
    for (; *word != '\0' && at + 1 < size; ++word) text[at++] = *word;
  };
  for (uint32_t i = 0; i < kFormatCount; ++i) {
    if (!layout.takes(*kFormats[i])) continue;
    if (at != 0) put(", ");
    put(kFormats[i]->info.name);
  }
  text[at] = '\0';
}

}  // namespace nib
