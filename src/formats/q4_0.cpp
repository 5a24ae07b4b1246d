// Q4_0 of ggml: (code - 8) * scale, per 32 elements; the scale is a half and may be negative. Eight codes to a word, in
// order (ggml's own bytes hold elements j and j + 16; repack knows them).
#include "formats/ggml.h"

namespace nib {
extern const FormatDesc kFormat_q4_0;
const FormatDesc kFormat_q4_0 = ggmlFormat<4, Ggml::kSigned>(NIB_FORMAT_Q4_0, "q4_0");
}  // namespace nib
