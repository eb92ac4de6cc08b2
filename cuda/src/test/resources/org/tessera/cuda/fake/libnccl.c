// Stands for NCCL in tests: writes what it is asked to a log; sums and gathers change nothing.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static char log_text[1 << 16];
static size_t used;
static int live;
static int async_error;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#define LOG(...)                                                             \
  do {                                                                       \
    pthread_mutex_lock(&lock);                                               \
    if (used < sizeof log_text - 256)                                        \
      used += snprintf(log_text + used, 256, __VA_ARGS__);                   \
    pthread_mutex_unlock(&lock);                                             \
  } while (0)

typedef uint64_t P;

void fake_reset(void) { used = 0; log_text[0] = 0; live = 0; async_error = 0; }
const char* fake_log(void) { return log_text; }
int fake_live(void) { return live; }
void fake_async_error(int result) { async_error = result; }
const char* fake_environment(const char* name) {
  const char* value = getenv(name);
  return value ? value : "";
}

int ncclGetVersion(int* v) { *v = 22707; return 0; }
const char* ncclGetErrorString(int r) { return r == 6 ? "remote process has exited" : "something"; }
int ncclCommInitAll(P* comms, int n, const int* devices) {
  LOG("init");
  for (int i = 0; i < n; i++) {
    comms[i] = 0x100 * (P)(i + 1) + live;
    LOG(" %d", devices[i]);
  }
  LOG("\n");
  __atomic_add_fetch(&live, n, __ATOMIC_RELAXED);
  return 0;
}
int ncclCommDestroy(P c) { LOG("destroy\n"); __atomic_add_fetch(&live, -1, __ATOMIC_RELAXED); return 0; }
int ncclCommAbort(P c) { LOG("abort\n"); __atomic_add_fetch(&live, -1, __ATOMIC_RELAXED); return 0; }
int ncclCommGetAsyncError(P c, int* r) { *r = async_error; return 0; }
int ncclGroupStart(void) { LOG("start\n"); return 0; }
int ncclGroupEnd(void) { LOG("end\n"); return 0; }
int ncclAllReduce(P s, P r, size_t n, int type, int op, P c, P stream) {
  LOG("sum %zu type %d op %d in place %d stream %llx\n", n, type, op, s == r, (long long)stream);
  return 0;
}
int ncclAllGather(P s, P r, size_t n, int type, P c, P stream) {
  LOG("gather %zu type %d stream %llx\n", n, type, (long long)stream);
  return 0;
}
