// What a host may do with its process: small stacks, signals of its own, fork, and exit with everything left as it is.
//
// host stack KB PACKAGE IMAGE CLIP VOLUME SESSION: the life of an engine in a thread with a stack of that many kilobytes.
// host fork PACKAGE IMAGE: children that exit, with their parent's engine idle, at work, and freed by them.
// host leave PACKAGE IMAGE: exit while an answer is made.

#define _DEFAULT_SOURCE
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAINT = 0xa5, SIGNALS = 64, SECONDS = 20 };

static fleming_request *about(const char *image) {
    fleming_request *request = NULL;
    OK(fleming_request_new("What is shown?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    return request;
}

// ── small stacks

// Everything that works on files or runs a model.
static void *life(void *argument) {
    char **paths = argument; // package, image, clip, volume, session
    fleming_engine *engine = NULL;
    fleming_request *request = about(paths[1]);
    fleming_reply *reply = NULL;
    fleming_pending *pending = NULL;
    fleming_embeddings *embeddings = NULL;
    fleming_preview *preview = NULL;
    fleming_memory memory = FLEMING_MEMORY_INIT;
    fleming_engine_options setup = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;

    setup.slots = 2;
    options.max_new_tokens = 4;
    options.regex = "[a-z]{1,3}( [a-z]+)*";
    OK(fleming_package_memory(paths[0], &setup, &memory));
    CHECK(fleming_engine_open("nowhere", &setup, &engine) == FLEMING_STATUS_PACKAGE);
    OK(fleming_engine_open(paths[0], &setup, &engine));
    OK(fleming_request_file(request, FLEMING_MODALITY_VIDEO, paths[2], NULL));
    OK(fleming_request_file(request, FLEMING_MODALITY_VOLUME, paths[3], NULL));
    OK(fleming_engine_ask(engine, request, &options, &reply));
    OK(fleming_engine_save_session(engine, reply, paths[4]));
    OK(fleming_engine_load_session(engine, paths[4]));
    OK(fleming_engine_embed(engine, request, &options, &embeddings));
    OK(fleming_engine_preview(engine, request, &options, &preview));
    fleming_preview_free(preview);
    OK(fleming_engine_submit(engine, request, &options, &pending));
    fleming_reply_free(reply);
    OK(fleming_pending_wait(pending, -1, &reply));
    fleming_pending_free(pending);
    fleming_reply_free(reply);
    fleming_embeddings_free(embeddings);
    fleming_request_free(request);
    fleming_engine_free(engine);
    return argument;
}

// How many bytes of such a stack a thread used. Beyond its end lies a page that cannot be written to.
static size_t used_of(size_t stack, char **paths) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), unused = 0;
    unsigned char *memory =
        mmap(NULL, page + stack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;
    void *done = NULL;

    CHECK(memory != MAP_FAILED && mprotect(memory, page, PROT_NONE) == 0);
    memory += page;
    memset(memory, PAINT, stack);
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, memory, stack) == 0);
    CHECK(pthread_create(&thread, &attributes, life, paths) == 0);
    CHECK(pthread_join(thread, &done) == 0 && done == paths);
    while (unused < stack && memory[unused] == PAINT) ++unused;
    CHECK(munmap(memory - page, page + stack) == 0);
    return stack - unused;
}

// ── signals

static void handlers(struct sigaction *all) {
    int number;
    memset(all, 0, sizeof(struct sigaction) * (SIGNALS + 1));
    for (number = 1; number <= SIGNALS; ++number) (void)sigaction(number, NULL, &all[number]);
}

static void no_handler_is_new(const struct sigaction *before) {
    struct sigaction now[SIGNALS + 1];
    int number;
    handlers(now);
    for (number = 1; number <= SIGNALS; ++number) {
        CHECK(now[number].sa_handler == before[number].sa_handler && now[number].sa_flags == before[number].sa_flags);
    }
}

// ── fork and exit

static int told[2];

static void tell(void) { CHECK(write(told[1], "x", 1) == 1); }

// The child has its exit code, and ran the host's own exit handler.
static void exits_well(pid_t child) {
    int status = -1;
    char byte = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(read(told[0], &byte, 1) == 1 && byte == 'x');
}

static pid_t child_begins(void) {
    pid_t child = fork();
    if (child == 0) alarm(SECONDS);
    return child;
}

static void children_exit(const char *package, const char *image) {
    fleming_engine *engine = NULL;
    fleming_request *request = about(image);
    fleming_pending *pending = NULL;
    fleming_reply *reply = NULL;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    pid_t child;

    CHECK(pipe(told) == 0 && atexit(tell) == 0);
    OK(fleming_engine_open(package, NULL, &engine));
    if ((child = child_begins()) == 0) exit(7);
    exits_well(child);
    options.max_new_tokens = 400;
    OK(fleming_engine_submit(engine, request, &options, &pending));
    if ((child = child_begins()) == 0) exit(7);
    exits_well(child);
    if ((child = child_begins()) == 0) {
        CHECK(fleming_pending_wait(pending, -1, &reply) == FLEMING_STATUS_RUNTIME);
        fleming_pending_free(pending);
        fleming_request_free(request);
        fleming_engine_free(engine);
        exit(7);
    }
    exits_well(child);
    // The parent's answer is as it was.
    OK(fleming_pending_wait(pending, -1, &reply));
    fleming_reply_free(reply);
    fleming_pending_free(pending);
    fleming_request_free(request);
    fleming_engine_free(engine);
}

static void leave(const char *package, const char *image) {
    fleming_engine *engine = NULL;
    fleming_request *request = about(image);
    fleming_pending *pending = NULL;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;

    options.max_new_tokens = 4000;
    OK(fleming_engine_open(package, NULL, &engine));
    OK(fleming_engine_submit(engine, request, &options, &pending));
    usleep(200 * 1000);
    alarm(SECONDS);
    exit(7);
}

int main(int argc, char **argv) {
    struct sigaction before[SIGNALS + 1];

    CHECK(argc > 3);
    handlers(before);
    if (strcmp(argv[1], "stack") == 0 && argc == 8) {
        printf("%zu bytes used\n", used_of((size_t)atoi(argv[2]) * 1024, argv + 3));
    } else if (strcmp(argv[1], "fork") == 0) {
        children_exit(argv[2], argv[3]);
    } else {
        leave(argv[2], argv[3]);
    }
    no_handler_is_new(before);
    return 0;
}
