// The text of a tuning file.
#ifndef NIB_KIT_TUNING_H
#define NIB_KIT_TUNING_H

#include <nibble/kit.h>

#include <string>
#include <string_view>
#include <vector>

namespace nib::kit::detail {

// Throws Error; `where` begins the message.
std::vector<NibTuning> parseTuning(std::string_view text, const std::string& where);

}  // namespace nib::kit::detail
#endif
