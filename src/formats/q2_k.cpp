// Q2_K of ggml: code * scale + minimum in groups of 16. Sixteen codes to a word, in order.
#include "formats/super.h"

namespace nib {
extern const FormatDesc kFormat_q2_k;
const FormatDesc kFormat_q2_k = superFormat<2, Ggml::kMinimum>(NIB_FORMAT_Q2_K, "q2_k", 16, {16, 0, false, 15});
}  // namespace nib
