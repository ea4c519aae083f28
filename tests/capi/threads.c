// One engine, many threads. threads PACKAGE IMAGE THREADS ASKS: every third ask is cancelled, every fifth is handed in and waited
// for, with a descriptor or for several answers. Meanwhile the first thread reads what the engine is doing, and the log of the process
// goes to other places.

#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

static fleming_engine *engine;
static const char *image;
static int asks;

// What one thread does and counts; nothing of it is shared while it runs.
struct worker {
    pthread_t thread;
    int number, answered, cancelled, failed;
    char answer[4][1024];
};

struct canceller {
    fleming_pending *pending;
};

static int32_t stop(void *user_data, const fleming_event *event) {
    (void)user_data;
    return event->kind == FLEMING_EVENT_KIND_PREFILLING;
}

static void *cancel(void *argument) {
    OK(fleming_pending_cancel(((struct canceller *)argument)->pending));
    return NULL;
}

static fleming_reply *waited_for(fleming_request *request, fleming_ask_options *options, int stopped) {
    struct canceller canceller = {NULL};
    fleming_reply *reply = NULL;
    fleming_pending *both[2] = {NULL, NULL};
    struct pollfd readable = {-1, POLLIN, 0};
    pthread_t other;
    OK(fleming_engine_submit_all(engine, request, options, 2, both));
    // The second is left, which ends it alone.
    fleming_pending_free(both[1]);
    canceller.pending = both[0];
    if (stopped) CHECK(pthread_create(&other, NULL, cancel, &canceller) == 0);
    OK(fleming_pending_descriptor(both[0], &readable.fd));
    CHECK(poll(&readable, 1, 60000) == 1);
    OK(fleming_pending_wait(canceller.pending, -1, &reply));
    if (stopped) CHECK(pthread_join(other, NULL) == 0);
    fleming_pending_free(canceller.pending);
    return reply;
}

// The same question has the same answer in every thread and at any time.
static void one(struct worker *worker, int ask) {
    static const char *const questions[] = {"What is CT?", "What is MRI?", "What is shown?", "Why?"};
    int which = (ask + worker->number) % 4, stopped = ask % 3 == 2;
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;

    options.max_new_tokens = 4;
    OK(fleming_request_new(questions[which], &request));
    if (which == 2) OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    if (ask % 5 == 4) {
        reply = waited_for(request, &options, stopped);
    } else {
        if (stopped) options.on_event = stop;
        OK(fleming_engine_ask(engine, request, &options, &reply));
    }
    OK(fleming_reply_read(reply, &facts));
    if (facts.finish == FLEMING_FINISH_CANCELLED) {
        CHECK(stopped);
        ++worker->cancelled;
    } else {
        char *known = worker->answer[which];
        if (*known != '\0') CHECK(strcmp(known, facts.text) == 0);
        snprintf(known, sizeof worker->answer[which], "%s", facts.text);
        ++worker->answered;
    }
    fleming_reply_free(reply);
    fleming_request_free(request);

    // Errors are a thread's own.
    if (ask % 7 == 0) {
        char wanted[32];
        fleming_engine *none = NULL;
        snprintf(wanted, sizeof wanted, "nowhere-%d-%d", worker->number, ask);
        CHECK(fleming_engine_open(wanted, NULL, &none) == FLEMING_STATUS_PACKAGE);
        SAYS(wanted);
        ++worker->failed;
    }
}

static void *work(void *argument) {
    int ask;
    for (ask = 0; ask < asks; ++ask) one(argument, ask);
    return NULL;
}

static atomic_int logged;

static void on_log(void *user_data, int32_t level, const char *message) {
    (void)user_data;
    (void)level;
    atomic_fetch_add(&logged, *message != '\0');
}

// What other threads of a host look at meanwhile.
static void look(void) {
    fleming_engine_facts facts = FLEMING_ENGINE_FACTS_INIT;
    OK(fleming_engine_read(engine, &facts));
    CHECK(facts.alive == 1 && facts.active <= facts.slots);
    CHECK(facts.preparing + facts.waiting <= facts.slots + facts.queue);
    OK(fleming_log(on_log, NULL, FLEMING_LOG_LEVEL_DEBUG));
    OK(fleming_engine_read(engine, &facts));
    OK(fleming_log(NULL, NULL, 0));
}

int main(int argc, char **argv) {
    static struct worker workers[64];
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    int count, number, which, answered = 0, cancelled = 0, failed = 0;

    CHECK(argc == 5);
    image = argv[2];
    count = atoi(argv[3]);
    asks = atoi(argv[4]);
    CHECK(count > 0 && count <= 64 && asks > 0);
    options.slots = 4;
    options.queue = 4 * (size_t)count;
    OK(fleming_engine_open(argv[1], &options, &engine));
    for (number = 0; number < count; ++number) {
        workers[number].number = number;
        CHECK(pthread_create(&workers[number].thread, NULL, work, &workers[number]) == 0);
    }
    for (number = 0; number < 100; ++number) look();
    for (number = 0; number < count; ++number) {
        CHECK(pthread_join(workers[number].thread, NULL) == 0);
        answered += workers[number].answered;
        cancelled += workers[number].cancelled;
        failed += workers[number].failed;
        for (which = 0; which < 4; ++which)
            if (*workers[number].answer[which] != '\0' && *workers[0].answer[which] != '\0')
                CHECK(strcmp(workers[number].answer[which], workers[0].answer[which]) == 0);
    }
    fleming_engine_free(engine);
    CHECK(answered + cancelled == count * asks && cancelled > 0);
    printf("%d answered, %d cancelled, %d errors\n", answered, cancelled, failed);
    return 0;
}
