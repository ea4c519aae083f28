// A host whose one thread waits for many things with epoll: answers by their descriptors, and by on_ready.
// loop PACKAGE IMAGE

#include "check.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ANSWERS = 6, PATIENCE_MS = 600000 };

// One answer of the host.
struct answer {
    fleming_pending *pending;
    char text[8192];
    int complete, looks;
};

static int32_t on_event(void *user_data, const fleming_event *event) {
    struct answer *answer = user_data;
    strncat(answer->text, event->text, sizeof answer->text - strlen(answer->text) - 1);
    return 0;
}

static void watch(int loop, int descriptor, struct answer *answer) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.ptr = answer;
    CHECK(epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event) == 0);
}

// Looks at an answer without waiting.
static void look(struct answer *answer) {
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_status status = fleming_pending_wait(answer->pending, 0, &reply);
    ++answer->looks;
    if (status == FLEMING_STATUS_PENDING) return;
    CHECK(status == FLEMING_STATUS_OK);
    OK(fleming_reply_read(reply, &facts));
    CHECK(strstr(answer->text, facts.answer) != NULL);
    fleming_reply_free(reply);
    answer->complete = 1;
}

// Whether the descriptor is one to wait on. The number of one that was closed may be that of a file that the library reads.
static int is_event(int descriptor) {
    char link[64], target[64] = "";

    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    if (readlink(link, target, sizeof target - 1) < 0) return 0;
    return strstr(target, "eventfd") != NULL;
}

static void by_descriptors(fleming_engine *engine, fleming_request *request) {
    static struct answer answers[ANSWERS];
    struct epoll_event events[ANSWERS];
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    int loop = epoll_create1(EPOLL_CLOEXEC), number, done = 0, descriptors[ANSWERS], again = -1;

    CHECK(loop >= 0);
    options.on_event = on_event;
    options.max_new_tokens = 24;
    for (number = 0; number < ANSWERS; ++number) {
        options.user_data = &answers[number];
        OK(fleming_engine_submit(engine, request, &options, &answers[number].pending));
        OK(fleming_pending_descriptor(answers[number].pending, &descriptors[number]));
        OK(fleming_pending_descriptor(answers[number].pending, &again));
        CHECK(again == descriptors[number] && (fcntl(again, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(is_event(again));
        watch(loop, descriptors[number], &answers[number]);
    }
    // One is cancelled meanwhile: that too makes its descriptor readable.
    OK(fleming_pending_cancel(answers[0].pending));
    while (done < ANSWERS) {
        int count = epoll_wait(loop, events, ANSWERS, PATIENCE_MS), place;
        CHECK(count > 0);
        for (place = 0; place < count; ++place) {
            struct answer *answer = events[place].data.ptr;
            look(answer);
            if (!answer->complete) continue;
            number = (int)(answer - answers);
            CHECK(epoll_ctl(loop, EPOLL_CTL_DEL, descriptors[number], NULL) == 0);
            fleming_pending_free(answer->pending);
            CHECK(!is_event(descriptors[number]));
            ++done;
        }
    }
    // Text came in pieces.
    CHECK(answers[1].looks > 2);
    CHECK(close(loop) == 0);
}

// A failure is something to wait for too, and one that is over before the descriptor is asked for.
static void what_fails_is_readable(fleming_engine *engine) {
    fleming_request *request = NULL;
    fleming_pending *pending = NULL;
    fleming_reply *reply = NULL;
    struct epoll_event event;
    int loop = epoll_create1(EPOLL_CLOEXEC), descriptor = -1;
    static struct answer answer;

    OK(fleming_request_new("What is shown?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, "nowhere.png", NULL));
    OK(fleming_engine_submit(engine, request, NULL, &pending));
    usleep(200 * 1000);
    OK(fleming_pending_descriptor(pending, &descriptor));
    watch(loop, descriptor, &answer);
    CHECK(epoll_wait(loop, &event, 1, PATIENCE_MS) == 1);
    CHECK(fleming_pending_wait(pending, 0, &reply) == FLEMING_STATUS_INPUT);
    fleming_pending_free(pending);
    fleming_request_free(request);
    CHECK(close(loop) == 0);
}

static int woken[2];

// As a GUI's own queue: a byte says that there is something to look at.
static void on_ready(void *user_data) {
    CHECK(user_data != NULL && write(woken[1], "x", 1) == 1);
}

static void by_ready(fleming_engine *engine, fleming_request *request) {
    static struct answer answer;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    char byte;
    int left = 0;

    CHECK(pipe(woken) == 0);
    options.on_event = on_event;
    options.on_ready = on_ready;
    options.user_data = &answer;
    options.max_new_tokens = 8;
    OK(fleming_engine_submit(engine, request, &options, &answer.pending));
    while (!answer.complete) {
        CHECK(read(woken[0], &byte, 1) == 1);
        look(&answer);
    }
    fleming_pending_free(answer.pending);
    // Once it is freed nobody is woken any more.
    OK(fleming_engine_submit(engine, request, &options, &answer.pending));
    fleming_pending_free(answer.pending);
    CHECK(fcntl(woken[0], F_SETFL, O_NONBLOCK) == 0);
    while (read(woken[0], &byte, 1) == 1) ++left;
    usleep(200 * 1000);
    CHECK(read(woken[0], &byte, 1) == -1);
    CHECK(close(woken[0]) == 0 && close(woken[1]) == 0);
}

int main(int argc, char **argv) {
    fleming_engine *engine = NULL;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_request *request = NULL;
    int32_t descriptor = 0;

    CHECK(argc == 3);
    options.slots = 2;
    OK(fleming_engine_open(argv[1], &options, &engine));
    OK(fleming_request_new("What is shown?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, argv[2], NULL));
    REFUSED(fleming_pending_descriptor(NULL, &descriptor));
    by_descriptors(engine, request);
    what_fails_is_readable(engine);
    by_ready(engine, request);
    fleming_request_free(request);
    fleming_engine_free(engine);
    puts("looped");
    return 0;
}
