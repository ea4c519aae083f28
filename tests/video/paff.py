"""H.264 in which each field is a picture of its own (PAFF), uncompressed: ITU-T H.264, clause 7.3."""

import numpy as np

MACROBLOCK = 16
#: Header of a macroblock of plain samples: `mb_type` 25 of an I slice.
PLAIN = 25
REFERENCE, OTHER = 1, 0


class Bits:
    """Bits, the most significant one first."""

    def __init__(self) -> None:
        self.bits: list[str] = []

    def fixed(self, value: int, count: int) -> "Bits":
        self.bits.append(f"{value:0{count}b}")
        return self

    def golomb(self, *values: int) -> "Bits":
        """Unsigned Exp-Golomb codes."""
        for value in values:
            code = f"{value + 1:b}"
            self.bits.append("0" * (len(code) - 1) + code)
        return self

    def aligned(self, samples: bytes) -> "Bits":
        """Bytes, after zeros up to a whole byte."""
        text = "".join(self.bits)
        text += "0" * (-len(text) % 8)
        self.bits = [text, "".join(f"{byte:08b}" for byte in samples)]
        return self

    def ended(self) -> bytes:
        text = "".join(self.bits) + "1"
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def unit(kind: int, importance: int, content: bytes) -> bytes:
    """A NAL unit; what looks like a start code in it is broken up."""
    escaped = bytearray()
    zeros = 0
    for byte in content:
        if zeros == 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        zeros = zeros + 1 if byte == 0 else 0
        escaped.append(byte)
    return b"\0\0\0\1" + bytes([importance << 5 | kind]) + bytes(escaped)


def parameters(width: int, height: int) -> bytes:
    """The sets for all pictures: main profile, 8-bit 4:2:0, 16 bits of frame number and of picture order."""
    sequence = Bits().fixed(77, 8).fixed(0, 8).fixed(40, 8)
    # Set 0; frame number, order of type 0; one reference; no gaps; the size, its height in pairs.
    sequence.golomb(0, 12, 0, 12, 1).fixed(0, 1)
    sequence.golomb(width // MACROBLOCK - 1, height // (2 * MACROBLOCK) - 1)
    # Fields, not within frames; 8×8 inference; not cropped; no usability information.
    sequence.fixed(0, 1).fixed(0, 1).fixed(1, 1).fixed(0, 1).fixed(0, 1)
    picture = Bits().golomb(0, 0).fixed(0, 2).golomb(0, 0, 0).fixed(0, 3).golomb(0, 0, 0).fixed(0, 3)
    return unit(7, 3, sequence.ended()) + unit(8, 3, picture.ended())


def field(samples: np.ndarray, frame: int, bottom: int) -> bytes:
    """One field, [height, width], of grey samples. Only the very first one starts the stream anew."""
    is_first = frame == 0 and not bottom
    slice_ = Bits().golomb(0, 7, 0).fixed(frame & 0xFFFF and 1, 16).fixed(1, 1).fixed(bottom, 1)
    if is_first:
        slice_.golomb(0)
    slice_.fixed(2 * frame + bottom & 0xFFFF, 16)
    importance = REFERENCE if frame == 0 else OTHER
    if importance:
        # How references are kept: as they come.
        slice_.fixed(0, 2 if is_first else 1)
    slice_.golomb(0)
    height, width = samples.shape
    for top in range(0, height, MACROBLOCK):
        for left in range(0, width, MACROBLOCK):
            block = samples[top : top + MACROBLOCK, left : left + MACROBLOCK].tobytes()
            slice_.golomb(PLAIN).aligned(block + b"\x80" * 128)
    return unit(5 if is_first else 1, importance, slice_.ended())


def stream(pictures: list[np.ndarray]) -> bytes:
    """Grey pictures, [height, width], as fields, the upper one first."""
    height, width = pictures[0].shape
    parts = []
    for frame, picture in enumerate(pictures):
        if frame % 20 == 0:
            parts.append(parameters(width, height))
        for bottom in (0, 1):
            parts += [unit(9, 0, b"\x10"), field(picture[bottom::2], frame, bottom)]
    return b"".join(parts)
