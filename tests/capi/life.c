// The life of a process: log without an engine, loading that is heard and ended, facts, sessions in memory, a report of the
// machine, the end of everything. life PACKAGE IMAGE

#include "check.h"

#include <unistd.h>

struct lines {
    int count, levels;
};

static void on_log(void *user_data, int32_t level, const char *message) {
    struct lines *lines = user_data;
    CHECK(level >= FLEMING_LOG_LEVEL_ERROR && level <= FLEMING_LOG_LEVEL_TRACE && strlen(message) > 0);
    ++lines->count;
    if (level > lines->levels) lines->levels = level;
}

static void the_process_has_a_log(const char *package) {
    static struct lines first, second;
    fleming_engine *engine = NULL;
    int before;

    OK(fleming_log(on_log, &first, FLEMING_LOG_LEVEL_INFO));
    OK(fleming_engine_open(package, NULL, &engine));
    CHECK(first.count > 0 && first.levels == FLEMING_LOG_LEVEL_INFO);
    fleming_engine_free(engine);
    // Another takes its place, at another level; then nobody hears anything.
    before = first.count;
    OK(fleming_log(on_log, &second, FLEMING_LOG_LEVEL_DEBUG));
    OK(fleming_engine_open(package, NULL, &engine));
    fleming_engine_free(engine);
    CHECK(first.count == before && second.levels == FLEMING_LOG_LEVEL_DEBUG);
    OK(fleming_log(NULL, NULL, 0));
    before = second.count;
    OK(fleming_engine_open(package, NULL, &engine));
    fleming_engine_free(engine);
    CHECK(second.count == before);
    REFUSED(fleming_log(on_log, &first, 9));
}

struct loading {
    int heard, stop_at;
    uint64_t done;
};

static int32_t on_load(void *user_data, uint64_t done, uint64_t total) {
    struct loading *loading = user_data;
    CHECK(done <= total && done >= loading->done);
    loading->done = done;
    return ++loading->heard == loading->stop_at;
}

static void loading_is_heard_and_ended(const char *package) {
    struct loading loading = {0, 0, 0};
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_engine *engine = NULL;

    options.on_load = on_load;
    options.load_user_data = &loading;
    OK(fleming_engine_open(package, &options, &engine));
    fleming_engine_free(engine);
    engine = NULL;
    CHECK(loading.heard >= 1);
    loading.heard = 0;
    loading.done = 0;
    loading.stop_at = 1;
    CHECK(fleming_engine_open(package, &options, &engine) == FLEMING_STATUS_CANCELLED);
    CHECK(loading.heard >= 1 && engine == NULL);
    loading.stop_at = 0;
    CHECK(fleming_engine_open("nowhere", &options, &engine) == FLEMING_STATUS_PACKAGE);
}

static void errors_have_facts(void) {
    fleming_error_facts facts = FLEMING_ERROR_FACTS_INIT;
    fleming_engine *engine = NULL;

    OK(fleming_last_error_read(&facts));
    CHECK(facts.status == FLEMING_STATUS_OK && strcmp(facts.message, "") == 0);
    CHECK(fleming_engine_open("no\nwhere", NULL, &engine) == FLEMING_STATUS_PACKAGE);
    OK(fleming_last_error_read(&facts));
    CHECK(facts.status == FLEMING_STATUS_PACKAGE && strstr(facts.thing, "where") != NULL);
    CHECK(strcmp(facts.wanted, "a package's manifest") == 0 && strlen(facts.got) > 0 && strlen(facts.hint) > 0);
    CHECK(strcmp(facts.message, fleming_last_error_message()) == 0);
    CHECK(strcmp(facts.hint, fleming_last_error_hint()) == 0 && strstr(facts.message, facts.got) != NULL);
    REFUSED(fleming_last_error_read(NULL));
    OK(fleming_last_error_read(&facts));
    CHECK(facts.status == FLEMING_STATUS_ARGUMENT && strcmp(facts.got, "NULL") == 0);
}

static void numbers_have_names(void) {
    static const int statuses[] = {0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102};
    size_t place, other;
    for (place = 0; place < sizeof statuses / sizeof *statuses; ++place) {
        const char *name = fleming_status_name(statuses[place]);
        CHECK(strcmp(name, "unknown") != 0 && strlen(fleming_status_text(statuses[place])) > 4);
        for (other = 0; other < place; ++other) CHECK(strcmp(name, fleming_status_name(statuses[other])) != 0);
    }
    CHECK(strcmp(fleming_status_name(FLEMING_STATUS_TIMED_OUT), "timed-out") == 0);
    CHECK(strcmp(fleming_status_name(-1), "unknown") == 0 && strlen(fleming_status_text(99)) > 0);
    CHECK(fleming_version_number() == FLEMING_VERSION_NUMBER);
    CHECK(FLEMING_VERSION_NUMBER == FLEMING_VERSION_MAJOR * 10000 + FLEMING_VERSION_MINOR * 100 + FLEMING_VERSION_PATCH);
#if FLEMING_VERSION_NUMBER < 100
#error "FLEMING_VERSION_NUMBER is for #if"
#endif
}

static void reports(const char *package) {
    fleming_buffer *report = NULL;
    fleming_buffer_facts facts = FLEMING_BUFFER_FACTS_INIT;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;

    OK(fleming_doctor(NULL, NULL, &report));
    OK(fleming_buffer_read(report, &facts));
    CHECK(strlen(facts.data) == facts.size && facts.data[0] == '{');
    CHECK(strstr(facts.data, "\"providers\":[{") != NULL && strstr(facts.data, "\"name\":\"cpu\"") != NULL);
    CHECK(strstr(facts.data, "\"gpus\":[") != NULL && strstr(facts.data, "\"ok\":true") != NULL);
    CHECK(strstr(facts.data, "\"self_test\"") == NULL);
    fleming_buffer_free(report);
    OK(fleming_doctor(package, NULL, &report));
    OK(fleming_buffer_read(report, &facts));
    CHECK(strstr(facts.data, "\"self_test\":{") != NULL && strstr(facts.data, "\"ok\":true") != NULL);
    fleming_buffer_free(report);
    options.provider = "abacus";
    OK(fleming_doctor("nowhere", &options, &report));
    OK(fleming_buffer_read(report, &facts));
    CHECK(strstr(facts.data, "\"ok\":false") != NULL && strstr(facts.data, "abacus") != NULL);
    fleming_buffer_free(report);
    REFUSED(fleming_doctor(NULL, NULL, NULL));
    REFUSED(fleming_buffer_read(NULL, &facts));
}

static fleming_reply *asked(fleming_engine *engine, fleming_request *request, fleming_reply_facts *facts) {
    fleming_reply *reply = NULL;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    options.max_new_tokens = 6;
    OK(fleming_engine_ask(engine, request, &options, &reply));
    OK(fleming_reply_read(reply, facts));
    return reply;
}

static void a_session_in_memory(const char *package, fleming_request *request) {
    fleming_engine *engine = NULL, *later = NULL;
    fleming_reply *reply, *again;
    fleming_buffer *session = NULL;
    fleming_buffer_facts bytes = FLEMING_BUFFER_FACTS_INIT;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT, facts_again = FLEMING_REPLY_FACTS_INIT;

    OK(fleming_engine_open(package, NULL, &engine));
    OK(fleming_engine_open(package, NULL, &later));
    reply = asked(engine, request, &facts);
    OK(fleming_engine_save_session_bytes(engine, reply, &session));
    OK(fleming_buffer_read(session, &bytes));
    CHECK(bytes.size > 100 && memcmp(bytes.data, "fleming", 8) == 0);
    OK(fleming_engine_load_session_bytes(later, bytes.data, bytes.size));
    again = asked(later, request, &facts_again);
    CHECK(strcmp(facts.text, facts_again.text) == 0 && facts.cached_tokens == 0 && facts_again.cached_tokens > 0);
    CHECK(fleming_engine_load_session_bytes(later, bytes.data, bytes.size - 1) == FLEMING_STATUS_INPUT);
    CHECK(fleming_engine_load_session_bytes(later, "", 0) == FLEMING_STATUS_INPUT);
    REFUSED(fleming_engine_load_session_bytes(later, NULL, 8));
    REFUSED(fleming_engine_save_session_bytes(engine, NULL, &session));
    REFUSED(fleming_engine_save_session_bytes(engine, reply, NULL));
    fleming_buffer_free(session);
    fleming_reply_free(reply);
    fleming_reply_free(again);
    fleming_engine_free(engine);
    fleming_engine_free(later);
}

static void engines_have_facts(fleming_engine *engine) {
    fleming_engine_facts facts = FLEMING_ENGINE_FACTS_INIT;
    OK(fleming_engine_read(engine, &facts));
    CHECK(strcmp(facts.provider, "cpu") == 0 && facts.slots == 2 && facts.queue == 3 && facts.threads == 1);
    CHECK(facts.chunk == 512 && facts.context > facts.tokens_per_tile && facts.alive == 1);
    CHECK(facts.preparing == 0 && facts.waiting == 0 && facts.active == 0 && facts.image_bytes == 0);
}

// Everything ends: what is under way is as far as it got, and what comes later is refused.
static void shut_down(const char *package, fleming_request *request) {
    fleming_engine *engines[2] = {NULL, NULL};
    fleming_pending *pending[4] = {NULL, NULL, NULL, NULL};
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_engine_facts state = FLEMING_ENGINE_FACTS_INIT;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_ask_options ask = FLEMING_ASK_OPTIONS_INIT;
    fleming_preview *preview = NULL;
    int number;

    options.slots = 2;
    options.queue = 3;
    options.threads = 1;
    ask.ignore_eos = 1;
    ask.max_new_tokens = 100000;
    OK(fleming_engine_open(package, &options, &engines[0]));
    engines_have_facts(engines[0]);
    OK(fleming_engine_open(package, NULL, &engines[1]));
    for (number = 0; number < 4; ++number) {
        OK(fleming_engine_submit(engines[number % 2], request, &ask, &pending[number]));
    }
    usleep(100 * 1000);
    // An engine whose answers go on.
    fleming_engine_free(engines[1]);
    fleming_shutdown();
    for (number = 0; number < 4; ++number) {
        OK(fleming_pending_wait(pending[number], 10000, &reply));
        OK(fleming_reply_read(reply, &facts));
        CHECK(facts.finish == FLEMING_FINISH_CANCELLED);
        fleming_reply_free(reply);
        fleming_pending_free(pending[number]);
    }
    CHECK(fleming_engine_submit(engines[0], request, NULL, &pending[0]) == FLEMING_STATUS_RUNTIME);
    SAYS("shut down");
    CHECK(fleming_engine_preview(engines[0], request, NULL, &preview) == FLEMING_STATUS_RUNTIME);
    OK(fleming_engine_read(engines[0], &state));
    CHECK(state.alive == 0 && state.active == 0);
    fleming_engine_free(engines[0]);
    fleming_shutdown();
    OK(fleming_engine_open(package, NULL, &engines[0]));
    reply = asked(engines[0], request, &facts);
    CHECK(facts.completion_tokens > 0);
    fleming_reply_free(reply);
    fleming_engine_free(engines[0]);
}

int main(int argc, char **argv) {
    fleming_request *request = NULL;
    CHECK(argc == 3);
    errors_have_facts();
    numbers_have_names();
    the_process_has_a_log(argv[1]);
    loading_is_heard_and_ended(argv[1]);
    reports(argv[1]);
    OK(fleming_request_new("What is shown?", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, argv[2], NULL));
    a_session_in_memory(argv[1], request);
    shut_down(argv[1], request);
    fleming_request_free(request);
    puts("lived");
    return 0;
}
