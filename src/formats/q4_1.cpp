// Q4_1 of ggml: code * scale + minimum, both fp16, in blocks of 32. Eight codes to a word, in order.
#include "formats/ggml.h"

namespace nib {
extern const FormatDesc kFormat_q4_1;
const FormatDesc kFormat_q4_1 = ggmlFormat<4, Ggml::kMinimum>(NIB_FORMAT_Q4_1, "q4_1");
}  // namespace nib
