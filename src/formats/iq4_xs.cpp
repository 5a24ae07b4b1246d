// IQ4_XS of ggml: IQ4 codes times a scale in groups of 32. Eight codes to a word, in order.
#include "formats/iq4.h"
#include "formats/super.h"

namespace nib {
namespace {

constexpr FormatDesc makeFormat() {
  FormatDesc format = superFormat<4, Ggml::kSigned>(NIB_FORMAT_IQ4_XS, "iq4_xs", 32, {8, 32, false, 32});
  format.decode = decodeIq4;
  return format;
}

}  // namespace

extern const FormatDesc kFormat_iq4_xs;
const FormatDesc kFormat_iq4_xs = makeFormat();
}  // namespace nib
