/* CUDA's runtime library for a machine without a GPU: its memory is the host's and its kernels do nothing.
 *
 * ONNX Runtime's CUDA provider loads on it, takes nodes, allocates, copies and launches as on a GPU, and what is
 * computed is whatever the memory held. So it shows where nodes are placed, what is copied and what is recorded, but no
 * number. What may not be done while a stream is being captured fails here as it does there. At the end it says what it
 * was asked for, and which kernels, by their mangled names, in the file that CUDA_KERNELS names. With CUDA_ZEROS nothing is
 * copied from the host, so that everything is zero: logits are numbers then, and the same every time.
 */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The names are those of CUDA 13; its headers give some of them to others. */
#undef cudaEventRecord
#undef cudaGetDeviceProperties

static size_t handles = 1;
static int capturing;
static long kernels, captures, replays, copies, refused;

/* A kernel is its place in this table. */
enum { KERNELS = 1 << 16 };
static struct {
  const void* function;
  const char* name;
  long launched;
} known[KERNELS];
static int registered;

__attribute__((destructor)) static void tell(void) {
  const char* path = getenv("CUDA_KERNELS");
  FILE* file = path ? fopen(path, "w") : NULL;
  for (int place = 0; file && place < registered; place++)
    if (known[place].launched) fprintf(file, "%ld %s\n", known[place].launched, known[place].name);
  if (file) fclose(file);
  fprintf(stderr, "cuda: %ld kernels, %ld captures, %ld replays, %ld copies, %ld refused\n", kernels, captures, replays,
          copies, refused);
}

static void* handle(void) { return (void*)(64 * handles++); }

#define NOT_WHILE_CAPTURING                     \
  do {                                          \
    if (capturing) {                            \
      refused++;                                \
      return cudaErrorStreamCaptureUnsupported; \
    }                                           \
  } while (0)

/* ── memory */

static cudaError_t take(void** memory, size_t bytes) {
  size_t rounded = (bytes + 255) / 256 * 256;
  *memory = aligned_alloc(256, rounded ? rounded : 256);
  if (!*memory) return cudaErrorMemoryAllocation;
  memset(*memory, 0, rounded);
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  NOT_WHILE_CAPTURING;
  return take(memory, bytes);
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned flags) {
  (void)flags;
  NOT_WHILE_CAPTURING;
  return take(memory, bytes);
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  NOT_WHILE_CAPTURING;
  return take(memory, bytes);
}
cudaError_t cudaMallocFromPoolAsync(void** memory, size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  (void)pool, (void)stream;
  return take(memory, bytes);
}
cudaError_t cudaFree(void* memory) {
  NOT_WHILE_CAPTURING;
  free(memory);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  NOT_WHILE_CAPTURING;
  free(memory);
  return cudaSuccess;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  (void)stream;
  free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* left, size_t* all) {
  *left = *all = (size_t)80 << 30;
  return cudaSuccess;
}

static cudaError_t copy(void* to, const void* from, size_t bytes, enum cudaMemcpyKind kind) {
  copies++;
  if (kind != cudaMemcpyHostToDevice || !getenv("CUDA_ZEROS")) memmove(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, enum cudaMemcpyKind kind) {
  NOT_WHILE_CAPTURING;
  return copy(to, from, bytes, kind);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
  (void)stream;
  return copy(to, from, bytes, kind);
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, enum cudaMemcpyKind kind, cudaStream_t stream) {
  (void)stream;
  for (size_t row = 0; row < height; row++)
    copy((char*)to + row * to_pitch, (const char*)from + row * from_pitch, width, kind);
  return cudaSuccess;
}
cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, size_t bytes, size_t offset, enum cudaMemcpyKind kind) {
  (void)symbol, (void)offset, (void)kind;
  memset(to, 0, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  memset(memory, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  (void)stream;
  memset(memory, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const struct cudaMemPoolProps* props) {
  (void)props;
  *pool = handle();
  return cudaSuccess;
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  (void)pool;
  return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void* value) {
  (void)pool, (void)attribute, (void)value;
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void* value) {
  (void)pool, (void)attribute, (void)value;
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t bytes) {
  (void)pool, (void)bytes;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes* attributes, const void* memory) {
  memset(attributes, 0, sizeof *attributes);
  attributes->type = cudaMemoryTypeDevice;
  attributes->devicePointer = (void*)memory;
  return cudaSuccess;
}

/* ── one device, with the sizes of an H100 */

enum { CORES = 132, SHARED = 49152, SHARED_MOST = 232448, REGISTERS = 65536 };

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device ? cudaErrorInvalidDevice : cudaSuccess; }
cudaError_t cudaDeviceSynchronize(void) {
  NOT_WHILE_CAPTURING;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13010;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13010;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, enum cudaDeviceAttr attribute, int device) {
  (void)device;
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = CORES;
      break;
    case cudaDevAttrMaxThreadsPerBlock:
      *value = 1024;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = 2048;
      break;
    case cudaDevAttrWarpSize:
      *value = 32;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = SHARED;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = SHARED_MOST;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = SHARED_MOST + 1024;
      break;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      *value = REGISTERS;
      break;
    default:
      *value = 1;
  }
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp* found, int device) {
  (void)device;
  memset(found, 0, sizeof *found);
  strcpy(found->name, "no GPU");
  found->totalGlobalMem = (size_t)80 << 30;
  found->major = 9;
  found->multiProcessorCount = CORES;
  found->warpSize = 32;
  found->maxThreadsPerBlock = 1024;
  found->maxThreadsPerMultiProcessor = 2048;
  found->sharedMemPerBlock = SHARED;
  found->sharedMemPerBlockOptin = SHARED_MOST;
  found->sharedMemPerMultiprocessor = SHARED_MOST + 1024;
  found->regsPerBlock = REGISTERS;
  found->l2CacheSize = 50 << 20;
  for (int axis = 0; axis < 3; axis++)
    found->maxThreadsDim[axis] = 1024, found->maxGridSize[axis] = axis ? 65535 : 0x7fffffff;
  return cudaSuccess;
}
cudaError_t cudaGetLastError(void) { return cudaSuccess; }
cudaError_t cudaPeekAtLastError(void) { return cudaSuccess; }
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorStreamCaptureUnsupported ? "capturing" : "an error";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

/* ── streams, events, graphs */

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = handle();
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  (void)flags;
  *stream = handle();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  (void)stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  (void)stream;
  NOT_WHILE_CAPTURING;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  (void)stream, (void)event, (void)flags;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = handle();
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  (void)flags;
  *event = handle();
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  (void)event;
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  (void)from, (void)to;
  *milliseconds = 1;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  (void)event, (void)stream;
  return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  (void)event, (void)stream, (void)flags;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  (void)event;
  NOT_WHILE_CAPTURING;
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t act, void* data) {
  (void)stream;
  act(data);
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
  (void)stream, (void)mode;
  capturing = 1;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  (void)stream;
  capturing = 0;
  captures++;
  *graph = handle();
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus* status) {
  (void)stream;
  *status = capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long flags) {
  (void)graph, (void)flags;
  *made = handle();
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  (void)graph, (void)stream;
  replays++;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  (void)graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  (void)graph;
  return cudaSuccess;
}

/* ── kernels */

static cudaError_t launch(int place) {
  kernels++;
  known[place].launched++;
  return cudaSuccess;
}

static int place_of(const void* function) {
  int place = 0;
  while (place < registered && known[place].function != function) place++;
  return place % KERNELS;
}

cudaError_t cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                             cudaStream_t stream) {
  (void)grid, (void)block, (void)arguments, (void)shared, (void)stream;
  return launch(place_of(kernel));
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                               cudaStream_t stream) {
  (void)grid, (void)block, (void)arguments, (void)shared, (void)stream;
  return launch((int)(size_t)kernel - 1);
}
cudaError_t cudaLaunchCooperativeKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared,
                                        cudaStream_t stream) {
  (void)grid, (void)block, (void)arguments, (void)shared, (void)stream;
  return launch(place_of(kernel));
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* configuration, const void* kernel, void** arguments) {
  (void)configuration, (void)arguments;
  return launch(place_of(kernel));
}
cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes* found, const void* kernel) {
  (void)kernel;
  memset(found, 0, sizeof *found);
  found->maxThreadsPerBlock = 1024;
  found->binaryVersion = found->ptxVersion = 90;
  found->maxDynamicSharedSizeBytes = SHARED_MOST;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* kernel, enum cudaFuncAttribute attribute, int value) {
  (void)kernel, (void)attribute, (void)value;
  return cudaSuccess;
}
cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t kernel, enum cudaFuncAttribute attribute, int value,
                                            int device) {
  (void)kernel, (void)attribute, (void)value, (void)device;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* kernel, int threads,
                                                                   size_t shared, unsigned flags) {
  (void)kernel, (void)threads, (void)shared, (void)flags;
  *blocks = 2;
  return cudaSuccess;
}
cudaError_t cudaLibraryLoadData(cudaLibrary_t* library, const void* code, enum cudaJitOption* a, void** b, unsigned c,
                                enum cudaLibraryOption* d, void** e, unsigned f) {
  (void)code, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
  *library = handle();
  return cudaSuccess;
}
cudaError_t cudaLibraryUnload(cudaLibrary_t library) {
  (void)library;
  return cudaSuccess;
}
cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library, const char* name) {
  (void)library, (void)name;
  *kernel = (cudaKernel_t)(size_t)KERNELS;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = (cudaKernel_t)(size_t)(place_of(function) + 1);
  return cudaSuccess;
}
cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned version,
                                             unsigned long long flags, enum cudaDriverEntryPointQueryResult* result) {
  (void)name, (void)version, (void)flags;
  *function = NULL;
  if (result) *result = cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

/* What compiled kernels are registered and configured with. */
static struct {
  dim3 grid, block;
  size_t shared;
  void* stream;
} configured;

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void* stream) {
  configured.grid = grid, configured.block = block, configured.shared = shared, configured.stream = stream;
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  *grid = configured.grid, *block = configured.block, *shared = configured.shared, *(void**)stream = configured.stream;
  return cudaSuccess;
}
void** __cudaRegisterFatBinary(void* binary) {
  static void* registered[1];
  (void)binary;
  return registered;
}
void __cudaRegisterFatBinaryEnd(void** registered) { (void)registered; }
void __cudaRegisterFunction(void** binary, const char* function, char* symbol, const char* name) {
  (void)binary, (void)symbol;
  if (registered == KERNELS - 1) abort();
  known[registered].function = function;
  known[registered++].name = name;
}
void __cudaRegisterVar(void) {}
void __cudaUnregisterFatBinary(void** registered) { (void)registered; }
