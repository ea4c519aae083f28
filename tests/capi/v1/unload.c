// A host that loads the library, works with it, closes it and loads it again. unload LIBRARY PACKAGE

#define _DEFAULT_SOURCE
#include <dlfcn.h>
#include <fleming.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                \
    do {                                                                \
        if (!(condition)) {                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                    \
        }                                                               \
    } while (0)

// ISO C has no cast from an object to a function.
static void find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    CHECK(found != NULL);
    memcpy(function, &found, sizeof found);
}

static void once(const char *path, const char *package) {
    fleming_status (*open)(const char *, const fleming_engine_options *, fleming_engine **);
    fleming_status (*new)(const char *, fleming_request **);
    fleming_status (*ask)(const fleming_engine *, const fleming_request *, const fleming_ask_options *,
                          fleming_reply **);
    void (*engine_free)(fleming_engine *), (*request_free)(fleming_request *), (*reply_free)(fleming_reply *);
    fleming_engine *engine = NULL;
    fleming_request *request = NULL;
    fleming_reply *reply = NULL;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    CHECK(library != NULL);
    find(library, "fleming_engine_open", &open);
    find(library, "fleming_request_new", &new);
    find(library, "fleming_engine_ask", &ask);
    find(library, "fleming_engine_free", &engine_free);
    find(library, "fleming_request_free", &request_free);
    find(library, "fleming_reply_free", &reply_free);
    options.max_new_tokens = 4;
    CHECK(open("nowhere", NULL, &engine) == FLEMING_STATUS_PACKAGE);
    CHECK(open(package, NULL, &engine) == FLEMING_STATUS_OK);
    CHECK(new("What is CT?", &request) == FLEMING_STATUS_OK);
    CHECK(ask(engine, request, &options, &reply) == FLEMING_STATUS_OK);
    reply_free(reply);
    request_free(request);
    engine_free(engine);
    CHECK(dlclose(library) == 0);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    once(argv[1], argv[2]);
    once(argv[1], argv[2]);
    puts("closed twice");
    return 0;
}
