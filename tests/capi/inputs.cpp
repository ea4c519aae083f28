// fleming.hpp: studies from memory and what the model sees of them. inputs PACKAGE IMAGE SERIES, where SERIES is a folder.

#include <fleming.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            std::cerr << __FILE__ << ":" << __LINE__ << ": " << #condition << "\n";  \
            std::exit(1);                                                            \
        }                                                                            \
    } while (0)

static_assert(!std::is_copy_constructible_v<fleming::preview> && std::is_move_constructible_v<fleming::preview>);

static std::vector<std::uint8_t> seen(const fleming::engine &engine, const fleming::request &request) {
    const auto preview = engine.try_preview(request);
    if (!preview) std::cerr << preview.error().message << "\n";
    CHECK(preview && preview->png().substr(1, 3) == "PNG" && preview->sheet().width > 0);
    std::vector<std::uint8_t> all;
    for (std::size_t place = 0; place < preview->frame_count(); ++place) {
        const auto shown = preview->seen(place);
        CHECK(preview->frame(place).tiles == 1 && shown.width == shown.height);
        all.insert(all.end(), shown.rgb, shown.rgb + shown.width * shown.height * 3);
    }
    CHECK(!all.empty());
    return all;
}

static void refused(const fleming::engine &engine, const fleming::request &request, const std::string &words) {
    const auto preview = engine.try_preview(request);
    CHECK(!preview && preview.error().message.find(words) != std::string::npos);
}

static void pictures(const fleming::engine &engine, const std::string &image, std::size_t side) {
    const auto wanted = seen(engine, fleming::request("?").image(image));
    fleming::frame frame;
    frame.width = frame.height = side;
    frame.planes[0] = wanted.data();
    CHECK(wanted == seen(engine, fleming::request("?").picture(frame, "camera")));
    // Exchanged twice, it is the same.
    auto turned = wanted;
    for (std::size_t place = 0; place < turned.size(); place += 3) std::swap(turned[place], turned[place + 2]);
    frame.pixels = FLEMING_PIXELS_BGR;
    frame.planes[0] = turned.data();
    CHECK(wanted == seen(engine, fleming::request("?").picture(frame)));
    const std::vector<std::uint8_t> luma(side * side, 100), chroma(side * side / 2, 128);
    frame.pixels = FLEMING_PIXELS_NV12;
    frame.planes = {luma.data(), chroma.data(), nullptr};
    const auto nv12 = seen(engine, fleming::request("?").clip({frame, frame}, {0, 1}, "endoscope"));
    frame.pixels = FLEMING_PIXELS_I420;
    frame.planes = {luma.data(), chroma.data(), chroma.data()};
    CHECK(nv12 == seen(engine, fleming::request("?").clip({frame, frame}, {0, 1})));
    auto other = frame;
    other.height -= 2;
    refused(engine, fleming::request("?").clip({frame, other}, {0, 1}), "another in frame 1");
    refused(engine, fleming::request("?").clip({frame}, {0, 1}), "a time for each frame");
    frame.strides[1] = 1;
    refused(engine, fleming::request("?").picture(frame), "chroma_row_bytes");
}

static void numbers(const fleming::engine &engine) {
    std::vector<std::uint16_t> stored(3 * 4 * 5);
    for (std::size_t place = 0; place < stored.size(); ++place) stored[place] = static_cast<std::uint16_t>(place * 60);
    std::vector<float> values;
    for (const auto number : stored) values.push_back(static_cast<float>(number) * 2 - 1024);
    fleming::volume integers(stored.data(), 3, 4, 5), real(values.data(), 3, 4, 5);
    integers.slope = 2;
    integers.intercept = -1024;
    integers.bits = 12;
    for (auto *volume : {&integers, &real}) {
        volume->window_center = 40;
        volume->window_width = 400;
        volume->window_function = FLEMING_WINDOW_SIGMOID;
    }
    CHECK(seen(engine, fleming::request("?").volume(integers)) == seen(engine, fleming::request("?").volume(real)));
    for (auto *volume : {&integers, &real}) {
        volume->directions = {{{0, 0, 1}, {0, 1, 0}, {1, 0, 0}}};
        volume->spacing_mm[0] = volume->spacing_mm[1] = volume->spacing_mm[2] = 1;
        volume->kind = FLEMING_VOLUME_KIND_CT;
        volume->options = "{\"plane\": \"coronal\"}";
    }
    CHECK(seen(engine, fleming::request("?").volume(integers)) == seen(engine, fleming::request("?").volume(real)));
    integers.bits = 11;
    refused(engine, fleming::request("?").volume(integers), "numbers of 11 bits");
    fleming::radiograph chest(stored.data(), 12, 5);
    chest.bits = 12;
    chest.inverse = true;
    chest.window_center = 1800;
    chest.window_width = 3600;
    const auto dark = seen(engine, fleming::request("?").radiograph(chest));
    CHECK(dark.front() == 255 && dark.back() < 8);
#if defined(__cpp_lib_span)
    const std::span<const std::uint16_t> span(stored);
    CHECK(seen(engine, fleming::request("?").volume(fleming::volume(span, 3, 4, 5))) ==
          seen(engine, fleming::request("?").volume(fleming::volume(stored.data(), 3, 4, 5))));
    CHECK(!seen(engine, fleming::request("?").radiograph(fleming::radiograph(std::span(stored), 12, 5))).empty());
    refused(engine, fleming::request("?").volume(fleming::volume(span, 3, 4, 4)), "a span of depth * height * width");
    refused(engine, fleming::request("?").volume(fleming::volume(span, 0, 4, 4)), "a span of depth * height * width");
    refused(engine, fleming::request("?").volume(fleming::volume(span.first(0), 1, 1, 1)), "got 0");
#endif
}

static void a_series(const fleming::engine &engine, const std::string &folder) {
    std::vector<std::string> files;
    std::vector<std::string> contents;
    for (const auto &entry : std::filesystem::directory_iterator(folder)) {
        files.push_back(entry.path().string());
        std::ifstream file(files.back(), std::ios::binary);
        contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    std::vector<fleming::memory_file> buffers;
    for (const auto &content : contents) buffers.push_back({content.data(), content.size(), ""});
    fleming::study_options three;
    three.slices = 3;
    const auto wanted = seen(engine, fleming::request("?").volume(folder, three));
    CHECK(wanted == seen(engine, fleming::request("?").series(FLEMING_MODALITY_VOLUME, files, three)));
    CHECK(wanted == seen(engine, fleming::request("?").series(FLEMING_MODALITY_VOLUME, buffers, three)));
#if defined(__cpp_lib_span)
    const auto one = std::as_bytes(std::span(contents.front()));
    CHECK(!seen(engine, fleming::request("?").bytes(FLEMING_MODALITY_VOLUME, one, "slice")).empty());
#endif
}

static void in_order(const fleming::engine &engine, const std::string &image) {
    fleming::ask_options options;
    options.max_new_tokens = 8;
    const auto by_words = engine.try_ask(
        fleming::request("And <image>?").image(image).image(image).turn("What is <image>?", "A chest."), options);
    const auto in_order = engine.try_ask(
        fleming::request("").user("What is ").image(image).user("?").assistant("A chest.").user("And ").image(image).user("?"),
        options);
    CHECK(by_words && in_order && by_words->text() == in_order->text());
    CHECK(by_words->facts().prompt_tokens == in_order->facts().prompt_tokens);
    CHECK(by_words->seen(0).rgb == nullptr);
    options.keep_seen = true;
    const auto kept = engine.try_ask(fleming::request("").image(image).user("?"), options);
    CHECK(kept && kept->seen(0).rgb != nullptr && kept->seen(1).rgb == nullptr);
    const auto shown = kept->seen(0);
    const auto wanted = seen(engine, fleming::request("").image(image));
    CHECK(shown.width * shown.height * 3 == wanted.size() && std::equal(wanted.begin(), wanted.end(), shown.rgb));
}

int main(int argc, char **argv) {
    CHECK(argc == 4);
    auto engine = fleming::engine::try_open(argv[1]);
    CHECK(engine);
    const auto facts = engine->try_facts();
    CHECK(facts);
    pictures(*engine, argv[2], facts->tile_size);
    numbers(*engine);
    a_series(*engine, argv[3]);
    in_order(*engine, argv[2]);
    std::cout << "all is seen\n";
}
