// uint4: 0..15, typically asymmetric; symmetric codes are offset binary (code + 8). Eight codes to a word, the first in
// the low nibble.
#include "formats/affine.h"

namespace nib {
extern const FormatDesc kFormat_uint4;
const FormatDesc kFormat_uint4 = affineFormat<4, true>(NIB_FORMAT_UINT4, "uint4", 128, 16);
}  // namespace nib
