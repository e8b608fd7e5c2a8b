/* A shared library with NVML's own names, for the loader's path: a real dlopen in a real process.
 *
 * NVML_STUB_DEVICES  how many devices there are (2)
 * NVML_STUB_INIT     the code with which the library does not start (0)
 * NVML_STUB_LOST     the index of a device that is lost (none)
 * NVML_STUB_LINKS    how many NVLinks each has (0)
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *device;
enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, LOST = 15 };
enum { UINT = 1, ULONGLONG = 3 };

struct utilization { unsigned gpu, memory; };
struct memory { unsigned version; unsigned long long total, reserved, free, used; };
struct field {
  unsigned id, scope;
  long long timestamp, latency;
  unsigned type, code;
  union { double d; unsigned ui; unsigned long long ull; } value;
};

static long number(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}
static long devices = 2, lost = -1;
static unsigned long long clock_ms;

static int at(device d) { return (int)(uintptr_t)d - 1; }
#define THERE(d) if (at(d) == lost) return LOST

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  devices = number("NVML_STUB_DEVICES", 2);
  lost = number("NVML_STUB_LOST", -1);
  return (int)number("NVML_STUB_INIT", OK);
}
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { (void)code; return "stub"; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) {
  snprintf(out, size, "570.00.stub");
  return OK;
}
int nvmlDeviceGetCount_v2(unsigned *out) { *out = (unsigned)devices; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, device *out) {
  if (index >= devices) return INVALID;
  *out = (device)(uintptr_t)(index + 1);
  return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, device *out) {
  unsigned index;
  if (sscanf(uuid, "GPU-stub-%u", &index) != 1 || index >= devices) return NOT_FOUND;
  return nvmlDeviceGetHandleByIndex_v2(index, out);
}
int nvmlDeviceGetUUID(device d, char *out, unsigned size) {
  snprintf(out, size, "GPU-stub-%d", at(d));
  return OK;
}
int nvmlDeviceGetName(device d, char *out, unsigned size) {
  (void)d;
  snprintf(out, size, "NVIDIA Stub 80GB");
  return OK;
}
int nvmlDeviceGetTemperature(device d, unsigned sensor, unsigned *out) {
  (void)sensor;
  THERE(d);
  *out = 50 + (unsigned)at(d);
  return OK;
}
int nvmlDeviceGetPowerUsage(device d, unsigned *out) {
  THERE(d);
  *out = 400250 + 1000 * (unsigned)at(d);
  return OK;
}
int nvmlDeviceGetClockInfo(device d, unsigned kind, unsigned *out) {
  THERE(d);
  *out = kind == 2 ? 2619 : 1755;
  return OK;
}
int nvmlDeviceGetUtilizationRates(device d, struct utilization *out) {
  THERE(d);
  out->gpu = at(d) == 1 ? 0xFFFFFFFFu : 88;  /* a sentinel that real drivers gave */
  out->memory = 40;
  return OK;
}
int nvmlDeviceGetMemoryInfo_v2(device d, struct memory *out) {
  THERE(d);
  out->total = 80ull << 30;
  out->reserved = 1ull << 29;
  out->used = 60ull << 30;
  out->free = out->total - out->used - out->reserved;
  return OK;
}
int nvmlDeviceGetCurrentClocksEventReasons(device d, unsigned long long *out) {
  THERE(d);
  *out = 0;
  return OK;
}
static void whole(struct field *item, unsigned long long value) {
  item->type = ULONGLONG;
  item->value.ull = value;
}
int nvmlDeviceGetFieldValues(device d, int count, struct field *items) {
  int i;
  THERE(d);
  clock_ms++;
  for (i = 0; i < count; i++) {
    struct field *item = &items[i];
    item->code = OK;
    switch (item->id) {
      case 82: item->type = UINT; item->value.ull = ~0ull; item->value.ui = 66; break;
      case 83: whole(item, 5000000 + 400 * clock_ms); break;
      case 74: case 76: case 269: case 270: case 271: whole(item, 0); break;
      case 197: case 198: whole(item, 1000000 * clock_ms); break;
      case 3: case 4: case 94: case 142: case 143: case 145: case 230: whole(item, 0); break;
      case 91: item->type = UINT; item->value.ui = (unsigned)number("NVML_STUB_LINKS", 0); break;
      case 138: case 139: whole(item, 1000 * clock_ms); break;
      case 38: case 45: case 52: case 59: whole(item, 0); break;
      case 165: item->type = UINT; item->value.ui = 1; break;
      default: item->code = item->id > 250 ? INVALID : NOT_SUPPORTED;
    }
  }
  return OK;
}
