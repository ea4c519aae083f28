// All that a product does, once. use PACKAGE IMAGE VOLUME VIDEO SESSION, with the demo model.

#include "check.h"

struct heard {
    char thought[4096], answer[4096];
    size_t encoded, prefilled;
};

static int32_t on_event(void *user_data, const fleming_event *event) {
    struct heard *heard = user_data;
    CHECK(event->length == strlen(event->text));
    switch (event->kind) {
    case FLEMING_EVENT_KIND_ENCODING:
        heard->encoded = event->done;
        CHECK(event->done <= event->total);
        break;
    case FLEMING_EVENT_KIND_PREFILLING:
        heard->prefilled = event->done;
        break;
    case FLEMING_EVENT_KIND_THOUGHT:
        strncat(heard->thought, event->text, sizeof heard->thought - strlen(heard->thought) - 1);
        break;
    case FLEMING_EVENT_KIND_ANSWER:
        strncat(heard->answer, event->text, sizeof heard->answer - strlen(heard->answer) - 1);
        break;
    }
    return 0;
}

static int logged;

static void on_log(void *user_data, int32_t level, const char *message) {
    CHECK(user_data == &logged && level <= FLEMING_LOG_LEVEL_INFO && strlen(message) > 0);
    // No path, no question.
    CHECK(strstr(message, "nodule") == NULL && strstr(message, ".png") == NULL);
    ++logged;
}

// The bytes of a file; the caller frees them.
static char *content(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(1 << 22);
    CHECK(file != NULL && bytes != NULL);
    *size = fread(bytes, 1, 1 << 22, file);
    fclose(file);
    return bytes;
}

static void an_image(fleming_engine *engine, const char *image, char *answer) {
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_frame_facts frame = FLEMING_FRAME_FACTS_INIT;
    static struct heard heard;
    size_t size;
    char *bytes = content(image, &size);
    fleming_study_options study = FLEMING_STUDY_OPTIONS_INIT;

    options.on_event = on_event;
    options.user_data = &heard;
    OK(fleming_request_new("Is there a nodule, and on which side?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_engine_ask(engine, request, &options, &reply));
    OK(fleming_reply_read(reply, &facts));
    // Streamed or not, it is the same; white space around a part is not part of it.
    CHECK(strstr(heard.answer, facts.answer) != NULL && strlen(facts.answer) > 0);
    CHECK(facts.thought != NULL && strstr(heard.thought, facts.thought) != NULL);
    CHECK(strstr(facts.text, facts.answer) != NULL && strstr(facts.text, facts.thought) != NULL);
    CHECK(facts.finish == FLEMING_FINISH_STOP && facts.truncated == FLEMING_PART_NONE);
    CHECK(heard.encoded == 1 && heard.prefilled == facts.prompt_tokens);
    CHECK(facts.image_tokens > 0 && facts.image_tokens < facts.prompt_tokens && facts.completion_tokens > 0);
    CHECK(facts.vision_ms > 0 && facts.prefill_ms > 0 && facts.first_token_ms > 0 && facts.decode_ms > 0);
    CHECK(facts.frame_count == 1);
    OK(fleming_reply_frame(reply, 0, &frame));
    CHECK(frame.modality == FLEMING_MODALITY_IMAGE && frame.tiles == 1 && strcmp(frame.source, image) == 0);
    strcpy(answer, facts.answer);
    fleming_reply_free(reply);
    fleming_request_free(request);

    // The same picture as bytes has the same answer, from memory.
    OK(fleming_request_new("Is there a nodule, and on which side?", &request));
    study.name = "upload";
    OK(fleming_request_bytes(request, FLEMING_MODALITY_IMAGE, bytes, size, &study));
    memset(bytes, 0, size);
    OK(fleming_engine_ask(engine, request, NULL, &reply));
    OK(fleming_reply_read(reply, &facts));
    OK(fleming_reply_frame(reply, 0, &frame));
    CHECK(strcmp(facts.answer, answer) == 0 && facts.cached_tokens > 0 && strcmp(frame.source, "upload") == 0);
    fleming_reply_free(reply);

    // A second turn, held to a choice.
    {
        const char *choices[] = {"yes", "no"};
        fleming_request_free(request);
        OK(fleming_request_new("Sure?", &request));
        OK(fleming_request_bytes(request, FLEMING_MODALITY_IMAGE, bytes, 0, NULL));
        CHECK(fleming_engine_ask(engine, request, NULL, &reply) == FLEMING_STATUS_INPUT);
        fleming_request_free(request);
        OK(fleming_request_new("Sure?", &request));
        OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
        OK(fleming_request_turn(request, "<image>\nIs there a nodule, and on which side?", answer));
        options.on_event = NULL;
        options.choices = choices;
        options.choice_count = 2;
        OK(fleming_engine_ask(engine, request, &options, &reply));
        OK(fleming_reply_read(reply, &facts));
        CHECK(strcmp(facts.answer, "yes") == 0 || strcmp(facts.answer, "no") == 0);
        fleming_reply_free(reply);
        options.choices = NULL;
        options.choice_count = 0;
        options.instruction = "";
        options.json_schema = "{\"type\": \"boolean\"}";
        OK(fleming_engine_ask(engine, request, &options, &reply));
        OK(fleming_reply_read(reply, &facts));
        CHECK(strcmp(facts.answer, "true") == 0 || strcmp(facts.answer, "false") == 0);
        CHECK(facts.thought == NULL);
        fleming_reply_free(reply);
    }
    fleming_request_free(request);
    free(bytes);
}

static void pending_answers(fleming_engine *engine, const char *image, const char *answer) {
    fleming_request *request = NULL;
    fleming_pending *pending[2] = {NULL, NULL};
    fleming_reply *reply = NULL;
    fleming_status status;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    static struct heard heard;

    options.on_event = on_event;
    options.user_data = &heard;
    OK(fleming_request_new("Is there a nodule, and on which side?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    options.speculation = 4;
    OK(fleming_engine_submit(engine, request, &options, &pending[0]));
    OK(fleming_engine_submit(engine, request, NULL, &pending[1]));
    fleming_request_free(request);
    OK(fleming_pending_cancel(pending[1]));
    while ((status = fleming_pending_wait(pending[0], 1, &reply)) == FLEMING_STATUS_PENDING) CHECK(reply == NULL);
    CHECK(status == FLEMING_STATUS_OK);
    OK(fleming_reply_read(reply, &facts));
    CHECK(strcmp(facts.answer, answer) == 0 && strstr(heard.answer, answer) != NULL);
    fleming_reply_free(reply);
    OK(fleming_pending_wait(pending[1], -1, &reply));
    OK(fleming_reply_read(reply, &facts));
    CHECK(facts.finish == FLEMING_FINISH_CANCELLED);
    fleming_reply_free(reply);
    fleming_pending_free(pending[0]);
    fleming_pending_free(pending[1]);
}

static void a_volume_and_a_clip(fleming_engine *engine, const char *volume, const char *video) {
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_frame_facts frame = FLEMING_FRAME_FACTS_INIT;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_study_options study = FLEMING_STUDY_OPTIONS_INIT;
    fleming_volume raw = FLEMING_VOLUME_INIT;
    static int16_t voxels[4][8][8];

    options.max_new_tokens = 2;
    study.slices = 5;
    study.window = "wide";
    study.options = "{\"slices\": 9, \"axis\": 0}";
    raw.name = "scanner";
    raw.voxels = voxels;
    raw.voxel = FLEMING_VOXEL_INT16;
    raw.depth = 4;
    raw.height = raw.width = 8;
    raw.spacing_mm[0] = 5;
    raw.spacing_mm[1] = raw.spacing_mm[2] = 0.5;
    raw.window_center = 40;
    raw.window_width = 400;
    raw.slices = 2;
    OK(fleming_request_new("What differs?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_VOLUME, volume, &study));
    OK(fleming_request_volume(request, &raw));
    study.slices = 0;
    study.window = study.options = NULL;
    study.frames = 2;
    OK(fleming_request_file(request, FLEMING_MODALITY_VIDEO, video, &study));
    OK(fleming_engine_ask(engine, request, &options, &reply));
    OK(fleming_reply_read(reply, &facts));
    CHECK(facts.frame_count == 9 && facts.finish == FLEMING_FINISH_LENGTH && facts.completion_tokens == 2);
    CHECK(facts.truncated == FLEMING_PART_THOUGHT && strlen(facts.warnings) > 0);
    OK(fleming_reply_frame(reply, 4, &frame));
    CHECK(frame.modality == FLEMING_MODALITY_VOLUME && frame.study == 0 && frame.index == 31);
    CHECK(frame.spacing_mm[0] == 0 && frame.window_low == -1000 && frame.window_high == 1000);
    OK(fleming_reply_frame(reply, 6, &frame));
    CHECK(frame.study == 1 && frame.index == 3 && strcmp(frame.source, "scanner") == 0);
    CHECK(frame.window_low == -160 && frame.window_high == 240);
    CHECK(frame.spacing_mm[0] == 5 && frame.spacing_mm[1] == 0.5 && frame.spacing_mm[2] == 0.5);
    OK(fleming_reply_frame(reply, 8, &frame));
    CHECK(frame.modality == FLEMING_MODALITY_VIDEO && frame.study == 2 && frame.index > 0 && frame.seconds > 0);
    fleming_reply_free(reply);
    fleming_request_free(request);
}

static void pictures_alone(fleming_engine *engine, const char *image) {
    fleming_request *request = NULL;
    fleming_embeddings *embeddings = NULL;
    fleming_embeddings_facts facts = FLEMING_EMBEDDINGS_FACTS_INIT;
    double sum = 0;
    size_t place;

    OK(fleming_request_new("", &request));
    CHECK(fleming_engine_embed(engine, request, NULL, &embeddings) == FLEMING_STATUS_REQUEST);
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_engine_embed(engine, request, NULL, &embeddings));
    OK(fleming_embeddings_read(embeddings, &facts));
    CHECK(facts.tiles == 1 && facts.tokens > 0 && facts.hidden > 0);
    for (place = 0; place < facts.tiles * facts.tokens * facts.hidden; ++place) sum += facts.values[place] * facts.values[place];
    CHECK(sum > 0);
    fleming_embeddings_free(embeddings);
    fleming_request_free(request);
}

static void a_session(fleming_engine *engine, const char *package, const char *image, const char *file) {
    fleming_engine *later = NULL;
    fleming_request *request = NULL;
    fleming_reply *reply = NULL, *again = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT, facts_again = FLEMING_REPLY_FACTS_INIT;

    OK(fleming_request_new("Is there a nodule, and on which side?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_engine_ask(engine, request, NULL, &reply));
    OK(fleming_engine_save_session(engine, reply, file));
    OK(fleming_engine_open(package, NULL, &later));
    OK(fleming_engine_load_session(later, file));
    OK(fleming_engine_ask(later, request, NULL, &again));
    OK(fleming_reply_read(reply, &facts));
    OK(fleming_reply_read(again, &facts_again));
    CHECK(facts_again.cached_tokens > 0 && strcmp(facts.text, facts_again.text) == 0);
    fleming_reply_free(reply);
    fleming_reply_free(again);
    fleming_request_free(request);
    fleming_engine_free(later);
}

int main(int argc, char **argv) {
    fleming_engine *engine = NULL;
    fleming_memory memory = FLEMING_MEMORY_INIT;
    fleming_engine_facts facts = FLEMING_ENGINE_FACTS_INIT;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    static char answer[4096];

    CHECK(argc == 6);
    CHECK(strcmp(fleming_version(), FLEMING_VERSION) == 0 && strstr(fleming_build(), FLEMING_VERSION) != NULL);
    options.slots = 2;
    options.log = on_log;
    options.log_user_data = &logged;
    options.log_level = FLEMING_LOG_LEVEL_INFO;
    OK(fleming_package_memory(argv[1], &options, &memory));
    CHECK(memory.weights > 0 && memory.slots > 0);
    CHECK(memory.total == memory.weights + memory.slots + memory.image_cache + memory.work);
    OK(fleming_engine_open(argv[1], &options, &engine));
    CHECK(logged > 0);
    OK(fleming_engine_read(engine, &facts));
    CHECK(facts.memory == memory.total && strlen(facts.digest) == 64 && strcmp(facts.precision, "f32") == 0);
    CHECK(strstr(facts.onnxruntime, "libonnxruntime") != NULL && facts.tile_size > 0);
    an_image(engine, argv[2], answer);
    pending_answers(engine, argv[2], answer);
    a_volume_and_a_clip(engine, argv[3], argv[4]);
    pictures_alone(engine, argv[2]);
    a_session(engine, argv[1], argv[2], argv[5]);
    fleming_engine_free(engine);
    puts(answer);
    return 0;
}
