// Several questions about one image, answered at the same time in one thread, which waits for all of them with poll: the way
// into an event loop of your own. loop PACKAGE IMAGE QUESTION...

#include <fleming.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void check(fleming_status status) {
    if (status == FLEMING_STATUS_OK) return;
    fprintf(stderr, "%s: %s\n%s\n", fleming_status_name(status), fleming_last_error_message(), fleming_last_error_hint());
    exit(1);
}

// Prints an answer if it is complete; whether it is.
static int taken(fleming_pending *pending, const char *question) {
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_status status = fleming_pending_wait(pending, 0, &reply); // looks, and does not wait

    if (status == FLEMING_STATUS_PENDING) return 0;
    check(status);
    check(fleming_reply_read(reply, &facts));
    printf("%s\n  %s\n", question, facts.answer);
    fleming_reply_free(reply);
    return 1;
}

int main(int argc, char **argv) {
    int count = argc - 3, left = count, place;
    fleming_engine *engine = NULL;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_pending **answers;
    struct pollfd *waiting;

    if (count < 1) {
        fprintf(stderr, "usage: %s PACKAGE IMAGE QUESTION...\n", argv[0]);
        return 2;
    }
    answers = calloc((size_t)count, sizeof *answers);
    waiting = calloc((size_t)count, sizeof *waiting);
    if (answers == NULL || waiting == NULL) return 1;
    options.slots = 2;
    check(fleming_engine_open(argv[1], &options, &engine));
    for (place = 0; place < count; ++place) {
        fleming_request *request = NULL;
        check(fleming_request_new(argv[place + 3], &request));
        check(fleming_request_file(request, FLEMING_MODALITY_IMAGE, argv[2], NULL));
        check(fleming_engine_submit(engine, request, NULL, &answers[place]));
        fleming_request_free(request);
        check(fleming_pending_descriptor(answers[place], &waiting[place].fd));
        waiting[place].events = POLLIN;
    }
    while (left > 0 && poll(waiting, (nfds_t)count, -1) > 0) {
        for (place = 0; place < count; ++place) {
            if (waiting[place].fd < 0 || waiting[place].revents == 0) continue;
            if (!taken(answers[place], argv[place + 3])) continue;
            waiting[place].fd = -1; // poll passes over it
            fleming_pending_free(answers[place]);
            --left;
        }
    }
    fleming_engine_free(engine);
    free(waiting);
    free(answers);
    return 0;
}
