// uint8: 0..255, typically asymmetric; symmetric codes are offset binary (code + 128). Four codes to a word.
#include "formats/affine.h"

namespace nib {
extern const FormatDesc kFormat_uint8;
const FormatDesc kFormat_uint8 = affineFormat<8, true>(NIB_FORMAT_UINT8, "uint8", 0, 16);
}  // namespace nib
