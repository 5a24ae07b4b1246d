// Q5_0 of ggml: (code - 16) * scale, in blocks of 32. The scale is fp16 and may be negative. 32 codes are a dense
// stream in five words, the first in the low bits.
#include "formats/ggml.h"

namespace nib {
extern const FormatDesc kFormat_q5_0;
const FormatDesc kFormat_q5_0 = ggmlFormat<5, Ggml::kSigned>(NIB_FORMAT_Q5_0, "q5_0");
}  // namespace nib
