// What a program is told: sizes of structs that are none, fields by their names, paths that are empty, how far loading is, what
// a follow-up reads anew, and 0 where it is not the default. told PACKAGE IMAGE, with the demo model.

#include "check.h"

static int among(size_t size, const size_t *known) {
    for (; *known != 0; ++known) {
        if (size == *known) return 1;
    }
    return 0;
}

// A struct of options has a size of an edition of the header, or is one of a later edition.
static void every_size_of_options(const char *package, fleming_engine *engine) {
    static const size_t engine_sizes[] = {offsetof(fleming_engine_options, on_load), sizeof(fleming_engine_options), 0};
    static const size_t ask_sizes[] = {offsetof(fleming_ask_options, scope), sizeof(fleming_ask_options), 0};
    struct {
        fleming_engine_options known;
        uint64_t later[4];
    } setup = {FLEMING_ENGINE_OPTIONS_INIT, {0, 0, 0, 0}};
    struct {
        fleming_ask_options known;
        uint64_t later[4];
    } ask = {FLEMING_ASK_OPTIONS_INIT, {0, 0, 0, 0}};
    fleming_request *request = NULL;
    fleming_memory memory = FLEMING_MEMORY_INIT;
    fleming_token_count count = FLEMING_TOKEN_COUNT_INIT;
    size_t size;

    OK(fleming_request_new("Why?", &request));
    for (size = 0; size <= sizeof setup; ++size) {
        const int later = size > sizeof setup.known && size % sizeof(size_t) == 0;
        setup.known.struct_size = size;
        if (later || among(size, engine_sizes)) {
            OK(fleming_package_memory(package, &setup.known, &memory));
        } else {
            REFUSED(fleming_package_memory(package, &setup.known, &memory));
            SAYS("fleming_engine_options.struct_size: wanted 152 or 168, or more, a multiple of 8");
        }
    }
    for (size = 0; size <= sizeof ask; ++size) {
        const int later = size > sizeof ask.known && size % sizeof(size_t) == 0;
        ask.known.struct_size = size;
        if (later || among(size, ask_sizes)) {
            OK(fleming_engine_count_tokens(engine, request, &ask.known, &count));
        } else {
            REFUSED(fleming_engine_count_tokens(engine, request, &ask.known, &count));
        }
    }
    fleming_request_free(request);
}

// Of facts, as much is written as the caller's struct has, and nothing behind it is read or written.
static void every_size_of_facts(fleming_engine *engine) {
    static const size_t editions[] = {offsetof(fleming_engine_facts, provider), offsetof(fleming_engine_facts, instruction),
                                      sizeof(fleming_engine_facts), 0};
    struct {
        fleming_engine_facts known;
        uint64_t later[4];
    } facts;
    const unsigned char *bytes = (const unsigned char *)&facts;
    size_t size, place, end;

    for (size = 0; size <= sizeof facts; ++size) {
        const int later = size > sizeof facts.known && size % sizeof(size_t) == 0;
        memset(&facts, 0xa5, sizeof facts);
        facts.known.struct_size = size;
        if (later || among(size, editions)) {
            OK(fleming_engine_read(engine, &facts.known));
            CHECK(facts.known.struct_size == size && facts.known.memory > 0 && strlen(facts.known.package) > 0);
            end = size < sizeof facts.known ? size : sizeof facts.known;
        } else {
            REFUSED(fleming_engine_read(engine, &facts.known));
            end = sizeof facts.known.struct_size;
        }
        for (place = end; place < sizeof facts; ++place) CHECK(bytes[place] == 0xa5);
    }
}

// Failures name the fields of the header.
static void fields_are_named(const char *package, fleming_engine *engine) {
    static const char *stops[65];
    static const char *settings[] = {"abacus=1"};
    static const char *choices[] = {"yes", ""};
    static const float bias = 1;
    static const uint32_t id = UINT32_MAX;
    fleming_ask_options ask;
    fleming_engine_options setup;
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_engine *none = NULL;
    fleming_error_facts facts = FLEMING_ERROR_FACTS_INIT;
    size_t place;

#define NAMES(call, name)                                                                       \
    do {                                                                                        \
        CHECK((call) == FLEMING_STATUS_REQUEST);                                                \
        OK(fleming_last_error_read(&facts));                                                    \
        CHECK(strcmp(facts.thing, (name)) == 0);                                                \
        CHECK(strncmp(facts.message, (name), strlen(name)) == 0 && strstr(facts.hint, "--") == NULL); \
    } while (0)
#define ASKED(field, value, name)                                             \
    do {                                                                      \
        ask = (fleming_ask_options)FLEMING_ASK_OPTIONS_INIT;                  \
        ask.field = (value);                                                  \
        NAMES(fleming_engine_ask(engine, request, &ask, &reply), name);       \
    } while (0)
#define OPENED(field, value)                                                  \
    do {                                                                      \
        setup = (fleming_engine_options)FLEMING_ENGINE_OPTIONS_INIT;          \
        setup.field = (value);                                                \
        NAMES(fleming_engine_open(package, &setup, &none), #field);           \
    } while (0)

    for (place = 0; place < sizeof stops / sizeof *stops; ++place) stops[place] = ".";
    OK(fleming_request_new("Why?", &request));
    ASKED(max_new_tokens, SIZE_MAX - 1, "max_new_tokens");
    ASKED(max_thinking_tokens, SIZE_MAX - 1, "max_thinking_tokens");
    ASKED(max_tiles, 1000, "max_tiles");
    ASKED(repetition_penalty, -1, "repetition_penalty");
    ASKED(frequency_penalty, -9, "frequency_penalty");
    ASKED(top_p, 2, "top_p");
    ask = (fleming_ask_options)FLEMING_ASK_OPTIONS_INIT;
    ask.stops = stops;
    ask.stop_count = sizeof stops / sizeof *stops;
    NAMES(fleming_engine_ask(engine, request, &ask, &reply), "stops");
    ask.stop_count = 1;
    stops[0] = "";
    NAMES(fleming_engine_ask(engine, request, &ask, &reply), "stops");
    ask = (fleming_ask_options)FLEMING_ASK_OPTIONS_INIT;
    ask.choices = choices;
    ask.choice_count = 2;
    NAMES(fleming_engine_ask(engine, request, &ask, &reply), "choices");
    ask = (fleming_ask_options)FLEMING_ASK_OPTIONS_INIT;
    ask.json_schema = "[";
    NAMES(fleming_engine_ask(engine, request, &ask, &reply), "json_schema");
    ask = (fleming_ask_options)FLEMING_ASK_OPTIONS_INIT;
    ask.bias_ids = &id;
    ask.biases = &bias;
    ask.bias_count = 1;
    NAMES(fleming_engine_ask(engine, request, &ask, &reply), "biases");
    ask = (fleming_ask_options)FLEMING_ASK_OPTIONS_INIT;
    ask.logprobs = 1;
    ask.top_logprobs = 1000;
    NAMES(fleming_engine_ask(engine, request, &ask, &reply), "top_logprobs");
    OPENED(image_cache, UINT64_MAX - 1);
    OPENED(max_pixels, UINT64_MAX);
    OPENED(max_declared_frames, UINT64_MAX);
    setup = (fleming_engine_options)FLEMING_ENGINE_OPTIONS_INIT;
    setup.provider_options = settings;
    setup.provider_option_count = 1;
    NAMES(fleming_engine_open(package, &setup, &none), "provider_options abacus");
    CHECK(reply == NULL && none == NULL);
    fleming_request_free(request);
}

// A hint that names an option of the command line names the field here.
static void hints_name_fields(const char *package, const char *image) {
    fleming_engine *engine = NULL;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;

    options.max_pixels = 100;
    OK(fleming_engine_open(package, &options, &engine));
    OK(fleming_request_new("Why?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    CHECK(fleming_engine_ask(engine, request, NULL, &reply) == FLEMING_STATUS_INPUT);
    CHECK(strstr(fleming_last_error_hint(), "raise max_pixels") != NULL);
    fleming_request_free(request);
    fleming_engine_free(engine);
}

static void empty_paths(void) {
    fleming_engine *none = NULL;
    fleming_request *request = NULL;
    fleming_memory memory = FLEMING_MEMORY_INIT;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;

    REFUSED(fleming_engine_open("", NULL, &none));
    SAYS("package: wanted a path, got an empty text");
    REFUSED(fleming_package_memory("", NULL, &memory));
    OK(fleming_request_new("Why?", &request));
    REFUSED(fleming_request_file(request, FLEMING_MODALITY_IMAGE, "", NULL));
    SAYS("file: wanted a path, got an empty text");
    fleming_request_free(request);
    options.engine_cache = "";
    REFUSED(fleming_engine_open("nowhere", &options, &none));
    SAYS("engine_cache: wanted a path");
    CHECK(none == NULL);
}

struct loading {
    int heard, last;
    uint64_t done, total;
};

static int32_t on_load(void *user_data, uint64_t done, uint64_t total) {
    struct loading *loading = user_data;
    CHECK(done <= total && done >= loading->done && (loading->total == 0 || total == loading->total));
    loading->done = done;
    loading->total = total;
    ++loading->heard;
    return total > 0 && done == total && loading->last;
}

// Every byte of the package is checked, and the last is told, however quick it was.
static void loading_is_told(const char *package) {
    struct loading loading = {0, 0, 0, 0};
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_engine *engine = NULL;
    fleming_memory memory = FLEMING_MEMORY_INIT;

    OK(fleming_package_memory(package, NULL, &memory));
    options.on_load = on_load;
    options.load_user_data = &loading;
    OK(fleming_engine_open(package, &options, &engine));
    fleming_engine_free(engine);
    engine = NULL;
    CHECK(loading.heard >= 2 && loading.total > memory.weights / 2 && loading.done == loading.total);
    // Ended, in the end: it was loading, and no request.
    memset(&loading, 0, sizeof loading);
    loading.last = 1;
    CHECK(fleming_engine_open(package, &options, &engine) == FLEMING_STATUS_CANCELLED && engine == NULL);
    SAYS("loading: wanted time to finish, got a cancel by the caller");
}

// What a follow-up reads anew: nothing of the study, if its turns are what was sent and what came back.
static void a_follow_up_is_remembered(fleming_engine *engine, const char *image) {
    static const char *question = "Is there a nodule, and on which side?";
    fleming_engine_facts loaded = FLEMING_ENGINE_FACTS_INIT;
    fleming_ask_options ask = FLEMING_ASK_OPTIONS_INIT;
    fleming_request *request = NULL;
    fleming_reply *first = NULL, *next = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT, after = FLEMING_REPLY_FACTS_INIT;
    char asked[4096];
    const char *kept[2];
    int way;

    OK(fleming_engine_read(engine, &loaded));
    CHECK(strlen(loaded.instruction) > 20);
    OK(fleming_request_new(question, &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_engine_ask(engine, request, NULL, &first));
    fleming_request_free(request);
    OK(fleming_reply_read(first, &facts));
    CHECK(facts.thought != NULL && strstr(facts.text, facts.thought) != NULL);
    // Studies before the last question; as they were sent, with the answer alone, and with the thought.
    for (way = 0; way < 3; ++way) {
        snprintf(asked, sizeof asked, "%s\n%s%s", loaded.instruction, way == 0 ? "" : "<image>\n", question);
        kept[0] = facts.answer;
        kept[1] = facts.text;
        OK(fleming_request_new("Is there a device?", &request));
        OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
        OK(fleming_request_turn(request, asked, kept[way == 2]));
        ask.max_new_tokens = 1;
        OK(fleming_engine_ask(engine, request, &ask, &next));
        OK(fleming_reply_read(next, &after));
        if (way == 0) CHECK(after.cached_tokens < facts.prompt_tokens);
        if (way > 0) CHECK(after.cached_tokens >= facts.prompt_tokens);
        fleming_reply_free(next);
        fleming_request_free(request);
        // The slot holds the follow-up now: the first conversation again.
        fleming_reply_free(first);
        OK(fleming_request_new(question, &request));
        OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
        OK(fleming_engine_ask(engine, request, NULL, &first));
        OK(fleming_reply_read(first, &facts));
        fleming_request_free(request);
    }
    fleming_reply_free(first);
}

// 0 is the default of every option; of two, it is another value too.
static void zero_is_said(const char *package, const char *image) {
    fleming_engine *engine = NULL;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_engine_facts held = FLEMING_ENGINE_FACTS_INIT;
    fleming_ask_options ask = FLEMING_ASK_OPTIONS_INIT;
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    size_t thinking[3], limit;
    static const size_t limits[] = {0, FLEMING_ZERO, 3};

    options.image_cache = FLEMING_ZERO;
    OK(fleming_engine_open(package, &options, &engine));
    OK(fleming_request_new("Is there a nodule, and on which side?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    for (limit = 0; limit < 3; ++limit) {
        ask.max_thinking_tokens = limits[limit];
        OK(fleming_engine_ask(engine, request, &ask, &reply));
        OK(fleming_reply_read(reply, &facts));
        CHECK((facts.thought != NULL && strlen(facts.thought) == 0) == (limits[limit] == FLEMING_ZERO));
        thinking[limit] = facts.thinking_tokens;
        fleming_reply_free(reply);
    }
    CHECK(thinking[1] < thinking[2] && thinking[2] < thinking[0]);
    OK(fleming_engine_read(engine, &held));
    CHECK(held.image_bytes == 0);
    fleming_request_free(request);
    fleming_engine_free(engine);
}

int main(int argc, char **argv) {
    fleming_engine *engine = NULL;

    CHECK(argc == 3);
    OK(fleming_engine_open(argv[1], NULL, &engine));
    every_size_of_options(argv[1], engine);
    every_size_of_facts(engine);
    fields_are_named(argv[1], engine);
    a_follow_up_is_remembered(engine, argv[2]);
    fleming_engine_free(engine);
    hints_name_fields(argv[1], argv[2]);
    empty_paths();
    loading_is_told(argv[1]);
    zero_is_said(argv[1], argv[2]);
    puts("told");
    return 0;
}
