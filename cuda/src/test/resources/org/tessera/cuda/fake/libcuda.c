// Stands for the driver in tests: device memory is host memory, streams run at once, every call is
// written to a log, every allocation is counted, and one call can be made to fail.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char log_text[1 << 20];
static size_t log_used;
static char failing[64];
static int failing_status;
static long live[8];
static int parameter_bytes[16];
static int parameter_count = -1;
static long free_bytes = 1L << 30;
static int driver_version = 13000;
static float elapsed[32];
static int elapsed_count;
static int elapsed_used;

enum { MEMORY, HOST, STREAM, EVENT, GRAPH, EXEC, MODULE, CONTEXT };

void fake_reset(void) {
  log_used = 0;
  log_text[0] = 0;
  failing[0] = 0;
  memset(live, 0, sizeof live);
  parameter_count = 0;
  free_bytes = 1L << 30;
  driver_version = 13000;
  elapsed_count = 0;
}
const char* fake_log(void) { return log_text; }
void fake_clear_log(void) { log_used = 0; log_text[0] = 0; }
void fake_fail(const char* call, int status) {
  snprintf(failing, sizeof failing, "%s", call);
  failing_status = status;
}
long fake_live(int kind) { return live[kind]; }
void fake_parameters(int count, const int* bytes) {
  parameter_count = count;
  memcpy(parameter_bytes, bytes, count * sizeof(int));
}
void fake_elapsed(int count, const float* milliseconds) {
  elapsed_count = count;
  elapsed_used = 0;
  memcpy(elapsed, milliseconds, count * sizeof(float));
}
void fake_version(int version) { driver_version = version; }

static int called(const char* name, const char* detail) {
  if (log_used < sizeof log_text - 512) {
    log_used += snprintf(log_text + log_used, 500, "%s%s%s\n", name, *detail ? " " : "", detail);
  }
  return strcmp(name, failing) == 0 ? failing_status : 0;
}
#define CALL(...)                                  \
  do {                                             \
    char detail[400];                              \
    snprintf(detail, sizeof detail, __VA_ARGS__);  \
    int status = called(__func__, detail);         \
    if (status) return status;                     \
  } while (0)

typedef int R;
typedef uint64_t P;

R cuInit(unsigned flags) { CALL(""); return 0; }
R cuDriverGetVersion(int* v) { CALL(""); *v = driver_version; return 0; }
R cuGetErrorName(int e, const char** s) {
  *s = e == 1 ? "CUDA_ERROR_INVALID_VALUE" : e == 2 ? "CUDA_ERROR_OUT_OF_MEMORY"
     : e == 100 ? "CUDA_ERROR_NO_DEVICE" : e == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : NULL;
  return *s ? 0 : 1;
}
R cuGetErrorString(int e, const char** s) {
  *s = e == 2 ? "out of memory" : e == 700 ? "an illegal memory access was encountered" : NULL;
  return *s ? 0 : 1;
}
R cuDeviceGetCount(int* n) { CALL(""); *n = 1; return 0; }
R cuDeviceGet(int* d, int ordinal) { CALL("%d", ordinal); *d = ordinal; return 0; }
R cuDeviceGetName(char* s, int n, int d) { CALL(""); snprintf(s, n, "Fake H200"); return 0; }
R cuDeviceGetUuid_v2(unsigned char* b, int d) {
  CALL("");
  for (int i = 0; i < 16; i++) b[i] = 0xf0 + i;
  return 0;
}
R cuDeviceGetPCIBusId(char* s, int n, int d) { CALL(""); snprintf(s, n, "0000:19:00.0"); return 0; }
R cuDeviceTotalMem_v2(size_t* b, int d) { CALL(""); *b = 2L << 30; return 0; }
R cuDeviceGetAttribute(int* v, int attribute, int d) {
  CALL("%d", attribute);
  *v = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 132 : attribute == 13 ? 1980000
     : attribute == 38 ? 62914560 : attribute == 97 ? 232448 : -1;
  return 0;
}
R cuDeviceGetP2PAttribute(int* v, int attribute, int d, int peer) {
  CALL("%d %d %d", attribute, d, peer);
  *v = attribute == 3;
  return 0;
}
R cuDevicePrimaryCtxRetain(P* c, int d) { CALL(""); *c = 0xc0; live[CONTEXT]++; return 0; }
R cuDevicePrimaryCtxRelease_v2(int d) { CALL(""); live[CONTEXT]--; return 0; }
R cuCtxSetCurrent(P c) { return c == 0xc0 ? 0 : 1; }
R cuMemGetInfo_v2(size_t* f, size_t* t) { CALL(""); *f = free_bytes; *t = 2L << 30; return 0; }

R cuMemAlloc_v2(P* p, size_t n) {
  CALL("%zu", n);
  if ((long)n > free_bytes) return 2;
  void* memory = aligned_alloc(512, (n + 511) / 512 * 512);
  if (!memory) return 2;
  memset(memory, 0xee, n);
  *p = (P)memory;
  live[MEMORY]++;
  return 0;
}
R cuMemFree_v2(P p) { CALL(""); free((void*)p); live[MEMORY]--; return 0; }
R cuMemHostAlloc(void** p, size_t n, unsigned flags) {
  CALL("%zu %u", n, flags);
  *p = aligned_alloc(4096, (n + 4095) / 4096 * 4096);
  live[HOST]++;
  return 0;
}
R cuMemFreeHost(void* p) { CALL(""); free(p); live[HOST]--; return 0; }
R cuMemcpyHtoDAsync_v2(P d, const void* s, size_t n, P stream) {
  CALL("%zu", n);
  memcpy((void*)d, s, n);
  return 0;
}
R cuMemcpyDtoHAsync_v2(void* d, P s, size_t n, P stream) {
  CALL("%zu", n);
  memcpy(d, (void*)s, n);
  return 0;
}
R cuMemcpyDtoDAsync_v2(P d, P s, size_t n, P stream) {
  CALL("%zu", n);
  memcpy((void*)d, (void*)s, n);
  return 0;
}
R cuMemsetD8Async(P d, unsigned char v, size_t n, P stream) {
  CALL("%d %zu", v, n);
  memset((void*)d, v, n);
  return 0;
}

R cuStreamCreate(P* s, unsigned flags) { CALL("%u", flags); *s = 0x51; live[STREAM]++; return 0; }
R cuStreamDestroy_v2(P s) { CALL(""); live[STREAM]--; return 0; }
R cuStreamSynchronize(P s) { CALL(""); return 0; }
R cuStreamWaitEvent(P s, P e, unsigned flags) { CALL("%u", flags); return 0; }
R cuStreamBeginCapture_v2(P s, int mode) { CALL("%d", mode); return 0; }
R cuStreamEndCapture(P s, P* g) { CALL(""); *g = 0x61; live[GRAPH]++; return 0; }
R cuGraphInstantiateWithFlags(P* x, P g, unsigned long long flags) {
  CALL("%llx %llu", (unsigned long long)g, flags);
  *x = 0x71;
  live[EXEC]++;
  return 0;
}
R cuGraphLaunch(P x, P s) {
  CALL("%llx %llx", (unsigned long long)x, (unsigned long long)s);
  return 0;
}
R cuGraphExecDestroy(P x) { CALL(""); live[EXEC]--; return 0; }
R cuGraphDestroy(P g) { CALL(""); live[GRAPH]--; return 0; }
R cuEventCreate(P* e, unsigned flags) { CALL("%u", flags); *e = 0xe1; live[EVENT]++; return 0; }
R cuEventRecord(P e, P s) { CALL(""); return 0; }
R cuEventSynchronize(P e) { CALL(""); return 0; }
R cuEventElapsedTime(float* ms, P a, P b) {
  CALL("");
  *ms = elapsed_count > 0 ? elapsed[elapsed_used++ % elapsed_count] : 2.5f;
  return 0;
}
R cuEventDestroy_v2(P e) { CALL(""); live[EVENT]--; return 0; }
R cuModuleLoadData(P* m, const void* image) {
  CALL("%.40s", (const char*)image);
  *m = 0x81;
  live[MODULE]++;
  return 0;
}
R cuModuleUnload(P m) { CALL(""); live[MODULE]--; return 0; }
R cuModuleGetFunction(P* f, P m, const char* name) { CALL("%s", name); *f = 0x91; return 0; }
R cuModuleGetGlobal_v2(P* p, size_t* bytes, P m, const char* name) { CALL("%s", name); *p = 0x92; *bytes = 8; return 0; }
R cuFuncGetAttribute(int* v, int attribute, P f) { CALL("%d", attribute); *v = 40; return 0; }
R cuFuncSetAttribute(P f, int attribute, int v) { CALL("%d %d", attribute, v); return 0; }
R cuFuncGetParamInfo(P f, size_t i, size_t* offset, size_t* size) {
  if ((long)i >= parameter_count) return 1;
  *offset = 8 * i;
  *size = parameter_bytes[i];
  return 0;
}
R cuOccupancyMaxActiveBlocksPerMultiprocessor(int* n, P f, int threads, size_t shared) {
  CALL("%d %zu", threads, shared);
  *n = 3;
  return 0;
}

// As in cuda.h.
typedef struct {
  unsigned id;
  char pad[4];
  union {
    char space[64];
    struct { unsigned x, y, z; } cluster;
    int programmatic;
  } value;
} Attribute;
typedef struct {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
  P stream;
  Attribute* attributes;
  unsigned attributeCount;
} Config;

R cuLaunchKernelEx(const Config* c, P f, void** parameters, void** extra) {
  char detail[400];
  int n = snprintf(detail, sizeof detail, "grid %u,%u,%u block %u,%u,%u shared %u stream %llx", c->gridX,
                   c->gridY, c->gridZ, c->blockX, c->blockY, c->blockZ, c->sharedBytes,
                   (unsigned long long)c->stream);
  for (unsigned i = 0; i < c->attributeCount; i++) {
    const Attribute* a = &c->attributes[i];
    if (a->id == 4) {
      n += snprintf(detail + n, sizeof detail - n, " cluster %u,%u,%u", a->value.cluster.x,
                    a->value.cluster.y, a->value.cluster.z);
    } else if (a->id == 6) {
      n += snprintf(detail + n, sizeof detail - n, " programmatic %d", a->value.programmatic);
    } else {
      return 1;
    }
  }
  for (int i = 0; i < parameter_count; i++) {
    if (parameter_bytes[i] == 8) {
      n += snprintf(detail + n, sizeof detail - n, " %lld", (long long)*(int64_t*)parameters[i]);
    } else {
      n += snprintf(detail + n, sizeof detail - n, " %d", *(int32_t*)parameters[i]);
    }
  }
  return called(__func__, detail);
}
