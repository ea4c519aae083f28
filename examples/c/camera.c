/* A host that has its own pictures: it takes frames from a camera in a loop, and now and then asks about the last few, without
 * holding the loop up. The camera here is drawn: a bright disc moves across the picture. camera PACKAGE FRAMES */

#include <fleming.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 256, HEIGHT = 256, ROW = WIDTH * 3 + 64, LAST = 4, EVERY = 8 };

/* A frame as a driver gives it: rows with a gap, and a time. */
struct frame {
    uint8_t pixels[HEIGHT * ROW];
    double seconds;
};

static void take(struct frame *frame, int number) {
    int x, y, middle = (number * 24) % WIDTH;
    memset(frame->pixels, 16, sizeof frame->pixels);
    for (y = 0; y < HEIGHT; ++y)
        for (x = 0; x < WIDTH; ++x)
            if ((x - middle) * (x - middle) + (y - HEIGHT / 2) * (y - HEIGHT / 2) < 40 * 40)
                memset(frame->pixels + y * ROW + x * 3, 230, 3);
    frame->seconds = number / 10.0;
}

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n%s\n", what, fleming_last_error_message(), fleming_last_error_hint());
    return 1;
}

/* Hands the last frames in, oldest first; they are copied, and the buffers are the camera's again. */
static int hand_in(fleming_engine *engine, struct frame *const *last, fleming_pending **pending) {
    const uint8_t *pointers[LAST];
    double seconds[LAST];
    fleming_frames frames = FLEMING_FRAMES_INIT;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_request *request = NULL;
    fleming_status status;
    int place;
    for (place = 0; place < LAST; ++place) {
        pointers[place] = last[place]->pixels;
        seconds[place] = last[place]->seconds;
    }
    frames.name = "camera";
    frames.frames = pointers;
    frames.seconds = seconds;
    frames.count = LAST;
    frames.width = WIDTH;
    frames.height = HEIGHT;
    frames.row_bytes = ROW;
    frames.modality = FLEMING_MODALITY_VIDEO;
    options.max_new_tokens = 32;
    if ((status = fleming_request_new("What moves?", &request)) == FLEMING_STATUS_OK
        && (status = fleming_request_frames(request, &frames)) == FLEMING_STATUS_OK)
        status = fleming_engine_submit(engine, request, &options, pending);
    fleming_request_free(request);
    return status == FLEMING_STATUS_OK ? 0 : failed("submit");
}

/* Looks whether the answer is there, for at most so many milliseconds. */
static int look(fleming_pending **pending, int64_t milliseconds, int *answers) {
    fleming_reply *reply = NULL;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_status status = fleming_pending_wait(*pending, milliseconds, &reply);
    if (status == FLEMING_STATUS_PENDING) return 0;
    if (status == FLEMING_STATUS_OK) status = fleming_reply_read(reply, &facts);
    if (status == FLEMING_STATUS_OK) {
        printf("%u frames: %s\n", (unsigned)facts.frame_count, *facts.answer != '\0' ? facts.answer : facts.text);
        ++*answers;
    }
    fleming_reply_free(reply);
    fleming_pending_free(*pending);
    *pending = NULL;
    return status == FLEMING_STATUS_OK ? 0 : failed("answer");
}

int main(int argc, char **argv) {
    static struct frame ring[LAST];
    struct frame *last[LAST];
    fleming_engine *engine = NULL;
    fleming_pending *pending = NULL;
    int number, place, dropped = 0, answers = 0, code = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: %s PACKAGE FRAMES\n", argv[0]);
        return 2;
    }
    if (fleming_engine_open(argv[1], NULL, &engine) != FLEMING_STATUS_OK) return failed("open");
    for (number = 0; number < atoi(argv[2]) && code == 0; ++number) {
        take(&ring[number % LAST], number);
        if (pending != NULL) code = look(&pending, 0, &answers);
        if (number % EVERY != EVERY - 1 || code != 0) continue;
        if (pending != NULL) {
            ++dropped; /* the model is slower than the camera: this moment is let go */
            continue;
        }
        for (place = 0; place < LAST; ++place) last[place] = &ring[(number + 1 + place) % LAST];
        code = hand_in(engine, last, &pending);
    }
    if (pending != NULL && code == 0) code = look(&pending, -1, &answers);
    printf("%d answers, %d moments let go\n", answers, dropped);
    fleming_pending_free(pending);
    fleming_engine_free(engine);
    return code;
}
