// int3: -4..3 as offset binary (code + 4), a dense stream of 32 codes in three words, the first in the low bits.
#include "formats/affine.h"

namespace nib {
extern const FormatDesc kFormat_int3;
const FormatDesc kFormat_int3 = affineFormat<3, true>(NIB_FORMAT_INT3, "int3", 128, 32);
}  // namespace nib
