// Many asks of every kind, and that nothing is left of them: memory, descriptors. growth PACKAGE IMAGE ASKS
// And what an ask costs beside the model's work. growth PACKAGE - ASKS

#include "check.h"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

// Resident memory in kB.
static long resident(void) {
    long pages = 0, all = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &all, &pages) == 2);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int open_descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder != NULL);
    while (readdir(folder) != NULL) ++count;
    closedir(folder);
    return count;
}

static double milliseconds(void) {
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void taken(fleming_pending *pending) {
    fleming_reply *reply = NULL;
    OK(fleming_pending_wait(pending, -1, &reply));
    fleming_reply_free(reply);
    fleming_pending_free(pending);
}

static void session(fleming_engine *engine, fleming_request *request, const fleming_ask_options *options) {
    fleming_reply *reply = NULL;
    fleming_buffer *buffer = NULL;
    fleming_buffer_facts facts = FLEMING_BUFFER_FACTS_INIT;
    OK(fleming_engine_ask(engine, request, options, &reply));
    OK(fleming_engine_save_session_bytes(engine, reply, &buffer));
    OK(fleming_buffer_read(buffer, &facts));
    OK(fleming_engine_load_session_bytes(engine, facts.data, facts.size));
    fleming_buffer_free(buffer);
    fleming_reply_free(reply);
}

// One ask, of the kind of its number.
static void one(fleming_engine *engine, const char *image, int number) {
    static const uint32_t ids[] = {5, 6};
    static const float biases[] = {-1, 1};
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_pending *pending[2] = {NULL, NULL};
    fleming_token_count count = FLEMING_TOKEN_COUNT_INIT;
    fleming_token_facts token = FLEMING_TOKEN_FACTS_INIT;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    int32_t descriptor = -1;
    char question[64];

    options.max_new_tokens = 3;
    options.logprobs = 1;
    options.top_logprobs = 3;
    options.bias_ids = ids;
    options.biases = biases;
    options.bias_count = 2;
    snprintf(question, sizeof question, "What is shown in %d?", number);
    options.scope = number % 3 == 0 ? "one" : NULL;
    OK(fleming_request_new(question, &request));
    if (number % 4 == 0) OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    switch (number % 5) {
    case 0:
        OK(fleming_engine_ask(engine, request, &options, &reply));
        OK(fleming_reply_token(reply, 0, 1, &token));
        fleming_reply_free(reply);
        break;
    case 1:
        OK(fleming_engine_submit_all(engine, request, &options, 2, pending));
        OK(fleming_pending_descriptor(pending[1], &descriptor));
        taken(pending[0]);
        taken(pending[1]);
        break;
    case 2:
        OK(fleming_engine_count_tokens(engine, request, &options, &count));
        OK(fleming_engine_submit(engine, request, &options, pending));
        OK(fleming_pending_descriptor(pending[0], &descriptor));
        fleming_pending_free(pending[0]);
        break;
    case 3:
        session(engine, request, &options);
        break;
    default:
        options.max_tiles = 1000;
        CHECK(fleming_engine_ask(engine, request, &options, &reply) == FLEMING_STATUS_REQUEST);
    }
    fleming_request_free(request);
}

// The shortest question there is, many times: what is measured is the way to the model and back.
static void costs(fleming_engine *engine, int asks) {
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    double began;
    int number;

    options.max_new_tokens = 1;
    OK(fleming_request_new("Why?", &request));
    began = milliseconds();
    for (number = 0; number < asks; ++number) {
        OK(fleming_engine_ask(engine, request, &options, &reply));
        OK(fleming_reply_read(reply, &facts));
        CHECK(facts.completion_tokens == 1);
        fleming_reply_free(reply);
    }
    printf("%.4f\n", (milliseconds() - began) / asks);
    fleming_request_free(request);
}

int main(int argc, char **argv) {
    fleming_engine *engine = NULL;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    long before = 0;
    int number, asks, descriptors = 0;

    CHECK(argc == 4 && (asks = atoi(argv[3])) > 0);
    options.slots = 2;
    options.image_cache = 1 << 20;
    OK(fleming_engine_open(argv[1], &options, &engine));
    if (strcmp(argv[2], "-") == 0) {
        costs(engine, asks);
        fleming_engine_free(engine);
        return 0;
    }
    for (number = 0; number < asks; ++number) {
        // What is kept for reuse is there by then.
        if (number == asks / 5) {
            before = resident();
            descriptors = open_descriptors();
        }
        one(engine, argv[2], number);
    }
    // One that was left may still be ending.
    usleep(500 * 1000);
    printf("%ld %ld %d %d\n", before, resident(), descriptors, open_descriptors());
    fleming_engine_free(engine);
    return 0;
}
