// The system's calls that write, seen and spoiled. The test program has functions of the same names, which the library
// then calls; off until a test asks.
#ifndef NIB_TESTS_FAULTS_H
#define NIB_TESTS_FAULTS_H

#include <cstdint>
#include <string>
#include <vector>

namespace nib::model::test {

struct Faults {
  bool short_calls = false;       // read and write move fewer bytes than asked, or are interrupted first
  int64_t full_after_bytes = -1;  // then writes fail with ENOSPC
  bool fsync_fails = false;       // with EIO
  int64_t kill_at = -1;           // the call of that number (of those below) is SIGKILL for this process
  bool record = false;
};
// Sets all counts to 0.
void setFaults(const Faults& faults);

struct Call {
  std::string name;  // pwrite fsync ftruncate rename remove mkdir
  std::string path;  // of the descriptor or the first argument
  uint64_t offset = 0;
  std::string bytes;
};
// In order, since setFaults with `record`.
std::vector<Call> recordedCalls();
int64_t countedCalls();

}  // namespace nib::model::test
#endif
