#include "model/eval/choices.h"

#include "model/archive/error.h"
#include "model/archive/json_document.h"
#include "model/archive/json_lines.h"
#include "model/archive/posix_file.h"

#include <algorithm>
#include <cmath>

namespace nib::model {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;

using Json = nlohmann::ordered_json;

Question questionOf(const Json& json, const std::string& place) {
  const auto fail = [&place](const std::string& text) { throw Error(place + ": " + text); };
  if (!json.is_object()) fail(R"(expected an object with "context", "choices" and "answer")");
  for (const char* key : {"context", "choices", "answer"}) {
    if (!json.contains(key)) fail(std::string("has no \"") + key + "\"");
  }
  Question question;
  if (!json["context"].is_string()) fail("\"context\" must be a text");
  question.context = json["context"].get<std::string>();
  const Json& choices = json["choices"];
  if (!choices.is_array() || choices.size() < 2) fail("\"choices\" must be a list of two texts or more");
  for (const Json& choice : choices) {
    if (!choice.is_string() || choice.get_ref<const std::string&>().empty()) {
      fail("\"choices\" must be texts that are not empty");
    }
    question.choices.push_back(choice.get<std::string>());
  }
  const Json& answer = json["answer"];
  if (!answer.is_number_unsigned() || answer.get<uint64_t>() >= choices.size()) {
    fail("\"answer\" must be the number of a choice: 0 to " + std::to_string(choices.size() - 1));
  }
  question.answer = answer.get<size_t>();
  return question;
}

// As Python's str.rstrip(): the harness moves them to the continuation.
size_t withoutTrailingBlanks(std::string_view text) {
  static constexpr std::string_view kBlanks[] = {
      " ",      "\t",     "\n",     "\r",     "\v",     "\f",     "\x1c",   "\x1d",   "\x1e",   "\x1f",
      "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
      "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  size_t end = text.size();
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view blank : kBlanks) {
      if (!text.substr(0, end).ends_with(blank)) continue;
      end -= blank.size();
      found = true;
    }
  }
  return end;
}

size_t characters(std::string_view text) {
  return size_t(std::count_if(text.begin(), text.end(), [](char c) { return (uint8_t(c) & 0xc0) != 0x80; }));
}

std::vector<uint32_t> startIds(const Tokenizer& tokenizer, bool empty_context) {
  if (empty_context) {
    const std::optional<uint32_t> id = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
    if (!id) throw Error("a question has an empty context, and the tokenizer has no token to begin a text with");
    return {*id};
  }
  if (!tokenizer.before().empty()) return tokenizer.before();
  if (!tokenizer.bos()) throw Error("--add-bos: the tokenizer has no BOS token; leave the option out");
  return {*tokenizer.bos()};
}

// The tokens before a question's choices.
struct Context {
  std::vector<uint32_t> start;  // before those of the text
  size_t tokens = 0;            // of the text without the blanks at its end
};

Context contextOf(const Tokenizer& tokenizer, const Question& question, bool adds_bos) {
  const std::string text = question.context.substr(0, withoutTrailingBlanks(question.context));
  Context context;
  if (text.empty() || adds_bos) context.start = startIds(tokenizer, text.empty());
  context.tokens = tokenizer.encode(text, false).size();
  return context;
}

Continuation encode(const Tokenizer& tokenizer, const Question& question, const Context& context,
                    const std::string& choice, uint32_t most_tokens) {
  Continuation c;
  std::vector<uint32_t> whole = tokenizer.encode(question.context + " " + choice, false);
  whole.insert(whole.begin(), context.start.begin(), context.start.end());
  size_t first = context.start.size() + context.tokens;
  if (first >= whole.size()) {
    throw Error("the choice " + quoteText(choice) + " has no tokens of its own after its context");
  }
  // The last token is only predicted, so it needs no place.
  const size_t most = size_t(most_tokens) + 1;
  if (whole.size() > most) {
    const size_t left = whole.size() - most;
    if (left >= first) {
      throw Error("the choice " + quoteText(choice) + " has more tokens than the model's " +
                  std::to_string(most_tokens) + " positions");
    }
    whole.erase(whole.begin(), whole.begin() + ptrdiff_t(left));
    first -= left;
    c.shortened = true;
  }
  c.ids = std::move(whole);
  c.first = uint32_t(first);
  return c;
}

// The first of the largest, as numpy.argmax.
size_t largest(const std::vector<double>& values) {
  return size_t(std::max_element(values.begin(), values.end()) - values.begin());
}

void judge(const Question& question, Answer& answer) {
  std::vector<double> by_character, by_byte;
  for (size_t i = 0; i < answer.scores.size(); ++i) {
    by_character.push_back(answer.scores[i] / double(characters(question.choices[i])));
    by_byte.push_back(answer.scores[i] / double(question.choices[i].size()));
  }
  answer.acc = largest(answer.scores) == question.answer;
  answer.acc_norm = largest(by_character) == question.answer;
  answer.acc_bytes = largest(by_byte) == question.answer;
}

// Continuations that are run in one step.
class Batch {
 public:
  explicit Batch(Runner& runner) : runner_(runner) {}
  bool fits(const Continuation& c) const {
    return chunks_.size() < runner_.options().sequences && tokens_ + c.ids.size() - 1 <= runner_.options().max_tokens;
  }
  void add(const Continuation& c, double* score) {
    const auto length = uint32_t(c.ids.size() - 1);
    for (uint32_t t = c.first; t <= length; ++t) {
      rows_.push_back(tokens_ + t - 1);
      targets_.push_back(c.ids[t]);
      scores_.push_back(score);
    }
    chunks_.push_back({uint32_t(chunks_.size()), 0, std::span(c.ids).first(length)});
    tokens_ += length;
  }
  void run() {
    if (chunks_.empty()) return;
    runner_.step(chunks_);
    const std::vector<TokenLoss> losses = runner_.losses(rows_, targets_);
    for (size_t i = 0; i < losses.size(); ++i) {
      if (!std::isfinite(losses[i].log_probability)) throw Error("the model's predictions are not finite");
      *scores_[i] += double(losses[i].log_probability);
    }
    chunks_.clear();
    rows_.clear();
    targets_.clear();
    scores_.clear();
    tokens_ = 0;
  }

 private:
  Runner& runner_;
  std::vector<Chunk> chunks_;
  std::vector<uint32_t> rows_, targets_;
  std::vector<double*> scores_;  // by row
  uint32_t tokens_ = 0;
};

}  // namespace

std::vector<Question> loadQuestions(const std::filesystem::path& path) {
  std::vector<char> text = readWholeFile(path, kMaxFileBytes);
  return parseQuestions(text, shown(path));
}

std::vector<Question> parseQuestions(std::span<char> text, const std::string& file) {
  std::vector<Question> questions;
  forEachJsonLine(text, file, [&questions](std::span<char> line, const std::string& place) {
    questions.push_back(questionOf(readJson(line, place, "the line"), place));
  });
  return questions;
}

std::vector<std::vector<Continuation>> encodeQuestions(const Tokenizer& tokenizer, std::span<const Question> questions,
                                                       uint32_t most_tokens, bool adds_bos) {
  std::vector<std::vector<Continuation>> all;
  for (const Question& question : questions) {
    std::vector<Continuation>& list = all.emplace_back();
    const Context context = contextOf(tokenizer, question, adds_bos);
    for (const std::string& choice : question.choices) {
      list.push_back(encode(tokenizer, question, context, choice, most_tokens));
    }
  }
  return all;
}

std::vector<Answer> answerQuestions(Runner& runner, std::span<const Question> questions,
                                    std::span<const std::vector<Continuation>> encoded,
                                    const std::function<void(uint64_t done, uint64_t all)>& progress) {
  std::vector<Answer> answers(questions.size());
  for (size_t q = 0; q < questions.size(); ++q) answers[q].scores.resize(questions[q].choices.size());
  Batch batch(runner);
  for (size_t q = 0; q < questions.size(); ++q) {
    for (size_t i = 0; i < encoded[q].size(); ++i) {
      if (!batch.fits(encoded[q][i])) batch.run();
      batch.add(encoded[q][i], &answers[q].scores[i]);
    }
    if (progress) progress(q, questions.size());
  }
  batch.run();
  for (size_t q = 0; q < questions.size(); ++q) judge(questions[q], answers[q]);
  return answers;
}

}  // namespace nib::model
