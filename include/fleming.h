// fleming.h: questions about medical images, videos and volumes, answered by a vision-language model on your own machine.
//
// For research and non-clinical use. Not a medical device: do not base a diagnosis or treatment on what it says.
//
// A whole program. `cc program.c -lfleming -o program`, then `./program models/demo chest.png 'Is there a nodule?'`:
//
//     #include <stdio.h>
//     #include <fleming.h>
//
//     // Prints the answer as it is made; the thought before it is passed over.
//     static int32_t on_event(void *user_data, const fleming_event *event) {
//         (void)user_data;
//         if (event->kind == FLEMING_EVENT_KIND_ANSWER) {
//             fputs(event->text, stdout);
//             fflush(stdout);
//         }
//         return 0; // anything else stops the answer
//     }
//
//     int main(int argc, char **argv) {
//         fleming_engine *engine = NULL;
//         fleming_request *request = NULL;
//         fleming_reply *reply = NULL;
//         fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
//         fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
//         fleming_status status = FLEMING_STATUS_ARGUMENT;
//         if (argc != 4) {
//             fprintf(stderr, "usage: %s PACKAGE IMAGE QUESTION\n", argv[0]);
//             return 2;
//         }
//         options.on_event = on_event;
//         if ((status = fleming_engine_open(argv[1], NULL, &engine)) == FLEMING_STATUS_OK
//             && (status = fleming_request_new(argv[3], &request)) == FLEMING_STATUS_OK
//             && (status = fleming_request_file(request, FLEMING_MODALITY_IMAGE, argv[2], NULL)) == FLEMING_STATUS_OK
//             && (status = fleming_engine_ask(engine, request, &options, &reply)) == FLEMING_STATUS_OK
//             && (status = fleming_reply_read(reply, &facts)) == FLEMING_STATUS_OK) {
//             printf("\n%d tokens, the first after %.0f ms\n", (int)facts.completion_tokens, facts.first_token_ms);
//         } else {
//             fprintf(stderr, "error %d: %s\n%s\n", (int)status, fleming_last_error_message(),
//                     fleming_last_error_hint());
//         }
//         fleming_reply_free(reply);
//         fleming_request_free(request);
//         fleming_engine_free(engine);
//         return status == FLEMING_STATUS_OK ? 0 : 1;
//     }
//
// The rules, which hold for every function:
//
// - A function is named after the object it works on. Those that can fail return a fleming_status and write their result through
//   their last argument, only if they return FLEMING_STATUS_OK. What went wrong, and what to do about it, is then told in words by
//   fleming_last_error_message and fleming_last_error_hint, and in parts by fleming_last_error_read, for each thread.
//   fleming_status_name and fleming_status_text say what a number means.
// - What a function gives you through a pointer to a pointer is yours: free it once with the _free of its type. Every _free takes
//   NULL.
// - Everything you hand in is copied before the function returns and stays yours. A callback and its pointer are kept until the
//   answer (or, for the log, the engine and all answers it began) is done.
// - Texts and numbers that you are shown belong to the object they came from and stand until it is freed.
// - Texts are UTF-8 and end with a NUL; what a model writes as NUL is shown as U+FFFD. Paths are the system's bytes.
// - Where NULL is not said to be allowed, it is FLEMING_STATUS_ARGUMENT.
// - Structs begin with their size and are made with their _INIT macro, so that they can grow. A size that a struct has in no
//   edition of this header is FLEMING_STATUS_ARGUMENT. Facts are written over as many bytes of your struct as its struct_size
//   says and the library knows; nothing behind them is read or written.
// - 0 and NULL are the default of every option; what it may be stands beside it. Where 0 is another value than the default,
//   FLEMING_ZERO is that value. To begin anew, assign the macro again:
//   options = (fleming_ask_options)FLEMING_ASK_OPTIONS_INIT. Fields named reserved are 0.
// - Numbers of enums stay what they are; new ones may be added. In structs they are int32_t.
// - Units: _ms is milliseconds, _mm millimetres, seconds are seconds; memory, caches and sizes of files are bytes; width, height
//   and tile_size are pixels; other numbers count what they are named after. Places count from 0.
// - An engine may be used from many threads at once; a request may be added to and asked from any thread; replies, embeddings
//   and buffers do not change; for a pending answer see there.
//
// Time and room:
//
// - timeout_ms of fleming_ask_options runs from the call to the end of the answer: reading the inputs, waiting for a slot and
//   generating. 0 is no limit. Of fleming_engine_count_tokens and fleming_engine_embed it limits the whole work. timeout_ms of
//   fleming_pending_wait is how long the call may wait and changes nothing about the answer: 0 only looks, below 0 is no limit.
// - An answer that was cancelled or whose time is up is FLEMING_STATUS_OK with the text so far; finish says so.
//   FLEMING_STATUS_CANCELLED and _TIMED_OUT come from calls that then have nothing to return: fleming_engine_embed,
//   fleming_engine_open and studies that are still being read by fleming_engine_count_tokens.
// - FLEMING_STATUS_BUSY comes at once, from fleming_engine_ask, _submit and _submit_all, if slots + queue answers are under
//   way, from the call until their end; of several answers all have room or none. fleming_engine_load_session is busy if no
//   slot is free. It is no failure of the engine: try again later, or open it with a longer queue.
// - Events and replies that nobody takes are kept until the answer is freed: some 200 bytes for each token, more with
//   log-probabilities. No slot waits for them.
//
// Freeing:
//
// - Objects may be freed in any order, also while an answer is made: what is under way holds what it needs. But no call may
//   begin with an object that was freed.
// - A callback for events may free anything: the engine, the request, other answers, and the pending answer that it hears of,
//   which then ends, cancelled, when the callback has returned. on_ready and functions that hear the log call nothing of the
//   library.
// - An object may be freed while another thread is within a call with it; that call goes on. A pending answer that is freed
//   while another thread waits for it is cancelled, and that thread gets the text so far.
// - The last of an engine and its pending answers to be freed ends the engine's threads and unloads the model: that takes up to
//   a step or a run of the vision graph. fleming_shutdown does so for all engines at once.
//
// The process stays the host's:
//
// - A thread that calls needs a stack of 256 kB. Threads of the library have their own.
// - The library installs no signal handler and changes no signal mask. Its threads have the mask of the thread that opened the
//   engine, so block there what they should not handle.
// - An engine belongs to the process that opened it. In a child that fork made, whatever asks it for work is
//   FLEMING_STATUS_RUNTIME, and its alive is 0. The child may free what it inherited, exit, or exec. To use the library in a
//   child, call exec first, or fork before the first engine is opened: nothing else is promised.
// - exit may be called at any time, with engines open and answers under way.
// - A relative path means the working folder at the time when it is read: for fleming_request_file that is after the request is
//   asked, in another thread. A host that calls chdir hands in absolute paths.
// - Before ONNX Runtime is loaded, with the first engine, ORT_DISABLE_TELEMETRY=1 is set in the environment, unless the
//   variable is there: ONNX Runtime sends no reports of its use. setenv is not safe beside threads that read the environment: a
//   host with such threads sets the variable itself, at its start. Read are FLEMING_LOG, see fleming_log; ORT_DYLIB_PATH,
//   VIRTUAL_ENV and LD_LIBRARY_PATH, in the search for ONNX Runtime; XDG_CACHE_HOME and HOME, for the folder of plans.
// - A process has one ONNX Runtime: the one that its first engine loaded stays until the process ends, and an engine that names
//   another is refused.
// - The library stays in memory after dlclose, which is harmless and frees nothing: free the objects first, or call
//   fleming_shutdown.
//
// Packages and sessions:
//
// - The files of a package must not change while it is loaded. A loaded engine does not need them. To replace a package under a
//   running product, write the new one to a folder of its own, open a second engine on it (there must be memory for both), send
//   new requests there, and free the old engine, which ends when its last answer does. A name that is a link may be switched to
//   the new folder meanwhile: an engine never gets a mixture.
// - A session is bound to the package by its digest, and to nothing else: it may be read on another machine and after an
//   update, as long as the version of its form is the same; anything else is refused with the reason. A file is written whole
//   or not at all, readable by its owner alone. It has some bytes for each token and its keys and values, and is as
//   confidential as the study. fleming_engine_facts.digest says which package a session needs.
//
// Compatibility: a program works with every later library of its series, which the soname names: 0.1, 0.2 and so on before
// version 1 (libfleming.so.0.1), then 1, 2 and so on (libfleming.so.1). Functions, fields and numbers stay, and structs grow at
// their ends. A struct that is larger than the library knows is taken if the rest of it is 0, and is FLEMING_STATUS_ARGUMENT else.

#ifndef FLEMING_H
#define FLEMING_H


#include <stddef.h>
#include <stdint.h>

#define FLEMING_VERSION "0.1.0"
#define FLEMING_VERSION_MAJOR 0
#define FLEMING_VERSION_MINOR 1
#define FLEMING_VERSION_PATCH 0
// major * 10000 + minor * 100 + patch, for #if.
#define FLEMING_VERSION_NUMBER \
    (FLEMING_VERSION_MAJOR * 10000 + FLEMING_VERSION_MINOR * 100 + FLEMING_VERSION_PATCH)

// What a call came to. The numbers stay what they are; new ones may be added.
enum fleming_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Done; results are written.
    FLEMING_STATUS_OK = 0,
    // An image, video, volume or file that cannot be read as asked.
    FLEMING_STATUS_INPUT = 1,
    // A request that cannot be carried out: options that contradict, a prompt that does not fit.
    FLEMING_STATUS_REQUEST = 2,
    // A package that is incomplete, altered or not what this version reads.
    FLEMING_STATUS_PACKAGE = 3,
    // ONNX Runtime, an execution provider or a graph that does not load or run.
    FLEMING_STATUS_RUNTIME = 4,
    // More requests are waiting than the engine was set up to hold: try again later.
    FLEMING_STATUS_BUSY = 5,
    // Cancelled before there was anything to return.
    FLEMING_STATUS_CANCELLED = 6,
    // The time was up before there was anything to return.
    FLEMING_STATUS_TIMED_OUT = 7,
    // An argument breaks the rules at the top: NULL where it is forbidden, no UTF-8, a wrong struct_size.
    FLEMING_STATUS_ARGUMENT = 100,
    // A defect of this library. The engine stays usable; please report the message.
    FLEMING_STATUS_PANIC = 101,
    // Not complete yet: no failure.
    FLEMING_STATUS_PENDING = 102,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_status fleming_status;
#else
typedef int32_t fleming_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The severity of a line of the log, and the least that a `fleming_log_callback` receives.
enum fleming_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A failure that no status reports.
    FLEMING_LOG_LEVEL_ERROR = 1,
    // What the user should know.
    FLEMING_LOG_LEVEL_WARN = 2,
    // What was loaded, and how much memory it takes.
    FLEMING_LOG_LEVEL_INFO = 3,
    // Counts of each request, and what ONNX Runtime logs.
    FLEMING_LOG_LEVEL_DEBUG = 4,
    // Everything.
    FLEMING_LOG_LEVEL_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_log_level fleming_log_level;
#else
typedef int32_t fleming_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How faithfully the authors' script is followed where it is broken. docs/input.md lists the cases.
enum fleming_preprocessing
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Its defects are corrected, each with a warning.
    FLEMING_PREPROCESSING_CLINICAL = 0,
    // Bit for bit the script, defects included.
    FLEMING_PREPROCESSING_REFERENCE = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_preprocessing fleming_preprocessing;
#else
typedef int32_t fleming_preprocessing;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The kind of an event.
enum fleming_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // done of total tiles went through the vision tower.
    FLEMING_EVENT_KIND_ENCODING = 1,
    // done of total prompt tokens are in memory.
    FLEMING_EVENT_KIND_PREFILLING = 2,
    // The next piece of the thought.
    FLEMING_EVENT_KIND_THOUGHT = 3,
    // The next piece of the answer.
    FLEMING_EVENT_KIND_ANSWER = 4,
    // done of total was read in a pass over a file: bytes, packets or slices. Each pass starts anew. Only where reading takes
    // longer than half a second.
    FLEMING_EVENT_KIND_READING = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_event_kind fleming_event_kind;
#else
typedef int32_t fleming_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Why generation ended.
enum fleming_finish
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // The model ended its turn, or a stop string came.
    FLEMING_FINISH_STOP = 1,
    // The limit on new tokens or the end of the context was reached.
    FLEMING_FINISH_LENGTH = 2,
    // The caller stopped it.
    FLEMING_FINISH_CANCELLED = 3,
    // The time for it was up.
    FLEMING_FINISH_TIMED_OUT = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_finish fleming_finish;
#else
typedef int32_t fleming_finish;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A part of a reply.
enum fleming_part
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // None.
    FLEMING_PART_NONE = 0,
    // The reasoning before the answer.
    FLEMING_PART_THOUGHT = 1,
    // The answer.
    FLEMING_PART_ANSWER = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_part fleming_part;
#else
typedef int32_t fleming_part;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What kind of thing a study is.
enum fleming_modality
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A single picture.
    FLEMING_MODALITY_IMAGE = 1,
    // Frames of a clip in order of time.
    FLEMING_MODALITY_VIDEO = 2,
    // Slices of a volume, in order.
    FLEMING_MODALITY_VOLUME = 3,
    // Of a file, of bytes or of a series that are handed in: whatever their content is. No frame has it.
    FLEMING_MODALITY_ANY = 100,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_modality fleming_modality;
#else
typedef int32_t fleming_modality;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A type of numbers.
enum fleming_voxel
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // int16_t, as of most CT.
    FLEMING_VOXEL_INT16 = 1,
    // uint16_t, as of most MR and radiographs; 12 bits in 16 too, see fleming_volume.bits.
    FLEMING_VOXEL_UINT16 = 2,
    // int8_t
    FLEMING_VOXEL_INT8 = 3,
    // uint8_t
    FLEMING_VOXEL_UINT8 = 4,
    // int32_t
    FLEMING_VOXEL_INT32 = 5,
    // uint32_t
    FLEMING_VOXEL_UINT32 = 6,
    // float
    FLEMING_VOXEL_FLOAT32 = 7,
    // double
    FLEMING_VOXEL_FLOAT64 = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_voxel fleming_voxel;
#else
typedef int32_t fleming_voxel;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A side of a conversation.
enum fleming_role
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Who asks.
    FLEMING_ROLE_USER = 1,
    // The model.
    FLEMING_ROLE_ASSISTANT = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_role fleming_role;
#else
typedef int32_t fleming_role;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How the bytes of a picture are to be read.
enum fleming_pixels
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // 3 bytes a pixel: red, green, blue.
    FLEMING_PIXELS_RGB = 0,
    // 3 bytes a pixel: blue, green, red.
    FLEMING_PIXELS_BGR = 1,
    // 4 bytes a pixel: red, green, blue, alpha; not premultiplied. What can be seen through is laid on white, as of a file,
    // and a warning says so.
    FLEMING_PIXELS_RGBA = 2,
    // 4 bytes a pixel: blue, green, red, alpha.
    FLEMING_PIXELS_BGRA = 3,
    // 1 byte a pixel, 0 black. Grey of more bits, or with a window, is a fleming_volume of FLEMING_MODALITY_IMAGE.
    FLEMING_PIXELS_GREY = 4,
    // Two planes: frames holds Y, 1 byte a pixel; chroma holds U and V in turns, for 2 by 2 pixels. Of odd sides, the last is
    // for one.
    FLEMING_PIXELS_NV12 = 5,
    // Three planes: frames holds Y; chroma holds U and chroma_v holds V, each 1 byte for 2 by 2 pixels.
    FLEMING_PIXELS_I420 = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_pixels fleming_pixels;
#else
typedef int32_t fleming_pixels;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The matrix from YUV to RGB.
enum fleming_yuv_matrix
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // ITU-R BT.601, of standard definition: what FFmpeg, and the reference script, take of a video that does not say.
    FLEMING_YUV_MATRIX_BT601 = 0,
    // ITU-R BT.709, of high definition.
    FLEMING_YUV_MATRIX_BT709 = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_yuv_matrix fleming_yuv_matrix;
#else
typedef int32_t fleming_yuv_matrix;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The numbers of YUV that are black and white.
enum fleming_yuv_range
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Y from 16 to 235, U and V from 16 to 240: the usual one of video.
    FLEMING_YUV_RANGE_LIMITED = 0,
    // All from 0 to 255: of JPEG, and of many cameras.
    FLEMING_YUV_RANGE_FULL = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_yuv_range fleming_yuv_range;
#else
typedef int32_t fleming_yuv_range;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How a window makes grey of a value x; c is its centre and w its width. Grey is cut to a whole number. The names are DICOM's.
enum fleming_window
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // ((x - c) / w + 0.5) * 255, cut off at 0 and 255: from c - w / 2 to c + w / 2. PS3.3 C.11.2.1.3.2.
    FLEMING_WINDOW_LINEAR_EXACT = 0,
    // ((x - (c - 0.5)) / (w - 1) + 0.5) * 255, cut off at 0 and 255; w is at least 1. PS3.3 C.11.2.1.2.1: what a DICOM file
    // means that names no function.
    FLEMING_WINDOW_LINEAR = 1,
    // 255 / (1 + exp(-4 * (x - c) / w)). PS3.3 C.11.2.1.3.1.
    FLEMING_WINDOW_SIGMOID = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_window fleming_window;
#else
typedef int32_t fleming_window;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What the values of a volume are. It decides which of them are looked at where there is no window, as docs/input.md says.
enum fleming_volume_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Not known: a CT if the values look like one.
    FLEMING_VOLUME_KIND_UNKNOWN = 0,
    // CT, in Hounsfield units.
    FLEMING_VOLUME_KIND_CT = 1,
    // MR.
    FLEMING_VOLUME_KIND_MR = 2,
    // PET.
    FLEMING_VOLUME_KIND_PET = 3,
    // Something else.
    FLEMING_VOLUME_KIND_OTHER = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum fleming_volume_kind fleming_volume_kind;
#else
typedef int32_t fleming_volume_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Bytes that the library made: a text, a session, a file. They do not change: any thread may read them.
typedef struct fleming_buffer fleming_buffer;

// Image embeddings. They do not change: any thread may read them.
typedef struct fleming_embeddings fleming_embeddings;

// A loaded model. It may be used from any number of threads at once. Freed while calls are under way or pending answers are
// there, it is unloaded when the last of them is done.
typedef struct fleming_engine fleming_engine;

// An answer that is being made. Any thread may wait for it, one at a time, and any thread may cancel it meanwhile.
typedef struct fleming_pending fleming_pending;

// What the model sees of a request's studies, as pictures. It does not change: any thread may read it. The pictures are as
// confidential as the studies; no text in them names a file or a patient.
typedef struct fleming_preview fleming_preview;

// An answer and how it came about. It does not change: any thread may read it.
typedef struct fleming_reply fleming_reply;

// A question about any number of studies. It may be asked any number of times, of any engine. Studies are placed in one of two
// ways. By words: the word <image> in the question or in a turn places the next study; with no such word anywhere, all studies
// come before the question (with earlier turns and an instruction of "" the word is needed). Or by order, with
// fleming_request_text: each text and each study stands where it was added.
typedef struct fleming_request fleming_request;

// The facts of a failure, each a fragment. The texts stand until the next call of this thread that fails.
typedef struct fleming_error_facts {
    // sizeof(fleming_error_facts)
    size_t struct_size;
    // As fleming_last_error_message and fleming_last_error_hint return them.
    const char *message;
    const char *hint;
    // What it is about. Of FLEMING_STATUS_ARGUMENT the name of the argument or of the field. Of FLEMING_STATUS_REQUEST the field
    // of a struct of options ("max_new_tokens"), an option of the text `options` ("plane"), either after the name of a study
    // and ": " where it depends on that ("ct.nii.gz: window"), or "question", "turns", "prompt", "answers", "answer",
    // "studies" and "session". Else a file, a tensor, "queue", "request", "loading", "engine" and the like. Names of fields
    // stay what they are; other things may be told in other words by a later library.
    const char *thing;
    // What was wanted of it, and what was found instead.
    const char *wanted;
    const char *got;
    // The fleming_status of the call; FLEMING_STATUS_OK if none has failed.
    int32_t status;
    // 0
    int32_t reserved;
} fleming_error_facts;

// Hears a line of the log, of level `level` (a fleming_log_level). It is called from any thread, also from several at once, and
// calls no function of this library. No line holds a prompt, an answer, a path or a pixel.
typedef void (*fleming_log_callback)(void *user_data, int32_t level, const char *message);

// What of a file is looked at. 0 and NULL are the defaults; what does not fit the kind of file is refused.
typedef struct fleming_study_options {
    // sizeof(fleming_study_options)
    size_t struct_size;
    // The name of bytes in memory, for messages and the reply; "bytes" by default. A file's name is its path.
    const char *name;
    // Volumes: how many slices, evenly spaced. 1 to 4096; 11 by default.
    size_t slices;
    // Videos: one frame a second, at most this many. Of max_frames, frames and seconds at most one may be given. 1 to 4096; 32 by
    // default.
    size_t max_frames;
    // Videos: exactly this many frames. 1 to 4096; none by default.
    size_t frames;
    // Videos: one frame for each second of a duration that you state. 1 to 4096; none by default.
    double seconds;
    // Videos: from this second on. A finite number; the clip's start by default.
    double start;
    // Videos: up to this second. A finite number; the clip's end by default.
    double end;
    // Volumes, and grey pictures and clips of DICOM: how values become grey: a centre and a width, "-600/1500", or a window's
    // name, "lung", as docs/input.md lists them. Each slice of an array is scaled by its own range by default.
    const char *window;
    // Other options of docs/input.md, by their names in JSON: {"form": "native", "plane": "coronal", "range": "40-120"}. The
    // fields above hold before them.
    const char *options;
} fleming_study_options;

// Several files that are one study, such as the slices of a DICOM series, in any order: on disk or in memory. Each file counts
// as fleming_request_file and fleming_request_bytes take one; what the files say decides their order.
typedef struct fleming_series {
    // sizeof(fleming_series)
    size_t struct_size;
    // file_count paths, or NULL.
    const char *const *files;
    size_t file_count;
    // The contents of buffer_count whole files, and the bytes of each; or NULL. Either files or buffers.
    const void *const *buffers;
    const size_t *buffer_sizes;
    // The name of each buffer, for messages and warnings; "file 0", "file 1" and so on if NULL.
    const char *const *buffer_names;
    size_t buffer_count;
} fleming_series;

// Pictures that you have: count pictures of height rows of width pixels each, of one fleming_pixels: an image, or a clip.
// Between the rows of a plane may be gaps; behind the last pixel nothing is read. YUV becomes RGB by FFmpeg, bit for bit as
// the same frames of a video file; a library that was built without it refuses YUV.
typedef struct fleming_frames {
    // sizeof(fleming_frames)
    size_t struct_size;
    // For messages and the reply; "frames" if NULL.
    const char *name;
    // count pointers to the first pixel of each frame, of its first plane.
    const uint8_t *const *frames;
    // 1 for an image, 1 to 4096 for a video.
    size_t count;
    // The time of each frame in seconds, count numbers. A video needs them, an image has none.
    const double *seconds;
    // In pixels.
    size_t width;
    size_t height;
    // Bytes from one row of the first plane to the next; 0: as many as a row has.
    size_t row_bytes;
    // FLEMING_MODALITY_IMAGE or FLEMING_MODALITY_VIDEO.
    int32_t modality;
    // 0
    int32_t reserved;
    // A fleming_pixels; RGB by default.
    int32_t pixels;
    // Of NV12 and I420: a fleming_yuv_matrix; BT.601 by default.
    int32_t yuv_matrix;
    // Of NV12 and I420: a fleming_yuv_range; limited by default.
    int32_t yuv_range;
    // 0
    int32_t reserved_2;
    // NV12: count pointers to U and V. I420: count pointers to U. Else NULL.
    const uint8_t *const *chroma;
    // I420: count pointers to V. Else NULL.
    const uint8_t *const *chroma_v;
    // Bytes from one row of chroma, and of chroma_v, to the next; 0: as many as a row has.
    size_t chroma_row_bytes;
    size_t chroma_v_row_bytes;
} fleming_frames;

// Numbers that you have: a volume of depth slices of height rows of width voxels, or one grey picture, in the machine's byte
// order. What is written here of the values of a study in a file (slope, window, inversion, place in the patient) gives bit
// for bit the frames of that file: without directions those of a NumPy array, with them those of a DICOM series or a NIfTI
// volume, and of a picture those of a radiograph in DICOM.
typedef struct fleming_volume {
    // sizeof(fleming_volume)
    size_t struct_size;
    // For messages and the reply; "volume" if NULL.
    const char *name;
    // The first voxel of the first row of the first slice; it may be aligned to anything. Of floating-point numbers, NaN and
    // infinity are refused in an array, and black in a volume with directions, with a warning; in a picture NaN is black.
    const void *voxels;
    // Slices, rows and columns; a picture has a depth of 1.
    size_t depth;
    size_t height;
    size_t width;
    // Millimetres between slices, rows and columns; all 0: unknown. Without directions they change no pixel; the reply has
    // them. A picture has none.
    double spacing_mm[3];
    // The window, in values: after slope and intercept. A width of 0 (and a centre of 0) is none: each slice of an array is
    // scaled by its own range, a volume with directions as docs/input.md says, a picture of at most 8 bits is shown as it is,
    // and any other from its lowest to its highest value, with a warning.
    double window_center;
    double window_width;
    // How many slices, evenly spaced, 1 to 4096; 0: 11. Of a picture 0.
    size_t slices;
    // A fleming_voxel.
    int32_t voxel;
    // 0
    int32_t reserved;
    // What a number is multiplied by to become a value, in double precision; 0: 1. As DICOM's RescaleSlope.
    double slope;
    // What is added then. As DICOM's RescaleIntercept.
    double intercept;
    // Bytes from one row to the next, and from one slice to the next; 0: without gaps. Behind the last voxel nothing is read.
    size_t row_bytes;
    size_t slice_bytes;
    // Unit vectors: in which directions slices, rows and columns follow one another. x rises to the patient's left, y to
    // posterior, z to the head, as in DICOM: of ImageOrientationPatient the last three numbers are the directions of rows, and
    // the first three of columns. All 0: unknown, and the volume is looked at as it is.
    double directions[3][3];
    // The middle of the first voxel in millimetres, as DICOM's ImagePositionPatient of the first slice. With directions.
    double origin_mm[3];
    // Other options of docs/input.md, by their names in JSON: {"plane": "coronal", "range": "40-120"}. slices and the window
    // above hold before them. NULL: none.
    const char *options;
    // FLEMING_MODALITY_VOLUME, which 0 is too, or FLEMING_MODALITY_IMAGE.
    int32_t modality;
    // A fleming_volume_kind. With directions.
    int32_t kind;
    // A fleming_window, of the window above.
    int32_t window_function;
    // How many bits of an integer count, such as 12 of 16: a voxel that takes more is refused. 0: all.
    int32_t bits;
    // Of a picture: 1 if the lowest value is white, as of MONOCHROME1; else 0.
    int32_t inverse;
    // 0
    int32_t reserved_2;
} fleming_volume;

// What a reply holds. The texts stand until it is freed.
typedef struct fleming_reply_facts {
    // sizeof(fleming_reply_facts)
    size_t struct_size;
    // The answer; "" if generation ended before.
    const char *answer;
    // The reasoning; NULL if the model showed none.
    const char *thought;
    // The whole reply, tags included.
    const char *text;
    // What you should know about the inputs and the reply, a sentence a line; "" if nothing.
    const char *warnings;
    // A fleming_finish.
    int32_t finish;
    // The fleming_part that was cut off.
    int32_t truncated;
    // Tokens of the prompt; of those, of pictures; of those, the ones that were in memory already.
    size_t prompt_tokens;
    size_t image_tokens;
    size_t cached_tokens;
    // Tokens generated.
    size_t completion_tokens;
    // Tokens that were guessed ahead, and those of them that were right.
    size_t drafted_tokens;
    size_t accepted_tokens;
    // Frames that the model saw: see fleming_reply_frame.
    size_t frame_count;
    // Milliseconds: reading the inputs, preparing their pixels, waiting for a slot, the vision tower, the prompt, from the
    // call to the first token, and the steps after it.
    double read_ms;
    double preprocess_ms;
    double queue_ms;
    double vision_ms;
    double prefill_ms;
    double first_token_ms;
    double decode_ms;
    // The tokens generated: completion_tokens ids of the package's vocabulary, the end-of-turn token included.
    const uint32_t *completion_ids;
    // Those of the thought, its tags included.
    size_t thinking_tokens;
    // Tokens that fleming_reply_token tells of: completion_tokens if log-probabilities were asked for, else 0.
    size_t logprob_count;
} fleming_reply_facts;

// A frame that the model saw. The name stands until the reply is freed.
typedef struct fleming_frame_facts {
    // sizeof(fleming_frame_facts)
    size_t struct_size;
    // Name of its study.
    const char *source;
    // Place of the study in the request, from 0.
    size_t study;
    // Into how many tiles it was cut.
    size_t tiles;
    // Videos: place in the clip, from 0. Volumes: place of the slice, from 0.
    size_t index;
    // Videos: seconds from the start of the clip.
    double seconds;
    // Volumes: the values that became 0 and 255.
    double window_low;
    double window_high;
    // Volumes: millimetres between slices, rows and columns; 0 where unknown.
    double spacing_mm[3];
    // A fleming_modality.
    int32_t modality;
    // 0
    int32_t reserved;
} fleming_frame_facts;

// A token, with its log-probability by the raw logits: before bias, penalties, temperature, truncation and constraint. The
// bytes stand until the reply is freed.
typedef struct fleming_token_facts {
    // sizeof(fleming_token_facts)
    size_t struct_size;
    // The bytes that it stands for, and a NUL after them. They need not be whole characters, may hold NULs, and are none for
    // tokens that leave no text.
    const char *bytes;
    // Bytes, without that NUL.
    size_t length;
    // How many of the likeliest tokens at this place are known: the highest rank.
    size_t alternatives;
    // The natural logarithm of its probability.
    double logprob;
    // Its id in the package's vocabulary.
    uint32_t id;
    // 0
    int32_t reserved;
} fleming_token_facts;

// A picture as the vision tower takes it, before its numbers are normalised. It stands until what it came from is freed.
typedef struct fleming_picture {
    // sizeof(fleming_picture)
    size_t struct_size;
    // height rows of width pixels of 3 bytes, red, green, blue, without gaps. The tiles of a frame stand one below the other,
    // in the tower's order: width is fleming_engine_facts.tile_size, height is that times fleming_frame_facts.tiles.
    const uint8_t *rgb;
    size_t width;
    size_t height;
} fleming_picture;

// What embeddings hold: values[tile][token][number], without gaps. The values stand until the embeddings are freed.
typedef struct fleming_embeddings_facts {
    // sizeof(fleming_embeddings_facts)
    size_t struct_size;
    // tiles × tokens × hidden numbers.
    const float *values;
    // Tiles of all frames, in the order of the studies.
    size_t tiles;
    // Tokens of a tile.
    size_t tokens;
    // Numbers of a token.
    size_t hidden;
} fleming_embeddings_facts;

// What a buffer holds. The bytes stand until it is freed.
typedef struct fleming_buffer_facts {
    // sizeof(fleming_buffer_facts)
    size_t struct_size;
    // size bytes, and a NUL after them: a text can be used as it is.
    const char *data;
    // Bytes, without that NUL.
    size_t size;
} fleming_buffer_facts;

// Hears that `done` of `total` bytes of a package were compared with their digests (0 of 0 before its size is known); meanwhile
// the graphs load, which may take longer: `done` is then `total` more than once. A return value other than 0 ends the loading,
// which is FLEMING_STATUS_CANCELLED. It may call functions of this library, but must not throw, panic or jump out.
typedef int32_t (*fleming_load_callback)(void *user_data, uint64_t done, uint64_t total);

// How an engine is set up. 0 and NULL are the defaults.
typedef struct fleming_engine_options {
    // sizeof(fleming_engine_options)
    size_t struct_size;
    // The ONNX Runtime library; searched for by default, as docs/packaging.md says.
    const char *onnxruntime;
    // The execution provider and, where it has several devices, the number of one: "cpu", "cuda:1"; fleming_doctor lists
    // them. By default cpu.
    const char *provider;
    // Options of that provider, as "name=value" with ONNX Runtime's names; provider_option_count texts.
    const char *const *provider_options;
    size_t provider_option_count;
    // Threads inside an operator. 1 to 1024; one for each physical core by default.
    size_t threads;
    // Answers at a time, and conversations kept in memory, each of `context` tokens. 1 to 1024; 1 by default.
    size_t slots;
    // Most tokens in a conversation, prompt and reply together. 1 to 16777216; the model's limit by default.
    size_t context;
    // Answers that may wait beside those with a slot; more are FLEMING_STATUS_BUSY. 1 to 65536; 64 by default.
    size_t queue;
    // Prompt tokens that run together; other answers go on in between. 4 to 1048576; 512 by default.
    size_t chunk;
    // Most bytes of image embeddings that are kept, for pictures that are asked about again. 1 to 1099511627776, or FLEMING_ZERO
    // for 0; 268435456 by default.
    uint64_t image_cache;
    // Hears the log of this engine; by default that of the process does, see fleming_log. It and log_user_data must be good
    // until the engine is freed, and everything that was begun with it.
    fleming_log_callback log;
    // Handed to the callback.
    void *log_user_data;
    // Most that is logged, a fleming_log_level; warnings by default.
    int32_t log_level;
    // 0
    int32_t reserved;
    // Folder for TensorRT's plans, which take minutes to build the first time. By default fleming in the user's cache folder.
    const char *engine_cache;
    // Most bytes of a file that is read as a whole, as pictures are. 1 to 1099511627776; 2147483648 by default.
    uint64_t max_input_bytes;
    // Most pixels of one picture, frame or slice. 1 to 1099511627776; 178956970 by default.
    uint64_t max_pixels;
    // Most bytes of all frames of a study, and of what is unpacked on the way to them. 1 to 1099511627776; 4294967296 by default.
    uint64_t max_unpacked_bytes;
    // Most frames, slices or pictures that a file may say it holds. 1 to 1099511627776; 16777216 by default.
    uint64_t max_declared_frames;
    // Hears how far fleming_engine_open is, and may end it. It is called in the thread that opens, at the beginning, some ten
    // times a second and, with all bytes done, once at the end.
    fleming_load_callback on_load;
    // Handed to that callback.
    void *load_user_data;
} fleming_engine_options;

// Memory in bytes that an engine takes.
typedef struct fleming_memory {
    // sizeof(fleming_memory)
    size_t struct_size;
    // The weights of both graphs.
    uint64_t weights;
    // Keys and values of all slots.
    uint64_t slots;
    // The most that kept image embeddings take.
    uint64_t image_cache;
    // The most that runs work with while they last, and ONNX Runtime itself.
    uint64_t work;
    // All of it.
    uint64_t total;
} fleming_memory;

// What was loaded, and what it is doing. The texts stand until the engine is freed.
typedef struct fleming_engine_facts {
    // sizeof(fleming_engine_facts)
    size_t struct_size;
    // Name of the package.
    const char *package;
    // SHA-256 of the package, which names what answered: to be kept with the answers.
    const char *digest;
    // Precision of the weights: "f32", "int8", "int4".
    const char *precision;
    // What the package was exported for: "cpu".
    const char *target;
    // File name of the ONNX Runtime library, and what that says about its build.
    const char *onnxruntime;
    const char *onnxruntime_build;
    // Side of the square that every frame or tile is brought to, in pixels.
    size_t tile_size;
    // Bytes of memory that the engine takes.
    uint64_t memory;
    // The execution provider and its device, as the options named it: "cpu", "cuda:1".
    const char *provider;
    // As the engine was set up: most tokens in a conversation, answers at a time, answers that may wait, prompt tokens that
    // run together, and threads inside an operator; 0 threads: ONNX Runtime's choice.
    size_t context;
    size_t slots;
    size_t queue;
    size_t chunk;
    size_t threads;
    // Tokens of a tile, and the most tiles that fit into the context beside one token of text.
    size_t tokens_per_tile;
    size_t most_tiles;
    // Now: answers whose studies are being read or wait for that, answers that are ready and wait for a slot, answers that have
    // one, and the tokens that these hold.
    size_t preparing;
    size_t waiting;
    size_t active;
    size_t held_tokens;
    // Since the engine was opened: steps of the decoder, each for all answers under way, and those that failed; prompt tokens
    // that ran; pictures whose embeddings were in memory, and those that had to be encoded; tokens guessed ahead, and right ones.
    uint64_t steps;
    uint64_t failed_steps;
    uint64_t prefilled_tokens;
    uint64_t image_hits;
    uint64_t image_misses;
    uint64_t drafted_tokens;
    uint64_t accepted_tokens;
    // Bytes of image embeddings that are kept now.
    uint64_t image_bytes;
    // 1 as long as it can answer; 0 after it broke down or was shut down.
    int32_t alive;
    // 0
    int32_t reserved;
    // The package's text that stands before a question, with a newline between them, where fleming_ask_options.instruction is
    // NULL.
    const char *instruction;
} fleming_engine_facts;

// What happens while an answer is made.
typedef struct fleming_event {
    // How much of this struct is there.
    size_t struct_size;
    // A fleming_event_kind. There may be more kinds in time: pass over those you do not know.
    int32_t kind;
    // 0
    int32_t reserved;
    // Whole characters, and a NUL at the end; "" where there is no text. It stands until the callback returns.
    const char *text;
    // Bytes of text, without the NUL.
    size_t length;
    // See fleming_event_kind.
    size_t done;
    size_t total;
    // Which of the answers of fleming_engine_submit_all, from 0.
    size_t answer;
} fleming_event;

// Receives events while an answer is generated, in the thread that asks or waits. A return value other than 0 cancels the
// answer. It may call functions of this library, but must not throw, panic or jump out.
typedef int32_t (*fleming_event_callback)(void *user_data, const struct fleming_event *event);

// Called by threads of the library, also by several at once, whenever there may be something to wait for; it calls no function
// of this library. It posts to the host's own loop, as QMetaObject::invokeMethod, g_idle_add or PostMessage do, and that
// calls fleming_pending_wait. It may be called before fleming_engine_submit has returned, and not after fleming_pending_free has.
typedef void (*fleming_ready_callback)(void *user_data);

// How a question is answered. 0 and NULL are the defaults.
typedef struct fleming_ask_options {
    // sizeof(fleming_ask_options)
    size_t struct_size;
    // Called with events while the answer is generated, in the thread that asks or waits.
    fleming_event_callback on_event;
    // Handed to on_event and on_ready.
    void *user_data;
    // The system message; the package's by default.
    const char *system;
    // What stands before the question. By default the package's text, which asks for a thought and an answer; "" is
    // nothing: the question as it is.
    const char *instruction;
    // Holds the answer to one of these texts. Of choices, json_schema, regex and grammar at most one may be given.
    const char *const *choices;
    // How many choices there are.
    size_t choice_count;
    // Holds the answer to JSON that is valid under this schema.
    const char *json_schema;
    // Holds the answer to a match of this regular expression.
    const char *regex;
    // Holds the answer to a text of this Lark grammar.
    const char *grammar;
    // Texts that end the reply where they first occur in it; they are no part of it. At most 64.
    const char *const *stops;
    // How many stops there are.
    size_t stop_count;
    // Most tokens to generate. 1 to 4294967295; the package's by default.
    size_t max_new_tokens;
    // Most tokens of thought; then the answer begins. 1 to 4294967295, or FLEMING_ZERO for 0; none by default.
    size_t max_thinking_tokens;
    // Most tiles that an image is cut into; 0 and 1 cut none. 1 to 256; none by default.
    size_t max_tiles;
    // Tokens guessed ahead and verified in one run, for replies that repeat the prompt or themselves. 1 to 32; none by default.
    size_t speculation;
    // Most milliseconds from the call to the end of the answer: reading the inputs, waiting for a slot and generating. The
    // answer is then as far as it got. 0: no limit.
    uint64_t timeout_ms;
    // Where the random numbers start; the same seed gives the same reply. At least 0; 0 by default.
    uint64_t seed;
    // With a temperature, draws from this many of the likeliest tokens. 1 to 4294967295; none by default.
    size_t top_k;
    // 0 takes the likeliest token; above, tokens are drawn. 0 to 100; 0 by default.
    float temperature;
    // With a temperature, draws from the fewest tokens that together have this probability. Above 0, at most 1; 1 by default.
    float top_p;
    // With a temperature, draws from tokens with at least this share of the likeliest one's probability. 0 to 1; 0 by default.
    float min_p;
    // Above 1, makes tokens of prompt and reply less likely. Above 0, at most 100; 1 by default.
    float repetition_penalty;
    // Subtracted from a token's logit for each time that it occurs in the reply. -2 to 2; 0 by default.
    float frequency_penalty;
    // Subtracted from a token's logit if it occurs in the reply. -2 to 2; 0 by default.
    float presence_penalty;
    // A fleming_preprocessing; FLEMING_PREPROCESSING_CLINICAL by default.
    int32_t preprocessing;
    // 0
    int32_t reserved;
    // Whose request it is. What one scope left in memory is never reused for another, nor between a request with a scope and
    // one without (NULL), so neither cached_tokens nor the times of a reply reveal what others asked.
    const char *scope;
    // Added to the logits of these tokens: bias_count ids, and as many numbers, each from -100 to 100.
    const uint32_t *bias_ids;
    const float *biases;
    size_t bias_count;
    // With logprobs, this many of the likeliest tokens at each place too: 1 to 20.
    size_t top_logprobs;
    // 1: report the log-probability of each token, see fleming_reply_token.
    int32_t logprobs;
    // 1: go on at the end of the model's turn, up to max_new_tokens. For measuring.
    int32_t ignore_eos;
    // For fleming_engine_submit and _submit_all: called whenever there may be something for fleming_pending_wait, from
    // threads of the library. For hosts that wait for something else than descriptors; see fleming_pending_descriptor.
    fleming_ready_callback on_ready;
    // 1: the reply keeps the pictures that the model saw, 3 bytes a pixel of each tile: see fleming_reply_seen.
    int32_t keep_seen;
    // 0
    int32_t reserved_2;
} fleming_ask_options;

// How long the prompt of a request would be.
typedef struct fleming_token_count {
    // sizeof(fleming_token_count)
    size_t struct_size;
    // All tokens of the prompt; of those, of pictures.
    size_t prompt_tokens;
    size_t image_tokens;
    // Frames that would be looked at.
    size_t frames;
    // Most tokens in a conversation of this engine, prompt and reply together.
    size_t context;
    // 1 if the prompt leaves room for a reply, else 0.
    int32_t fits;
    // 0
    int32_t reserved;
} fleming_token_count;

// What a preview holds. Texts and bytes stand until it is freed.
typedef struct fleming_preview_facts {
    // sizeof(fleming_preview_facts)
    size_t struct_size;
    // A file of png_size bytes: all frames side by side, each with its place and its range of values, and bars that show where
    // in the studies they lie. `fleming preview` writes the same.
    const uint8_t *png;
    size_t png_size;
    // Of the same picture: height rows of width pixels of 3 bytes, red, green, blue, without gaps.
    const uint8_t *rgb;
    size_t width;
    size_t height;
    // What you should know about the inputs, a sentence a line; "" if nothing.
    const char *warnings;
    // Frames of all studies: see fleming_preview_frame.
    size_t frame_count;
} fleming_preview_facts;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What went wrong in the last call of this thread that failed, in one sentence; empty if none did. It stands until the
// next call of this thread that fails.
const char *fleming_last_error_message(void);

// What to do about it; may be empty. It stands as long as the message.
const char *fleming_last_error_hint(void);

// Tells of the last call of this thread that failed, in its parts.
fleming_status fleming_last_error_read(struct fleming_error_facts *facts);

// The name of a fleming_status, "busy", as JSON has it under "code"; "unknown" for a number that this version does not have.
const char *fleming_status_name(int32_t status);

// What a fleming_status means, in a sentence. What happened in one call, fleming_last_error_message says.
const char *fleming_status_text(int32_t status);

// Sets who hears the log of the whole process: what happens before there is an engine, and engines that have no callback of
// their own. level is the most that is logged, a fleming_log_level or 0 for warnings; a callback of NULL ends it. When this
// returns, the callback before is not called any more.
//
// Without a callback, the variable FLEMING_LOG of the environment has the log written to stderr, as of the command line: "info",
// "debug", "fleming=debug,ort=warn". It is read with the first call that works on an engine.
fleming_status fleming_log(fleming_log_callback callback,
                           void *user_data,
                           int32_t level);

// Begins a request with its question.
fleming_status fleming_request_new(const char *question, struct fleming_request **request);

// Adds an earlier turn, oldest first: what was asked and what was answered. Both are taken as they are, a thought in the answer
// included: no instruction is put before the question, and nothing is taken out of the answer.
//
// An engine reads anew what follows the first token that differs from an earlier request. For a follow-up to read no study
// anew, its turns are what was sent and what came back: as the question the instruction (fleming_engine_facts.instruction, unless
// one of your own or "" was given) and a newline, for each study <image> and a newline, and the question; as the answer
// fleming_reply_facts.text. If <image> stands in no turn, the studies come before the last question, and they and all turns
// run anew.
fleming_status fleming_request_turn(struct fleming_request *request,
                                    const char *question,
                                    const char *answer);

// Adds a text to a request that is put together in order: one that began with the question "" and has no fleming_request_turn.
// A study stands where it was added among the texts, in a turn of the user's. Texts of one fleming_role without another's
// between them are one turn, written with nothing between them; the last turn is the user's and is answered. A text is taken
// literally: <image> in it places nothing.
fleming_status fleming_request_text(struct fleming_request *request,
                                    int32_t role,
                                    const char *text);

// Adds a study in a file of this fleming_modality, or in a folder: a DICOM study is read with all folders in it. Options may
// be NULL. Files are read when the request is asked.
fleming_status fleming_request_file(struct fleming_request *request,
                                    int32_t modality,
                                    const char *file,
                                    const struct fleming_study_options *options);

// Adds a study in memory: the bytes of a whole file of this fleming_modality, in any format that files may have, DICOM and
// NIfTI too. Options may be NULL.
fleming_status fleming_request_bytes(struct fleming_request *request,
                                     int32_t modality,
                                     const void *data,
                                     size_t size,
                                     const struct fleming_study_options *options);

// Adds a study of this fleming_modality in several files, on disk or in memory: a DICOM series. Options may be NULL.
fleming_status fleming_request_series(struct fleming_request *request,
                                      int32_t modality,
                                      const struct fleming_series *series,
                                      const struct fleming_study_options *options);

// Adds pictures that you have: an image or a clip.
fleming_status fleming_request_frames(struct fleming_request *request, const struct fleming_frames *frames);

// Adds a volume that you have, or a radiograph.
fleming_status fleming_request_volume(struct fleming_request *request, const struct fleming_volume *volume);

// Frees a request; NULL is nothing to free. Answers to it go on.
void fleming_request_free(struct fleming_request *request);

// Tells what a reply holds.
fleming_status fleming_reply_read(const struct fleming_reply *reply, struct fleming_reply_facts *facts);

// Tells of one of the frames that the model saw, from 0.
fleming_status fleming_reply_frame(const struct fleming_reply *reply,
                                   size_t place,
                                   struct fleming_frame_facts *facts);

// Tells of a token of the reply, where log-probabilities were asked for: place from 0, below logprob_count. rank 0 is the
// token that was generated, 1 the likeliest at its place, 2 the next.
fleming_status fleming_reply_token(const struct fleming_reply *reply,
                                   size_t place,
                                   size_t rank,
                                   struct fleming_token_facts *facts);

// Shows one of the frames that the model saw, from 0, of a reply that kept them: see fleming_ask_options.keep_seen.
fleming_status fleming_reply_seen(const struct fleming_reply *reply,
                                  size_t place,
                                  struct fleming_picture *picture);

// Frees a reply; NULL is nothing to free.
void fleming_reply_free(struct fleming_reply *reply);

// Waits for an answer, at most timeout_ms milliseconds: 0 only looks, a negative number waits as long as it takes. The
// callback that was given to fleming_engine_submit is called in this thread with the events since the last call; events that
// nobody takes are kept and go with the answer. FLEMING_STATUS_PENDING if the answer is not complete by then. A reply or a
// failure is returned once; a call after it is FLEMING_STATUS_REQUEST. An answer that was cancelled or whose time is over is
// FLEMING_STATUS_OK with the text so far; fleming_reply_facts.finish says so. While one thread waits, another's call is
// FLEMING_STATUS_ARGUMENT.
fleming_status fleming_pending_wait(const struct fleming_pending *pending,
                                    int64_t timeout_ms,
                                    struct fleming_reply **reply);

// Ends an answer at its next step, from any thread; fleming_pending_wait then returns the text so far.
fleming_status fleming_pending_cancel(const struct fleming_pending *pending);

// A descriptor to wait on with poll, epoll or an event loop: readable whenever fleming_pending_wait may have something to do,
// the end included, which then is called with a timeout_ms of 0. It may be readable for nothing. It is an eventfd of Linux, made with
// the first call (one descriptor for each answer, and a system call for the first event after each look); elsewhere this is
// FLEMING_STATUS_RUNTIME, and fleming_ask_options.on_ready serves. The answer owns it: take it out of your loop before
// fleming_pending_free, which closes it; do not read it, write to it or close it.
fleming_status fleming_pending_descriptor(const struct fleming_pending *pending,
                                          int32_t *descriptor);

// Cancels an answer that is not complete, and frees it; NULL is nothing to free. A thread that waits for it meanwhile gets the
// text so far.
void fleming_pending_free(struct fleming_pending *pending);

// Tells what embeddings hold.
fleming_status fleming_embeddings_read(const struct fleming_embeddings *embeddings,
                                       struct fleming_embeddings_facts *facts);

// Frees embeddings; NULL is nothing to free.
void fleming_embeddings_free(struct fleming_embeddings *embeddings);

// Tells what a buffer holds.
fleming_status fleming_buffer_read(const struct fleming_buffer *buffer, struct fleming_buffer_facts *facts);

// Frees a buffer; NULL is nothing to free.
void fleming_buffer_free(struct fleming_buffer *buffer);

// Tells how much memory an engine on the package in this folder will take with these options. Nothing is loaded.
fleming_status fleming_package_memory(const char *package,
                                      const struct fleming_engine_options *options,
                                      struct fleming_memory *memory);

// Loads the package in this folder; options may be NULL. All memory for conversations is taken here. What the machine has no
// room for is refused. It takes as long as reading the package; on_load of the options hears of it and may end it, which then
// takes up to a second, or to the end of a plan that TensorRT is building.
fleming_status fleming_engine_open(const char *package,
                                   const struct fleming_engine_options *options,
                                   struct fleming_engine **engine);

// Tells what was loaded, and what the engine is doing at this moment. It never waits for the engine.
fleming_status fleming_engine_read(const struct fleming_engine *engine, struct fleming_engine_facts *facts);

// Ends every engine of this process: cancels all answers, unloads the models, and waits for the end of their threads; for a
// plug-in's last call, or before exit. Who waits for an answer gets the text so far. Objects are to be freed as ever; whatever else
// asks these engines for work is FLEMING_STATUS_RUNTIME, and their alive is 0. New engines may be opened afterwards. ONNX Runtime stays loaded, as it does
// until the process ends. It must not be called by a function that hears the log, nor beside fleming_engine_open.
void fleming_shutdown(void);

// Frees an engine; NULL is nothing to free. The last of the engine and its pending answers to be freed waits for the end of its
// threads: for one step, or one graph's run.
void fleming_engine_free(struct fleming_engine *engine);

// Answers a request and returns when the answer is complete. The callback of the options hears of it meanwhile, in this
// thread; an answer that it cancels is FLEMING_STATUS_OK, as far as it got. Options may be NULL.
fleming_status fleming_engine_ask(const struct fleming_engine *engine,
                                  const struct fleming_request *request,
                                  const struct fleming_ask_options *options,
                                  struct fleming_reply **reply);

// Hands a request in and returns at once. The studies are read and the answer is made meanwhile: fleming_pending_wait tells of
// studies that cannot be read. The callback of the options is called from fleming_pending_wait.
fleming_status fleming_engine_submit(const struct fleming_engine *engine,
                                     const struct fleming_request *request,
                                     const struct fleming_ask_options *options,
                                     struct fleming_pending **pending);

// Makes the image embeddings of a request's studies; the text of the request is ignored. Of the options, preprocessing,
// max_tiles and timeout_ms matter; they may be NULL.
fleming_status fleming_engine_embed(const struct fleming_engine *engine,
                                    const struct fleming_request *request,
                                    const struct fleming_ask_options *options,
                                    struct fleming_embeddings **embeddings);

// Hands a request in for several answers, which share one prefill: the n-th, from 0, is sampled with the seed plus n, so a
// temperature makes them differ. Writes one pending answer for each to the array `pending`, all or none. The callbacks of the
// options hear of all of them; fleming_event.answer says of which. At most 128 answers, and at most slots + queue: more can never
// have room and are FLEMING_STATUS_REQUEST.
fleming_status fleming_engine_submit_all(const struct fleming_engine *engine,
                                         const struct fleming_request *request,
                                         const struct fleming_ask_options *options,
                                         size_t answers,
                                         struct fleming_pending **pending);

// Counts the tokens of a request by the headers of its studies: no pixel is made and nothing runs. Of the options, system,
// instruction, preprocessing, max_tiles and timeout_ms matter; they may be NULL. A video counts as its header says.
fleming_status fleming_engine_count_tokens(const struct fleming_engine *engine,
                                           const struct fleming_request *request,
                                           const struct fleming_ask_options *options,
                                           struct fleming_token_count *count);

// Writes what the conversation of a reply left in memory to a file, as long as no other request took its slot. The file is as
// confidential as the study.
fleming_status fleming_engine_save_session(const struct fleming_engine *engine,
                                           const struct fleming_reply *reply,
                                           const char *file);

// Reads a saved conversation into a free slot: a request that begins like it (the same studies, the same turns) runs only what
// is new.
fleming_status fleming_engine_load_session(const struct fleming_engine *engine,
                                           const char *file);

// Makes the same bytes in memory.
fleming_status fleming_engine_save_session_bytes(const struct fleming_engine *engine,
                                                 const struct fleming_reply *reply,
                                                 struct fleming_buffer **session);

// Reads such bytes like fleming_engine_load_session.
fleming_status fleming_engine_load_session_bytes(const struct fleming_engine *engine,
                                                 const void *data,
                                                 size_t size);

// Reports what this machine has and lacks, as JSON: "providers" with what each of them lacks, "gpus", "machine",
// "onnxruntime". With a package it is loaded with these options, and asked the questions of its self-test: "ok" says whether it
// runs and answers as exported, "problems" what stands in the way. package may be NULL, and so may the options. docs/cli.md
// has the fields: `fleming doctor --json` is the same.
fleming_status fleming_doctor(const char *package,
                              const struct fleming_engine_options *options,
                              struct fleming_buffer **report);

// Makes pictures of what an answer to this request with these options sees: the studies are read and brought to the size of
// tiles in the same way, and no graph runs. The text of the request is ignored. Of the options, preprocessing, max_tiles and
// timeout_ms matter; they may be NULL.
fleming_status fleming_engine_preview(const struct fleming_engine *engine,
                                      const struct fleming_request *request,
                                      const struct fleming_ask_options *options,
                                      struct fleming_preview **preview);

// Tells what a preview holds.
fleming_status fleming_preview_read(const struct fleming_preview *preview,
                                    struct fleming_preview_facts *facts);

// Tells of one of the frames, from 0, and shows it as the model sees it. facts may be NULL.
fleming_status fleming_preview_frame(const struct fleming_preview *preview,
                                     size_t place,
                                     struct fleming_frame_facts *facts,
                                     struct fleming_picture *picture);

// Frees a preview; NULL is nothing to free.
void fleming_preview_free(struct fleming_preview *preview);

// The version of the library that runs, as FLEMING_VERSION was when it was built.
const char *fleming_version(void);

// The same as a number, as FLEMING_VERSION_NUMBER was: major × 10000 + minor × 100 + patch.
int32_t fleming_version_number(void);

// What was built: version, machine, features, one line. For a report of a defect.
const char *fleming_build(void);

// For programs that run the graphs of a package for the CPU with ONNX Runtime themselves, and want fleming's kernels. Nobody
// calls it: ONNX Runtime looks for this name in a library of custom operators, which RegisterCustomOpsLibrary_V2 loads in C and
// SessionOptions.register_custom_ops_library(path) in Python. From then on MatMulNBits of accuracy level 4, MultiHeadAttention
// and GroupQueryAttention of that session are computed as fleming computes them.
//
// options: an OrtSessionOptions. api: an OrtApiBase. Returns an OrtStatus, which is NULL if all went well.
void *RegisterCustomOps(void *options,
                        const void *api);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

// 0 itself, for an option of which 0 is another value than the default: 0 is the default of every option.
#define FLEMING_ZERO SIZE_MAX

// What a struct begins as: its size, and 0 or NULL in every field.
#define FLEMING_ENGINE_OPTIONS_INIT \
    { sizeof(fleming_engine_options), NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, 0, NULL, 0, 0, 0, 0, \
      NULL, NULL }
#define FLEMING_ASK_OPTIONS_INIT \
    { sizeof(fleming_ask_options), NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, \
      0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0, 0, 0, NULL, 0, 0 }
#define FLEMING_STUDY_OPTIONS_INIT { sizeof(fleming_study_options), NULL, 0, 0, 0, 0, 0, 0, NULL, NULL }
#define FLEMING_SERIES_INIT { sizeof(fleming_series), NULL, 0, NULL, NULL, NULL, 0 }
#define FLEMING_FRAMES_INIT \
    { sizeof(fleming_frames), NULL, NULL, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, 0 }
#define FLEMING_VOLUME_INIT \
    { sizeof(fleming_volume), NULL, NULL, 0, 0, 0, { 0, 0, 0 }, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
      { { 0, 0, 0 }, { 0, 0, 0 }, { 0, 0, 0 } }, { 0, 0, 0 }, NULL, 0, 0, 0, 0, 0, 0 }
#define FLEMING_MEMORY_INIT { sizeof(fleming_memory), 0, 0, 0, 0, 0 }
#define FLEMING_ENGINE_FACTS_INIT \
    { sizeof(fleming_engine_facts), NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL }
#define FLEMING_REPLY_FACTS_INIT \
    { sizeof(fleming_reply_facts), NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0 }
#define FLEMING_TOKEN_FACTS_INIT { sizeof(fleming_token_facts), NULL, 0, 0, 0, 0, 0 }
#define FLEMING_TOKEN_COUNT_INIT { sizeof(fleming_token_count), 0, 0, 0, 0, 0, 0 }
#define FLEMING_BUFFER_FACTS_INIT { sizeof(fleming_buffer_facts), NULL, 0 }
#define FLEMING_ERROR_FACTS_INIT { sizeof(fleming_error_facts), NULL, NULL, NULL, NULL, NULL, 0, 0 }
#define FLEMING_FRAME_FACTS_INIT \
    { sizeof(fleming_frame_facts), NULL, 0, 0, 0, 0, 0, 0, { 0, 0, 0 }, 0, 0 }
#define FLEMING_PREVIEW_FACTS_INIT { sizeof(fleming_preview_facts), NULL, 0, NULL, 0, 0, NULL, 0 }
#define FLEMING_PICTURE_INIT { sizeof(fleming_picture), NULL, 0, 0 }
#define FLEMING_EMBEDDINGS_FACTS_INIT { sizeof(fleming_embeddings_facts), NULL, 0, 0, 0 }

#endif
