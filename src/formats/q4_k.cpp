// Q4_K of ggml: code * scale + minimum in groups of 32. Eight codes to a word, in order.
#include "formats/super.h"

namespace nib {
extern const FormatDesc kFormat_q4_k;
const FormatDesc kFormat_q4_k = superFormat<4, Ggml::kMinimum>(NIB_FORMAT_Q4_K, "q4_k", 32, {8, 0, false, 63});
}  // namespace nib
