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
//   fleming_last_error_message and fleming_last_error_hint, for each thread.
// - What a function gives you through a pointer to a pointer is yours: free it once with the _free of its type. Every _free takes
//   NULL. Objects may be freed in any order, also while an answer is made: what is under way holds what it needs. But no call
//   may begin with an object that was freed.
// - Everything you hand in is copied before the function returns and stays yours. A callback and its pointer are kept until the
//   answer (or, for the log, the engine and all answers it began) is done.
// - Texts and numbers that you are shown belong to the object they came from and stand until it is freed.
// - Texts are UTF-8 and end with a NUL; what a model writes as NUL is shown as U+FFFD. Paths are the system's bytes.
// - Where NULL is not said to be allowed, it is FLEMING_STATUS_ARGUMENT.
// - Structs begin with their size and are made with their _INIT macro, so that they can grow: a program works with any later
//   library of the same major version, and fields it knows nothing of are 0. 0 and NULL are the default of every option.
// - Numbers of enums stay what they are; new ones may be added. In structs they are int32_t.
// - An engine may be used from many threads at once; a request may be added to and asked from any thread; replies and
//   embeddings do not change; for a pending answer see there.
//
// The process stays the host's:
//
// - A thread that calls needs a stack of 256 kB. Threads of the library have their own.
// - The library installs no signal handler and changes no signal mask. Its threads have the mask of the thread that opened the
//   engine, so block there what they should not handle.
// - An engine belongs to the process that opened it. In a child that fork made, its calls are FLEMING_STATUS_RUNTIME. The child
//   may free what it inherited, exit, or exec. To use the library in a child, call exec first, or fork before the first engine
//   is opened.
// - exit may be called at any time, with engines open and answers under way.
// - Before ONNX Runtime is loaded, with the first engine, ORT_DISABLE_TELEMETRY=1 is set in the environment, unless the variable
//   is there: ONNX Runtime sends no reports of its use. setenv is not safe beside threads that read the environment: a host with
//   such threads sets the variable itself, at its start.
// - The library stays in memory after dlclose, which is harmless and frees nothing: free the objects first.
// - The files of a package must not change while it is loaded. A loaded engine does not need them. To replace a package, write
//   the new one to a folder of its own and open that.

#ifndef FLEMING_H
#define FLEMING_H
