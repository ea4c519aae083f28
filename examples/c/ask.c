/* Asks about an image, a video and a volume in one request, shows the thought and the answer as they are made, and what the
 * model saw. ask PACKAGE IMAGE VIDEO VOLUME QUESTION */

#include <fleming.h>
#include <stdio.h>

static int32_t on_event(void *user_data, const fleming_event *event) {
    int *part = user_data;
    if (event->kind != FLEMING_EVENT_KIND_THOUGHT && event->kind != FLEMING_EVENT_KIND_ANSWER) return 0;
    if (*part != event->kind) fputs(event->kind == FLEMING_EVENT_KIND_THOUGHT ? "[thought] " : "\n[answer] ", stdout);
    *part = event->kind;
    fputs(event->text, stdout);
    fflush(stdout);
    return 0;
}

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n%s\n", what, fleming_last_error_message(), fleming_last_error_hint());
    return 1;
}

static void show(const fleming_reply *reply) {
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    size_t place;
    if (fleming_reply_read(reply, &facts) != FLEMING_STATUS_OK) return;
    printf("\n%u prompt tokens, %u of them of pictures; %u generated in %.0f ms\n", (unsigned)facts.prompt_tokens,
           (unsigned)facts.image_tokens, (unsigned)facts.completion_tokens, facts.decode_ms);
    for (place = 0; place < facts.frame_count; ++place) {
        fleming_frame_facts frame = FLEMING_FRAME_FACTS_INIT;
        if (fleming_reply_frame(reply, place, &frame) != FLEMING_STATUS_OK) return;
        if (frame.modality == FLEMING_MODALITY_IMAGE) printf("saw %s\n", frame.source);
        if (frame.modality == FLEMING_MODALITY_VIDEO) printf("saw %s at %.2f s\n", frame.source, frame.seconds);
        if (frame.modality == FLEMING_MODALITY_VOLUME)
            printf("saw %s, slice %u, values %g to %g\n", frame.source, (unsigned)frame.index, frame.window_low,
                   frame.window_high);
    }
    if (*facts.warnings != '\0') fprintf(stderr, "warning: %s\n", facts.warnings);
}

int main(int argc, char **argv) {
    fleming_engine *engine = NULL;
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_engine_options setup = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_memory memory = FLEMING_MEMORY_INIT;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_study_options slices = FLEMING_STUDY_OPTIONS_INIT;
    int part = 0, code = 1;
    if (argc != 6) {
        fprintf(stderr, "usage: %s PACKAGE IMAGE VIDEO VOLUME QUESTION\n", argv[0]);
        return 2;
    }
    /* One conversation at a time; what it takes is known before anything is loaded. */
    setup.slots = 1;
    if (fleming_package_memory(argv[1], &setup, &memory) != FLEMING_STATUS_OK) return failed("memory");
    printf("takes %.0f MB\n", (double)memory.total / 1e6);

    slices.slices = 5;
    options.on_event = on_event;
    options.user_data = &part;
    options.timeout_ms = 600000;
    if (fleming_engine_open(argv[1], &setup, &engine) != FLEMING_STATUS_OK)
        failed("open");
    else if (fleming_request_new(argv[5], &request) != FLEMING_STATUS_OK
             || fleming_request_file(request, FLEMING_MODALITY_IMAGE, argv[2], NULL) != FLEMING_STATUS_OK
             || fleming_request_file(request, FLEMING_MODALITY_VIDEO, argv[3], NULL) != FLEMING_STATUS_OK
             || fleming_request_file(request, FLEMING_MODALITY_VOLUME, argv[4], &slices) != FLEMING_STATUS_OK)
        failed("request");
    else if (fleming_engine_ask(engine, request, &options, &reply) != FLEMING_STATUS_OK)
        failed("ask");
    else {
        show(reply);
        code = 0;
    }
    fleming_reply_free(reply);
    fleming_request_free(request);
    fleming_engine_free(engine);
    return code;
}
