// fleming.hpp: what fleming.h does, with objects that free themselves. use PACKAGE IMAGE VIDEO

#include <fleming.hpp>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <thread>

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            std::cerr << __FILE__ << ":" << __LINE__ << ": " << #condition << "\n";  \
            std::exit(1);                                                            \
        }                                                                            \
    } while (0)

static_assert(!std::is_copy_constructible_v<fleming::engine> && std::is_nothrow_move_constructible_v<fleming::engine>);
static_assert(!std::is_copy_constructible_v<fleming::reply> && std::is_move_assignable_v<fleming::reply>);
static_assert(!std::is_copy_constructible_v<fleming::request> && std::is_move_constructible_v<fleming::request>);
static_assert(!std::is_copy_constructible_v<fleming::pending> && std::is_move_constructible_v<fleming::pending>);
static_assert(!std::is_copy_constructible_v<fleming::embeddings>);

static const std::string question = "Is there a nodule, and on which side?";

static void without_exceptions(const std::string &package) {
    auto none = fleming::engine::try_open("nowhere");
    CHECK(!none && none.error().status == FLEMING_STATUS_PACKAGE && !none.error().message.empty());
    auto memory = fleming::try_memory(package);
    CHECK(memory && memory->total > 0);
    auto engine = fleming::engine::try_open(package);
    CHECK(engine);
    auto reply = engine->try_ask(fleming::request("Why?").image("nowhere.png"));
    CHECK(!reply && reply.error().status == FLEMING_STATUS_INPUT);
    // What was put together wrongly is told when it is asked.
    fleming::study_options three;
    three.frames = 3;
    auto refused = engine->try_ask(fleming::request("Why?").volume("file", three));
    CHECK(!refused && refused.error().status == FLEMING_STATUS_ARGUMENT);
    fleming::ask_options options;
    options.max_new_tokens = 2;
    reply = engine->try_ask(fleming::request("Why?"), options);
    CHECK(reply && reply->finish() == FLEMING_FINISH_LENGTH && reply->facts().completion_tokens == 2);
}

#if FLEMING_EXCEPTIONS
static void streamed(const fleming::engine &engine, const std::string &image) {
    std::string heard;
    const auto request = fleming::request(question).image(image);
    auto reply = engine.ask(request, {}, [&](const fleming::event &event) {
        if (event.answer()) heard += event.text;
        return true;
    });
    CHECK(!reply.answer().empty() && heard.find(reply.answer()) != std::string::npos && reply.thought());
    const auto frames = reply.frames();
    CHECK(frames.size() == 1 && frames[0].source == image);
    // Stopped by what the listener returns, and by what it throws.
    auto stopped = engine.ask(request, {}, [](const fleming::event &event) { return !event.thought(); });
    CHECK(stopped.finish() == FLEMING_FINISH_CANCELLED);
    bool caught = false;
    try {
        engine.ask(request, {}, [](const fleming::event &) -> bool { throw std::out_of_range("mine"); });
    } catch (const std::out_of_range &error) {
        caught = std::string(error.what()) == "mine";
    }
    CHECK(caught);
    auto moved = std::move(reply);
    CHECK(!moved.answer().empty());
    std::cout << moved.answer() << "\n";
}

static void handed_in(fleming::engine engine, const std::string &image) {
    std::string heard;
    fleming::ask_options options;
    options.choices = {"yes", "no"};
    auto first = engine.submit(fleming::request(question).image(image), options, [&](const fleming::event &event) {
        heard += event.text;
        return true;
    });
    auto second = engine.submit(fleming::request(question).image(image));
    // The engine goes; its answers come.
    { auto gone = std::move(engine); }
    std::thread other([&] { second.cancel(); });
    other.join();
    std::optional<fleming::reply> reply;
    while (!(reply = first.wait_for(std::chrono::milliseconds(1)))) {
    }
    CHECK(reply->answer() == "yes" || reply->answer() == "no");
    CHECK(heard.find(reply->answer()) != std::string::npos);
    CHECK(second.wait().finish() == FLEMING_FINISH_CANCELLED);
    bool caught = false;
    try {
        second.wait();
    } catch (const fleming::error &error) {
        caught = error.status() == FLEMING_STATUS_REQUEST;
    }
    CHECK(caught);
}

static void pictures(const fleming::engine &engine, const std::string &video) {
    const std::vector<std::uint8_t> grey(4 * 4 * 3, 128);
    const auto embeddings = engine.embed(fleming::request("").pixels(grey.data(), 4, 4));
    CHECK(embeddings.tiles() == 1 && embeddings.values() != nullptr);
    const std::vector<std::uint16_t> voxels(2 * 3 * 3, 7);
    fleming::volume volume(voxels.data(), 2, 3, 3);
    volume.spacing_mm[0] = volume.spacing_mm[1] = volume.spacing_mm[2] = 1.5;
    volume.slices = 2;
    fleming::study_options two;
    two.frames = 2;
    auto request = fleming::request("What differs?");
    request.volume(volume).video(video, two).turn("Before?", "Nothing.");
    fleming::ask_options options;
    options.max_new_tokens = 2;
    const auto reply = engine.ask(request, options);
    CHECK(reply.frames().size() == 4 && reply.frames()[1].spacing_mm[2] == 1.5);
}
#endif

int main(int argc, char **argv) {
    CHECK(argc == 4);
    without_exceptions(argv[1]);
#if FLEMING_EXCEPTIONS
    CHECK(fleming::version() == FLEMING_VERSION && fleming::memory(argv[1]).total > 0);
    std::atomic<int> logged{0};
    fleming::engine_options options;
    options.slots = 2;
    options.log = [&](fleming_log_level, std::string_view line) { logged += !line.empty(); };
    options.log_level = FLEMING_LOG_LEVEL_INFO;
    fleming::engine engine(argv[1], options);
    CHECK(logged > 0 && std::string(engine.facts().precision) == "f32");
    streamed(engine, argv[2]);
    pictures(engine, argv[3]);
    handed_in(std::move(engine), argv[2]);
#endif
}
