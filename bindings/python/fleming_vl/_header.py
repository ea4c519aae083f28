"""include/fleming.h as ctypes: made by generate.py, not by hand."""

import enum
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)

VERSION = "0.1.0"
VERSION_MAJOR = 0
VERSION_MINOR = 1
VERSION_PATCH = 0
ZERO = c_size_t(-1).value


class fleming_status(enum.IntEnum):
    "fleming_status"

    OK = 0
    INPUT = 1
    REQUEST = 2
    PACKAGE = 3
    RUNTIME = 4
    BUSY = 5
    CANCELLED = 6
    TIMED_OUT = 7
    ARGUMENT = 100
    PANIC = 101
    PENDING = 102


class fleming_log_level(enum.IntEnum):
    "fleming_log_level"

    ERROR = 1
    WARN = 2
    INFO = 3
    DEBUG = 4
    TRACE = 5


class fleming_preprocessing(enum.IntEnum):
    "fleming_preprocessing"

    CLINICAL = 0
    REFERENCE = 1


class fleming_event_kind(enum.IntEnum):
    "fleming_event_kind"

    ENCODING = 1
    PREFILLING = 2
    THOUGHT = 3
    ANSWER = 4
    READING = 5


class fleming_finish(enum.IntEnum):
    "fleming_finish"

    STOP = 1
    LENGTH = 2
    CANCELLED = 3
    TIMED_OUT = 4


class fleming_part(enum.IntEnum):
    "fleming_part"

    NONE = 0
    THOUGHT = 1
    ANSWER = 2


class fleming_modality(enum.IntEnum):
    "fleming_modality"

    IMAGE = 1
    VIDEO = 2
    VOLUME = 3
    ANY = 100


class fleming_voxel(enum.IntEnum):
    "fleming_voxel"

    INT16 = 1
    UINT16 = 2
    INT8 = 3
    UINT8 = 4
    INT32 = 5
    UINT32 = 6
    FLOAT32 = 7
    FLOAT64 = 8


class fleming_role(enum.IntEnum):
    "fleming_role"

    USER = 1
    ASSISTANT = 2


class fleming_pixels(enum.IntEnum):
    "fleming_pixels"

    RGB = 0
    BGR = 1
    RGBA = 2
    BGRA = 3
    GREY = 4
    NV12 = 5
    I420 = 6


class fleming_yuv_matrix(enum.IntEnum):
    "fleming_yuv_matrix"

    BT601 = 0
    BT709 = 1


class fleming_yuv_range(enum.IntEnum):
    "fleming_yuv_range"

    LIMITED = 0
    FULL = 1


class fleming_window(enum.IntEnum):
    "fleming_window"

    LINEAR_EXACT = 0
    LINEAR = 1
    SIGMOID = 2


class fleming_volume_kind(enum.IntEnum):
    "fleming_volume_kind"

    UNKNOWN = 0
    CT = 1
    MR = 2
    PET = 3
    OTHER = 4


class fleming_error_facts(Structure):
    "fleming_error_facts"


class fleming_study_options(Structure):
    "fleming_study_options"


class fleming_series(Structure):
    "fleming_series"


class fleming_frames(Structure):
    "fleming_frames"


class fleming_volume(Structure):
    "fleming_volume"


class fleming_reply_facts(Structure):
    "fleming_reply_facts"


class fleming_frame_facts(Structure):
    "fleming_frame_facts"


class fleming_token_facts(Structure):
    "fleming_token_facts"


class fleming_picture(Structure):
    "fleming_picture"


class fleming_embeddings_facts(Structure):
    "fleming_embeddings_facts"


class fleming_buffer_facts(Structure):
    "fleming_buffer_facts"


class fleming_engine_options(Structure):
    "fleming_engine_options"


class fleming_memory(Structure):
    "fleming_memory"


class fleming_engine_facts(Structure):
    "fleming_engine_facts"


class fleming_event(Structure):
    "fleming_event"


class fleming_ask_options(Structure):
    "fleming_ask_options"


class fleming_token_count(Structure):
    "fleming_token_count"


class fleming_preview_facts(Structure):
    "fleming_preview_facts"


fleming_log_callback = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)

fleming_load_callback = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64)

fleming_event_callback = CFUNCTYPE(c_int32, c_void_p, POINTER(fleming_event))

fleming_ready_callback = CFUNCTYPE(None, c_void_p)

fleming_error_facts._fields_ = [
    ("struct_size", c_size_t),
    ("message", c_char_p),
    ("hint", c_char_p),
    ("thing", c_char_p),
    ("wanted", c_char_p),
    ("got", c_char_p),
    ("status", c_int32),
    ("reserved", c_int32),
]

fleming_study_options._fields_ = [
    ("struct_size", c_size_t),
    ("name", c_char_p),
    ("slices", c_size_t),
    ("max_frames", c_size_t),
    ("frames", c_size_t),
    ("seconds", c_double),
    ("start", c_double),
    ("end", c_double),
    ("window", c_char_p),
    ("options", c_char_p),
]

fleming_series._fields_ = [
    ("struct_size", c_size_t),
    ("files", POINTER(c_char_p)),
    ("file_count", c_size_t),
    ("buffers", POINTER(c_void_p)),
    ("buffer_sizes", POINTER(c_size_t)),
    ("buffer_names", POINTER(c_char_p)),
    ("buffer_count", c_size_t),
]

fleming_frames._fields_ = [
    ("struct_size", c_size_t),
    ("name", c_char_p),
    ("frames", POINTER(POINTER(c_uint8))),
    ("count", c_size_t),
    ("seconds", POINTER(c_double)),
    ("width", c_size_t),
    ("height", c_size_t),
    ("row_bytes", c_size_t),
    ("modality", c_int32),
    ("reserved", c_int32),
    ("pixels", c_int32),
    ("yuv_matrix", c_int32),
    ("yuv_range", c_int32),
    ("reserved_2", c_int32),
    ("chroma", POINTER(POINTER(c_uint8))),
    ("chroma_v", POINTER(POINTER(c_uint8))),
    ("chroma_row_bytes", c_size_t),
    ("chroma_v_row_bytes", c_size_t),
]

fleming_volume._fields_ = [
    ("struct_size", c_size_t),
    ("name", c_char_p),
    ("voxels", c_void_p),
    ("depth", c_size_t),
    ("height", c_size_t),
    ("width", c_size_t),
    ("spacing_mm", c_double * 3),
    ("window_center", c_double),
    ("window_width", c_double),
    ("slices", c_size_t),
    ("voxel", c_int32),
    ("reserved", c_int32),
    ("slope", c_double),
    ("intercept", c_double),
    ("row_bytes", c_size_t),
    ("slice_bytes", c_size_t),
    ("directions", c_double * 3 * 3),
    ("origin_mm", c_double * 3),
    ("options", c_char_p),
    ("modality", c_int32),
    ("kind", c_int32),
    ("window_function", c_int32),
    ("bits", c_int32),
    ("inverse", c_int32),
    ("reserved_2", c_int32),
]

fleming_reply_facts._fields_ = [
    ("struct_size", c_size_t),
    ("answer", c_char_p),
    ("thought", c_char_p),
    ("text", c_char_p),
    ("warnings", c_char_p),
    ("finish", c_int32),
    ("truncated", c_int32),
    ("prompt_tokens", c_size_t),
    ("image_tokens", c_size_t),
    ("cached_tokens", c_size_t),
    ("completion_tokens", c_size_t),
    ("drafted_tokens", c_size_t),
    ("accepted_tokens", c_size_t),
    ("frame_count", c_size_t),
    ("read_ms", c_double),
    ("preprocess_ms", c_double),
    ("queue_ms", c_double),
    ("vision_ms", c_double),
    ("prefill_ms", c_double),
    ("first_token_ms", c_double),
    ("decode_ms", c_double),
    ("completion_ids", POINTER(c_uint32)),
    ("thinking_tokens", c_size_t),
    ("logprob_count", c_size_t),
]

fleming_frame_facts._fields_ = [
    ("struct_size", c_size_t),
    ("source", c_char_p),
    ("study", c_size_t),
    ("tiles", c_size_t),
    ("index", c_size_t),
    ("seconds", c_double),
    ("window_low", c_double),
    ("window_high", c_double),
    ("spacing_mm", c_double * 3),
    ("modality", c_int32),
    ("reserved", c_int32),
]

fleming_token_facts._fields_ = [
    ("struct_size", c_size_t),
    ("bytes", c_char_p),
    ("length", c_size_t),
    ("alternatives", c_size_t),
    ("logprob", c_double),
    ("id", c_uint32),
    ("reserved", c_int32),
]

fleming_picture._fields_ = [
    ("struct_size", c_size_t),
    ("rgb", POINTER(c_uint8)),
    ("width", c_size_t),
    ("height", c_size_t),
]

fleming_embeddings_facts._fields_ = [
    ("struct_size", c_size_t),
    ("values", POINTER(c_float)),
    ("tiles", c_size_t),
    ("tokens", c_size_t),
    ("hidden", c_size_t),
]

fleming_buffer_facts._fields_ = [("struct_size", c_size_t), ("data", c_char_p), ("size", c_size_t)]

fleming_engine_options._fields_ = [
    ("struct_size", c_size_t),
    ("onnxruntime", c_char_p),
    ("provider", c_char_p),
    ("provider_options", POINTER(c_char_p)),
    ("provider_option_count", c_size_t),
    ("threads", c_size_t),
    ("slots", c_size_t),
    ("context", c_size_t),
    ("queue", c_size_t),
    ("chunk", c_size_t),
    ("image_cache", c_uint64),
    ("log", fleming_log_callback),
    ("log_user_data", c_void_p),
    ("log_level", c_int32),
    ("reserved", c_int32),
    ("engine_cache", c_char_p),
    ("max_input_bytes", c_uint64),
    ("max_pixels", c_uint64),
    ("max_unpacked_bytes", c_uint64),
    ("max_declared_frames", c_uint64),
    ("on_load", fleming_load_callback),
    ("load_user_data", c_void_p),
]

fleming_memory._fields_ = [
    ("struct_size", c_size_t),
    ("weights", c_uint64),
    ("slots", c_uint64),
    ("image_cache", c_uint64),
    ("work", c_uint64),
    ("total", c_uint64),
]

fleming_engine_facts._fields_ = [
    ("struct_size", c_size_t),
    ("package", c_char_p),
    ("digest", c_char_p),
    ("precision", c_char_p),
    ("target", c_char_p),
    ("onnxruntime", c_char_p),
    ("onnxruntime_build", c_char_p),
    ("tile_size", c_size_t),
    ("memory", c_uint64),
    ("provider", c_char_p),
    ("context", c_size_t),
    ("slots", c_size_t),
    ("queue", c_size_t),
    ("chunk", c_size_t),
    ("threads", c_size_t),
    ("tokens_per_tile", c_size_t),
    ("most_tiles", c_size_t),
    ("preparing", c_size_t),
    ("waiting", c_size_t),
    ("active", c_size_t),
    ("held_tokens", c_size_t),
    ("steps", c_uint64),
    ("failed_steps", c_uint64),
    ("prefilled_tokens", c_uint64),
    ("image_hits", c_uint64),
    ("image_misses", c_uint64),
    ("drafted_tokens", c_uint64),
    ("accepted_tokens", c_uint64),
    ("image_bytes", c_uint64),
    ("alive", c_int32),
    ("reserved", c_int32),
    ("instruction", c_char_p),
]

fleming_event._fields_ = [
    ("struct_size", c_size_t),
    ("kind", c_int32),
    ("reserved", c_int32),
    ("text", c_char_p),
    ("length", c_size_t),
    ("done", c_size_t),
    ("total", c_size_t),
    ("answer", c_size_t),
]

fleming_ask_options._fields_ = [
    ("struct_size", c_size_t),
    ("on_event", fleming_event_callback),
    ("user_data", c_void_p),
    ("system", c_char_p),
    ("instruction", c_char_p),
    ("choices", POINTER(c_char_p)),
    ("choice_count", c_size_t),
    ("json_schema", c_char_p),
    ("regex", c_char_p),
    ("grammar", c_char_p),
    ("stops", POINTER(c_char_p)),
    ("stop_count", c_size_t),
    ("max_new_tokens", c_size_t),
    ("max_thinking_tokens", c_size_t),
    ("max_tiles", c_size_t),
    ("speculation", c_size_t),
    ("timeout_ms", c_uint64),
    ("seed", c_uint64),
    ("top_k", c_size_t),
    ("temperature", c_float),
    ("top_p", c_float),
    ("min_p", c_float),
    ("repetition_penalty", c_float),
    ("frequency_penalty", c_float),
    ("presence_penalty", c_float),
    ("preprocessing", c_int32),
    ("reserved", c_int32),
    ("scope", c_char_p),
    ("bias_ids", POINTER(c_uint32)),
    ("biases", POINTER(c_float)),
    ("bias_count", c_size_t),
    ("top_logprobs", c_size_t),
    ("logprobs", c_int32),
    ("ignore_eos", c_int32),
    ("on_ready", fleming_ready_callback),
    ("keep_seen", c_int32),
    ("reserved_2", c_int32),
]

fleming_token_count._fields_ = [
    ("struct_size", c_size_t),
    ("prompt_tokens", c_size_t),
    ("image_tokens", c_size_t),
    ("frames", c_size_t),
    ("context", c_size_t),
    ("fits", c_int32),
    ("reserved", c_int32),
]

fleming_preview_facts._fields_ = [
    ("struct_size", c_size_t),
    ("png", POINTER(c_uint8)),
    ("png_size", c_size_t),
    ("rgb", POINTER(c_uint8)),
    ("width", c_size_t),
    ("height", c_size_t),
    ("warnings", c_char_p),
    ("frame_count", c_size_t),
]

#: Result and arguments of every function.
FUNCTIONS = {
    "fleming_last_error_message": (c_char_p, []),
    "fleming_last_error_hint": (c_char_p, []),
    "fleming_last_error_read": (c_int32, [POINTER(fleming_error_facts)]),
    "fleming_status_name": (c_char_p, [c_int32]),
    "fleming_status_text": (c_char_p, [c_int32]),
    "fleming_log": (c_int32, [fleming_log_callback, c_void_p, c_int32]),
    "fleming_request_new": (c_int32, [c_char_p, POINTER(c_void_p)]),
    "fleming_request_turn": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "fleming_request_text": (c_int32, [c_void_p, c_int32, c_char_p]),
    "fleming_request_file": (c_int32, [c_void_p, c_int32, c_char_p, POINTER(fleming_study_options)]),
    "fleming_request_bytes": (
        c_int32,
        [c_void_p, c_int32, c_void_p, c_size_t, POINTER(fleming_study_options)],
    ),
    "fleming_request_series": (
        c_int32,
        [c_void_p, c_int32, POINTER(fleming_series), POINTER(fleming_study_options)],
    ),
    "fleming_request_frames": (c_int32, [c_void_p, POINTER(fleming_frames)]),
    "fleming_request_volume": (c_int32, [c_void_p, POINTER(fleming_volume)]),
    "fleming_request_free": (None, [c_void_p]),
    "fleming_reply_read": (c_int32, [c_void_p, POINTER(fleming_reply_facts)]),
    "fleming_reply_frame": (c_int32, [c_void_p, c_size_t, POINTER(fleming_frame_facts)]),
    "fleming_reply_token": (c_int32, [c_void_p, c_size_t, c_size_t, POINTER(fleming_token_facts)]),
    "fleming_reply_seen": (c_int32, [c_void_p, c_size_t, POINTER(fleming_picture)]),
    "fleming_reply_free": (None, [c_void_p]),
    "fleming_pending_wait": (c_int32, [c_void_p, c_int64, POINTER(c_void_p)]),
    "fleming_pending_cancel": (c_int32, [c_void_p]),
    "fleming_pending_descriptor": (c_int32, [c_void_p, POINTER(c_int32)]),
    "fleming_pending_free": (None, [c_void_p]),
    "fleming_embeddings_read": (c_int32, [c_void_p, POINTER(fleming_embeddings_facts)]),
    "fleming_embeddings_free": (None, [c_void_p]),
    "fleming_buffer_read": (c_int32, [c_void_p, POINTER(fleming_buffer_facts)]),
    "fleming_buffer_free": (None, [c_void_p]),
    "fleming_package_memory": (c_int32, [c_char_p, POINTER(fleming_engine_options), POINTER(fleming_memory)]),
    "fleming_engine_open": (c_int32, [c_char_p, POINTER(fleming_engine_options), POINTER(c_void_p)]),
    "fleming_engine_read": (c_int32, [c_void_p, POINTER(fleming_engine_facts)]),
    "fleming_shutdown": (None, []),
    "fleming_engine_free": (None, [c_void_p]),
    "fleming_engine_ask": (c_int32, [c_void_p, c_void_p, POINTER(fleming_ask_options), POINTER(c_void_p)]),
    "fleming_engine_submit": (c_int32, [c_void_p, c_void_p, POINTER(fleming_ask_options), POINTER(c_void_p)]),
    "fleming_engine_embed": (c_int32, [c_void_p, c_void_p, POINTER(fleming_ask_options), POINTER(c_void_p)]),
    "fleming_engine_submit_all": (
        c_int32,
        [c_void_p, c_void_p, POINTER(fleming_ask_options), c_size_t, POINTER(c_void_p)],
    ),
    "fleming_engine_count_tokens": (
        c_int32,
        [c_void_p, c_void_p, POINTER(fleming_ask_options), POINTER(fleming_token_count)],
    ),
    "fleming_engine_save_session": (c_int32, [c_void_p, c_void_p, c_char_p]),
    "fleming_engine_load_session": (c_int32, [c_void_p, c_char_p]),
    "fleming_engine_save_session_bytes": (c_int32, [c_void_p, c_void_p, POINTER(c_void_p)]),
    "fleming_engine_load_session_bytes": (c_int32, [c_void_p, c_void_p, c_size_t]),
    "fleming_doctor": (c_int32, [c_char_p, POINTER(fleming_engine_options), POINTER(c_void_p)]),
    "fleming_engine_preview": (
        c_int32,
        [c_void_p, c_void_p, POINTER(fleming_ask_options), POINTER(c_void_p)],
    ),
    "fleming_preview_read": (c_int32, [c_void_p, POINTER(fleming_preview_facts)]),
    "fleming_preview_frame": (
        c_int32,
        [c_void_p, c_size_t, POINTER(fleming_frame_facts), POINTER(fleming_picture)],
    ),
    "fleming_preview_free": (None, [c_void_p]),
    "fleming_version": (c_char_p, []),
    "fleming_version_number": (c_int32, []),
    "fleming_build": (c_char_p, []),
    "RegisterCustomOps": (c_void_p, [c_void_p, c_void_p]),
}

#: What kind of object a function makes.
MADE = {
    "fleming_request_new": "request",
    "fleming_pending_wait": "reply",
    "fleming_engine_open": "engine",
    "fleming_engine_ask": "reply",
    "fleming_engine_submit": "pending",
    "fleming_engine_embed": "embeddings",
    "fleming_engine_submit_all": "pending",
    "fleming_engine_save_session_bytes": "buffer",
    "fleming_doctor": "buffer",
    "fleming_engine_preview": "preview",
}
