#include <nibble/kit.h>

int main() { return nib::kit::Device::cpu().isCpu() ? 0 : 1; }
