#include <string>

#include "model/arch/config.h"
#include "model/archive/container.h"
#include "model/archive/error.h"
#include "readers.h"

namespace nib::fuzz {

void config(Input input) {
  const std::string text(input);
  try {
    static_cast<void>(model::readConfig(text));
  } catch (const model::Error& error) {
    requireLine(error.what());
  }
  try {
    const std::string changed = model::configWith(text, "{\"quant_method\": \"x\"}", "float16");
    require(model::configWith(changed, "{\"quant_method\": \"x\"}", "float16") == changed, "config.json changes again");
  } catch (const model::Error& error) {
    requireLine(error.what());
  }
}

}  // namespace nib::fuzz
