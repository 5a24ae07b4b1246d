// Q4_0 of ggml: (code - 8) * scale, in blocks of 32. The scale is fp16 and may be negative. Eight codes to a word, in
// order. Bytes in ggml's files hold elements j and j + 16; NIB_OP_REPACK converts them.
#include "formats/ggml.h"

namespace nib {
extern const FormatDesc kFormat_q4_0;
const FormatDesc kFormat_q4_0 = ggmlFormat<4, Ggml::kSigned>(NIB_FORMAT_Q4_0, "q4_0");
}  // namespace nib
