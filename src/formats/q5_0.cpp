// Q5_0 of ggml: (code - 16) * scale, per 32 elements; the scale is a half and may be negative. A dense stream of 32 codes
// in five words, the first in the low bits.
#include "formats/ggml.h"

namespace nib {
extern const FormatDesc kFormat_q5_0;
const FormatDesc kFormat_q5_0 = ggmlFormat<5, Ggml::kSigned>(NIB_FORMAT_Q5_0, "q5_0");
}  // namespace nib
