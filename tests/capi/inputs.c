// Studies from memory and what the model sees of them. inputs PACKAGE IMAGE SERIES NIFTI SHEET, with the demo model; SERIES is a
// folder, and the sheet of a preview is written to SHEET.

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "check.h"

#include <dirent.h>
#include <math.h>

#define MOST_FILES 64

// The pixels that the model sees of a request, one frame behind the other.
struct seen {
    uint8_t *rgb;
    size_t size, frames;
    char warnings[4096];
};

static struct seen seen(fleming_engine *engine, fleming_request *request) {
    fleming_preview *preview = NULL;
    fleming_preview_facts facts = FLEMING_PREVIEW_FACTS_INIT;
    fleming_frame_facts frame = FLEMING_FRAME_FACTS_INIT;
    fleming_picture picture = FLEMING_PICTURE_INIT;
    struct seen all = {NULL, 0, 0, ""};
    size_t place, bytes;

    OK(fleming_engine_preview(engine, request, NULL, &preview));
    fleming_request_free(request);
    OK(fleming_preview_read(preview, &facts));
    CHECK(facts.png_size > 8 && memcmp(facts.png, "\x89PNG\r\n\x1a\n", 8) == 0);
    CHECK(facts.rgb != NULL && facts.width > 0 && facts.height > 0 && facts.frame_count > 0);
    CHECK(strlen(facts.warnings) < sizeof all.warnings);
    strcpy(all.warnings, facts.warnings);
    for (place = 0; place < facts.frame_count; ++place) {
        OK(fleming_preview_frame(preview, place, &frame, &picture));
        CHECK(frame.tiles > 0 && picture.height == picture.width * frame.tiles);
        bytes = picture.width * picture.height * 3;
        all.rgb = realloc(all.rgb, all.size + bytes);
        CHECK(all.rgb != NULL);
        memcpy(all.rgb + all.size, picture.rgb, bytes);
        all.size += bytes;
    }
    all.frames = facts.frame_count;
    REFUSED(fleming_preview_frame(preview, facts.frame_count, &frame, &picture));
    SAYS("frame_count");
    OK(fleming_preview_frame(preview, 0, NULL, &picture));
    fleming_preview_free(preview);
    return all;
}

// Frees both; they must be the same.
static void same(struct seen one, struct seen other) {
    CHECK(one.frames == other.frames && one.size == other.size && memcmp(one.rgb, other.rgb, one.size) == 0);
    free(one.rgb);
    free(other.rgb);
}

static fleming_request *about(void) {
    fleming_request *request = NULL;
    OK(fleming_request_new("What is shown?", &request));
    return request;
}

static fleming_request *of_file(int32_t modality, const char *file) {
    fleming_request *request = about();
    OK(fleming_request_file(request, modality, file, NULL));
    return request;
}

static fleming_request *of_frames(const fleming_frames *frames) {
    fleming_request *request = about();
    OK(fleming_request_frames(request, frames));
    return request;
}

static fleming_request *of_volume(const fleming_volume *volume) {
    fleming_request *request = about();
    OK(fleming_request_volume(request, volume));
    return request;
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

// One picture of the tower's size in every layout: what the model sees of it is the picture itself.
static void layouts(fleming_engine *engine, const char *image, size_t side) {
    struct seen wanted = seen(engine, of_file(FLEMING_MODALITY_IMAGE, image)), got;
    const struct {
        int32_t pixels;
        size_t bytes, order[4];
    } all[] = {
        {FLEMING_PIXELS_RGB, 3, {0, 1, 2, 0}},  {FLEMING_PIXELS_BGR, 3, {2, 1, 0, 0}},
        {FLEMING_PIXELS_RGBA, 4, {0, 1, 2, 3}}, {FLEMING_PIXELS_BGRA, 4, {2, 1, 0, 3}},
        {FLEMING_PIXELS_GREY, 1, {0, 0, 0, 0}},
    };
    size_t layout, gap, place, byte, clear;

    CHECK(wanted.size == side * side * 3);
    for (layout = 0; layout < sizeof all / sizeof *all; ++layout) {
        for (gap = 0; gap < 8; gap += 5) {
            for (clear = 0; clear < (all[layout].bytes == 4 ? 2 : 1); ++clear) {
                const size_t row = side * all[layout].bytes + gap;
                // Not a byte behind the last pixel.
                const size_t size = row * (side - 1) + side * all[layout].bytes;
                uint8_t *pixels = malloc(size);
                const uint8_t *pointer = pixels;
                fleming_frames frames = FLEMING_FRAMES_INIT;
                CHECK(pixels != NULL);
                for (place = 0; place < side * side; ++place) {
                    uint8_t *to = pixels + place / side * row + place % side * all[layout].bytes;
                    for (byte = 0; byte < all[layout].bytes; ++byte) {
                        const size_t from = all[layout].order[byte];
                        to[byte] = from == 3 ? (clear && place == 0 ? 0 : 255) : wanted.rgb[3 * place + from];
                    }
                }
                frames.frames = &pointer;
                frames.count = 1;
                frames.width = frames.height = side;
                frames.row_bytes = gap == 0 ? 0 : row;
                frames.modality = FLEMING_MODALITY_IMAGE;
                frames.pixels = all[layout].pixels;
                got = seen(engine, of_frames(&frames));
                memset(pixels, 0, size);
                free(pixels);
                if (clear && all[layout].bytes == 4) {
                    // What can be seen through is white, and is said.
                    CHECK(got.rgb[0] == 255 && got.rgb[1] == 255 && strstr(got.warnings, "white") != NULL);
                    memcpy(got.rgb, wanted.rgb, 3);
                } else {
                    CHECK(strstr(got.warnings, "white") == NULL);
                }
                // The picture is grey, of which the first of three bytes is all.
                CHECK(got.size == wanted.size && memcmp(got.rgb, wanted.rgb, got.size) == 0);
                free(got.rgb);
            }
        }
    }
    free(wanted.rgb);
}

// A grey clip in YUV: Y alone makes the picture where U and V are 128.
static void yuv(fleming_engine *engine) {
    enum { WIDTH = 6, HEIGHT = 5 };
    static const double seconds[2] = {0, 0.5};
    static uint8_t y[2][HEIGHT][WIDTH + 2], uv[3][8], v[3][3];
    const uint8_t *ys[2] = {y[0][0], y[1][0]}, *uvs[2] = {uv[0], uv[0]}, *us[2] = {v[0], v[0]}, *vs[2] = {v[0], v[0]};
    fleming_frames frames = FLEMING_FRAMES_INIT;
    struct seen nv12, i420, full;

    memset(y[0], 235, sizeof y[0]);
    memset(y[1], 16, sizeof y[1]);
    memset(uv, 128, sizeof uv);
    memset(v, 128, sizeof v);
    frames.frames = ys;
    frames.count = 2;
    frames.seconds = seconds;
    frames.width = WIDTH;
    frames.height = HEIGHT;
    frames.row_bytes = WIDTH + 2;
    frames.modality = FLEMING_MODALITY_VIDEO;
    frames.pixels = FLEMING_PIXELS_NV12;
    frames.chroma = uvs;
    frames.chroma_row_bytes = 8;
    nv12 = seen(engine, of_frames(&frames));
    // FFmpeg's quick way is off by up to two levels, here as in videos.
    CHECK(nv12.frames == 2 && nv12.rgb[0] >= 253 && nv12.rgb[nv12.size - 1] <= 2);
    frames.pixels = FLEMING_PIXELS_I420;
    frames.chroma = us;
    frames.chroma_v = vs;
    frames.chroma_row_bytes = 0;
    i420 = seen(engine, of_frames(&frames));
    frames.yuv_range = FLEMING_YUV_RANGE_FULL;
    frames.yuv_matrix = FLEMING_YUV_MATRIX_BT709;
    full = seen(engine, of_frames(&frames));
    CHECK(abs(full.rgb[0] - 235) <= 2 && abs(full.rgb[full.size - 1] - 16) <= 2);
    free(full.rgb);
    same(nv12, i420);
}

// Numbers of every type with the same values are the same pictures.
static void numbers(fleming_engine *engine) {
    enum { COUNT = 2 * 4 * 4 };
    static int8_t i8[COUNT];
    static uint8_t u8[COUNT];
    static int16_t i16[COUNT];
    static uint16_t u16[COUNT];
    static int32_t i32[COUNT];
    static uint32_t u32[COUNT];
    static float f32[COUNT];
    static double f64[COUNT];
    const struct {
        int32_t voxel;
        const void *voxels;
        size_t size;
    } all[] = {
        {FLEMING_VOXEL_INT8, i8, 1},    {FLEMING_VOXEL_UINT8, u8, 1},   {FLEMING_VOXEL_INT16, i16, 2},
        {FLEMING_VOXEL_UINT16, u16, 2}, {FLEMING_VOXEL_INT32, i32, 4},  {FLEMING_VOXEL_UINT32, u32, 4},
        {FLEMING_VOXEL_FLOAT32, f32, 4}, {FLEMING_VOXEL_FLOAT64, f64, 8},
    };
    size_t place, type, row;

    for (place = 0; place < COUNT; ++place) {
        const int value = (int)(place * 37 % 101);
        i8[place] = (int8_t)value;
        u8[place] = (uint8_t)value;
        i16[place] = (int16_t)value;
        u16[place] = (uint16_t)value;
        i32[place] = value;
        u32[place] = (uint32_t)value;
        f32[place] = (float)value;
        f64[place] = value;
    }
    for (type = 0; type < sizeof all / sizeof *all; ++type) {
        fleming_volume volume = FLEMING_VOLUME_INIT, first;
        uint8_t padded[2 * (4 * (4 * 8 + 8) + 8)];
        const size_t row_bytes = 4 * all[type].size + 8, slice_bytes = 4 * row_bytes + 8;
        volume.voxels = all[type].voxels;
        volume.voxel = all[type].voxel;
        volume.depth = 2;
        volume.height = volume.width = 4;
        volume.slices = 2;
        volume.slope = 2.5;
        volume.intercept = -100;
        volume.window_center = 20;
        volume.window_width = 120;
        volume.window_function = FLEMING_WINDOW_SIGMOID;
        first = volume;
        first.voxels = i16;
        first.voxel = FLEMING_VOXEL_INT16;
        same(seen(engine, of_volume(&first)), seen(engine, of_volume(&volume)));
        // With directions; of 7 bits, which the values keep to; with gaps.
        volume.directions[0][2] = volume.directions[1][1] = volume.directions[2][0] = 1;
        volume.spacing_mm[0] = volume.spacing_mm[1] = volume.spacing_mm[2] = 2;
        volume.kind = FLEMING_VOLUME_KIND_CT;
        volume.options = "{\"form\": \"native\", \"slices\": 1}";
        first = volume;
        for (row = 0; row < 8; ++row) {
            memcpy(padded + row / 4 * slice_bytes + row % 4 * row_bytes,
                   (const char *)all[type].voxels + row * 4 * all[type].size, 4 * all[type].size);
        }
        volume.voxels = padded;
        volume.row_bytes = row_bytes;
        volume.slice_bytes = slice_bytes;
        volume.bits = all[type].voxel < FLEMING_VOXEL_FLOAT32 && type > 0 ? 8 : 0;
        same(seen(engine, of_volume(&first)), seen(engine, of_volume(&volume)));
    }
}

// A radiograph: 12 bits in 16, through a window, and turned over.
static void a_radiograph(fleming_engine *engine, size_t side) {
    uint16_t *values = malloc(side * side * sizeof *values);
    fleming_volume picture = FLEMING_VOLUME_INIT;
    struct seen one, other;
    size_t place;

    CHECK(values != NULL);
    for (place = 0; place < side * side; ++place) values[place] = (uint16_t)(place * 4095 / (side * side - 1));
    picture.voxels = values;
    picture.voxel = FLEMING_VOXEL_UINT16;
    picture.depth = 1;
    picture.height = picture.width = side;
    picture.modality = FLEMING_MODALITY_IMAGE;
    picture.bits = 12;
    picture.window_center = 2048;
    picture.window_width = 4096;
    picture.window_function = FLEMING_WINDOW_LINEAR;
    one = seen(engine, of_volume(&picture));
    CHECK(one.frames == 1 && strlen(one.warnings) == 0 && one.size == side * side * 3);
    for (place = 0; place < side * side; ++place) CHECK(one.rgb[3 * place] == (uint8_t)(values[place] / 4095.0 * 255));
    picture.inverse = 1;
    other = seen(engine, of_volume(&picture));
    CHECK(other.rgb[0] == 255 && other.rgb[other.size - 1] == 0);
    free(other.rgb);
    picture.inverse = 0;
    picture.window_width = picture.window_center = 0;
    picture.window_function = FLEMING_WINDOW_LINEAR_EXACT;
    other = seen(engine, of_volume(&picture));
    CHECK(strstr(other.warnings, "its values from 0 to 4095 are shown") != NULL);
    same(one, other);
    free(values);
}

// What is no number is said of a picture as of a volume, and slices that are looked at twice of a volume with a place as of an
// array.
static void warnings_are_given(fleming_engine *engine) {
    float values[16];
    fleming_volume picture = FLEMING_VOLUME_INIT, volume = FLEMING_VOLUME_INIT;
    struct seen of_picture, of_array, placed;
    size_t place;

    for (place = 0; place < 16; ++place) values[place] = (float)place;
    volume.voxels = picture.voxels = values;
    volume.voxel = picture.voxel = FLEMING_VOXEL_FLOAT32;
    picture.modality = FLEMING_MODALITY_IMAGE;
    picture.depth = 1;
    picture.height = picture.width = 4;
    of_picture = seen(engine, of_volume(&picture));
    CHECK(strstr(of_picture.warnings, "NaN") == NULL && strstr(of_picture.warnings, "infinity") == NULL);
    free(of_picture.rgb);
    values[2] = NAN;
    values[5] = INFINITY;
    of_picture = seen(engine, of_volume(&picture));
    CHECK(strstr(of_picture.warnings, "NaN in 1 place: black, and no part of the range") != NULL);
    CHECK(strstr(of_picture.warnings, "infinity in 1 place: black or white by its sign") != NULL);
    CHECK(strstr(of_picture.warnings, "its values from 0 to 15 are shown") != NULL);
    free(of_picture.rgb);
    values[2] = values[5] = 1;

    volume.depth = 4;
    volume.height = volume.width = 2;
    of_array = seen(engine, of_volume(&volume));
    volume.directions[0][2] = volume.directions[1][1] = volume.directions[2][0] = 1;
    volume.spacing_mm[0] = volume.spacing_mm[1] = volume.spacing_mm[2] = 2;
    placed = seen(engine, of_volume(&volume));
    CHECK(of_array.frames == 11 && placed.frames == 11);
    CHECK(strstr(of_array.warnings, "11 slices were asked of 4: some are looked at twice") != NULL);
    CHECK(strstr(placed.warnings, "11 slices were asked of 4: some are looked at twice") != NULL);
    free(of_array.rgb);
    free(placed.rgb);
}

// A folder, its files, and their bytes are one study.
static void a_series(fleming_engine *engine, const char *folder) {
    DIR *directory = opendir(folder);
    struct dirent *entry;
    static char paths[MOST_FILES][512];
    const char *files[MOST_FILES];
    char *bytes[MOST_FILES];
    const void *buffers[MOST_FILES];
    size_t sizes[MOST_FILES], count = 0, place;
    fleming_series on_disk = FLEMING_SERIES_INIT, in_memory = FLEMING_SERIES_INIT;
    fleming_request *request;
    struct seen wanted = seen(engine, of_file(FLEMING_MODALITY_VOLUME, folder));

    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        CHECK(count < MOST_FILES && snprintf(paths[count], sizeof *paths, "%s/%s", folder, entry->d_name) < 512);
        files[count] = paths[count];
        buffers[count] = bytes[count] = content(paths[count], &sizes[count]);
        ++count;
    }
    closedir(directory);
    CHECK(count > 10);
    on_disk.files = files;
    on_disk.file_count = count;
    request = about();
    OK(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &on_disk, NULL));
    same(wanted, seen(engine, request));
    in_memory.buffers = buffers;
    in_memory.buffer_sizes = sizes;
    in_memory.buffer_count = count;
    request = about();
    OK(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &in_memory, NULL));
    for (place = 0; place < count; ++place) free(bytes[place]);
    same(seen(engine, of_file(FLEMING_MODALITY_VOLUME, folder)), seen(engine, request));
}

static void a_file_in_memory(fleming_engine *engine, int32_t modality, const char *file) {
    size_t size;
    char *bytes = content(file, &size);
    fleming_request *request = about();
    OK(fleming_request_bytes(request, modality, bytes, size, NULL));
    free(bytes);
    same(seen(engine, of_file(modality, file)), seen(engine, request));
    same(seen(engine, of_file(modality, file)), seen(engine, of_file(FLEMING_MODALITY_ANY, file)));
}

// The text of the reply to a request, which is freed.
static void answered(fleming_engine *engine, fleming_request *request, char *text) {
    fleming_reply *reply = NULL;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;

    options.max_new_tokens = 24;
    OK(fleming_engine_ask(engine, request, &options, &reply));
    OK(fleming_reply_read(reply, &facts));
    CHECK(strlen(facts.text) < 4096);
    strcpy(text, facts.text);
    sprintf(text + strlen(text), " [%d]", (int)facts.prompt_tokens);
    fleming_reply_free(reply);
    fleming_request_free(request);
}

// A reply keeps what the model saw if it is asked to: what a preview shows.
static void kept(fleming_engine *engine, const char *image, const char *volume) {
    fleming_request *request = of_file(FLEMING_MODALITY_IMAGE, image), *again = of_file(FLEMING_MODALITY_IMAGE, image);
    fleming_reply *reply = NULL;
    fleming_ask_options options = FLEMING_ASK_OPTIONS_INIT;
    fleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;
    fleming_picture picture = FLEMING_PICTURE_INIT;
    struct seen wanted;
    size_t place, size = 0;

    OK(fleming_request_file(request, FLEMING_MODALITY_VOLUME, volume, NULL));
    OK(fleming_request_file(again, FLEMING_MODALITY_VOLUME, volume, NULL));
    wanted = seen(engine, again);
    options.max_new_tokens = 2;
    OK(fleming_engine_ask(engine, request, &options, &reply));
    REFUSED(fleming_reply_seen(reply, 0, &picture));
    SAYS("keep_seen");
    fleming_reply_free(reply);
    reply = NULL;
    options.keep_seen = 2;
    REFUSED(fleming_engine_ask(engine, request, &options, &reply));
    SAYS("keep_seen: wanted 0 or 1");
    options.keep_seen = 1;
    OK(fleming_engine_ask(engine, request, &options, &reply));
    OK(fleming_reply_read(reply, &facts));
    CHECK(facts.frame_count == wanted.frames && facts.frame_count == 12);
    // What was in memory was seen too.
    CHECK(facts.cached_tokens > 0);
    for (place = 0; place < facts.frame_count; ++place) {
        OK(fleming_reply_seen(reply, place, &picture));
        CHECK(memcmp(picture.rgb, wanted.rgb + size, picture.width * picture.height * 3) == 0);
        size += picture.width * picture.height * 3;
    }
    CHECK(size == wanted.size);
    REFUSED(fleming_reply_seen(reply, place, &picture));
    SAYS("place: wanted less than frame_count, 12");
    REFUSED(fleming_reply_seen(NULL, 0, &picture));
    REFUSED(fleming_reply_seen(reply, 0, NULL));
    free(wanted.rgb);
    fleming_reply_free(reply);
    fleming_request_free(request);
}

// Texts and studies in order are what the word <image> says, turn by turn.
static void in_order(fleming_engine *engine, const char *image) {
    static char wanted[4200], got[4200];
    fleming_request *request = NULL;

    OK(fleming_request_new("After: <image>\nWhat has changed?", &request));
    OK(fleming_request_turn(request, "Before: <image>\nAnd <image>\nWhat is shown?", "A chest."));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    answered(engine, request, wanted);

    OK(fleming_request_new("", &request));
    OK(fleming_request_text(request, FLEMING_ROLE_USER, "Before: "));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_request_text(request, FLEMING_ROLE_USER, "\nAnd "));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_request_text(request, FLEMING_ROLE_USER, "\nWhat is shown?"));
    OK(fleming_request_text(request, FLEMING_ROLE_ASSISTANT, "A chest."));
    OK(fleming_request_text(request, FLEMING_ROLE_USER, "After: "));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_request_text(request, FLEMING_ROLE_USER, "\nWhat has changed?"));
    REFUSED(fleming_request_turn(request, "?", "."));
    SAYS("fleming_request_text");
    answered(engine, request, got);
    CHECK(strcmp(wanted, got) == 0);

    // A study before any text begins the first turn, and <image> in a text is text.
    OK(fleming_request_new("", &request));
    OK(fleming_request_file(request, FLEMING_MODALITY_IMAGE, image, NULL));
    OK(fleming_request_text(request, FLEMING_ROLE_USER, "\nIs <image> a word?"));
    answered(engine, request, got);
    OK(fleming_request_new("", &request));
    OK(fleming_request_text(request, FLEMING_ROLE_USER, "Sure?"));
    OK(fleming_request_text(request, FLEMING_ROLE_ASSISTANT, "Yes."));
    {
        fleming_reply *reply = NULL;
        CHECK(fleming_engine_ask(engine, request, NULL, &reply) == FLEMING_STATUS_REQUEST && reply == NULL);
    }
    fleming_request_free(request);
    request = about();
    REFUSED(fleming_request_text(request, FLEMING_ROLE_USER, "?"));
    SAYS("began with the question \"\"");
    REFUSED(fleming_request_text(request, 7, "?"));
    REFUSED(fleming_request_text(request, FLEMING_ROLE_USER, NULL));
    REFUSED(fleming_request_text(NULL, FLEMING_ROLE_USER, "?"));
    fleming_request_free(request);
}

// A picture whose size is spoiled in one field is refused by the name of that field.
static void frames_are_checked(void) {
    static const uint8_t pixels[64];
    static const uint8_t *const pointers[1] = {pixels};
    static const uint8_t *const nothing[1] = {NULL};
    fleming_request *request = about();
    fleming_frames sound = FLEMING_FRAMES_INIT, frames;

    sound.frames = sound.chroma = sound.chroma_v = pointers;
    sound.count = 1;
    sound.width = sound.height = 4;
    sound.modality = FLEMING_MODALITY_IMAGE;
    sound.pixels = FLEMING_PIXELS_I420;
    OK(fleming_request_frames(request, &sound));
#define SPOILED(field, value, words)                       \
    do {                                                   \
        frames = sound;                                    \
        frames.field = value;                              \
        REFUSED(fleming_request_frames(request, &frames)); \
        SAYS(words);                                       \
    } while (0)
    SPOILED(pixels, 7, "pixels: wanted a number that the header names");
    SPOILED(pixels, -1, "pixels");
    SPOILED(yuv_matrix, 2, "yuv_matrix");
    SPOILED(yuv_range, 2, "yuv_range");
    SPOILED(reserved_2, 1, "reserved_2");
    SPOILED(count, 4097, "count: wanted 1 to 4096, got 4097");
    SPOILED(row_bytes, 3, "row_bytes: wanted at least 4, got 3");
    SPOILED(chroma_row_bytes, 1, "chroma_row_bytes: wanted at least 2");
    SPOILED(chroma_v_row_bytes, 1, "chroma_v_row_bytes: wanted at least 2");
    SPOILED(row_bytes, (size_t)-1, "row_bytes");
    SPOILED(chroma_v_row_bytes, (size_t)-1 / 2, "chroma_v_row_bytes");
    SPOILED(frames, NULL, "frames: wanted 1 values, got NULL");
    SPOILED(chroma, NULL, "chroma: wanted 1 values, got NULL");
    SPOILED(chroma_v, NULL, "chroma_v: wanted 1 values, got NULL");
    SPOILED(frames, nothing, "frames: wanted a pointer to each frame");
    SPOILED(chroma_v, nothing, "chroma_v: wanted a pointer to each frame");
    SPOILED(width, 0, "width, height");
    SPOILED(height, 0, "width, height");
    SPOILED(height, (size_t)1 << 32, "width, height");
    sound.pixels = FLEMING_PIXELS_RGBA;
    SPOILED(chroma_v, NULL, "chroma: wanted 0 or NULL");
    sound.chroma = sound.chroma_v = NULL;
    SPOILED(chroma_v_row_bytes, 4, "chroma_v_row_bytes");
    SPOILED(yuv_range, FLEMING_YUV_RANGE_FULL, "0 of pixels that are no YUV");
    SPOILED(row_bytes, 15, "row_bytes: wanted at least 16, got 15");
#undef SPOILED
    fleming_request_free(request);
}

static void numbers_are_checked(fleming_engine *engine) {
    static const uint16_t values[16] = {4096};
    fleming_request *request = about();
    fleming_preview *preview = NULL;
    fleming_volume sound = FLEMING_VOLUME_INIT, volume;
    fleming_status status;

    sound.voxels = values;
    sound.voxel = FLEMING_VOXEL_UINT16;
    sound.depth = 1;
    sound.height = sound.width = 4;
    sound.window_width = 400;
    OK(fleming_request_volume(request, &sound));
#define SPOILED(field, value, words)                                                            \
    do {                                                                                        \
        volume = sound;                                                                         \
        volume.field = value;                                                                   \
        status = fleming_request_volume(request, &volume);                                      \
        CHECK(status == FLEMING_STATUS_ARGUMENT || status == FLEMING_STATUS_INPUT);             \
        SAYS(words);                                                                            \
    } while (0)
    SPOILED(voxel, 0, "fleming_voxel");
    SPOILED(voxel, 9, "fleming_voxel");
    SPOILED(voxels, NULL, "voxels: wanted 16 values, got NULL");
    SPOILED(depth, 0, "depth, height, width");
    SPOILED(height, (size_t)-1, "depth, height, width");
    SPOILED(row_bytes, 7, "row_bytes: wanted at least 8, got 7");
    SPOILED(slice_bytes, 31, "slice_bytes: wanted at least 32, got 31");
    SPOILED(row_bytes, (size_t)-1, "row_bytes");
    SPOILED(row_bytes, (size_t)-1 / 3, "row_bytes: wanted slices that fit into memory");
    SPOILED(slope, NAN, "slope: wanted a finite number");
    SPOILED(spacing_mm[0], 1e-320, "spacing: wanted 0.000001 to 1000000 mm");
    SPOILED(slope, INFINITY, "slope");
    SPOILED(intercept, -INFINITY, "intercept");
    SPOILED(window_width, NAN, "window_width");
    SPOILED(window_width, -1, "window_width");
    SPOILED(window_width, INFINITY, "window_width");
    SPOILED(window_center, NAN, "window_center");
    SPOILED(window_function, 3, "window_function");
    SPOILED(bits, 12, "voxels: wanted numbers of 12 bits, 0 to 4095, got 4096");
    SPOILED(bits, 17, "bits");
    SPOILED(bits, -1, "bits");
    SPOILED(kind, FLEMING_VOLUME_KIND_CT, "kind: wanted 0 without directions");
    SPOILED(kind, 5, "kind");
    SPOILED(origin_mm[0], 1, "origin_mm");
    SPOILED(directions[0][0], 1, "directions");
    SPOILED(directions[0][0], NAN, "directions");
    SPOILED(spacing_mm[1], -1, "spacing");
    SPOILED(inverse, 1, "inverse: wanted 0 of a volume");
    SPOILED(modality, FLEMING_MODALITY_VIDEO, "modality");
    SPOILED(reserved_2, 1, "reserved_2");
    sound.window_width = 0;
    SPOILED(window_center, 40, "window_width: wanted a finite number above 0, got 0");
    SPOILED(window_function, FLEMING_WINDOW_LINEAR, "window_width: wanted a finite number of at least 1");
    sound.modality = FLEMING_MODALITY_IMAGE;
    OK(fleming_request_volume(request, &sound));
    SPOILED(depth, 2, "depth: wanted 1 of a picture");
    SPOILED(slices, 1, "slices");
    SPOILED(inverse, 2, "inverse");
    SPOILED(spacing_mm[0], 1, "spacing_mm");
    SPOILED(bits, 12, "voxels");
#undef SPOILED
    volume = sound;
    volume.options = "{\"temperature\": 1}";
    CHECK(fleming_request_volume(request, &volume) == FLEMING_STATUS_REQUEST);
    SAYS("temperature");
    fleming_request_free(request);

    request = about();
    CHECK(fleming_engine_preview(engine, request, NULL, &preview) == FLEMING_STATUS_REQUEST);
    REFUSED(fleming_engine_preview(NULL, request, NULL, &preview));
    REFUSED(fleming_engine_preview(engine, NULL, NULL, &preview));
    REFUSED(fleming_engine_preview(engine, request, NULL, NULL));
    REFUSED(fleming_preview_read(NULL, NULL));
    REFUSED(fleming_preview_frame(NULL, 0, NULL, NULL));
    fleming_preview_free(NULL);
    CHECK(preview == NULL);
    fleming_request_free(request);
}

static void series_are_checked(fleming_engine *engine) {
    static const char *const files[2] = {"one", NULL};
    static const void *const buffers[1] = {"text"};
    static const size_t sizes[1] = {4};
    fleming_request *request = about();
    fleming_preview *preview = NULL;
    fleming_study_options named = FLEMING_STUDY_OPTIONS_INIT;
    fleming_series series = FLEMING_SERIES_INIT;

    REFUSED(fleming_request_series(request, FLEMING_MODALITY_VOLUME, NULL, NULL));
    REFUSED(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &series, NULL));
    SAYS("file_count: wanted at least one file");
    series.file_count = 2;
    REFUSED(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &series, NULL));
    series.files = files;
    REFUSED(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &series, NULL));
    series.file_count = 1;
    REFUSED(fleming_request_series(NULL, FLEMING_MODALITY_VOLUME, &series, NULL));
    REFUSED(fleming_request_series(request, 0, &series, NULL));
    named.name = "a name";
    REFUSED(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &series, &named));
    SAYS("name");
    series.buffer_count = 1;
    REFUSED(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &series, NULL));
    SAYS("files or buffers");
    series.file_count = 0;
    REFUSED(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &series, NULL));
    series.buffers = buffers;
    REFUSED(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &series, NULL));
    SAYS("buffer_sizes");
    series.buffer_sizes = sizes;
    OK(fleming_request_series(request, FLEMING_MODALITY_VOLUME, &series, NULL));
    CHECK(fleming_engine_preview(engine, request, NULL, &preview) == FLEMING_STATUS_INPUT && preview == NULL);
    SAYS("file 0: wanted a volume");
    fleming_request_free(request);
}

int main(int argc, char **argv) {
    fleming_engine *engine = NULL;
    fleming_engine_facts facts = FLEMING_ENGINE_FACTS_INIT;
    fleming_preview *preview = NULL;
    fleming_preview_facts sheet = FLEMING_PREVIEW_FACTS_INIT;
    fleming_request *request;
    FILE *file;

    CHECK(argc == 6);
    OK(fleming_engine_open(argv[1], NULL, &engine));
    OK(fleming_engine_read(engine, &facts));
    layouts(engine, argv[2], facts.tile_size);
    yuv(engine);
    numbers(engine);
    a_radiograph(engine, facts.tile_size);
    warnings_are_given(engine);
    a_series(engine, argv[3]);
    a_file_in_memory(engine, FLEMING_MODALITY_VOLUME, argv[4]);
    a_file_in_memory(engine, FLEMING_MODALITY_IMAGE, argv[2]);
    in_order(engine, argv[2]);
    kept(engine, argv[2], argv[4]);
    frames_are_checked();
    numbers_are_checked(engine);
    series_are_checked(engine);

    request = of_file(FLEMING_MODALITY_VOLUME, argv[3]);
    OK(fleming_engine_preview(engine, request, NULL, &preview));
    fleming_request_free(request);
    // It does not need the engine.
    fleming_engine_free(engine);
    OK(fleming_preview_read(preview, &sheet));
    file = fopen(argv[5], "wb");
    CHECK(file != NULL && fwrite(sheet.png, 1, sheet.png_size, file) == sheet.png_size && fclose(file) == 0);
    fleming_preview_free(preview);
    puts("all is seen");
    return 0;
}
