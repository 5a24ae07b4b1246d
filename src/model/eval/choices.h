// Multiple-choice questions: which of several continuations of a text a model finds the most likely.
//
// The rule is that of EleutherAI's lm-evaluation-harness (0.4) for causal models: a choice's score is the sum of the
// log-probabilities of its tokens after the context, and the answer is the choice with the largest score ("acc"), or
// with the largest score per character ("acc_norm") or per byte ("acc_bytes") of the choice. A blank lies between
// context and choice; blanks at the end of the context count as part of the continuation. The tokens of a continuation
// are those of context and continuation together, without as many as the context alone has.
#ifndef NIB_MODEL_EVAL_CHOICES_H
#define NIB_MODEL_EVAL_CHOICES_H

#include "model/run/runner.h"
#include "model/tokenizer/tokenizer.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct Question {
  std::string context;
  std::vector<std::string> choices;  // at least two
  size_t answer = 0;
};

// Reads a .jsonl file with {"context": TEXT, "choices": [TEXT, ...], "answer": INDEX FROM 0} a line. Throws.
std::vector<Question> loadQuestions(const std::filesystem::path& path);
// The same, of the file's text, which is overwritten. file: as messages name it.
std::vector<Question> parseQuestions(std::span<char> text, const std::string& file);

// A context and one of its choices.
struct Continuation {
  std::vector<uint32_t> ids;
  uint32_t first = 0;      // of the choice in ids; at least 1
  bool shortened = false;  // the beginning of the context is left out
};
// By question and choice. most_tokens: longer texts lose the beginning of the context. adds_bos: the tokens that the
// tokenizer puts before a text come first, or BOS if there are none; else a token comes only before an empty context.
// Throws.
std::vector<std::vector<Continuation>> encodeQuestions(const Tokenizer& tokenizer, std::span<const Question> questions,
                                                       uint32_t most_tokens, bool adds_bos);

struct Answer {
  std::vector<double> scores;          // by choice
  bool acc = false, acc_norm = false;  // whether the choice with the largest score, and per character, is the answer
  bool acc_bytes = false;
};
// The runner: of sequences as long as the longest text. progress: questions done and all; may be empty. Throws.
std::vector<Answer> answerQuestions(Runner& runner, std::span<const Question> questions,
                                    std::span<const std::vector<Continuation>> encoded,
                                    const std::function<void(uint64_t done, uint64_t all)>& progress);

}  // namespace nib::model
#endif
