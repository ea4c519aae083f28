// Tokens: counted before, chosen otherwise, several answers from one prefill, log-probabilities. tokens PACKAGE IMAGE

#include "check.h"

enum { ANSWERS = 3, TOP = 4 };

static const char question[] = "Is there a nodule, and on which side?";

struct heard {
    char text[ANSWERS][8192];
};

static int32_t on_event(void *user_data, const fleming_event *event) {
    struct heard *heard = user_data;
    if (event->length > 0) {
        char *text = heard->text[event->answer];
        CHECK(event->answer < ANSWERS);
        strncat(text, event->text, sizeof heard->text[0] - strlen(text) - 1);
    }
    return 0;
}

static fleming_request *about(const char *image) {
    fleming_request *request = NULL;
    OK(fleming_request_new(question, &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    return request;
}

static fleming_reply *asked(fleming_engine *engine, fleming_request *request, const fleming_ask_options *options,
                            fleming_reply_facts *facts) {
    fleming_reply *reply = NULL;
    OK(fleming_engine_ask(engine, request, options, &reply));
    *facts = (fleming_reply_facts)FLEMING_REPLY_FACTS_INIT;
    OK(fleming_reply_read(reply, facts));
    return reply;
}

static void counted(fleming_engine *engine, fleming_request *request, const char *package) {
    fleming_token_count count = FLEMING_TOKEN_COUNT_INIT;
    fleming_engine_facts before = FLEMING_ENGINE_FACTS_INIT, after = FLEMING_ENGINE_FACTS_INIT;
    fleming_engine_options small = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_reply_facts facts;
    fleming_engine *narrow = NULL;
    fleming_reply *reply;

    OK(fleming_engine_read(engine, &before));
    OK(fleming_engine_count_tokens(engine, request, NULL, &count));
    OK(fleming_engine_read(engine, &after));
    CHECK(before.prefilled_tokens == after.prefilled_tokens && before.image_misses == after.image_misses);
    CHECK(count.frames == 1 && count.fits == 1 && count.context == after.context);
    CHECK(count.image_tokens == after.tokens_per_tile && count.prompt_tokens > count.image_tokens);
    CHECK(after.most_tiles == (after.context - 1) / after.tokens_per_tile);
    options.max_new_tokens = 1;
    reply = asked(engine, request, &options, &facts);
    CHECK(facts.prompt_tokens == count.prompt_tokens && facts.image_tokens == count.image_tokens);
    fleming_reply_free(reply);
    // The engine has no room for it; counting says so, and asking refuses.
    small.context = count.prompt_tokens;
    OK(fleming_engine_open(package, &small, &narrow));
    OK(fleming_engine_count_tokens(narrow, request, NULL, &count));
    CHECK(count.fits == 0 && count.context == small.context);
    reply = NULL;
    CHECK(fleming_engine_ask(narrow, request, NULL, &reply) == FLEMING_STATUS_REQUEST);
    fleming_engine_free(narrow);
}

static void log_probabilities(fleming_engine *engine, fleming_request *request) {
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_token_facts token = FLEMING_TOKEN_FACTS_INIT, next = FLEMING_TOKEN_FACTS_INIT;
    fleming_reply_facts facts;
    fleming_reply *reply;
    char text[8192] = "";
    size_t place;
    uint32_t first, second;
    float bias = 100;

    options.logprobs = 1;
    options.top_logprobs = TOP;
    reply = asked(engine, request, &options, &facts);
    CHECK(facts.logprob_count == facts.completion_tokens && facts.completion_tokens > 4);
    CHECK(facts.thinking_tokens > 0 && facts.thinking_tokens < facts.completion_tokens);
    for (place = 0; place < facts.logprob_count; ++place) {
        OK(fleming_reply_token(reply, place, 0, &token));
        CHECK(token.id == facts.completion_ids[place] && token.alternatives == TOP && token.logprob <= 0);
        CHECK(token.bytes[token.length] == '\0' && strlen(text) + token.length < sizeof text);
        strncat(text, token.bytes, token.length);
        // Greedy: the token is the likeliest, and the others follow in order.
        OK(fleming_reply_token(reply, place, 1, &next));
        CHECK(next.id == token.id && next.logprob == token.logprob);
        OK(fleming_reply_token(reply, place, 2, &next));
        CHECK(next.id != token.id && next.logprob <= token.logprob);
    }
    CHECK(strstr(text, facts.answer) != NULL);
    REFUSED(fleming_reply_token(reply, facts.logprob_count, 0, &token));
    REFUSED(fleming_reply_token(reply, 0, TOP + 1, &token));
    REFUSED(fleming_reply_token(reply, (size_t)-1, 0, &token));
    first = facts.completion_ids[0];
    OK(fleming_reply_token(reply, 0, 2, &next));
    second = next.id;
    fleming_reply_free(reply);

    // Without being asked for there are none, and the ids are there nevertheless.
    options = (fleming_ask_options)FLEMING_ASK_OPTIONS_INIT;
    options.max_new_tokens = 2;
    options.ignore_eos = 1;
    reply = asked(engine, request, &options, &facts);
    CHECK(facts.logprob_count == 0 && facts.completion_tokens == 2 && facts.completion_ids[0] == first);
    REFUSED(fleming_reply_token(reply, 0, 0, &token));
    fleming_reply_free(reply);
    // A bias makes another token the first.
    options.bias_ids = &second;
    options.biases = &bias;
    options.bias_count = 1;
    reply = asked(engine, request, &options, &facts);
    CHECK(facts.completion_ids[0] == second && second != first);
    fleming_reply_free(reply);

    reply = NULL;
    bias = 101;
    CHECK(fleming_engine_ask(engine, request, &options, &reply) == FLEMING_STATUS_REQUEST);
    SAYS("biases");
    options.biases = NULL;
    REFUSED(fleming_engine_ask(engine, request, &options, &reply));
    options = (fleming_ask_options)FLEMING_ASK_OPTIONS_INIT;
    options.top_logprobs = 1;
    REFUSED(fleming_engine_ask(engine, request, &options, &reply));
    options.logprobs = 2;
    REFUSED(fleming_engine_ask(engine, request, &options, &reply));
    options.logprobs = 1;
    options.top_logprobs = 21;
    CHECK(fleming_engine_ask(engine, request, &options, &reply) == FLEMING_STATUS_REQUEST);
}

static void several_answers(fleming_engine *engine, fleming_request *request) {
    static struct heard heard;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_pending *pending[ANSWERS] = {NULL, NULL, NULL};
    fleming_reply *reply = NULL;
    fleming_reply_facts facts, alone;
    char texts[ANSWERS][8192];
    int number;

    options.temperature = 4;
    options.max_new_tokens = 24;
    options.seed = 7;
    options.on_event = on_event;
    options.user_data = &heard;
    OK(fleming_engine_submit_all(engine, request, &options, ANSWERS, pending));
    for (number = ANSWERS - 1; number >= 0; --number) {
        OK(fleming_pending_wait(pending[number], -1, &reply));
        facts = (fleming_reply_facts)FLEMING_REPLY_FACTS_INIT;
        OK(fleming_reply_read(reply, &facts));
        strcpy(texts[number], facts.text);
        CHECK(strstr(heard.text[number], facts.answer) != NULL && strlen(heard.text[number]) > 0);
        fleming_reply_free(reply);
        fleming_pending_free(pending[number]);
    }
    CHECK(strcmp(texts[0], texts[1]) != 0 || strcmp(texts[1], texts[2]) != 0);
    // Each is what its seed gives alone.
    options.on_event = NULL;
    for (number = 0; number < ANSWERS; ++number) {
        options.seed = 7 + (uint64_t)number;
        reply = asked(engine, request, &options, &alone);
        CHECK(strcmp(alone.text, texts[number]) == 0);
        fleming_reply_free(reply);
    }
    pending[0] = NULL;
    REFUSED(fleming_engine_submit_all(engine, request, &options, 0, pending));
    REFUSED(fleming_engine_submit_all(engine, request, &options, 2, NULL));
    CHECK(fleming_engine_submit_all(engine, request, &options, 129, pending) == FLEMING_STATUS_REQUEST);
    CHECK(pending[0] == NULL);
}

// What one scope left in memory is not there for another.
static void scopes(fleming_engine *engine, fleming_request *request) {
    static const char *const scopes[] = {"one", "other", "one", NULL};
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_reply_facts facts;
    fleming_reply *reply;
    size_t cached[4];
    int number;

    options.max_new_tokens = 2;
    for (number = 0; number < 4; ++number) {
        options.scope = scopes[number];
        reply = asked(engine, request, &options, &facts);
        cached[number] = facts.cached_tokens;
        fleming_reply_free(reply);
    }
    CHECK(cached[0] == 0 && cached[1] == 0 && cached[2] > 0);
}

int main(int argc, char **argv) {
    fleming_engine *engine = NULL;
    fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
    fleming_request *request;

    CHECK(argc == 3);
    options.slots = 4;
    OK(fleming_engine_open(argv[1], &options, &engine));
    request = about(argv[2]);
    counted(engine, request, argv[1]);
    log_probabilities(engine, request);
    several_answers(engine, request);
    scopes(engine, request);
    fleming_request_free(request);
    fleming_engine_free(engine);
    puts("counted");
    return 0;
}
