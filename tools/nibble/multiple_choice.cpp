#include "multiple_choice.h"

#include "in_memory_weights.h"
#include "model_text.h"
#include "paired_table.h"
#include "progress_line.h"
#include "verb.h"

#include "model/archive/error.h"
#include "model/eval/choices.h"
#include "model/run/loaded_model.h"

#include <algorithm>
#include <cstdio>

namespace nib::tool {
namespace {

constexpr uint32_t kStepTokens = 2048, kMostSequences = 32;

struct Task {
  std::vector<model::Question> questions;
  std::vector<std::vector<model::Continuation>> encoded;
  size_t shortened = 0;  // continuations
  uint32_t longest = 1;  // tokens
};

Task loadTask(const QuestionArguments& arguments, model::LoadedModel& loaded) {
  model::refuseEncoder(loaded.config(), "--choices", "which do not predict what follows a text");
  Task task;
  task.questions = model::loadQuestions(arguments.file);
  task.encoded =
      model::encodeQuestions(loaded.tokenizer(), task.questions, loaded.config().max_positions, arguments.adds_bos);
  for (const std::vector<model::Continuation>& list : task.encoded) {
    for (const model::Continuation& c : list) {
      task.shortened += c.shortened ? 1 : 0;
      task.longest = std::max(task.longest, uint32_t(c.ids.size() - 1));
    }
  }
  return task;
}

std::vector<model::Answer> answer(const model::TimedDevice& device, const model::LoadedModel& loaded, const Task& task,
                                  const char* verb, const model::InMemory* in_memory, const CacheChoice& kv) {
  model::RunnerOptions options;
  options.sequences = std::clamp(kStepTokens / task.longest, 1u, kMostSequences);
  options.positions = task.longest;
  options.max_tokens = options.sequences * task.longest;
  options.cache = kv.cache;
  options.rotate_heads = kv.rotate_heads;
  options.in_memory = in_memory;
  model::Runner runner(device, loaded.view(), loaded.config(), options);
  ProgressLine line(verb, "questions", 1);
  return model::answerQuestions(runner, task.questions, task.encoded,
                                [&line](uint64_t done, uint64_t all) { line.show(done, all); });
}

struct Score {
  const char* key;
  const char* what;
  bool model::Answer::*right;
};
constexpr Score kScores[] = {{"acc", "accuracy, by the sum", &model::Answer::acc},
                             {"acc_norm", "accuracy, per character", &model::Answer::acc_norm},
                             {"acc_bytes", "accuracy, per byte", &model::Answer::acc_bytes}};

std::vector<double> rightOnes(const std::vector<model::Answer>& answers, bool model::Answer::*right) {
  std::vector<double> values;
  for (const model::Answer& answer : answers) values.push_back(answer.*right ? 1 : 0);
  return values;
}

void warnOfShortened(const Task& task) {
  if (task.shortened == 0) return;
  std::fprintf(stderr,
               "nibble: %zu choices exceed the model's positions; the beginnings of their contexts are left out\n",
               task.shortened);
}

}  // namespace

void addQuestionOptions(CLI::App& app, QuestionArguments& arguments) {
  app.add_option("--choices", arguments.file,
                 R"(Multiple-choice questions: .jsonl of {"context": T, "choices": [T, ...], "answer": N from 0})");
  app.add_flag("--add-bos", arguments.adds_bos, "With --choices: begin each context with the model's BOS token");
}

int evalChoices(const Output& output, const DeviceArguments& device_arguments, const QuestionArguments& choices,
                const std::string& model_path, const WeightArguments& weights, const CacheArguments& cache) {
  model::LoadedModel loaded(model_path);
  const CacheChoice kv = cacheChoice(cache, loaded.config());
  const Task task = loadTask(choices, loaded);
  warnOfShortened(task);
  const kit::Device device = openDevice(device_arguments);
  const std::optional<model::InMemory> in_memory = inMemoryOf(weights, loaded.view());
  const std::vector<model::Answer> answers =
      answer(model::TimedDevice(device), loaded, task, "eval", in_memory ? &*in_memory : nullptr, kv);
  nlohmann::ordered_json json = {{"device", device.info().name}, {"questions", answers.size()}};
  Table table({"", "value", "SE"}, {false, true, true});
  for (const Score& score : kScores) {
    model::Mean mean;
    for (const double value : rightOnes(answers, score.right)) mean.add(value);
    table.add({score.what, numberText("%.4f", mean.mean()), numberText("%.4f", mean.error())});
    json[score.key] = mean.mean();
    json[std::string(score.key) + "_se"] = mean.error();
  }
  table.print(output.text());
  std::fprintf(output.text(), "%zu questions on %s\n", answers.size(), device.info().name.c_str());
  if (output.wantsJson()) {
    json["shortened"] = task.shortened;
    json["by_question"] = nlohmann::ordered_json::array();
    for (size_t q = 0; q < answers.size(); ++q) {
      json["by_question"].push_back({{"answer", task.questions[q].answer},
                                     {"log_probabilities", answers[q].scores},
                                     {"acc", answers[q].acc},
                                     {"acc_norm", answers[q].acc_norm},
                                     {"acc_bytes", answers[q].acc_bytes}});
    }
    output.json(json);
  }
  return kExitDone;
}

int compareChoices(const Output& output, const DeviceArguments& device_arguments, const QuestionArguments& choices,
                   const std::string& a_path, const std::string& b_path) {
  model::LoadedModel a(a_path), b(b_path);
  const Task of_a = loadTask(choices, a), of_b = loadTask(choices, b);
  if (of_a.questions.size() < 2) throw model::Error("one question does not tell what is chance; give more");
  warnOfShortened(of_a);
  const kit::Device device = openDevice(device_arguments);
  const model::TimedDevice timed(device);
  const std::vector<model::Answer> answers_a = answer(timed, a, of_a, "compare", nullptr, CacheChoice{});
  const std::vector<model::Answer> answers_b = answer(timed, b, of_b, "compare", nullptr, CacheChoice{});
  std::vector<PairedQuantity> quantities;
  for (const Score& score : kScores) {
    const std::vector<double> right_a = rightOnes(answers_a, score.right), right_b = rightOnes(answers_b, score.right);
    std::vector<double> differences;
    for (size_t q = 0; q < right_a.size(); ++q) differences.push_back(right_b[q] - right_a[q]);
    quantities.push_back(
        {score.key, score.what, model::testMean(differences), false, meanOf(right_a), meanOf(right_b)});
  }
  printPaired(output.text(), quantities);
  std::fprintf(output.text(), "%zu questions, %u resamples of questions, on %s\n", answers_a.size(), model::kResamples,
               device.info().name.c_str());
  if (output.wantsJson()) {
    nlohmann::ordered_json json = {
        {"device", device.info().name}, {"questions", answers_a.size()}, {"resamples", model::kResamples}};
    addPaired(json, quantities);
    output.json(json);
  }
  return kExitDone;
}

}  // namespace nib::tool
