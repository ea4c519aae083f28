"""llama.cpp's side of a visit, where llama-cpp-python is installed: llama_side.py REQUEST.json ANSWER.json

The library is called by its C interface: llama_decode with batches of ids, libmtmd for pictures, both with
flash attention.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import llama_cpp
import numpy as np
from answering import of_pictures, of_text, serve
from llama_cpp import mtmd_cpp

#: llama_decode takes so many tokens at a time and computes so many together; llama.cpp's defaults.
BATCH, MICRO_BATCH = 2048, 512
#: Side of a tile and its tokens in the models that are compared.
SIDE, TILE_TOKENS = 448, 256
#: Ids of words in every vocabulary.
WORDS = (300, 1000)
MARKER = b"<__media__>"
FLASH_ATTENTION = 1
#: Words by which it is found out how many tokens a word is.
PROBE = 64


class Failed(Exception):
    """What llama.cpp refused."""


def check(code: object, what: str) -> None:
    """Raises where a call of the C library returned a code that is not 0."""
    if code:
        raise Failed(f"{what}: code {code}")


class Model:
    """A text model, its context, and its projector."""

    def __init__(self, request: dict) -> None:
        self.threads, self.words = request["threads"], None
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(request["text"].encode(), params)
        if not self.model:
            raise Failed(f"{request['text']}: not loaded")
        self.context = self._context(request["context"], max(request["streams"]))
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
        self.projector = self._projector(request["projector"])

    def _context(self, positions: int, streams: int) -> object:
        params = llama_cpp.llama_context_default_params()
        params.n_seq_max, params.n_ctx = streams, positions * streams
        params.n_batch, params.n_ubatch = BATCH, MICRO_BATCH
        params.n_threads = params.n_threads_batch = self.threads
        params.flash_attn_type = FLASH_ATTENTION
        context = llama_cpp.llama_init_from_model(self.model, params)
        if not context:
            raise Failed("llama_init_from_model: no context")
        return context

    def _projector(self, path: str) -> object:
        params = mtmd_cpp.mtmd_context_params_default()
        params.use_gpu, params.print_timings, params.warmup = False, False, False
        params.n_threads, params.flash_attn_type = self.threads, FLASH_ATTENTION
        projector = mtmd_cpp.mtmd_init_from_file(path.encode(), self.model, params)
        if not projector:
            raise Failed(f"{path}: not loaded")
        return projector

    def facts(self) -> dict:
        """Version, and the instruction sets that llama.cpp was built for."""
        system = llama_cpp.llama_print_system_info().decode().strip()
        return {"llama_cpp_python": metadata.version("llama-cpp-python"), "system": system}

    def first(self, tokens: int) -> None:
        """Reads the first question of all, and chooses a token."""
        self.prefill(np.arange(*WORDS)[:tokens], 0)

    def text(self, request: dict, streams: int, seed: int) -> dict:
        """Texts one after the other, and then all streams together."""
        llama_cpp.llama_memory_clear(self.memory, True)
        length = request["prompt_tokens"]
        drawn = np.random.default_rng(seed).integers(*WORDS, (streams, length))
        started = time.perf_counter()
        first = [self.prefill(ids, sequence) for sequence, ids in enumerate(drawn)]
        prefill = time.perf_counter() - started
        return of_text(request, streams, prefill, self.steps(first, length, request["new_tokens"] - 1))

    def pictures(self, request: dict, seed: int) -> dict:
        """A prompt with pictures, a chunk at a time, as llama.cpp's own programs read it."""
        llama_cpp.llama_memory_clear(self.memory, True)
        if self.words is None:
            none, some = text_tokens(self, 0), text_tokens(self, PROBE)
            self.words = max(0, request["prompt_tokens"] - none) * PROBE // (some - none)
        given = [noise(seed, tile) for tile in range(request["tiles"])]
        vision, position, started = 0.0, ctypes.c_int32(0), time.perf_counter()
        with tokenized(self, given, self.words) as chunks:
            for chunk in chunks:
                if is_image(chunk):
                    begun = time.perf_counter()
                    self.encode(chunk)
                    vision += time.perf_counter() - begun
                self.read(chunk, position)
            self.likeliest(-1)
        return of_pictures(request, position.value, vision, time.perf_counter() - started)

    def decode(self, rows: list[tuple[int, int, int, bool]]) -> None:
        """Runs (token, position, sequence, whether logits are wanted)."""
        batch = self.batch
        for place, (token, position, sequence, logits) in enumerate(rows):
            batch.token[place], batch.pos[place] = token, position
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, sequence
            batch.logits[place] = logits
        batch.n_tokens = len(rows)
        check(llama_cpp.llama_decode(self.context, batch), "llama_decode")

    def prefill(self, ids: np.ndarray, sequence: int) -> int:
        """Reads a prompt; returns the likeliest next token."""
        last = len(ids) - 1
        for start in range(0, len(ids), BATCH):
            chunk = ids[start : start + BATCH].tolist()
            self.decode([(token, start + i, sequence, start + i == last) for i, token in enumerate(chunk)])
        return self.likeliest(-1)

    def likeliest(self, row: int) -> int:
        """The likeliest next token of a row of the last batch; this waits for the logits."""
        logits = llama_cpp.llama_get_logits_ith(self.context, row)
        return int(np.ctypeslib.as_array(logits, (self.vocabulary,)).argmax())

    def steps(self, tokens: list[int], position: int, count: int) -> float:
        """Appends ``count`` tokens to each sequence; returns the seconds."""
        started = time.perf_counter()
        for step in range(count):
            self.decode([(token, position + step, row, True) for row, token in enumerate(tokens)])
            tokens = [self.likeliest(row) for row in range(len(tokens))]
        return time.perf_counter() - started

    def encode(self, chunk: object) -> None:
        """Runs the vision tower and the projector on a picture."""
        check(mtmd_cpp.mtmd_encode_chunk(self.projector, chunk), "mtmd_encode_chunk")

    def read(self, chunk: object, position: ctypes.c_int32) -> None:
        """Runs a chunk of a prompt, a picture's after it was encoded, and moves the position."""
        place = (self.projector, self.context, chunk)
        if is_image(chunk):
            embeddings = mtmd_cpp.mtmd_get_output_embd(self.projector)
            nothing = mtmd_cpp.mtmd_helper_post_decode_callback()
            rest = (position, 0, BATCH, ctypes.byref(position), nothing, None)
            code = mtmd_cpp.mtmd_helper_decode_image_chunk(*place, embeddings, *rest)
        else:
            rest = (position, 0, BATCH, True, ctypes.byref(position))
            code = mtmd_cpp.mtmd_helper_eval_chunk_single(*place, *rest)
        check(code, "a chunk of the prompt")


def noise(seed: int, tile: int) -> np.ndarray:
    """A square picture, [side, side, 3]."""
    return np.random.default_rng((seed, tile)).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


@contextmanager
def tokenized(model: Model, pictures: list[np.ndarray], words: int) -> Iterator[list]:
    """The chunks of a prompt with pictures, freed at the end."""
    content = b"<|im_start|>user\n" + MARKER * len(pictures) + b"\nWhat" + b" the" * words
    content += b"<|im_end|>\n<|im_start|>assistant\n"
    bitmaps = [
        mtmd_cpp.mtmd_bitmap_init(SIDE, SIDE, picture.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)))
        for picture in pictures
    ]
    chunks = mtmd_cpp.mtmd_input_chunks_init()
    try:
        text = mtmd_cpp.mtmd_input_text(content, len(content), False, True)
        array = (ctypes.c_void_p * len(bitmaps))(*bitmaps)
        code = mtmd_cpp.mtmd_tokenize(model.projector, chunks, ctypes.byref(text), array, len(bitmaps))
        check(code, "mtmd_tokenize")
        places = range(mtmd_cpp.mtmd_input_chunks_size(chunks))
        found = [mtmd_cpp.mtmd_input_chunks_get(chunks, place) for place in places]
        images = [mtmd_cpp.mtmd_input_chunk_get_n_tokens(chunk) for chunk in found if is_image(chunk)]
        if images != [TILE_TOKENS] * len(pictures):
            raise Failed(f"tokens of the pictures: wanted {TILE_TOKENS} of each tile, got {images}")
        yield found
    finally:
        mtmd_cpp.mtmd_input_chunks_free(chunks)
        for bitmap in bitmaps:
            mtmd_cpp.mtmd_bitmap_free(bitmap)


def is_image(chunk: object) -> bool:
    """Whether a chunk of a prompt is a picture."""
    return mtmd_cpp.mtmd_input_chunk_get_type(chunk) == mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_IMAGE


def text_tokens(model: Model, words: int) -> int:
    """Tokens of a prompt with so many words, those of the picture not counted."""
    with tokenized(model, [noise(0, 0)], words) as chunks:
        return sum(map(mtmd_cpp.mtmd_input_chunk_get_n_tokens, chunks)) - TILE_TOKENS


if __name__ == "__main__":
    serve(Model)
