// Stands for NVRTC in tests: the "cubin" is the text of all that was given, a source with the word
// "broken" does not compile, and compilations are counted.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compilations;
static int live;
static char text[1 << 16];
static int is_broken;

void fake_reset(void) { compilations = 0; live = 0; }
int fake_compilations(void) { return compilations; }
int fake_live(void) { return live; }

int nvrtcVersion(int* major, int* minor) { *major = 13; *minor = 0; return 0; }
const char* nvrtcGetErrorString(int r) { return r == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR"; }
int nvrtcGetNumSupportedArchs(int* n) { *n = 2; return 0; }
int nvrtcGetSupportedArchs(int* a) { a[0] = 80; a[1] = 90; return 0; }
int nvrtcCreateProgram(void** p, const char* source, const char* name, int headers,
                       const char* const* texts, const char* const* names) {
  int n = snprintf(text, sizeof text, "%s|%s", name, source);
  for (int i = 0; i < headers; i++) {
    n += snprintf(text + n, sizeof text - n, "|%s=%s", names[i], texts[i]);
  }
  is_broken = strstr(source, "broken") != NULL;
  *p = text;
  live++;
  return 0;
}
int nvrtcDestroyProgram(void** p) { *p = NULL; live--; return 0; }
int nvrtcCompileProgram(void* p, int count, const char* const* options) {
  compilations++;
  for (int i = 0; i < count; i++) {
    strcat(strcat(text, "|"), options[i]);
  }
  return is_broken ? 6 : 0;
}
int nvrtcGetCUBINSize(void* p, size_t* n) { *n = strlen(text) + 1; return 0; }
int nvrtcGetCUBIN(void* p, char* c) { strcpy(c, text); return 0; }
static const char log_text[] = "norm.cu(3): error: identifier \"broken\" is undefined\n";
int nvrtcGetProgramLogSize(void* p, size_t* n) { *n = sizeof log_text; return 0; }
int nvrtcGetProgramLog(void* p, char* l) { strcpy(l, log_text); return 0; }
