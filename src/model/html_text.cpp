#include "model/html_text.h"

namespace nib::model {

std::string escapedHtml(const std::string& plain) {
  std::string text;
  for (const char c : plain) {
    switch (c) {
      case '<': text += "&lt;"; break;
      case '>': text += "&gt;"; break;
      case '&': text += "&amp;"; break;
      case '"': text += "&quot;"; break;
      default: text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return text;
}

}  // namespace nib::model
