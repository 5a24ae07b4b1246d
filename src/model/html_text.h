// Text in HTML pages.
#ifndef NIB_MODEL_HTML_TEXT_H
#define NIB_MODEL_HTML_TEXT_H

#include <string>

namespace nib::model {

// Escapes markup, also for a value in double quotes. Names come from files.
std::string escapedHtml(const std::string& plain);

}  // namespace nib::model
#endif
