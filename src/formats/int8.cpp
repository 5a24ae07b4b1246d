// int8: two's complement, -128..127, four codes to a word.
#include "formats/affine.h"

namespace nib {
extern const FormatDesc kFormat_int8;
const FormatDesc kFormat_int8 = affineFormat<8, false>(NIB_FORMAT_INT8, "int8", 0, 16);
}  // namespace nib
