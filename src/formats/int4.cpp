// int4: -8..7 as offset binary (code + 8), eight codes to a word, the first in the low nibble.
#include "formats/affine.h"

namespace nib {
extern const FormatDesc kFormat_int4;
const FormatDesc kFormat_int4 = affineFormat<4, true>(NIB_FORMAT_INT4, "int4", 128, 16);
}  // namespace nib
