// Q5_1 of ggml: code * scale + minimum, both fp16, in blocks of 32. 32 codes are a dense stream in five words, the
// first in the low bits.
#include "formats/ggml.h"

namespace nib {
extern const FormatDesc kFormat_q5_1;
const FormatDesc kFormat_q5_1 = ggmlFormat<5, Ggml::kMinimum>(NIB_FORMAT_Q5_1, "q5_1");
}  // namespace nib
