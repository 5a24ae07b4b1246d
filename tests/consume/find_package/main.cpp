#include "../use.h"

int main() { return useNibble(); }
