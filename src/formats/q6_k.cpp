// Q6_K of ggml: (code - 32) * scale in groups of 16, whose codes fill three words.
#include "formats/super.h"

namespace nib {
extern const FormatDesc kFormat_q6_k;
const FormatDesc kFormat_q6_k = superFormat<6, Ggml::kSigned>(NIB_FORMAT_Q6_K, "q6_k", 16, {16, 0, true, 128});
}  // namespace nib
