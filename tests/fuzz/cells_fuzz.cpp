#include <stdexcept>
#include <string>

#include "cells_json.h"
#include "readers.h"

namespace nib::fuzz {

void cells(Input input) {
  try {
    for (const selftest::Cell& cell : tool::parseCells(input, "f")) tool::cellJson(cell);
  } catch (const std::runtime_error& error) {
    require(std::string_view(error.what()).size() < 2000, "a long message");
  }
  try {
    selftest::parseMatrix(std::string(input));
  } catch (const std::runtime_error&) {
  }
}

}  // namespace nib::fuzz
