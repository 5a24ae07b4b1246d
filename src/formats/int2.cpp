// int2: -2..1 as offset binary (code + 2), sixteen codes to a word, the first in the low bits.
#include "formats/affine.h"

namespace nib {
extern const FormatDesc kFormat_int2;
const FormatDesc kFormat_int2 = affineFormat<2, true>(NIB_FORMAT_INT2, "int2", 128, 16);
}  // namespace nib
