// Stands for the driver in tests: device memory is host memory, streams run at once, every call is
// written to a log, every allocation is counted, and one call can be made to fail. There are up to 8
// devices, whose handles tell them apart: those of the second end in 0x100 more than the first's.
// Kernels do nothing, but where a test says how to run them: a launch returns when they have ended.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int R;
typedef uint64_t P;

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
enum { MAX_DEVICES = 8, MAX_KERNELS = 32 };
static int device_count = 1;
static int cards[MAX_DEVICES];
static int peers[MAX_DEVICES][MAX_DEVICES];
static int enabled[MAX_DEVICES][MAX_DEVICES];
static int kernel_count;
static struct { char name[64]; int count; int bytes[32]; } kernels[MAX_KERNELS];
static int (*runner)(const char* name, int blocks, int threads, void** parameters);
static __thread P current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define COUNT(kind, by) __atomic_add_fetch(&live[kind], by, __ATOMIC_RELAXED)

enum { MEMORY, HOST, STREAM, EVENT, GRAPH, EXEC, MODULE, CONTEXT };

// The devices that are visible: numbers of cards, or 0, 1 and so on; all see each other.
void fake_devices(int count, const int* visible) {
  device_count = count;
  kernel_count = 0;
  for (int i = 0; i < MAX_DEVICES; i++) {
    cards[i] = visible && i < count ? visible[i] : i;
    for (int j = 0; j < MAX_DEVICES; j++) peers[i][j] = 1;
  }
  memset(enabled, 0, sizeof enabled);
  runner = NULL;
}
void fake_runner(void* run) { runner = (int (*)(const char*, int, int, void**))run; }
void fake_peers(int a, int b, int see) { peers[a][b] = see; }
// What cuFuncGetParamInfo says of a kernel, whatever fake_parameters says of the others.
void fake_kernel(const char* name, int count, const int* bytes) {
  snprintf(kernels[kernel_count].name, 64, "%s", name);
  kernels[kernel_count].count = count;
  memcpy(kernels[kernel_count++].bytes, bytes, count * sizeof(int));
}
void fake_reset(void) {
  log_used = 0;
  log_text[0] = 0;
  failing[0] = 0;
  memset(live, 0, sizeof live);
  parameter_count = 0;
  free_bytes = 1L << 30;
  driver_version = 13000;
  elapsed_count = 0;
  fake_devices(1, NULL);
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
  pthread_mutex_lock(&lock);
  if (log_used < sizeof log_text - 512) {
    log_used += snprintf(log_text + log_used, 500, "%s%s%s\n", name, *detail ? " " : "", detail);
  }
  pthread_mutex_unlock(&lock);
  return strcmp(name, failing) == 0 ? failing_status : 0;
}
#define CALL(...)                                  \
  do {                                             \
    char detail[400];                              \
    snprintf(detail, sizeof detail, __VA_ARGS__);  \
    int status = called(__func__, detail);         \
    if (status) return status;                     \
  } while (0)

static int current_device(void) { return (int)((current - 0xc0) / 0x100); }
static P of_device(P handle) { return handle + 0x100 * (P)current_device(); }

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
R cuDeviceGetCount(int* n) { CALL(""); *n = device_count; return 0; }
R cuDeviceGet(int* d, int ordinal) {
  CALL("%d", ordinal);
  if (ordinal >= device_count) return 101;
  *d = cards[ordinal];
  return 0;
}
R cuDeviceGetName(char* s, int n, int d) { CALL(""); snprintf(s, n, "Fake H200"); return 0; }
R cuDeviceGetUuid_v2(unsigned char* b, int d) {
  CALL("");
  for (int i = 0; i < 16; i++) b[i] = 0xf0 + i - (i == 0 ? 16 * d : 0);
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
R cuDevicePrimaryCtxRetain(P* c, int d) { CALL(""); *c = 0xc0 + 0x100 * (P)d; COUNT(CONTEXT, 1); return 0; }
R cuDevicePrimaryCtxRelease_v2(int d) { CALL(""); COUNT(CONTEXT, -1); return 0; }
R cuCtxSetCurrent(P c) {
  if (c % 0x100 != 0xc0 || c >= 0xc0 + 0x100 * MAX_DEVICES) return 1;
  current = c;
  return 0;
}
R cuDeviceCanAccessPeer(int* can, int d, int peer) {
  CALL("%d %d", d, peer);
  *can = peers[d][peer];
  return 0;
}
R cuCtxEnablePeerAccess(P peer, unsigned flags) {
  CALL("%d to %d", current_device(), (int)((peer - 0xc0) / 0x100));
  int* was = &enabled[current_device()][(peer - 0xc0) / 0x100];
  if (*was) return 704;
  *was = 1;
  return 0;
}
R cuMemGetInfo_v2(size_t* f, size_t* t) { CALL(""); *f = free_bytes; *t = 2L << 30; return 0; }

R cuMemAlloc_v2(P* p, size_t n) {
  CALL("%zu", n);
  if ((long)n > free_bytes) return 2;
  void* memory = aligned_alloc(512, (n + 511) / 512 * 512);
  if (!memory) return 2;
  memset(memory, 0xee, n);
  *p = (P)memory;
  COUNT(MEMORY, 1);
  return 0;
}
R cuMemFree_v2(P p) { CALL(""); free((void*)p); COUNT(MEMORY, -1); return 0; }
R cuMemHostAlloc(void** p, size_t n, unsigned flags) {
  CALL("%zu %u", n, flags);
  *p = aligned_alloc(4096, (n + 4095) / 4096 * 4096);
  COUNT(HOST, 1);
  return 0;
}
R cuMemFreeHost(void* p) { CALL(""); free(p); COUNT(HOST, -1); return 0; }
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
R cuMemcpyPeerAsync(P d, P dc, P s, P sc, size_t n, P stream) {
  CALL("%llx from %llx %zu stream %llx", (unsigned long long)dc, (unsigned long long)sc, n,
       (unsigned long long)stream);
  memcpy((void*)d, (void*)s, n);
  return 0;
}
R cuMemsetD8Async(P d, unsigned char v, size_t n, P stream) {
  CALL("%d %zu", v, n);
  memset((void*)d, v, n);
  return 0;
}

R cuStreamCreate(P* s, unsigned flags) { CALL("%u", flags); *s = of_device(0x51); COUNT(STREAM, 1); return 0; }
R cuStreamDestroy_v2(P s) { CALL(""); COUNT(STREAM, -1); return 0; }
R cuStreamSynchronize(P s) { CALL(""); return 0; }
R cuStreamWaitEvent(P s, P e, unsigned flags) {
  CALL("%llx %llx %u", (unsigned long long)s, (unsigned long long)e, flags);
  return 0;
}
R cuStreamBeginCapture_v2(P s, int mode) { CALL("%d", mode); return 0; }
R cuStreamEndCapture(P s, P* g) { CALL(""); *g = of_device(0x61); COUNT(GRAPH, 1); return 0; }
R cuGraphInstantiateWithFlags(P* x, P g, unsigned long long flags) {
  CALL("%llx %llu", (unsigned long long)g, flags);
  *x = of_device(0x71);
  COUNT(EXEC, 1);
  return 0;
}
R cuGraphUpload(P x, P s) {
  CALL("%llx %llx", (unsigned long long)x, (unsigned long long)s);
  return 0;
}
R cuGraphLaunch(P x, P s) {
  CALL("%llx %llx", (unsigned long long)x, (unsigned long long)s);
  return 0;
}
R cuGraphExecDestroy(P x) { CALL(""); COUNT(EXEC, -1); return 0; }
R cuGraphDestroy(P g) { CALL(""); COUNT(GRAPH, -1); return 0; }
R cuEventCreate(P* e, unsigned flags) { CALL("%u", flags); *e = of_device(0xe1); COUNT(EVENT, 1); return 0; }
R cuEventRecord(P e, P s) {
  CALL("%llx %llx", (unsigned long long)e, (unsigned long long)s);
  return e / 0x100 == s / 0x100 ? 0 : 1;
}
R cuEventSynchronize(P e) { CALL(""); return 0; }
R cuEventElapsedTime(float* ms, P a, P b) {
  CALL("");
  *ms = elapsed_count > 0 ? elapsed[elapsed_used++ % elapsed_count] : 2.5f;
  return 0;
}
R cuEventDestroy_v2(P e) { CALL(""); COUNT(EVENT, -1); return 0; }
R cuModuleLoadData(P* m, const void* image) {
  CALL("%.40s", (const char*)image);
  *m = 0x81;
  COUNT(MODULE, 1);
  return 0;
}
R cuModuleUnload(P m) { CALL(""); COUNT(MODULE, -1); return 0; }
R cuModuleGetFunction(P* f, P m, const char* name) {
  CALL("%s", name);
  *f = 0x91;
  for (int i = 0; i < kernel_count; i++) {
    if (strcmp(name, kernels[i].name) == 0) *f = 0x9100 + i;
  }
  return 0;
}
R cuModuleGetGlobal_v2(P* p, size_t* bytes, P m, const char* name) { CALL("%s", name); *p = 0x92; *bytes = 8; return 0; }
R cuFuncGetAttribute(int* v, int attribute, P f) { CALL("%d", attribute); *v = 40; return 0; }
R cuFuncSetAttribute(P f, int attribute, int v) { CALL("%d %d", attribute, v); return 0; }
static int count_of(P f) { return f < 0x9100 ? parameter_count : kernels[f - 0x9100].count; }
static const int* bytes_of(P f) { return f < 0x9100 ? parameter_bytes : kernels[f - 0x9100].bytes; }
R cuFuncGetParamInfo(P f, size_t i, size_t* offset, size_t* size) {
  if ((long)i >= count_of(f)) return 1;
  *offset = 8 * i;
  *size = bytes_of(f)[i];
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
  int n = 0;
  if (f >= 0x9100) n = snprintf(detail, sizeof detail, "%s ", kernels[f - 0x9100].name);
  n += snprintf(detail + n, sizeof detail - n, "grid %u,%u,%u block %u,%u,%u shared %u stream %llx", c->gridX,
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
  for (int i = 0; i < count_of(f) && n < (int)sizeof detail - 24; i++) {
    if (bytes_of(f)[i] == 8) {
      n += snprintf(detail + n, sizeof detail - n, " %lld", (long long)*(int64_t*)parameters[i]);
    } else {
      n += snprintf(detail + n, sizeof detail - n, " %d", *(int32_t*)parameters[i]);
    }
  }
  int status = called(__func__, detail);
  if (status || !runner || f < 0x9100) return status;
  return runner(kernels[f - 0x9100].name, c->gridX, c->blockX, parameters);
}
