/* What CUDA's provider needs beside CUDA's runtime, on a machine without a GPU: products that compute nothing.
 *
 * One source for libcuda, libcublas, libcublasLt and libcurand; each finds its own names in it. There is no cuDNN.
 */
#include <string.h>

typedef void* Handle;

static int made(Handle* handle) {
  *handle = (Handle)64;
  return 0;
}

/* ── the driver */

int cuInit(unsigned flags) {
  (void)flags;
  return 0;
}
int cuDriverGetVersion(int* version) {
  *version = 13010;
  return 0;
}
int cuDeviceGet(int* device, int number) {
  *device = number;
  return number ? 101 : 0;
}
int cuDeviceGetName(char* name, int length, int device) {
  (void)device;
  strncpy(name, "no GPU", length);
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? 9 : 0;
  return 0;
}
int cuTensorMapEncodeTiled(void) { return 0; }

/* ── products */

#define NOTHING(name) \
  int name(void) { return 0; }

int cublasCreate_v2(Handle* handle) { return made(handle); }
int cublasGetMathMode(Handle handle, int* mode) {
  (void)handle;
  *mode = 0;
  return 0;
}
const char* cublasGetStatusName(int status) {
  (void)status;
  return "status";
}
const char* cublasGetStatusString(int status) {
  (void)status;
  return "status";
}
NOTHING(cublasDestroy_v2)
NOTHING(cublasSetMathMode)
NOTHING(cublasSetStream_v2)
NOTHING(cublasDgeam)
NOTHING(cublasDgemmBatched)
NOTHING(cublasDgemmStridedBatched)
NOTHING(cublasDgemm_v2)
NOTHING(cublasDgetrfBatched)
NOTHING(cublasDgetriBatched)
NOTHING(cublasGemmBatchedEx)
NOTHING(cublasGemmEx)
NOTHING(cublasGemmStridedBatchedEx)
NOTHING(cublasScopy_v2)
NOTHING(cublasSgeam)
NOTHING(cublasSgemmBatched)
NOTHING(cublasSgemmStridedBatched)
NOTHING(cublasSgemm_v2)
NOTHING(cublasSgetrfBatched)
NOTHING(cublasSgetriBatched)
NOTHING(cublasSscal_v2)

int cublasLtCreate(Handle* handle) { return made(handle); }
int cublasLtMatmulDescCreate(Handle* handle) { return made(handle); }
int cublasLtMatmulPreferenceCreate(Handle* handle) { return made(handle); }
int cublasLtMatrixLayoutCreate(Handle* handle) { return made(handle); }
int cublasLtMatrixTransformDescCreate(Handle* handle) { return made(handle); }
int cublasLtMatmulAlgoGetHeuristic(Handle handle, Handle product, Handle a, Handle b, Handle c, Handle d,
                                   Handle preference, int wanted, void* results, int* found) {
  (void)handle, (void)product, (void)a, (void)b, (void)c, (void)d, (void)preference, (void)wanted, (void)results;
  *found = 1;
  return 0;
}
NOTHING(cublasLtDestroy)
NOTHING(cublasLtMatmul)
NOTHING(cublasLtMatmulAlgoConfigSetAttribute)
NOTHING(cublasLtMatmulAlgoInit)
NOTHING(cublasLtMatmulDescDestroy)
NOTHING(cublasLtMatmulDescSetAttribute)
NOTHING(cublasLtMatmulPreferenceDestroy)
NOTHING(cublasLtMatmulPreferenceSetAttribute)
NOTHING(cublasLtMatrixLayoutDestroy)
NOTHING(cublasLtMatrixLayoutSetAttribute)
NOTHING(cublasLtMatrixTransform)
NOTHING(cublasLtMatrixTransformDescDestroy)
