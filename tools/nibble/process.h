// Settings of the process before it does anything else, and the final check of its output.
#ifndef NIB_TOOLS_PROCESS_H
#define NIB_TOOLS_PROCESS_H

#include <string>

namespace nib::tool {

// Opens descriptors 0 to 2 to /dev/null if they are closed, because otherwise the next file that is opened gets their
// number, and messages are written into it. Makes writing to a closed pipe, or beyond the limit of a file's size, an
// error instead of a signal. Raises the limit of open files to what the system allows. First thing in main().
void prepareProcess();

// Whether descriptor 1 was closed at the start; printed text is then lost.
bool stdoutWasClosed();

// Flushes stdout. Returns the error, "" = all printed text was written.
std::string flushStdout();

}  // namespace nib::tool
#endif
