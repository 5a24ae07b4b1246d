// FP8 E4M3FN (Micikevicius et al., arXiv 2209.05433): bias 7, largest value 448, no infinity, NaN is 0x7f. Nearest
// code, ties to even, saturating; the absmax becomes the largest code. Four codes to a word.
#include "formats/fp8.h"

namespace nib {
extern const FormatDesc kFormat_fp8;
const FormatDesc kFormat_fp8 = fp8Format<exact::nibF32ToE4m3Bits, exact::nibE4m3ToF32Bits, 448>(NIB_FORMAT_FP8, "fp8");
}  // namespace nib
