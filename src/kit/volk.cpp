// volk's functions, alone in their object file: a program that links a volk of its own then gets only one of the two.
#define VOLK_IMPLEMENTATION
#include <volk.h>
