// FP8 E5M2 (Micikevicius et al., arXiv 2209.05433): bias 15, largest value 57344, infinity is 0x7c, NaN above. Nearest
// code, ties to even, saturating; the absmax becomes the largest code. Four codes to a word.
#include "formats/fp8.h"

namespace nib {
extern const FormatDesc kFormat_fp8_e5m2;
const FormatDesc kFormat_fp8_e5m2 =
    fp8Format<exact::nibF32ToE5m2Bits, exact::nibE5m2ToF32Bits, 57344>(NIB_FORMAT_FP8_E5M2, "fp8_e5m2");
}  // namespace nib
