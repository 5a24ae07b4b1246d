// IQ4_NL of ggml: IQ4 codes times an fp16 scale per 32 elements. Eight codes to a word, in order.
#include "formats/ggml.h"
#include "formats/iq4.h"

namespace nib {
extern const FormatDesc kFormat_iq4_nl;
const FormatDesc kFormat_iq4_nl = {{NIB_FORMAT_IQ4_NL, "iq4_nl", 4, 32, 0, 1u << NIB_GRANULARITY_GROUP,
                                    1u << NIB_TYPE_F16, 32, 32, NIB_FORMAT_OWN_SCALES},
                                   32,
                                   nullptr,
                                   nullptr,
                                   decodeIq4,
                                   nullptr,
                                   [](uint32_t, const NibWeights&) { return 0u; },
                                   true,
                                   quantizeIq4,
                                   true};
}  // namespace nib
