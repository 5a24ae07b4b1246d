#include <vector>

#include "model/archive/error.h"
#include "model/eval/choices.h"
#include "readers.h"

namespace nib::fuzz {

void questions(Input input) {
  std::vector<char> text(input.begin(), input.end());
  try {
    for (const model::Question& question : model::parseQuestions(text, "f")) {
      require(question.choices.size() >= 2, "a question without a choice");
      require(question.answer < question.choices.size(), "an answer that is no choice");
      for (const std::string& choice : question.choices) require(!choice.empty(), "an empty choice");
    }
  } catch (const model::Error& error) {
    requireLine(error.what());
  }
}

}  // namespace nib::fuzz
