// Records system calls that write, and makes them fail. The test program defines functions of the same names, which the
// library then calls; they only forward until setFaults().
#ifndef NIB_TESTS_FAULTS_H
#define NIB_TESTS_FAULTS_H

#include <cstdint>
#include <string>
#include <vector>

namespace nib::model::test {

struct Faults {
  bool short_calls = false;       // read and write move fewer bytes than requested, or are interrupted first
  int64_t full_after_bytes = -1;  // then writes fail with ENOSPC
  bool fsync_fails = false;       // with EIO
  int64_t kill_at = -1;           // the call of that number (of those below) kills this process with SIGKILL
  bool record = false;
};
// Sets the faults and resets all counts.
void setFaults(const Faults& faults);

struct Call {
  std::string name;  // pwrite fsync ftruncate rename remove mkdir
  std::string path;  // of the descriptor or the first argument
  uint64_t offset = 0;
  std::string bytes;
};
// The calls in order, since setFaults with `record`.
std::vector<Call> recordedCalls();
int64_t countedCalls();

}  // namespace nib::model::test
#endif
