// Stands for cuBLASLt in tests: writes what it is asked to a log; odd leading dimensions have no
// algorithm.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char log_text[1 << 16];
static size_t used;
static int live;
#define LOG(...) used += snprintf(log_text + used, sizeof log_text - used, __VA_ARGS__)

typedef uint64_t P;
typedef struct { int type; uint64_t rows, columns; int64_t ld; } Layout;
typedef struct { int transposeA; unsigned epilogue; P bias; int biasType; } Descriptor;

void fake_reset(void) { used = 0; log_text[0] = 0; live = 0; }
const char* fake_log(void) { return log_text; }
int fake_live(void) { return live; }

size_t cublasLtGetVersion(void) { return 130101; }
const char* cublasLtGetStatusName(int s) { return "CUBLAS_STATUS_SOMETHING"; }
const char* cublasLtGetStatusString(int s) { return "something"; }
int cublasLtCreate(P* h) { *h = 0xb1; live++; return 0; }
int cublasLtDestroy(P h) { live--; return 0; }
int cublasLtMatmulDescCreate(P* d, int compute, int scale) {
  if (compute != 68 || scale != 0) return 7;
  *d = (P)calloc(1, sizeof(Descriptor));
  live++;
  return 0;
}
int cublasLtMatmulDescSetAttribute(Descriptor* d, int attribute, const void* v, size_t n) {
  if (attribute == 3 && n == 4) memcpy(&d->transposeA, v, 4);
  else if (attribute == 7 && n == 4) memcpy(&d->epilogue, v, 4);
  else if (attribute == 8 && n == 8) memcpy(&d->bias, v, 8);
  else if (attribute == 26 && n == 4) memcpy(&d->biasType, v, 4);
  else return 7;
  return 0;
}
int cublasLtMatmulDescDestroy(P d) { free((void*)d); live--; return 0; }
int cublasLtMatrixLayoutCreate(P* l, int type, uint64_t rows, uint64_t columns, int64_t ld) {
  Layout* layout = malloc(sizeof(Layout));
  *layout = (Layout){type, rows, columns, ld};
  *l = (P)layout;
  live++;
  return 0;
}
int cublasLtMatrixLayoutDestroy(P l) { free((void*)l); live--; return 0; }
int cublasLtMatmulPreferenceCreate(P* p) { *p = 0xb2; live++; return 0; }
int cublasLtMatmulPreferenceSetAttribute(P p, int attribute, const void* v, size_t n) {
  if (attribute == 1 ? n != 8 : n != 4) return 7;
  LOG("preference %d %lld\n", attribute, attribute == 1 ? *(long long*)v : (long long)*(int*)v);
  return 0;
}
int cublasLtMatmulPreferenceDestroy(P p) { live--; return 0; }
int cublasLtMatmulAlgoGetHeuristic(P h, P d, Layout* a, Layout* b, Layout* c, Layout* out, P preference,
                                   int requested, char* results, int* count) {
  LOG("heuristic\n");
  if (a->ld % 2) { *count = 0; return 15; }
  *count = requested < 4 ? requested : 4;
  memset(results, 0, 96 * *count);
  for (int i = 0; i < *count; i++) results[96 * i] = 42 + i;
  if (requested > 1) results[96 + 72] = 15;  // its state: the second is not supported
  return 0;
}
int cublasLtMatmul(P h, Descriptor* d, const float* alpha, P a, Layout* la, P b, Layout* lb,
                   const float* beta, P c, Layout* lc, P out, Layout* ld, const char* algorithm,
                   P workspace, size_t workspaceBytes, P stream) {
  LOG("a %llx type %d %llux%llu ld %lld op %d, b %llx %llux%llu ld %lld, d %llx type %d %llux%llu ld %lld,"
      " alpha %g beta %g epilogue %u bias %llx type %d algorithm %d workspace %zu stream %llx\n",
      (long long)a, la->type, (long long)la->rows, (long long)la->columns, (long long)la->ld, d->transposeA,
      (long long)b, (long long)lb->rows, (long long)lb->columns, (long long)lb->ld, (long long)out, ld->type,
      (long long)ld->rows, (long long)ld->columns, (long long)ld->ld, *alpha, *beta, d->epilogue,
      (long long)d->bias, d->biasType, algorithm[0], workspaceBytes, (long long)stream);
  return c == out && lc == ld ? 0 : 7;
}
