// fleming.hpp: what fleming.h does, with objects that free themselves. use PACKAGE IMAGE VIDEO

#include <fleming.hpp>

#include <atomic>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
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
static_assert(!std::is_copy_constructible_v<fleming::embeddings> && !std::is_copy_constructible_v<fleming::buffer>);

static const std::string question = "Is there a nodule, and on which side?";

template <class T> static bool names(const fleming::result<T> &refused, const std::string &thing) {
    return !refused && refused.error().status == FLEMING_STATUS_ARGUMENT && refused.error().thing == thing &&
           refused.error().message == thing + ": wanted a text without a NUL, got one at byte 1";
}

// C cannot be given a text with a NUL in it: it would be cut there.
static void texts_are_not_cut(const fleming::engine &engine, const std::string &package) {
    const std::string cut("a\0b", 3);
    fleming::study_options window, look;
    window.window = look.options = cut;
    const std::int16_t voxels[8] = {};
    fleming::volume volume(voxels, 2, 2, 2);
    volume.name = cut;
    const auto asked = [&](const fleming::request &request) { return engine.try_ask(request); };
    CHECK(names(asked(fleming::request(cut)), "question"));
    CHECK(names(asked(fleming::request("?").turn(cut, "")), "question"));
    CHECK(names(asked(fleming::request("?").turn("", cut)), "answer"));
    CHECK(names(asked(fleming::request("?").image(cut)), "file"));
    CHECK(names(asked(fleming::request("?").volume("x", window)), "window"));
    CHECK(names(asked(fleming::request("?").volume("x", look)), "options"));
    CHECK(names(asked(fleming::request("?").volume(volume)), "name"));
    CHECK(names(asked(fleming::request("?").bytes(FLEMING_MODALITY_IMAGE, "x", 1, cut)), "name"));
    const std::vector<std::string> files{"x", cut};
    CHECK(names(asked(fleming::request("?").series(FLEMING_MODALITY_VOLUME, files)), "files"));
    CHECK(names(asked(fleming::request("").user(cut)), "text"));
    CHECK(names(asked(fleming::request("").assistant(cut)), "text"));
    const std::map<std::string, std::function<void(fleming::ask_options &)>> options{
        {"system", [&](auto &ask) { ask.system = cut; }},
        {"instruction", [&](auto &ask) { ask.instruction = cut; }},
        {"choices", [&](auto &ask) { ask.choices = {"yes", cut}; }},
        {"stops", [&](auto &ask) { ask.stops = {cut}; }},
        {"json_schema", [&](auto &ask) { ask.json_schema = cut; }},
        {"regex", [&](auto &ask) { ask.regex = cut; }},
        {"grammar", [&](auto &ask) { ask.grammar = cut; }},
        {"scope", [&](auto &ask) { ask.scope = cut; }},
    };
    for (const auto &[name, set] : options) {
        fleming::ask_options ask;
        set(ask);
        const fleming::request request("?");
        CHECK(names(engine.try_ask(request, ask), name) && names(engine.try_submit(request, ask), name));
        CHECK(names(engine.try_submit_all(request, 2, ask), name) && names(engine.try_count_tokens(request, ask), name));
        CHECK(names(engine.try_embed(request, ask), name) && names(engine.try_preview(request, ask), name));
    }
    fleming::engine_options setup;
    setup.provider_options = {cut};
    CHECK(names(fleming::engine::try_open(package, setup), "provider_options"));
    CHECK(names(fleming::try_memory(cut), "package") && names(fleming::try_doctor(cut), "package"));
    CHECK(names(engine.try_load_session(cut), "file"));
#if FLEMING_EXCEPTIONS
    bool thrown = false;
    try {
        engine.ask(fleming::request(cut));
    } catch (const fleming::error &error) {
        thrown = error.status() == FLEMING_STATUS_ARGUMENT;
    }
    CHECK(thrown);
#endif
}

static void without_exceptions(const std::string &package) {
    auto none = fleming::engine::try_open("nowhere");
    CHECK(!none && none.error().status == FLEMING_STATUS_PACKAGE && !none.error().message.empty());
    CHECK(none.error().wanted == "a package's manifest" && !none.error().thing.empty() && !none.error().got.empty());
    CHECK(fleming::status_name(FLEMING_STATUS_BUSY) == "busy" && !fleming::status_text(FLEMING_STATUS_BUSY).empty());
    auto report = fleming::try_doctor();
    CHECK(report && report->view().find("\"providers\"") != std::string_view::npos);
    auto memory = fleming::try_memory(package);
    CHECK(memory && memory->total > 0);
    auto engine = fleming::engine::try_open(package);
    CHECK(engine);
    texts_are_not_cut(*engine, package);
    auto reply = engine->try_ask(fleming::request("Why?").image("nowhere.png"));
    CHECK(!reply && reply.error().status == FLEMING_STATUS_INPUT);
    // What was put together wrongly is told when it is asked.
    fleming::study_options three;
    three.frames = 3;
    auto refused = engine->try_ask(fleming::request("Why?").volume("file", three));
    CHECK(!refused && refused.error().status == FLEMING_STATUS_ARGUMENT);
    fleming::ask_options options;
    options.max_new_tokens = 2;
    auto count = engine->try_count_tokens(fleming::request("Why?"));
    CHECK(count && count->fits == 1 && count->frames == 0);
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

static void tokens(const fleming::engine &engine, const std::string &image) {
    const auto request = fleming::request(question).image(image);
    fleming::ask_options options;
    options.logprobs = true;
    options.top_logprobs = 2;
    options.max_new_tokens = 4;
    options.scope = "mine";
    const auto reply = engine.ask(request, options);
    // What it left in memory goes on elsewhere.
    const auto session = engine.save_session(reply);
    CHECK(session.view().substr(0, 7) == "fleming");
    engine.load_session_bytes(session.view());
    const auto ids = reply.ids();
    CHECK(ids.size() == 4 && reply.token(0).id == ids[0] && reply.token(3, 2).logprob <= reply.token(3, 1).logprob);
    CHECK(reply.facts().prompt_tokens == engine.count_tokens(request).prompt_tokens);
    CHECK(!reply.try_token(4) && reply.try_token(4).error().status == FLEMING_STATUS_ARGUMENT);
    options.logit_bias[ids[0]] = -100;
    CHECK(engine.ask(request, options).ids()[0] != ids[0]);
}

static void several_answers(const fleming::engine &engine, const std::string &image) {
    fleming::ask_options options;
    options.temperature = 4;
    options.max_new_tokens = 12;
    std::atomic<int> ready{0};
    options.on_ready = [&] { ++ready; };
    std::vector<std::string> heard(3);
    auto answers = engine.submit_all(fleming::request(question).image(image), 3, options, [&](const fleming::event &event) {
        heard[event.number] += event.text;
        return true;
    });
    for (std::size_t number = answers.size(); number-- > 0;) {
        CHECK(answers[number].descriptor() >= 0);
        const auto reply = answers[number].wait();
        CHECK(heard[number].find(reply.answer()) != std::string::npos && !heard[number].empty());
    }
    CHECK(answers.size() == 3 && ready > 3 && (heard[0] != heard[1] || heard[1] != heard[2]));
    // What the listener throws comes out of the answer that it was about.
    auto thrown = engine.submit_all(fleming::request(question), 2, {}, [](const fleming::event &event) -> bool {
        if (event.number == 1) throw std::out_of_range("second");
        return true;
    });
    CHECK(!thrown[0].wait().text().empty());
    bool caught = false;
    try {
        thrown[1].wait();
    } catch (const std::out_of_range &) {
        caught = true;
    }
    CHECK(caught);
}

static void the_process(const std::string &package) {
    static std::atomic<int> logged{0};
    fleming::log([](fleming_log_level, std::string_view line) { logged += !line.empty(); }, FLEMING_LOG_LEVEL_INFO);
    fleming::engine_options options;
    options.max_pixels = 1000;
    std::atomic<int> loading{0};
    options.on_load = [&](std::uint64_t done, std::uint64_t total) { return ++loading, done <= total; };
    const fleming::engine engine(package, options);
    CHECK(logged > 0);
    fleming::log(nullptr);
    const int before = logged;
    const std::vector<std::uint8_t> grey(100 * 100 * 3, 128);
    fleming::ask_options two;
    two.max_new_tokens = 2;
    engine.ask(fleming::request("Why?").pixels(grey.data(), 100, 100), two);
    CHECK(logged == before);
    fleming::shutdown();
    bool caught = false;
    try {
        engine.ask(fleming::request("Why?"));
    } catch (const fleming::error &error) {
        caught = error.status() == FLEMING_STATUS_RUNTIME && error.why().got == "one that was shut down";
    }
    CHECK(caught);
}

#if __cplusplus >= 202002L
static void with_cpp20(const std::string &package, const std::string &image) {
    std::stop_source stop;
    const fleming::engine engine(package, {}, stop.get_token());
    const auto request = fleming::request(question).image(image);
    // Stopped from within, at the first piece of text; and before it began.
    const auto reply = engine.ask(request, {}, [&](const fleming::event &event) {
        if (!event.text.empty()) stop.request_stop();
        return true;
    }, stop.get_token());
    CHECK(reply.finish() == FLEMING_FINISH_CANCELLED);
    CHECK(engine.submit(request).wait(stop.get_token()).finish() == FLEMING_FINISH_CANCELLED);
    const auto embeddings = engine.embed(request);
    CHECK(embeddings.span().size() == embeddings.tiles() * embeddings.tokens() * embeddings.hidden());
    const auto report = fleming::doctor();
    CHECK(report.bytes().size() == report.view().size());
    const auto none = engine.try_ask(fleming::request("?").bytes(FLEMING_MODALITY_IMAGE, report.bytes()));
    CHECK(!none && none.error().status == FLEMING_STATUS_INPUT);
}
#endif

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
    tokens(engine, argv[2]);
    several_answers(engine, argv[2]);
#if __cplusplus >= 202002L
    with_cpp20(argv[1], argv[2]);
#endif
    handed_in(std::move(engine), argv[2]);
    the_process(argv[1]);
#endif
}
