// volk's implementation in an object file of its own: a program that also links volk then gets only one copy.
#define VOLK_IMPLEMENTATION
#include <volk.h>
