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
