#include "../use.h"

int main(void) { return useNibble(); }
