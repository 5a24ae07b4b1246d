// Q5_K of ggml: code * scale + minimum in groups of 32, whose codes fill five words.
#include "formats/super.h"

namespace nib {
extern const FormatDesc kFormat_q5_k;
const FormatDesc kFormat_q5_k = superFormat<5, Ggml::kMinimum>(NIB_FORMAT_Q5_K, "q5_k", 32, {8, 0, false, 63});
}  // namespace nib
