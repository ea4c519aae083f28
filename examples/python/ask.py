"""Asks the C library about an image, with nothing but Python: ask.py LIBRARY PACKAGE IMAGE QUESTION

The structs are those of fleming.h, in the same order. LIBRARY is the path of libfleming.so.
"""

import ctypes as c
import sys

IMAGE = 1
THOUGHT, ANSWER = 3, 4


class Event(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("kind", c.c_int32),
        ("reserved", c.c_int32),
        ("text", c.c_char_p),
        ("length", c.c_size_t),
        ("done", c.c_size_t),
        ("total", c.c_size_t),
    ]


OnEvent = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.POINTER(Event))


class AskOptions(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("on_event", OnEvent),
        ("user_data", c.c_void_p),
        ("system", c.c_char_p),
        ("instruction", c.c_char_p),
        ("choices", c.POINTER(c.c_char_p)),
        ("choice_count", c.c_size_t),
        ("json_schema", c.c_char_p),
        ("regex", c.c_char_p),
        ("grammar", c.c_char_p),
        ("stops", c.POINTER(c.c_char_p)),
        ("stop_count", c.c_size_t),
        ("max_new_tokens", c.c_size_t),
        ("max_thinking_tokens", c.c_size_t),
        ("max_tiles", c.c_size_t),
        ("speculation", c.c_size_t),
        ("timeout_ms", c.c_uint64),
        ("seed", c.c_uint64),
        ("top_k", c.c_size_t),
        ("temperature", c.c_float),
        ("top_p", c.c_float),
        ("min_p", c.c_float),
        ("repetition_penalty", c.c_float),
        ("frequency_penalty", c.c_float),
        ("presence_penalty", c.c_float),
        ("preprocessing", c.c_int32),
        ("reserved", c.c_int32),
    ]


class ReplyFacts(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("answer", c.c_char_p),
        ("thought", c.c_char_p),
        ("text", c.c_char_p),
        ("warnings", c.c_char_p),
        ("finish", c.c_int32),
        ("truncated", c.c_int32),
        ("prompt_tokens", c.c_size_t),
        ("image_tokens", c.c_size_t),
        ("cached_tokens", c.c_size_t),
        ("completion_tokens", c.c_size_t),
        ("drafted_tokens", c.c_size_t),
        ("accepted_tokens", c.c_size_t),
        ("frame_count", c.c_size_t),
        ("read_ms", c.c_double),
        ("preprocess_ms", c.c_double),
        ("queue_ms", c.c_double),
        ("vision_ms", c.c_double),
        ("prefill_ms", c.c_double),
        ("first_token_ms", c.c_double),
        ("decode_ms", c.c_double),
    ]


class Fleming:
    """One loaded model."""

    def __init__(self, library: str, package: str):
        self.library = c.CDLL(library)
        for name in ("message", "hint"):
            getattr(self.library, f"fleming_last_error_{name}").restype = c.c_char_p
        for kind in ("engine", "request", "reply"):
            getattr(self.library, f"fleming_{kind}_free").argtypes = [c.c_void_p]
        self.engine = c.c_void_p()
        self._call("fleming_engine_open", package.encode(), None, c.byref(self.engine))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.fleming_engine_free(self.engine)

    def ask(self, question: str, image: str, on_text) -> dict:
        """Calls on_text(kind, text) while the answer is made; returns what the reply holds."""

        @OnEvent
        def on_event(_, event):
            if event.contents.kind in (THOUGHT, ANSWER):
                on_text(event.contents.kind, event.contents.text.decode())
            return 0

        options = AskOptions(struct_size=c.sizeof(AskOptions), on_event=on_event)
        facts = ReplyFacts(struct_size=c.sizeof(ReplyFacts))
        request, reply = c.c_void_p(), c.c_void_p()
        try:
            self._call("fleming_request_new", question.encode(), c.byref(request))
            self._call("fleming_request_file", request, c.c_int32(IMAGE), image.encode(), None)
            self._call("fleming_engine_ask", self.engine, request, c.byref(options), c.byref(reply))
            self._call("fleming_reply_read", reply, c.byref(facts))
            # The texts are the reply's, which goes: what leaves here are Python's copies.
            return {name: getattr(facts, name) for name, _ in ReplyFacts._fields_}
        finally:
            self.library.fleming_reply_free(reply)
            self.library.fleming_request_free(request)

    def _call(self, name: str, *arguments) -> None:
        if getattr(self.library, name)(*arguments) != 0:
            message, hint = (
                getattr(self.library, f"fleming_last_error_{word}")() for word in ("message", "hint")
            )
            raise RuntimeError(f"{message.decode()} ({hint.decode()})")


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    library, package, image, question = sys.argv[1:]
    with Fleming(library, package) as model:
        facts = model.ask(
            question, image, lambda kind, text: kind == ANSWER and print(text, end="", flush=True)
        )
    print(f"\n{facts['completion_tokens']} tokens, the first after {facts['first_token_ms']:.0f} ms")


if __name__ == "__main__":
    main()
