// Q3_K of ggml: (code - 4) * scale in groups of 16. A run of 32 codes in three words has two scales.
#include "formats/super.h"

namespace nib {
extern const FormatDesc kFormat_q3_k;
const FormatDesc kFormat_q3_k = superFormat<3, Ggml::kSigned>(NIB_FORMAT_Q3_K, "q3_k", 32, {16, 32, false, 32});
}  // namespace nib
