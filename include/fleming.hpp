// fleming.hpp: fleming.h for C++17, header only. What is said there holds here; objects free themselves and can be moved.
//
//     #include <fleming.hpp>
//     #include <iostream>
//
//     int main(int argc, char **argv) {
//         if (argc != 4) return 2;
//         try {
//             fleming::engine engine(argv[1]);
//             auto request = fleming::request(argv[3]).image(argv[2]);
//             auto reply = engine.ask(request, {}, [](const fleming::event &event) {
//                 if (event.answer()) std::cout << event.text << std::flush;
//                 return true; // false stops the answer
//             });
//             std::cout << "\n" << reply.facts().completion_tokens << " tokens\n";
//         } catch (const fleming::error &error) {
//             std::cerr << error.what() << "\n" << error.hint() << "\n";
//             return 1;
//         }
//     }
//
// With C++20, spans are taken and given, and a std::stop_token stops loading and answers.
//
// Whoever wants no exceptions calls the functions that begin with try_: they return a fleming::result, which holds a value or a
// fleming::failure. Built without exceptions (-fno-exceptions), only those are there.

#ifndef FLEMING_HPP
#define FLEMING_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if __cplusplus >= 202002L
#include <version>
#endif
#if defined(__cpp_lib_span)
#include <span>
#endif
#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

#include "fleming.h"

#if defined(__cpp_exceptions)
#define FLEMING_EXCEPTIONS 1
#else
#define FLEMING_EXCEPTIONS 0
#endif

namespace fleming {

// ── failures

// Why a call failed: the message, made of the thing, what was wanted and what was got, and what to do about it.
struct failure {
    fleming_status status = FLEMING_STATUS_OK;
    std::string message;
    std::string hint;
    std::string thing, wanted, got;
};

// The name of a status, "busy", and what it means.
inline std::string_view status_name(fleming_status status) { return fleming_status_name(status); }
inline std::string_view status_text(fleming_status status) { return fleming_status_text(status); }

#if FLEMING_EXCEPTIONS
// The same, thrown. what() is the message.
class error : public std::runtime_error {
public:
    explicit error(failure why) : std::runtime_error(why.message), why_(std::make_shared<failure>(std::move(why))) {}
    fleming_status status() const noexcept { return why_->status; }
    const std::string &hint() const noexcept { return why_->hint; }
    const failure &why() const noexcept { return *why_; }

private:
    std::shared_ptr<const failure> why_; // exceptions are copied, and a copy must not throw
};
#endif

// A value, or why there is none.
template <class T> class [[nodiscard]] result {
public:
    result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    result(failure why) : state_(std::in_place_index<1>, std::move(why)) {}

    bool has_value() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    // Only where there is one.
    T &operator*() & { return *std::get_if<0>(&state_); }
    const T &operator*() const & { return *std::get_if<0>(&state_); }
    T &&operator*() && { return std::move(*std::get_if<0>(&state_)); }
    T *operator->() { return std::get_if<0>(&state_); }
    const T *operator->() const { return std::get_if<0>(&state_); }
    // Only where there is no value.
    const failure &error() const { return *std::get_if<1>(&state_); }

#if FLEMING_EXCEPTIONS
    // The value, or the failure as an exception.
    T value() && {
        if (!has_value()) throw fleming::error(error());
        return std::move(**this);
    }
#endif

private:
    std::variant<T, failure> state_;
};

namespace detail {

inline failure last(fleming_status status) {
    fleming_error_facts facts = FLEMING_ERROR_FACTS_INIT;
    if (fleming_last_error_read(&facts) != FLEMING_STATUS_OK) {
        return {status, fleming_last_error_message(), fleming_last_error_hint(), "", "", ""};
    }
    return {status, facts.message, facts.hint, facts.thing, facts.wanted, facts.got};
}

template <class T, void (*Free)(T *)> struct deleter {
    void operator()(T *object) const noexcept { Free(object); }
};
template <class T, void (*Free)(T *)> using handle = std::unique_ptr<T, deleter<T, Free>>;

// An argument that breaks the rules, found before C is called.
inline failure refusal(const std::string &thing, const std::string &wanted, const std::string &got) {
    return {FLEMING_STATUS_ARGUMENT, thing + ": wanted " + wanted + ", got " + got, "see fleming.hpp", thing, wanted, got};
}

// Texts in C's form, which stand as long as the strings. C would end a text at a NUL within it: the first such text is kept
// as a failure.
class texts {
public:
    const char *text(const char *name, const std::string &given) {
        const auto place = given.find('\0');
        if (place != given.npos && !failed) failed = refusal(name, "a text without a NUL", "one at byte " + std::to_string(place));
        return given.c_str();
    }
    const char *text(const char *name, const std::optional<std::string> &given) {
        return given ? text(name, *given) : nullptr;
    }
    const char *text_or_null(const char *name, const std::string &given) {
        return given.empty() ? nullptr : text(name, given);
    }
    std::vector<const char *> all(const char *name, const std::vector<std::string> &given) {
        std::vector<const char *> pointers;
        for (const auto &one : given) pointers.push_back(text(name, one));
        return pointers;
    }

    std::optional<failure> failed;
};

} // namespace detail

// Bytes that the library made: a text, a session. They stand as long as the buffer.
class buffer {
public:
    std::string_view view() const noexcept { return {facts_.data, facts_.size}; }
#if defined(__cpp_lib_span)
    std::span<const std::byte> bytes() const noexcept {
        return std::as_bytes(std::span<const char>(facts_.data, facts_.size));
    }
#endif

private:
    friend class engine;
    friend result<buffer> try_doctor(const std::optional<std::string> &, const struct engine_options &);
    explicit buffer(fleming_buffer *made) : handle_(made) { fleming_buffer_read(made, &facts_); }

    detail::handle<fleming_buffer, fleming_buffer_free> handle_;
    fleming_buffer_facts facts_ = FLEMING_BUFFER_FACTS_INIT;
};

// Ends every engine of the process; see fleming_shutdown.
inline void shutdown() noexcept { fleming_shutdown(); }

inline std::string_view version() { return fleming_version(); }
inline std::string_view build() { return fleming_build(); }

// ── how an engine is set up

// 0 and "" are the defaults, and FLEMING_ZERO is 0 where that is another value; see fleming_engine_options.
struct engine_options {
    std::string onnxruntime;
    std::string provider;
    std::vector<std::string> provider_options; // "name=value"
    std::size_t threads = 0, slots = 0, context = 0, queue = 0, chunk = 0;
    std::uint64_t image_cache = 0;
    std::uint64_t max_input_bytes = 0, max_pixels = 0, max_unpacked_bytes = 0, max_declared_frames = 0;
    // Hears the log, from any thread; it must not throw.
    std::function<void(fleming_log_level, std::string_view)> log;
    fleming_log_level log_level = FLEMING_LOG_LEVEL_WARN;
    std::string engine_cache;
    // Hears how many of how many bytes were checked while the package is loaded, in the thread that opens; false ends it. It
    // must not throw.
    std::function<bool(std::uint64_t done, std::uint64_t total)> on_load;

private:
    friend class engine;
    friend result<fleming_memory> try_memory(const std::string &, const engine_options &);
    friend result<buffer> try_doctor(const std::optional<std::string> &, const engine_options &);
    using log_function = std::function<void(fleming_log_level, std::string_view)>;

    std::vector<const char *> settings(detail::texts &texts) const { return texts.all("provider_options", provider_options); }
    // The pointers must live as long as what is returned.
    fleming_engine_options c(detail::texts &texts, const std::vector<const char *> &settings, log_function *function) const {
        fleming_engine_options options = FLEMING_ENGINE_OPTIONS_INIT;
        options.onnxruntime = texts.text_or_null("onnxruntime", onnxruntime);
        options.provider = texts.text_or_null("provider", provider);
        options.provider_options = settings.data();
        options.provider_option_count = settings.size();
        options.threads = threads;
        options.slots = slots;
        options.context = context;
        options.queue = queue;
        options.chunk = chunk;
        options.image_cache = image_cache;
        if (function != nullptr) {
            options.log = [](void *user_data, std::int32_t level, const char *message) {
                (*static_cast<log_function *>(user_data))(static_cast<fleming_log_level>(level), message);
            };
            options.log_user_data = function;
        }
        options.log_level = log_level;
        options.engine_cache = texts.text_or_null("engine_cache", engine_cache);
        options.max_input_bytes = max_input_bytes;
        options.max_pixels = max_pixels;
        options.max_unpacked_bytes = max_unpacked_bytes;
        options.max_declared_frames = max_declared_frames;
        if (on_load) {
            options.on_load = [](void *user_data, std::uint64_t done, std::uint64_t total) -> std::int32_t {
                return !static_cast<const engine_options *>(user_data)->on_load(done, total);
            };
            options.load_user_data = const_cast<engine_options *>(this);
        }
        return options;
    }
};

// The memory that an engine will take; nothing is loaded.
inline result<fleming_memory> try_memory(const std::string &package, const engine_options &options = {}) {
    fleming_memory memory = FLEMING_MEMORY_INIT;
    detail::texts texts;
    const auto settings = options.settings(texts);
    const auto c = options.c(texts, settings, nullptr);
    const auto folder = texts.text("package", package);
    if (texts.failed) return *texts.failed;
    const auto status = fleming_package_memory(folder, &c, &memory);
    if (status != FLEMING_STATUS_OK) return detail::last(status);
    return memory;
}

// What this machine has and lacks, and whether a package runs on it, as JSON; see fleming_doctor.
inline result<buffer> try_doctor(const std::optional<std::string> &package = {}, const engine_options &options = {}) {
    auto log = options.log;
    detail::texts texts;
    const auto settings = options.settings(texts);
    const auto c = options.c(texts, settings, log ? &log : nullptr);
    const auto folder = texts.text("package", package);
    if (texts.failed) return *texts.failed;
    fleming_buffer *made = nullptr;
    const auto status = fleming_doctor(folder, &c, &made);
    if (status != FLEMING_STATUS_OK) return detail::last(status);
    return buffer(made);
}

// ── what is asked

// What of a file is looked at; see fleming_study_options.
struct study_options {
    std::size_t slices = 0, max_frames = 0, frames = 0;
    double seconds = 0, start = 0, end = 0;
    std::string window;
    std::string options;
};

namespace detail {

// The fleming_voxel of a type of numbers.
template <class T> constexpr fleming_voxel voxel_of() {
    if constexpr (std::is_same_v<T, std::int8_t>) return FLEMING_VOXEL_INT8;
    else if constexpr (std::is_same_v<T, std::uint8_t>) return FLEMING_VOXEL_UINT8;
    else if constexpr (std::is_same_v<T, std::int16_t>) return FLEMING_VOXEL_INT16;
    else if constexpr (std::is_same_v<T, std::uint16_t>) return FLEMING_VOXEL_UINT16;
    else if constexpr (std::is_same_v<T, std::int32_t>) return FLEMING_VOXEL_INT32;
    else if constexpr (std::is_same_v<T, std::uint32_t>) return FLEMING_VOXEL_UINT32;
    else if constexpr (std::is_same_v<T, float>) return FLEMING_VOXEL_FLOAT32;
    else {
        static_assert(std::is_same_v<T, double>, "integers of 8, 16 or 32 bits, float or double");
        return FLEMING_VOXEL_FLOAT64;
    }
}

} // namespace detail

// A volume of numbers that you have; see fleming_volume. A pointer says the type of the numbers itself.
struct volume {
    const void *voxels = nullptr;
    fleming_voxel voxel = FLEMING_VOXEL_INT16;
    std::size_t depth = 0, height = 0, width = 0;
    double spacing_mm[3] = {0, 0, 0};
    double window_center = 0, window_width = 0;
    std::size_t slices = 0;
    std::string name;
    fleming_window window_function = FLEMING_WINDOW_LINEAR_EXACT;
    double slope = 1, intercept = 0;
    std::size_t row_bytes = 0, slice_bytes = 0;
    std::int32_t bits = 0;
    // Of slices, rows and columns; see fleming_volume.directions.
    std::optional<std::array<std::array<double, 3>, 3>> directions;
    std::array<double, 3> origin_mm{};
    fleming_volume_kind kind = FLEMING_VOLUME_KIND_UNKNOWN;
    std::string options;
    // The numbers that a span has; none where a pointer was given.
    std::optional<std::size_t> count;

    template <class T>
    volume(const T *values, std::size_t d, std::size_t h, std::size_t w)
        : voxels(values), voxel(detail::voxel_of<T>()), depth(d), height(h), width(w) {}
#if defined(__cpp_lib_span)
    template <class T>
    volume(std::span<T> values, std::size_t d, std::size_t h, std::size_t w)
        : volume(static_cast<const std::remove_const_t<T> *>(values.data()), d, h, w) {
        count = values.size();
    }
#endif
};

// A grey picture of numbers that you have, as a detector gives it; see fleming_volume, of FLEMING_MODALITY_IMAGE.
struct radiograph {
    const void *values = nullptr;
    fleming_voxel voxel = FLEMING_VOXEL_UINT16;
    std::size_t width = 0, height = 0;
    std::int32_t bits = 0;
    bool inverse = false; // the lowest value is white
    double slope = 1, intercept = 0;
    double window_center = 0, window_width = 0;
    fleming_window window_function = FLEMING_WINDOW_LINEAR;
    std::size_t row_bytes = 0;
    std::string name;
    std::optional<std::size_t> count;

    template <class T>
    radiograph(const T *numbers, std::size_t w, std::size_t h)
        : values(numbers), voxel(detail::voxel_of<T>()), width(w), height(h) {}
#if defined(__cpp_lib_span)
    template <class T>
    radiograph(std::span<T> numbers, std::size_t w, std::size_t h)
        : radiograph(static_cast<const std::remove_const_t<T> *>(numbers.data()), w, h) {
        count = numbers.size();
    }
#endif
};

// A picture in the layout of a camera or a decoder; see fleming_frames. Planes and strides: RGB and grey have one plane, NV12 two,
// I420 three. A stride of 0 is a row without a gap.
struct frame {
    fleming_pixels pixels = FLEMING_PIXELS_RGB;
    std::size_t width = 0, height = 0;
    std::array<const std::uint8_t *, 3> planes{};
    std::array<std::size_t, 3> strides{};
    fleming_yuv_matrix matrix = FLEMING_YUV_MATRIX_BT601;
    fleming_yuv_range range = FLEMING_YUV_RANGE_LIMITED;
};

// The content of a whole file, and what it is called.
struct memory_file {
    const void *data = nullptr;
    std::size_t size = 0;
    std::string name;
};

// A question, put together in one expression. What goes wrong meanwhile is kept, and told when the request is asked.
class request {
public:
    explicit request(const std::string &question) {
        fleming_request *made = nullptr;
        detail::texts texts;
        const auto c = texts.text("question", question);
        if (refused(texts)) return;
        keep(fleming_request_new(c, &made));
        handle_.reset(made);
    }

    request &turn(const std::string &question, const std::string &answer) & {
        detail::texts texts;
        const auto asked = texts.text("question", question), answered = texts.text("answer", answer);
        return refused(texts) ? *this : keep(fleming_request_turn(handle_.get(), asked, answered));
    }
    // An image, a video or a volume: whatever the content of the file is.
    request &file(const std::string &file, const study_options &options = {}) & {
        return add(FLEMING_MODALITY_ANY, file, options);
    }
    request &image(const std::string &file) & { return add(FLEMING_MODALITY_IMAGE, file, {}); }
    request &video(const std::string &file, const study_options &options = {}) & {
        return add(FLEMING_MODALITY_VIDEO, file, options);
    }
    request &volume(const std::string &file, const study_options &options = {}) & {
        return add(FLEMING_MODALITY_VOLUME, file, options);
    }
#if defined(__cpp_lib_span)
    request &bytes(fleming_modality modality, std::span<const std::byte> data, const std::string &name = "",
                   const study_options &options = {}) & {
        return bytes(modality, data.data(), data.size(), name, options);
    }
#endif
    request &bytes(fleming_modality modality, const void *data, std::size_t size, const std::string &name = "",
                   const study_options &options = {}) & {
        detail::texts texts;
        auto c = of(options, texts);
        c.name = texts.text_or_null("name", name);
        return refused(texts) ? *this : keep(fleming_request_bytes(handle_.get(), modality, data, size, &c));
    }
    // One picture of height rows of width pixels of 3 bytes; see fleming_frames for the rest.
    request &pixels(const std::uint8_t *rgb, std::size_t width, std::size_t height, std::size_t row_bytes = 0) & {
        fleming_frames frames = FLEMING_FRAMES_INIT;
        frames.frames = &rgb;
        frames.count = 1;
        frames.width = width;
        frames.height = height;
        frames.row_bytes = row_bytes;
        frames.modality = FLEMING_MODALITY_IMAGE;
        return this->frames(frames);
    }
    request &frames(const fleming_frames &given) & { return keep(fleming_request_frames(handle_.get(), &given)); }
    // One picture.
    request &picture(const frame &shown, const std::string &name = "") & {
        return clip(&shown, nullptr, 1, name);
    }
    // A clip of frames of one size and layout, each with its time in seconds.
    request &clip(const std::vector<frame> &shown, const std::vector<double> &seconds, const std::string &name = "") & {
        if (shown.size() != seconds.size() || shown.empty()) {
            return fail("seconds", "a time for each frame of a clip", std::to_string(seconds.size()));
        }
        return clip(shown.data(), seconds.data(), shown.size(), name);
    }
    request &volume(const fleming::volume &given) & {
        detail::texts texts;
        fleming_volume c = FLEMING_VOLUME_INIT;
        c.name = texts.text_or_null("name", given.name);
        c.voxels = given.voxels;
        c.voxel = given.voxel;
        c.depth = given.depth;
        c.height = given.height;
        c.width = given.width;
        for (std::size_t axis = 0; axis < 3; ++axis) {
            c.spacing_mm[axis] = given.spacing_mm[axis];
            c.origin_mm[axis] = given.origin_mm[axis];
            if (!given.directions) continue;
            for (std::size_t part = 0; part < 3; ++part) c.directions[axis][part] = (*given.directions)[axis][part];
        }
        c.window_center = given.window_center;
        c.window_width = given.window_width;
        c.window_function = given.window_width == 0 ? 0 : given.window_function;
        c.slices = given.slices;
        c.slope = given.slope;
        c.intercept = given.intercept;
        c.row_bytes = given.row_bytes;
        c.slice_bytes = given.slice_bytes;
        c.bits = given.bits;
        c.kind = given.kind;
        c.options = texts.text_or_null("options", given.options);
        return refused(texts) ? *this : numbers(c, given.count);
    }
    request &radiograph(const fleming::radiograph &given) & {
        detail::texts texts;
        fleming_volume c = FLEMING_VOLUME_INIT;
        c.name = texts.text_or_null("name", given.name);
        c.voxels = given.values;
        c.voxel = given.voxel;
        c.depth = 1;
        c.height = given.height;
        c.width = given.width;
        c.modality = FLEMING_MODALITY_IMAGE;
        c.window_center = given.window_center;
        c.window_width = given.window_width;
        c.window_function = given.window_width == 0 ? 0 : given.window_function;
        c.slope = given.slope;
        c.intercept = given.intercept;
        c.row_bytes = given.row_bytes;
        c.bits = given.bits;
        c.inverse = given.inverse ? 1 : 0;
        return refused(texts) ? *this : numbers(c, given.count);
    }
    // Several files that are one study, such as a DICOM series, in any order.
    request &series(fleming_modality modality, const std::vector<std::string> &files, const study_options &options = {}) & {
        detail::texts texts;
        const auto paths = texts.all("files", files);
        fleming_series c = FLEMING_SERIES_INIT;
        c.files = paths.data();
        c.file_count = paths.size();
        return add(modality, c, options, texts);
    }
    // The same in memory.
    request &series(fleming_modality modality, const std::vector<memory_file> &files, const study_options &options = {}) & {
        std::vector<const void *> data;
        std::vector<std::size_t> sizes;
        std::vector<std::string> names;
        for (const auto &file : files) {
            data.push_back(file.data);
            sizes.push_back(file.size);
            names.push_back(file.name.empty() ? "file " + std::to_string(names.size()) : file.name);
        }
        detail::texts texts;
        const auto called = texts.all("buffer_names", names);
        fleming_series c = FLEMING_SERIES_INIT;
        c.buffers = data.data();
        c.buffer_sizes = sizes.data();
        c.buffer_names = called.data();
        c.buffer_count = data.size();
        return add(modality, c, options, texts);
    }
    // Texts and studies in order, of a request that began with "": see fleming_request_text.
    request &user(const std::string &text) & { return add(FLEMING_ROLE_USER, text); }
    request &assistant(const std::string &text) & { return add(FLEMING_ROLE_ASSISTANT, text); }

    // The same for a request that has no name yet.
    template <class... T> request turn(T &&...t) && { return std::move(turn(std::forward<T>(t)...)); }
    template <class... T> request file(T &&...t) && { return std::move(file(std::forward<T>(t)...)); }
    template <class... T> request image(T &&...t) && { return std::move(image(std::forward<T>(t)...)); }
    template <class... T> request video(T &&...t) && { return std::move(video(std::forward<T>(t)...)); }
    template <class... T> request volume(T &&...t) && { return std::move(volume(std::forward<T>(t)...)); }
    template <class... T> request bytes(T &&...t) && { return std::move(bytes(std::forward<T>(t)...)); }
    template <class... T> request pixels(T &&...t) && { return std::move(pixels(std::forward<T>(t)...)); }
    template <class... T> request frames(T &&...t) && { return std::move(frames(std::forward<T>(t)...)); }
    template <class... T> request picture(T &&...t) && { return std::move(picture(std::forward<T>(t)...)); }
    request clip(const std::vector<frame> &shown, const std::vector<double> &seconds, const std::string &name = "") && {
        return std::move(clip(shown, seconds, name));
    }
    template <class... T> request radiograph(T &&...t) && { return std::move(radiograph(std::forward<T>(t)...)); }
    template <class... T> request series(T &&...t) && { return std::move(series(std::forward<T>(t)...)); }
    template <class... T> request user(T &&...t) && { return std::move(user(std::forward<T>(t)...)); }
    template <class... T> request assistant(T &&...t) && { return std::move(assistant(std::forward<T>(t)...)); }

    // What went wrong first, if anything did.
    const std::optional<failure> &failed() const noexcept { return failed_; }
    const fleming_request *get() const noexcept { return handle_.get(); }

private:
    static fleming_study_options of(const study_options &options, detail::texts &texts) {
        fleming_study_options c = FLEMING_STUDY_OPTIONS_INIT;
        c.slices = options.slices;
        c.max_frames = options.max_frames;
        c.frames = options.frames;
        c.seconds = options.seconds;
        c.start = options.start;
        c.end = options.end;
        c.window = texts.text_or_null("window", options.window);
        c.options = texts.text_or_null("options", options.options);
        return c;
    }
    request &add(fleming_modality modality, const std::string &file, const study_options &options) {
        detail::texts texts;
        const auto c = of(options, texts);
        const auto path = texts.text("file", file);
        return refused(texts) ? *this : keep(fleming_request_file(handle_.get(), modality, path, &c));
    }
    request &add(fleming_modality modality, const fleming_series &files, const study_options &options, detail::texts &texts) {
        const auto c = of(options, texts);
        return refused(texts) ? *this : keep(fleming_request_series(handle_.get(), modality, &files, &c));
    }
    request &add(fleming_role role, const std::string &given) {
        detail::texts texts;
        const auto text = texts.text("text", given);
        return refused(texts) ? *this : keep(fleming_request_text(handle_.get(), role, text));
    }
    request &clip(const frame *shown, const double *seconds, std::size_t count, const std::string &name) {
        std::array<std::vector<const std::uint8_t *>, 3> planes;
        for (std::size_t place = 0; place < count; ++place) {
            const auto &one = shown[place], &first = shown[0];
            const bool alike = one.pixels == first.pixels && one.width == first.width && one.height == first.height &&
                               one.strides == first.strides && one.matrix == first.matrix && one.range == first.range;
            if (!alike) return fail("frames", "frames of one size and layout", "another in frame " + std::to_string(place));
            for (std::size_t plane = 0; plane < 3; ++plane) planes[plane].push_back(one.planes[plane]);
        }
        detail::texts texts;
        fleming_frames c = FLEMING_FRAMES_INIT;
        c.name = texts.text_or_null("name", name);
        c.frames = planes[0].data();
        c.chroma = shown->planes[1] == nullptr ? nullptr : planes[1].data();
        c.chroma_v = shown->planes[2] == nullptr ? nullptr : planes[2].data();
        c.count = count;
        c.seconds = seconds;
        c.width = shown->width;
        c.height = shown->height;
        c.row_bytes = shown->strides[0];
        c.chroma_row_bytes = shown->strides[1];
        c.chroma_v_row_bytes = shown->strides[2];
        c.modality = seconds == nullptr ? FLEMING_MODALITY_IMAGE : FLEMING_MODALITY_VIDEO;
        c.pixels = shown->pixels;
        c.yuv_matrix = shown->matrix;
        c.yuv_range = shown->range;
        return refused(texts) ? *this : keep(fleming_request_frames(handle_.get(), &c));
    }
    // Refuses a span that has other than the numbers of the shape; gaps are for pointers.
    request &numbers(const fleming_volume &c, std::optional<std::size_t> count) {
        if (count && (c.row_bytes != 0 || c.slice_bytes != 0)) return fail("row_bytes", "0 of a span", "another");
        // Without a product that could overflow.
        const auto sides = {c.depth, c.height, c.width};
        std::size_t left = count.value_or(0);
        bool whole = true;
        for (const auto side : sides) {
            whole = whole && side != 0 && left % side == 0;
            if (whole) left /= side;
        }
        if (count && !(whole && left == 1)) {
            return fail("voxels", "a span of depth * height * width numbers", std::to_string(*count));
        }
        return keep(fleming_request_volume(handle_.get(), &c));
    }
    request &fail(const std::string &thing, const std::string &wanted, const std::string &got) {
        if (!failed_) failed_ = detail::refusal(thing, wanted, got);
        return *this;
    }
    bool refused(const detail::texts &texts) {
        if (texts.failed && !failed_) failed_ = texts.failed;
        return texts.failed.has_value();
    }
    request &keep(fleming_status status) {
        if (status != FLEMING_STATUS_OK && !failed_) failed_ = detail::last(status);
        return *this;
    }

    detail::handle<fleming_request, fleming_request_free> handle_;
    std::optional<failure> failed_;
};

// How a question is answered; 0, "" and none are the defaults, and FLEMING_ZERO is 0 where that is another value. See
// fleming_ask_options.
struct ask_options {
    std::optional<std::string> system, instruction;
    std::vector<std::string> choices;
    std::string json_schema, regex, grammar;
    std::vector<std::string> stops;
    std::size_t max_new_tokens = 0, max_thinking_tokens = 0, max_tiles = 0, speculation = 0, top_k = 0;
    std::chrono::milliseconds timeout{0};
    std::uint64_t seed = 0;
    std::optional<std::string> scope;
    std::map<std::uint32_t, float> logit_bias;
    // The log-probability of each token, and of this many of the likeliest at its place: see reply::token.
    bool logprobs = false, ignore_eos = false;
    std::size_t top_logprobs = 0;
    // For what was handed in: called whenever there may be something to wait for, from threads of the library. It posts to
    // the program's own loop, calls nothing of the library and does not throw.
    std::function<void()> on_ready;
    float temperature = 0, top_p = 0, min_p = 0;
    float repetition_penalty = 0, frequency_penalty = 0, presence_penalty = 0;
    fleming_preprocessing preprocessing = FLEMING_PREPROCESSING_CLINICAL;
    bool keep_seen = false; // for reply::seen
};

// ── what comes back

// A picture of 3 bytes a pixel, red, green, blue, row by row without gaps. It stands as long as what it came from.
struct picture {
    const std::uint8_t *rgb = nullptr;
    std::size_t width = 0, height = 0;
#if defined(__cpp_lib_span)
    std::span<const std::uint8_t> bytes() const noexcept { return {rgb, width * height * 3}; }
#endif
};

// What happens while an answer is made.
struct event {
    fleming_event_kind kind;
    std::string_view text;
    std::size_t done, total;
    std::size_t number; // which of several answers, from 0

    bool thought() const noexcept { return kind == FLEMING_EVENT_KIND_THOUGHT; }
    bool answer() const noexcept { return kind == FLEMING_EVENT_KIND_ANSWER; }
};

// Hears of an answer; false stops it. What it throws stops the answer too, and comes out of ask or wait.
using listener = std::function<bool(const event &)>;

class reply {
public:
    std::string_view answer() const noexcept { return facts_.answer; }
    std::optional<std::string_view> thought() const {
        if (facts_.thought == nullptr) return std::nullopt;
        return facts_.thought;
    }
    std::string_view text() const noexcept { return facts_.text; }
    std::string_view warnings() const noexcept { return facts_.warnings; }
    fleming_finish finish() const noexcept { return static_cast<fleming_finish>(facts_.finish); }
    // Tokens, times, and the rest.
    const fleming_reply_facts &facts() const noexcept { return facts_; }
    std::vector<fleming_frame_facts> frames() const {
        std::vector<fleming_frame_facts> all(facts_.frame_count, FLEMING_FRAME_FACTS_INIT);
        for (std::size_t place = 0; place < all.size(); ++place) fleming_reply_frame(handle_.get(), place, &all[place]);
        return all;
    }
    // The ids of the tokens.
    std::vector<std::uint32_t> ids() const {
        return {facts_.completion_ids, facts_.completion_ids + facts_.completion_tokens};
    }
    // A token with its log-probability, where that was asked for. rank 0 is the one that was generated, 1 the likeliest.
    result<fleming_token_facts> try_token(std::size_t place, std::size_t rank = 0) const {
        fleming_token_facts facts = FLEMING_TOKEN_FACTS_INIT;
        const auto status = fleming_reply_token(handle_.get(), place, rank, &facts);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return facts;
    }
#if FLEMING_EXCEPTIONS
    fleming_token_facts token(std::size_t place, std::size_t rank = 0) const { return try_token(place, rank).value(); }
#endif
    // A frame as the model saw it, its tiles one below the other; empty if it was not kept: see ask_options::keep_seen.
    picture seen(std::size_t place) const noexcept {
        fleming_picture shown = FLEMING_PICTURE_INIT;
        fleming_reply_seen(handle_.get(), place, &shown);
        return {shown.rgb, shown.width, shown.height};
    }
    const fleming_reply *get() const noexcept { return handle_.get(); }

private:
    friend class engine;
    friend class pending;
    explicit reply(fleming_reply *made) : handle_(made) { fleming_reply_read(made, &facts_); }

    detail::handle<fleming_reply, fleming_reply_free> handle_;
    fleming_reply_facts facts_ = FLEMING_REPLY_FACTS_INIT;
};

// Image embeddings: values()[tile][token][number].
class embeddings {
public:
    const float *values() const noexcept { return facts_.values; }
    std::size_t tiles() const noexcept { return facts_.tiles; }
    std::size_t tokens() const noexcept { return facts_.tokens; }
    std::size_t hidden() const noexcept { return facts_.hidden; }
#if defined(__cpp_lib_span)
    std::span<const float> span() const noexcept { return {facts_.values, tiles() * tokens() * hidden()}; }
#endif

private:
    friend class engine;
    explicit embeddings(fleming_embeddings *made) : handle_(made) { fleming_embeddings_read(made, &facts_); }

    detail::handle<fleming_embeddings, fleming_embeddings_free> handle_;
    fleming_embeddings_facts facts_ = FLEMING_EMBEDDINGS_FACTS_INIT;
};

// What the model sees of a request's studies, before it is asked. Pictures stand as long as it does.
class preview {
public:
    // All frames side by side, and where in the studies they lie; and the content of a PNG file of it.
    picture sheet() const noexcept { return {facts_.rgb, facts_.width, facts_.height}; }
    std::string_view png() const noexcept { return {reinterpret_cast<const char *>(facts_.png), facts_.png_size}; }
    std::string_view warnings() const noexcept { return facts_.warnings; }
    std::size_t frame_count() const noexcept { return facts_.frame_count; }
    // Of a frame that there is; its tiles stand one below the other.
    fleming_frame_facts frame(std::size_t place) const noexcept { return look(place).first; }
    picture seen(std::size_t place) const noexcept {
        const auto shown = look(place).second;
        return {shown.rgb, shown.width, shown.height};
    }
    const fleming_preview *get() const noexcept { return handle_.get(); }

private:
    friend class engine;
    explicit preview(fleming_preview *made) : handle_(made) { fleming_preview_read(made, &facts_); }
    std::pair<fleming_frame_facts, fleming_picture> look(std::size_t place) const noexcept {
        std::pair<fleming_frame_facts, fleming_picture> found{FLEMING_FRAME_FACTS_INIT, FLEMING_PICTURE_INIT};
        fleming_preview_frame(handle_.get(), place, &found.first, &found.second);
        return found;
    }

    detail::handle<fleming_preview, fleming_preview_free> handle_;
    fleming_preview_facts facts_ = FLEMING_PREVIEW_FACTS_INIT;
};

namespace detail {

// The options of one question in C's form, and who hears of its answer. It stays where it is.
struct asking {
    asking(const ask_options &options, listener hearing, std::size_t answers = 1)
        : own(options), hears(std::move(hearing)), choices(texts.all("choices", own.choices)),
          stops(texts.all("stops", own.stops)), thrown(answers) {
        c.system = texts.text("system", own.system);
        c.instruction = texts.text("instruction", own.instruction);
        c.choices = choices.data();
        c.choice_count = choices.size();
        c.json_schema = texts.text_or_null("json_schema", own.json_schema);
        c.regex = texts.text_or_null("regex", own.regex);
        c.grammar = texts.text_or_null("grammar", own.grammar);
        c.stops = stops.data();
        c.stop_count = stops.size();
        c.max_new_tokens = own.max_new_tokens;
        c.max_thinking_tokens = own.max_thinking_tokens;
        c.max_tiles = own.max_tiles;
        c.speculation = own.speculation;
        c.timeout_ms = own.timeout.count() < 0 ? 1 : static_cast<std::uint64_t>(own.timeout.count());
        c.seed = own.seed;
        c.top_k = own.top_k;
        c.temperature = own.temperature;
        c.top_p = own.top_p;
        c.min_p = own.min_p;
        c.repetition_penalty = own.repetition_penalty;
        c.frequency_penalty = own.frequency_penalty;
        c.presence_penalty = own.presence_penalty;
        c.preprocessing = own.preprocessing;
        c.scope = texts.text("scope", own.scope);
        for (const auto &[id, bias] : own.logit_bias) {
            bias_ids.push_back(id);
            biases.push_back(bias);
        }
        c.bias_ids = bias_ids.data();
        c.biases = biases.data();
        c.bias_count = biases.size();
        c.logprobs = own.logprobs;
        c.top_logprobs = own.top_logprobs;
        c.ignore_eos = own.ignore_eos;
        c.keep_seen = own.keep_seen ? 1 : 0;
        c.user_data = this;
        if (hears) c.on_event = hear;
        if (own.on_ready) {
            c.on_ready = [](void *user_data) { static_cast<asking *>(user_data)->own.on_ready(); };
        }
    }
    asking(const asking &) = delete;
    asking &operator=(const asking &) = delete;

    static std::int32_t hear(void *user_data, const fleming_event *told) {
        auto &self = *static_cast<asking *>(user_data);
        const event heard{static_cast<fleming_event_kind>(told->kind), {told->text, told->length}, told->done, told->total,
                          told->answer};
#if FLEMING_EXCEPTIONS
        auto &exception = self.thrown[told->answer];
        try {
            return exception || !self.hears(heard);
        } catch (...) {
            exception = std::current_exception();
            return 1;
        }
#else
        return !self.hears(heard);
#endif
    }

    // What the listener threw about an answer goes on its way.
    void rethrow([[maybe_unused]] std::size_t number = 0) {
#if FLEMING_EXCEPTIONS
        if (thrown[number]) std::rethrow_exception(std::exchange(thrown[number], nullptr));
#endif
    }

    // What is wrong with it, if anything is.
    const std::optional<failure> &failed() const noexcept { return texts.failed; }

    const ask_options own;
    listener hears;
    detail::texts texts; // before the lists that it makes
    std::vector<const char *> choices, stops;
    std::vector<std::uint32_t> bias_ids;
    std::vector<float> biases;
    fleming_ask_options c = FLEMING_ASK_OPTIONS_INIT;
    std::vector<std::exception_ptr> thrown; // of each answer
};

using log_function = std::function<void(fleming_log_level, std::string_view)>;

} // namespace detail

// An answer that was handed in. One thread waits for it, any thread may cancel it. Destroyed, it is cancelled.
class pending {
public:
    // Until the answer is complete.
    result<reply> try_wait() {
        fleming_reply *made = nullptr;
        const auto status = fleming_pending_wait(handle_.get(), -1, &made);
        detail::handle<fleming_reply, fleming_reply_free> owned(made);
        asking_->rethrow(number_);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return reply(owned.release());
    }
    // At most so long; 0 only looks.
    result<std::optional<reply>> try_wait_for(std::chrono::milliseconds time) {
        fleming_reply *made = nullptr;
        const auto status = fleming_pending_wait(handle_.get(), time.count() < 0 ? 0 : time.count(), &made);
        detail::handle<fleming_reply, fleming_reply_free> owned(made);
        asking_->rethrow(number_);
        if (status == FLEMING_STATUS_PENDING) return std::optional<reply>();
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return std::optional<reply>(reply(owned.release()));
    }
    void cancel() const noexcept { fleming_pending_cancel(handle_.get()); }
    // To wait on with poll, epoll or an event loop, until this is destroyed; see fleming_pending_descriptor.
    result<int> try_descriptor() const {
        std::int32_t descriptor = -1;
        const auto status = fleming_pending_descriptor(handle_.get(), &descriptor);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return static_cast<int>(descriptor);
    }
#if defined(__cpp_lib_jthread)
    // Until the answer is complete, or stopped: it is then as far as it got.
    result<reply> try_wait(std::stop_token stop) {
        const std::stop_callback cancelled(std::move(stop), [this] { cancel(); });
        return try_wait();
    }
#endif

#if FLEMING_EXCEPTIONS
    int descriptor() const { return try_descriptor().value(); }
#if defined(__cpp_lib_jthread)
    reply wait(std::stop_token stop) { return try_wait(std::move(stop)).value(); }
#endif
    reply wait() { return try_wait().value(); }
    std::optional<reply> wait_for(std::chrono::milliseconds time) { return try_wait_for(time).value(); }
#endif

private:
    friend class engine;
    pending(fleming_pending *made, std::shared_ptr<detail::asking> asking, std::shared_ptr<detail::log_function> log,
            std::size_t number = 0)
        : log_(std::move(log)), asking_(std::move(asking)), number_(number), handle_(made) {}

    std::shared_ptr<detail::log_function> log_;
    std::shared_ptr<detail::asking> asking_; // of all answers to a request
    std::size_t number_;
    detail::handle<fleming_pending, fleming_pending_free> handle_; // goes first
};

// Sets who hears the log of the process, from any thread: what no engine has a function of its own for. None ends it. It must
// not throw, and calls nothing of the library.
inline void log(std::function<void(fleming_log_level, std::string_view)> hears, fleming_log_level level = FLEMING_LOG_LEVEL_WARN) {
    static std::mutex one;
    static auto &kept = *new detail::log_function; // for as long as the process: threads may log while it ends
    const std::lock_guard<std::mutex> lock(one);
    fleming_log(nullptr, nullptr, level); // from here on nobody is called
    kept = std::move(hears);
    if (!kept) return;
    fleming_log(
        [](void *user_data, std::int32_t line, const char *message) {
            (*static_cast<detail::log_function *>(user_data))(static_cast<fleming_log_level>(line), message);
        },
        &kept, level);
}

// ── a loaded model

// Usable from many threads at once. Destroyed while answers are made, it is unloaded when the last of them is done; the function
// for the log must live until then.
class engine {
public:
    static result<engine> try_open(const std::string &package, const engine_options &options = {}) {
        auto log = options.log ? std::make_shared<detail::log_function>(options.log) : nullptr;
        detail::texts texts;
        const auto settings = options.settings(texts);
        const auto c = options.c(texts, settings, log.get());
        const auto folder = texts.text("package", package);
        if (texts.failed) return *texts.failed;
        fleming_engine *made = nullptr;
        const auto status = fleming_engine_open(folder, &c, &made);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return engine(made, std::move(log));
    }
    result<reply> try_ask(const request &request, const ask_options &options = {}, listener hears = nullptr) const {
        if (request.failed()) return *request.failed();
        detail::asking asking(options, std::move(hears));
        if (asking.failed()) return *asking.failed();
        const auto log = log_; // for as long as the call, whatever becomes of the engine
        fleming_reply *made = nullptr;
        const auto status = fleming_engine_ask(handle_.get(), request.get(), &asking.c, &made);
        detail::handle<fleming_reply, fleming_reply_free> owned(made);
        asking.rethrow();
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return reply(owned.release());
    }
    result<pending> try_submit(const request &request, const ask_options &options = {}, listener hears = nullptr) const {
        if (request.failed()) return *request.failed();
        auto asking = std::make_shared<detail::asking>(options, std::move(hears));
        if (asking->failed()) return *asking->failed();
        fleming_pending *made = nullptr;
        const auto status = fleming_engine_submit(handle_.get(), request.get(), &asking->c, &made);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return pending(made, std::move(asking), log_);
    }
    // Several answers from one prefill; see fleming_engine_submit_all. The listener hears of all of them.
    result<std::vector<pending>> try_submit_all(const request &request, std::size_t answers, const ask_options &options = {},
                                                listener hears = nullptr) const {
        if (request.failed()) return *request.failed();
        auto asking = std::make_shared<detail::asking>(options, std::move(hears), answers);
        if (asking->failed()) return *asking->failed();
        std::vector<fleming_pending *> made(answers, nullptr);
        const auto status = fleming_engine_submit_all(handle_.get(), request.get(), &asking->c, answers, made.data());
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        std::vector<pending> all;
        for (std::size_t number = 0; number < answers; ++number) all.push_back(pending(made[number], asking, log_, number));
        return all;
    }
#if defined(__cpp_lib_jthread)
    // Stopped, the answer is as far as it got.
    result<reply> try_ask(const request &request, const ask_options &options, listener hears, std::stop_token stop) const {
        auto handed_in = try_submit(request, options, std::move(hears));
        if (!handed_in) return handed_in.error();
        return handed_in->try_wait(std::move(stop));
    }
    // Stopped, it is FLEMING_STATUS_CANCELLED.
    static result<engine> try_open(const std::string &package, engine_options options, std::stop_token stop) {
        options.on_load = [heard = std::move(options.on_load), stop = std::move(stop)](std::uint64_t done, std::uint64_t total) {
            return !stop.stop_requested() && (!heard || heard(done, total));
        };
        return try_open(package, options);
    }
#endif
    // The length of a prompt; nothing runs.
    result<fleming_token_count> try_count_tokens(const request &request, const ask_options &options = {}) const {
        if (request.failed()) return *request.failed();
        const detail::asking asking(options, nullptr);
        if (asking.failed()) return *asking.failed();
        fleming_token_count count = FLEMING_TOKEN_COUNT_INIT;
        const auto status = fleming_engine_count_tokens(handle_.get(), request.get(), &asking.c, &count);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return count;
    }
    result<embeddings> try_embed(const request &request, const ask_options &options = {}) const {
        if (request.failed()) return *request.failed();
        const detail::asking asking(options, nullptr);
        if (asking.failed()) return *asking.failed();
        fleming_embeddings *made = nullptr;
        const auto status = fleming_engine_embed(handle_.get(), request.get(), &asking.c, &made);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return embeddings(made);
    }
    result<fleming::preview> try_preview(const request &request, const ask_options &options = {}) const {
        if (request.failed()) return *request.failed();
        const detail::asking asking(options, nullptr);
        if (asking.failed()) return *asking.failed();
        fleming_preview *made = nullptr;
        const auto status = fleming_engine_preview(handle_.get(), request.get(), &asking.c, &made);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return fleming::preview(made);
    }
    // The texts stand as long as the engine.
    result<fleming_engine_facts> try_facts() const {
        fleming_engine_facts facts = FLEMING_ENGINE_FACTS_INIT;
        const auto status = fleming_engine_read(handle_.get(), &facts);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return facts;
    }
    result<std::monostate> try_save_session(const reply &reply, const std::string &file) const {
        detail::texts texts;
        const auto path = texts.text("file", file);
        if (texts.failed) return *texts.failed;
        const auto status = fleming_engine_save_session(handle_.get(), reply.get(), path);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return std::monostate();
    }
    result<std::monostate> try_load_session(const std::string &file) const {
        detail::texts texts;
        const auto path = texts.text("file", file);
        if (texts.failed) return *texts.failed;
        const auto status = fleming_engine_load_session(handle_.get(), path);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return std::monostate();
    }
    result<buffer> try_save_session(const reply &reply) const {
        fleming_buffer *made = nullptr;
        const auto status = fleming_engine_save_session_bytes(handle_.get(), reply.get(), &made);
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return buffer(made);
    }
    result<std::monostate> try_load_session_bytes(std::string_view session) const {
        const auto status = fleming_engine_load_session_bytes(handle_.get(), session.data(), session.size());
        if (status != FLEMING_STATUS_OK) return detail::last(status);
        return std::monostate();
    }

#if FLEMING_EXCEPTIONS
    explicit engine(const std::string &package, const engine_options &options = {})
        : engine(try_open(package, options).value()) {}
    reply ask(const request &request, const ask_options &options = {}, listener hears = nullptr) const {
        return try_ask(request, options, std::move(hears)).value();
    }
    pending submit(const request &request, const ask_options &options = {}, listener hears = nullptr) const {
        return try_submit(request, options, std::move(hears)).value();
    }
    std::vector<pending> submit_all(const request &request, std::size_t answers, const ask_options &options = {},
                                    listener hears = nullptr) const {
        return try_submit_all(request, answers, options, std::move(hears)).value();
    }
#if defined(__cpp_lib_jthread)
    engine(const std::string &package, engine_options options, std::stop_token stop)
        : engine(try_open(package, std::move(options), std::move(stop)).value()) {}
    reply ask(const request &request, const ask_options &options, listener hears, std::stop_token stop) const {
        return try_ask(request, options, std::move(hears), std::move(stop)).value();
    }
#endif
    fleming_token_count count_tokens(const request &request, const ask_options &options = {}) const {
        return try_count_tokens(request, options).value();
    }
    buffer save_session(const reply &reply) const { return try_save_session(reply).value(); }
    void load_session_bytes(std::string_view session) const { try_load_session_bytes(session).value(); }
    embeddings embed(const request &request, const ask_options &options = {}) const {
        return try_embed(request, options).value();
    }
    fleming::preview preview(const request &request, const ask_options &options = {}) const {
        return try_preview(request, options).value();
    }
    fleming_engine_facts facts() const { return try_facts().value(); }
    void save_session(const reply &reply, const std::string &file) const { try_save_session(reply, file).value(); }
    void load_session(const std::string &file) const { try_load_session(file).value(); }
#endif

private:
    engine(fleming_engine *made, std::shared_ptr<detail::log_function> log) : log_(std::move(log)), handle_(made) {}

    std::shared_ptr<detail::log_function> log_;
    detail::handle<fleming_engine, fleming_engine_free> handle_; // goes first
};

#if FLEMING_EXCEPTIONS
inline fleming_memory memory(const std::string &package, const engine_options &options = {}) {
    return try_memory(package, options).value();
}
inline buffer doctor(const std::optional<std::string> &package = {}, const engine_options &options = {}) {
    return try_doctor(package, options).value();
}
#endif

} // namespace fleming

#endif // FLEMING_HPP
