// Readers of files that anybody may have written. Each gets arbitrary bytes and either refuses them with one printable
// line or reads a consistent result; anything else aborts.
#ifndef NIB_TESTS_FUZZ_READERS_H
#define NIB_TESTS_FUZZ_READERS_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace nib::fuzz {

using Input = std::string_view;

void calibration(Input input);  // CALIB.json
void cells(Input input);        // results of selftest, and lists of cells that must run
void child(Input input);        // output of the child of `devices --verify`
void config(Input input);       // config.json
void gguf(Input input);         // headers of GGUF files
void journal(Input input);      // of an unfinished output
void npy(Input input);          // headers of .npy files
void packed(Input input);       // models of GPTQ and AWQ
void questions(Input input);    // multiple-choice questions
void result(Input input);       // results of bench
void tuning(Input input);       // tuning files
void verdicts(Input input);     // verdicts of self-tests

// Aborts unless it holds.
void require(bool holds, const char* what);
// The message of a refusal: one short printable line.
void requireLine(std::string_view message);

}  // namespace nib::fuzz
#endif
