/* An application of an earlier release, compiled with that release's headers (frozen/), linked with this library. */
#include "../use.h"

#include <stdio.h>

static char line[512];

static void keep(void* user, NibSeverity severity, const char* text) {
  (void)user, (void)severity;
  snprintf(line, sizeof line, "%s", text);
}

int main(void) {
  const int failed = useNibble();
  if (failed) return failed;
  if (nibAbiVersion() != NIB_ABI_VERSION) return 20;
#if !defined(NIB_NO_VULKAN)
  {
    /* A context's description of the earlier size is read: it is the handle that is missing. */
    NibContextDesc desc;
    NibContext* context = NULL;
    const NibLog log = {keep, NULL};
    memset(&desc, 0, sizeof desc);
    desc.abi_version = NIB_ABI_VERSION;
    desc.struct_bytes = sizeof desc;
    desc.log = &log;
    if (nibCreateContext(&desc, &context) != NIB_ERROR_INVALID_ARGUMENT) return 21;
    if (strstr(line, "get_instance_proc_addr") == NULL) return 22;
  }
#endif
  return 0;
}
