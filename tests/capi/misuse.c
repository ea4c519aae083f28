// What a program may do wrong, and that nothing comes of it but a status. misuse PACKAGE IMAGE

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static int32_t cancel_at_once(void *user_data, const fleming_event *event) {
    ++*(int *)user_data;
    CHECK(event->struct_size >= sizeof(fleming_event));
    return 1;
}

static fleming_engine *to_free;

static int32_t free_engine(void *user_data, const fleming_event *event) {
    (void)event;
    ++*(int *)user_data;
    fleming_engine_free(to_free);
    to_free = NULL;
    return 0;
}

// Calls back into the library, and fails there: the error is this thread's, and the answer goes on.
static int32_t call_back(void *user_data, const fleming_event *event) {
    fleming_request *request = (fleming_request *)1;
    (void)user_data;
    (void)event;
    REFUSED(fleming_request_new(NULL, &request));
    CHECK(request == (fleming_request *)1);
    return 0;
}

static void null_is_nothing_to_free(void) {
    int twice;
    for (twice = 0; twice < 2; ++twice) {
        fleming_engine_free(NULL);
        fleming_request_free(NULL);
        fleming_reply_free(NULL);
        fleming_pending_free(NULL);
        fleming_embeddings_free(NULL);
        fleming_buffer_free(NULL);
    }
}

static void null_is_refused(const char *package, fleming_engine *engine, fleming_request *request) {
    fleming_engine *no_engine = NULL;
    fleming_reply *reply = NULL;
    fleming_pending *pending = NULL;
    fleming_embeddings *embeddings = NULL;
    fleming_memory memory = FLEMING_MEMORY_INIT;
    fleming_engine_facts engine_facts = FLEMING_ENGINE_FACTS_INIT;
    fleming_reply_facts reply_facts = FLEMING_REPLY_FACTS_INIT;
    fleming_frame_facts frame_facts = FLEMING_FRAME_FACTS_INIT;
    fleming_embeddings_facts embeddings_facts = FLEMING_EMBEDDINGS_FACTS_INIT;
    fleming_token_facts token_facts = FLEMING_TOKEN_FACTS_INIT;
    fleming_token_count count = FLEMING_TOKEN_COUNT_INIT;
    fleming_buffer *buffer = NULL;
    int32_t descriptor = -7;

    REFUSED(fleming_engine_submit_all(NULL, request, NULL, 1, &pending));
    REFUSED(fleming_engine_submit_all(engine, NULL, NULL, 1, &pending));
    REFUSED(fleming_engine_submit_all(engine, request, NULL, 1, NULL));
    REFUSED(fleming_engine_count_tokens(NULL, request, NULL, &count));
    REFUSED(fleming_engine_count_tokens(engine, NULL, NULL, &count));
    REFUSED(fleming_engine_count_tokens(engine, request, NULL, NULL));
    REFUSED(fleming_engine_save_session_bytes(NULL, NULL, &buffer));
    REFUSED(fleming_engine_save_session_bytes(engine, NULL, &buffer));
    REFUSED(fleming_engine_load_session_bytes(NULL, "", 0));
    REFUSED(fleming_engine_load_session_bytes(engine, NULL, 1));
    REFUSED(fleming_doctor(NULL, NULL, NULL));
    REFUSED(fleming_buffer_read(NULL, NULL));
    REFUSED(fleming_reply_token(NULL, 0, 0, &token_facts));
    REFUSED(fleming_pending_descriptor(NULL, &descriptor));
    REFUSED(fleming_last_error_read(NULL));
    CHECK(descriptor == -7 && buffer == NULL && count.prompt_tokens == 0 && token_facts.id == 0);
    REFUSED(fleming_package_memory(NULL, NULL, &memory));
    SAYS("package: wanted a path, got NULL");
    REFUSED(fleming_package_memory(package, NULL, NULL));
    REFUSED(fleming_engine_open(NULL, NULL, &no_engine));
    REFUSED(fleming_engine_open(package, NULL, NULL));
    REFUSED(fleming_engine_read(NULL, &engine_facts));
    REFUSED(fleming_engine_read(engine, NULL));
    REFUSED(fleming_engine_ask(NULL, request, NULL, &reply));
    REFUSED(fleming_engine_ask(engine, NULL, NULL, &reply));
    REFUSED(fleming_engine_ask(engine, request, NULL, NULL));
    REFUSED(fleming_engine_submit(NULL, request, NULL, &pending));
    REFUSED(fleming_engine_submit(engine, NULL, NULL, &pending));
    REFUSED(fleming_engine_submit(engine, request, NULL, NULL));
    REFUSED(fleming_engine_embed(NULL, request, NULL, &embeddings));
    REFUSED(fleming_engine_embed(engine, NULL, NULL, &embeddings));
    REFUSED(fleming_engine_embed(engine, request, NULL, NULL));
    REFUSED(fleming_engine_save_session(engine, NULL, "file"));
    REFUSED(fleming_engine_save_session(NULL, NULL, "file"));
    REFUSED(fleming_engine_load_session(engine, NULL));
    REFUSED(fleming_engine_load_session(NULL, "file"));
    REFUSED(fleming_request_new(NULL, &request));
    REFUSED(fleming_request_new("?", NULL));
    REFUSED(fleming_request_turn(NULL, "?", "."));
    REFUSED(fleming_request_turn(request, NULL, "."));
    REFUSED(fleming_request_turn(request, "?", NULL));
    REFUSED(fleming_request_file(NULL, FLEMING_MODALITY_IMAGE, "file", NULL));
    REFUSED(fleming_request_file(request, FLEMING_MODALITY_IMAGE, NULL, NULL));
    REFUSED(fleming_request_bytes(NULL, FLEMING_MODALITY_IMAGE, "", 1, NULL));
    REFUSED(fleming_request_bytes(request, FLEMING_MODALITY_IMAGE, NULL, 1, NULL));
    REFUSED(fleming_request_frames(request, NULL));
    REFUSED(fleming_request_frames(NULL, NULL));
    REFUSED(fleming_request_volume(request, NULL));
    REFUSED(fleming_request_volume(NULL, NULL));
    REFUSED(fleming_reply_read(NULL, &reply_facts));
    REFUSED(fleming_reply_frame(NULL, 0, &frame_facts));
    REFUSED(fleming_pending_wait(NULL, 0, &reply));
    REFUSED(fleming_pending_cancel(NULL));
    REFUSED(fleming_embeddings_read(NULL, &embeddings_facts));
    CHECK(no_engine == NULL && reply == NULL && pending == NULL && embeddings == NULL);
    CHECK(strlen(fleming_last_error_hint()) > 0);
}

static void sizes_are_checked(const char *package, fleming_engine *engine, fleming_request *request) {
    // A struct of a later version: larger, with fields that this library does not know.
    struct {
        fleming_ask_options known;
        size_t unknown;
    } later;
    const char *settings[] = {"use_arena"};
    fleming_engine *none = NULL;
    fleming_reply *reply = NULL;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_ask_options ask = FLEMING_ASK_OPTIONS_INIT;
    fleming_memory memory = FLEMING_MEMORY_INIT;
    fleming_token_count count = FLEMING_TOKEN_COUNT_INIT;
    fleming_error_facts error = FLEMING_ERROR_FACTS_INIT;
    fleming_frames frames = FLEMING_FRAMES_INIT;
    fleming_volume volume = FLEMING_VOLUME_INIT;

    options.struct_size = 0;
    REFUSED(fleming_engine_open(package, &options, &none));
    SAYS("fleming_engine_options.struct_size");
    options.struct_size = offsetof(fleming_engine_options, on_load) - 1;
    REFUSED(fleming_engine_open(package, &options, &none));
    options.struct_size = sizeof options;
    options.provider = "abacus";
    CHECK(fleming_engine_open(package, &options, &none) == FLEMING_STATUS_REQUEST);
    options.provider = NULL;
    options.provider_options = settings;
    options.provider_option_count = 1;
    REFUSED(fleming_engine_open(package, &options, &none));
    SAYS("name=value");
    options.struct_size = (size_t)-1;
    REFUSED(fleming_engine_open(package, &options, &none));
    ask.struct_size = 8;
    REFUSED(fleming_engine_ask(engine, request, &ask, &reply));
    ask.struct_size = offsetof(fleming_ask_options, scope) - 1;
    REFUSED(fleming_engine_ask(engine, request, &ask, &reply));
    count.struct_size = sizeof count - 1;
    REFUSED(fleming_engine_count_tokens(engine, request, NULL, &count));
    error.struct_size = 0;
    REFUSED(fleming_last_error_read(&error));
    memory.struct_size = 1;
    REFUSED(fleming_package_memory(package, NULL, &memory));
    CHECK(memory.total == 0);
    frames.struct_size = 3;
    REFUSED(fleming_request_frames(request, &frames));
    volume.struct_size = 3;
    REFUSED(fleming_request_volume(request, &volume));
    CHECK(none == NULL && reply == NULL);

    memset(&later, 0, sizeof later);
    later.known.struct_size = sizeof later;
    later.known.max_new_tokens = 2;
    OK(fleming_engine_ask(engine, request, &later.known, &reply));
    fleming_reply_free(reply);
    reply = NULL;
    later.unknown = 1;
    REFUSED(fleming_engine_ask(engine, request, &later.known, &reply));
    SAYS("this version of the library knows");
    CHECK(reply == NULL);
}

static void texts_are_checked(fleming_engine *engine, fleming_request *request, const char *image) {
    const char *choices[] = {"yes", NULL};
    fleming_request *none = NULL;
    fleming_reply *reply = NULL;
    fleming_ask_options ask = FLEMING_ASK_OPTIONS_INIT;
    fleming_study_options study = FLEMING_STUDY_OPTIONS_INIT;

    REFUSED(fleming_request_new("caf\xe9 ", &none));
    SAYS("question: wanted UTF-8, got a byte that is none at 3");
    REFUSED(fleming_request_turn(request, "\xff", "."));
    ask.system = "\xc3";
    REFUSED(fleming_engine_ask(engine, request, &ask, &reply));
    ask.system = NULL;
    ask.choices = choices;
    ask.choice_count = 2;
    REFUSED(fleming_engine_ask(engine, request, &ask, &reply));
    ask.choices = NULL;
    REFUSED(fleming_engine_ask(engine, request, &ask, &reply));
    ask.choice_count = 0;
    ask.regex = "a";
    ask.json_schema = "{}";
    REFUSED(fleming_engine_ask(engine, request, &ask, &reply));
    SAYS("several");
    ask.regex = NULL;
    ask.json_schema = "{";
    CHECK(fleming_engine_ask(engine, request, &ask, &reply) == FLEMING_STATUS_REQUEST);
    ask.json_schema = NULL;
    ask.temperature = -1;
    CHECK(fleming_engine_ask(engine, request, &ask, &reply) == FLEMING_STATUS_REQUEST);
    SAYS("temperature");
    ask.temperature = 0;
    ask.preprocessing = 9;
    REFUSED(fleming_engine_ask(engine, request, &ask, &reply));
    ask.preprocessing = 0;
    ask.reserved = 1;
    REFUSED(fleming_engine_ask(engine, request, &ask, &reply));

    REFUSED(fleming_request_file(request, 0, image, NULL));
    REFUSED(fleming_request_file(request, 4, image, NULL));
    study.slices = 3;
    REFUSED(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, &study));
    study.slices = 0;
    study.window = "lung";
    // Pictures of DICOM have a window: only what is in the file tells.
    fleming_request *windowed = NULL;
    CHECK(fleming_request_new("?", &windowed) == FLEMING_STATUS_OK);
    CHECK(fleming_request_file(windowed, FLEMING_MODALITY_IMAGE, image, &study) == FLEMING_STATUS_OK);
    CHECK(fleming_engine_ask(engine, windowed, NULL, &reply) == FLEMING_STATUS_REQUEST);
    SAYS("window");
    fleming_request_free(windowed);
    study.window = "lungs";
    CHECK(fleming_request_file(request, FLEMING_MODALITY_VOLUME, image, &study) == FLEMING_STATUS_REQUEST);
    SAYS("window");
    study.window = NULL;
    study.options = "{\"plane\": \"upside-down\"}";
    CHECK(fleming_request_file(request, FLEMING_MODALITY_VOLUME, image, &study) == FLEMING_STATUS_REQUEST);
    SAYS("plane");
    study.options = "{\"temperature\": 1}";
    CHECK(fleming_request_file(request, FLEMING_MODALITY_VOLUME, image, &study) == FLEMING_STATUS_REQUEST);
    SAYS("temperature");
    study.options = "plane";
    CHECK(fleming_request_file(request, FLEMING_MODALITY_VOLUME, image, &study) == FLEMING_STATUS_REQUEST);
    study.options = NULL;
    study.frames = 2;
    REFUSED(fleming_request_file(request, FLEMING_MODALITY_VOLUME, image, &study));
    study.max_frames = 2;
    REFUSED(fleming_request_file(request, FLEMING_MODALITY_VIDEO, image, &study));
    study.frames = study.max_frames = 0;
    study.name = "name";
    REFUSED(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, &study));
    CHECK(none == NULL && reply == NULL);
}

static void pictures_are_checked(fleming_request *request) {
    const uint8_t pixels[12] = {0};
    const uint8_t *pointers[2];
    const double seconds[2] = {0, 1};
    const int16_t voxels[8] = {0};
    fleming_frames frames = FLEMING_FRAMES_INIT;
    fleming_volume volume = FLEMING_VOLUME_INIT;

    pointers[0] = pixels;
    pointers[1] = NULL;
    REFUSED(fleming_request_frames(request, &frames));
    frames.modality = FLEMING_MODALITY_IMAGE;
    frames.count = 1;
    REFUSED(fleming_request_frames(request, &frames));
    frames.frames = pointers;
    REFUSED(fleming_request_frames(request, &frames));
    frames.width = frames.height = 2;
    frames.row_bytes = 5;
    REFUSED(fleming_request_frames(request, &frames));
    frames.row_bytes = 0;
    frames.count = 2;
    REFUSED(fleming_request_frames(request, &frames));
    frames.modality = FLEMING_MODALITY_VIDEO;
    REFUSED(fleming_request_frames(request, &frames));
    SAYS("seconds");
    frames.seconds = seconds;
    REFUSED(fleming_request_frames(request, &frames));
    frames.modality = FLEMING_MODALITY_VOLUME;
    REFUSED(fleming_request_frames(request, &frames));
    frames.modality = FLEMING_MODALITY_VIDEO;
    frames.width = (size_t)-1;
    REFUSED(fleming_request_frames(request, &frames));

    REFUSED(fleming_request_volume(request, &volume));
    volume.depth = volume.height = volume.width = 2;
    REFUSED(fleming_request_volume(request, &volume));
    volume.voxel = FLEMING_VOXEL_INT16;
    REFUSED(fleming_request_volume(request, &volume));
    volume.voxels = voxels;
    volume.depth = (size_t)-1;
    REFUSED(fleming_request_volume(request, &volume));
    volume.height = volume.width = 1;
    REFUSED(fleming_request_volume(request, &volume));
    SAYS("a size that fits into memory");
}

static void wrong_order(fleming_engine *engine, fleming_request *request, fleming_ask_options *ask) {
    fleming_pending *pending = NULL;
    fleming_reply *reply = NULL, *again = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_frame_facts frame = FLEMING_FRAME_FACTS_INIT;

    // A reply is given once.
    OK(fleming_engine_submit(engine, request, ask, &pending));
    OK(fleming_pending_wait(pending, -1, &reply));
    CHECK(fleming_pending_wait(pending, -1, &again) == FLEMING_STATUS_REQUEST);
    CHECK(again == NULL);
    // To cancel what is complete is too late, and no harm.
    OK(fleming_pending_cancel(pending));
    fleming_pending_free(pending);
    // The reply outlives what it came from, and says where it ends.
    OK(fleming_reply_read(reply, &facts));
    REFUSED(fleming_reply_frame(reply, facts.frame_count, &frame));
    REFUSED(fleming_reply_frame(reply, (size_t)-1, &frame));
    CHECK(fleming_engine_save_session(engine, reply, "/nowhere/file") == FLEMING_STATUS_INPUT);
    CHECK(fleming_engine_load_session(engine, "/nowhere/file") == FLEMING_STATUS_INPUT);
    fleming_reply_free(reply);
    // Nobody waits.
    OK(fleming_engine_submit(engine, request, ask, &pending));
    fleming_pending_free(pending);
    // Nothing to look at.
    CHECK(fleming_package_memory("nowhere", NULL, NULL) == FLEMING_STATUS_ARGUMENT);
}

static fleming_pending *hearing;

static int32_t free_itself(void *user_data, const fleming_event *event) {
    (void)event;
    if (hearing != NULL) ++*(int *)user_data;
    fleming_pending_free(hearing);
    hearing = NULL;
    return 0;
}

static void *wait_for(void *argument) {
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    OK(fleming_pending_wait(argument, -1, &reply));
    OK(fleming_reply_read(reply, &facts));
    CHECK(facts.finish == FLEMING_FINISH_CANCELLED);
    fleming_reply_free(reply);
    return NULL;
}

// A pending answer that is freed by its own callback, and while another thread waits for it.
static void freed_while_waiting(fleming_engine *engine, fleming_request *request) {
    fleming_ask_options ask = FLEMING_ASK_OPTIONS_INIT;
    fleming_pending *pending = NULL;
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    pthread_t thread;
    int heard = 0;
    int32_t descriptor = -1;

    ask.ignore_eos = 1;
    ask.max_new_tokens = 100000;
    ask.on_event = free_itself;
    ask.user_data = &heard;
    OK(fleming_engine_submit(engine, request, &ask, &hearing));
    OK(fleming_pending_descriptor(hearing, &descriptor));
    OK(fleming_pending_wait(hearing, -1, &reply));
    OK(fleming_reply_read(reply, &facts));
    CHECK(heard == 1 && facts.finish == FLEMING_FINISH_CANCELLED);
    fleming_reply_free(reply);

    ask.on_event = NULL;
    OK(fleming_engine_submit(engine, request, &ask, &pending));
    CHECK(pthread_create(&thread, NULL, wait_for, pending) == 0);
    usleep(100 * 1000);
    // One waits already.
    REFUSED(fleming_pending_wait(pending, 0, &reply));
    SAYS("nobody waits for");
    fleming_pending_free(pending);
    CHECK(pthread_join(thread, NULL) == 0);
}

// More than there is room for comes at once, all or none.
static void busy(const char *package, fleming_request *request) {
    fleming_engine *engine = NULL;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_ask_options ask = FLEMING_ASK_OPTIONS_INIT;
    fleming_pending *pending[3] = {NULL, NULL, NULL};
    fleming_reply *reply = NULL;

    options.queue = 1;
    OK(fleming_engine_open(package, &options, &engine));
    ask.ignore_eos = 1;
    ask.max_new_tokens = 100000;
    OK(fleming_engine_submit(engine, request, &ask, &pending[0]));
    CHECK(fleming_engine_submit_all(engine, request, &ask, 2, pending + 1) == FLEMING_STATUS_BUSY);
    CHECK(pending[1] == NULL && pending[2] == NULL);
    CHECK(fleming_engine_submit_all(engine, request, &ask, 3, pending) == FLEMING_STATUS_REQUEST);
    OK(fleming_engine_submit(engine, request, &ask, &pending[1]));
    CHECK(fleming_engine_ask(engine, request, &ask, &reply) == FLEMING_STATUS_BUSY);
    fleming_pending_free(pending[0]);
    fleming_pending_free(pending[1]);
    fleming_engine_free(engine);
}

// Time that is up is a status where there is nothing to return, and an end where there is a text.
static void late(fleming_engine *engine, const char *image) {
    fleming_ask_options ask = FLEMING_ASK_OPTIONS_INIT;
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_embeddings *embeddings = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    int place;

    OK(fleming_request_new("", &request));
    for (place = 0; place < 60; ++place) OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    ask.timeout_ms = 1;
    CHECK(fleming_engine_embed(engine, request, &ask, &embeddings) == FLEMING_STATUS_TIMED_OUT);
    fleming_request_free(request);
    OK(fleming_request_new("Why?", &request));
    ask.timeout_ms = 50;
    ask.ignore_eos = 1;
    ask.max_new_tokens = 100000;
    OK(fleming_engine_ask(engine, request, &ask, &reply));
    OK(fleming_reply_read(reply, &facts));
    CHECK(facts.finish == FLEMING_FINISH_TIMED_OUT);
    fleming_reply_free(reply);
    fleming_request_free(request);
}

static void freed_while_asking(const char *package, const char *image, fleming_ask_options *ask) {
    fleming_engine *engine = NULL;
    fleming_request *request = NULL;
    fleming_pending *pending = NULL;
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    int heard = 0;

    OK(fleming_engine_open(package, NULL, &engine));
    OK(fleming_request_new("What is shown?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_engine_submit(engine, request, ask, &pending));
    to_free = engine;
    ask->on_event = free_engine;
    ask->user_data = &heard;
    OK(fleming_engine_ask(engine, request, ask, &reply));
    CHECK(heard > 0 && to_free == NULL);
    OK(fleming_reply_read(reply, &facts));
    CHECK(facts.completion_tokens > 0);
    fleming_request_free(request);
    fleming_reply_free(reply);
    reply = NULL;
    // The answer that was handed in before still comes.
    OK(fleming_pending_wait(pending, -1, &reply));
    fleming_reply_free(reply);
    fleming_pending_free(pending);
    ask->on_event = NULL;
}

// A fork copies no thread: a child is refused instead of waiting for ever, and may free what it inherited.
static void a_child_is_refused(fleming_engine *engine, fleming_request *request, const fleming_ask_options *ask) {
    fleming_pending *pending = NULL;
    fleming_reply *reply = NULL;
    int status = -1;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        CHECK(fleming_engine_ask(engine, request, ask, &reply) == FLEMING_STATUS_RUNTIME);
        SAYS("child");
        CHECK(fleming_engine_submit(engine, request, ask, &pending) == FLEMING_STATUS_RUNTIME);
        CHECK(reply == NULL && pending == NULL);
        fleming_engine_free(engine);
        // What the engine's threads held is lost to a child: valgrind would say so when it exits.
        execlp("true", "true", (char *)NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv) {
    fleming_engine *engine = NULL;
    fleming_request *request = NULL, *about_image = NULL;
    fleming_reply *reply = NULL;
    fleming_ask_options ask = FLEMING_ASK_OPTIONS_INIT;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    int heard = 0;

    CHECK(argc == 3);
    CHECK(strcmp(fleming_last_error_message(), "") == 0 && strcmp(fleming_last_error_hint(), "") == 0);
    null_is_nothing_to_free();
    CHECK(fleming_engine_open("nowhere", NULL, &engine) == FLEMING_STATUS_PACKAGE);
    CHECK(engine == NULL);
    OK(fleming_engine_open(argv[1], NULL, &engine));
    OK(fleming_request_new("What is CT?", &request));
    ask.max_new_tokens = 4;
    null_is_refused(argv[1], engine, request);
    sizes_are_checked(argv[1], engine, request);
    texts_are_checked(engine, request, argv[2]);
    pictures_are_checked(request);
    wrong_order(engine, request, &ask);

    // A callback that stops the answer at its first event, and one that fails within.
    OK(fleming_request_new("What is shown?", &about_image));
    OK(fleming_request_file(about_image, FLEMING_MODALITY_IMAGE, argv[2], NULL));
    ask.on_event = cancel_at_once;
    ask.user_data = &heard;
    OK(fleming_engine_ask(engine, about_image, &ask, &reply));
    OK(fleming_reply_read(reply, &facts));
    CHECK(heard == 1 && facts.finish == FLEMING_FINISH_CANCELLED);
    fleming_reply_free(reply);
    ask.on_event = call_back;
    OK(fleming_engine_ask(engine, about_image, &ask, &reply));
    fleming_reply_free(reply);
    ask.on_event = NULL;
    fleming_request_free(about_image);

    // After all that, the request is what it was, and the engine answers.
    OK(fleming_engine_ask(engine, request, &ask, &reply));
    OK(fleming_reply_read(reply, &facts));
    CHECK(facts.completion_tokens > 0 && facts.frame_count == 0);
    fleming_reply_free(reply);
    freed_while_waiting(engine, request);
    busy(argv[1], request);
    late(engine, argv[2]);
    a_child_is_refused(engine, request, &ask);
    fleming_request_free(request);
    fleming_engine_free(engine);
    freed_while_asking(argv[1], argv[2], &ask);
    puts("nothing came of it");
    return 0;
}
