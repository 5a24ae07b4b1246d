// Q8_0 of ggml: code * scale, in blocks of 32. The scale is fp16. Four codes to a word, two's complement.
#include "formats/ggml.h"

namespace nib {
extern const FormatDesc kFormat_q8_0;
const FormatDesc kFormat_q8_0 = ggmlFormat<8, Ggml::kAbsmax>(NIB_FORMAT_Q8_0, "q8_0");
}  // namespace nib
