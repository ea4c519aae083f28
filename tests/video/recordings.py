"""Recordings of many kinds, made by ffmpeg.

A frame says its own number: 8 bars, white for 1, the lowest bit on the left.
"""

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paff

BITS = 8
WIDTH, HEIGHT = 16 * BITS, 64

X264 = "-c:v libx264 -pix_fmt yuv420p -preset ultrafast -sc_threshold 0 -bf 2 -g 12"
X265 = "-c:v libx265 -pix_fmt yuv420p -preset ultrafast"
H265 = f"{X265} -x265-params log-level=none:keyint=12:bframes=2"
MPEG2 = "-c:v mpeg2video -q:v 2 -bf 2 -g 12"
MPEG4 = "-c:v mpeg4 -q:v 2 -bf 2 -g 12"
MJPEG = "-c:v mjpeg -q:v 3 -pix_fmt yuvj422p"
VP8 = "-c:v libvpx -b:v 1M -deadline realtime -cpu-used 8 -g 12"
VP9 = "-c:v libvpx-vp9 -b:v 1M -deadline realtime -cpu-used 8 -g 12"
OPEN = "-x264-params open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0:b-pyramid=normal"
FRAGMENTS = "-movflags frag_keyframe+empty_moov+default_base_moof"
#: Devices: one slows down, one was busy, one sends a frame when the picture changes, one stops for long.
SLOWED = "-vf setpts='if(lt(N,50),N/30,50/30+(N-50))/TB' -vsync vfr"
DROPPED = "-vf select='not(between(n,20,55))' -vsync vfr"
CHANGES = "-vf select='eq(mod(n*n,7),1)' -vsync vfr"
PAUSED = "-vf setpts='if(lt(N,30),N/30,600+N/30)/TB' -vsync vfr"
SHAKY = "-vf setpts='(N+0.3*sin(N))/30/TB' -vsync vfr"

#: Name, frames a second of the input, options of the encoder.
ENCODED = [
    ("steady.mp4", 30, X264),
    ("one_frame.mp4", 30, f"-frames:v 1 {X264}"),
    ("two_frames.mkv", 30, f"-frames:v 2 {X264}"),
    ("no_b.mov", 30, f"{X264} -bf 0"),
    ("ntsc.mp4", "30000/1001", X264),
    ("film.mkv", "24000/1001", X264),
    ("open.mp4", 30, f"{X264} {OPEN}"),
    ("open.mkv", 30, f"{X264} {OPEN}"),
    ("open.ts", 30, f"{X264} {OPEN}"),
    ("refreshed.ts", 30, f"{X264} -x264-params intra-refresh=1:keyint=20:bframes=2"),
    ("mbaff.mp4", 25, f"{X264} -flags +ildct+ilme -x264-params tff=1"),
    ("mbaff.ts", 25, f"{X264} -flags +ildct+ilme -x264-params tff=1"),
    ("interlaced.mpg", 25, f"{MPEG2} -flags +ildct+ilme"),
    ("interlaced.ts", "30000/1001", f"{MPEG2} -flags +ildct+ilme -top 1"),
    ("ten_bits.mkv", 30, f"{X264} -pix_fmt yuv420p10le"),
    ("h265.mp4", 30, f"{H265} -tag:v hvc1"),
    ("h265.ts", 50, H265),
    ("vp8.webm", 30, VP8),
    ("vp9.webm", 30, VP9),
    ("vp9.mp4", 30, VP9),
    ("h263.3gp", "30000/1001", "-c:v h263 -q:v 2 -s 352x288 -g 12"),
    ("flv1.flv", 25, "-c:v flv -q:v 2 -g 12"),
    ("h264.flv", 25, X264),
    ("theora.ogv", 30, "-c:v libtheora -q:v 8 -g 12"),
    ("mpeg4.avi", 30, MPEG4),
    ("mjpeg.avi", 15, MJPEG),
    ("h264.avi", 30, f"{X264} -bf 0"),
    ("wmv2.wmv", 30, "-c:v wmv2 -q:v 2 -g 12"),
    ("mpeg1.mpg", 25, "-c:v mpeg1video -q:v 2 -bf 2 -g 12 -f mpeg"),
    ("disc.vob", 25, f"{MPEG2} -f vob"),
    ("fragments.mp4", 30, f"{X264} {FRAGMENTS}"),
    ("slowed.mp4", 30, f"{SLOWED} -video_track_timescale 3000 {X264}"),
    ("slowed.mkv", 30, f"{SLOWED} {X264}"),
    ("slowed.webm", 30, f"{SLOWED} {VP9}"),
    ("slowed.ts", 30, f"{SLOWED} {MPEG2}"),
    ("dropped.mp4", 30, f"{DROPPED} {X264}"),
    ("dropped.flv", 30, f"{DROPPED} {X264}"),
    ("changes.mkv", 30, f"{CHANGES} {X264}"),
    ("changes.mp4", 30, f"{CHANGES} {FRAGMENTS} {MPEG4}"),
    ("paused.mp4", 30, f"{PAUSED} {X264}"),
    ("paused.mkv", 30, f"{PAUSED} {VP8}"),
    ("shaky.mp4", 30, f"{SHAKY} {X264}"),
    ("late.ts", 30, f"{X264} -output_ts_offset 5000"),
    ("late.mkv", 30, f"{X264} -output_ts_offset 3"),
    ("late.mp4", 30, f"{X264} -output_ts_offset 3"),
    ("early.mp4", 30, f"{X264} -output_ts_offset -0.5 -avoid_negative_ts disabled"),
    ("no_edits.mp4", 30, f"{X264} -use_editlist 0"),
    ("negative_offsets.mp4", 30, f"{X264} -movflags negative_cts_offsets"),
    ("sound.mp4", 30, f"{X264} -f lavfi -i sine=d=2 -c:a aac"),
]


def ffmpeg(*arguments: str | Path, given: bytes = b"") -> None:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, input=given, capture_output=True)


def bars(number: int) -> np.ndarray:
    """A grey picture, [HEIGHT, WIDTH], that says the number."""
    bright = [235 if number >> bit & 1 else 16 for bit in range(BITS)]
    return np.tile(np.repeat(np.array(bright, np.uint8), WIDTH // BITS), (HEIGHT, 1))


def number(picture: np.ndarray) -> int:
    """What a grey picture says, of any size; one that is turned by a quarter says it along its height."""
    height, width = picture.shape
    line = picture[height // 2] if width > height else picture[:, width // 2]
    middles = [line[(2 * bit + 1) * len(line) // (2 * BITS)] for bit in range(BITS)]
    return sum(1 << bit for bit, value in enumerate(middles) if value > 128)


def encode(path: Path, rate: int | str, options: str, frames: int = 80) -> None:
    """`-i` in the options is one more input."""
    pixels = b"".join(bars(number).tobytes() for number in range(frames))
    raw = f"-f rawvideo -pix_fmt gray -s {WIDTH}x{HEIGHT} -r {rate} -i -"
    ours, sound, rest = options.partition(" -f lavfi")
    inputs = raw + sound + rest.replace(" -c:a", " -map 0:v -map 1:a -c:a")
    plain = [part.strip("'") if part[0] != "'" else part for part in f"{inputs} {ours}".split()]
    ffmpeg(*plain, path, given=pixels)


def copied(before: str, after: str, name: str = "steady.mp4") -> Callable[[Path, Path], None]:
    """One recording made of another without encoding."""

    def make(folder: Path, path: Path) -> None:
        source = folder / f"of_{path.name}_{name}"
        encode(source, 30, X264)
        ffmpeg(*before.split(), "-i", source, "-c", "copy", *after.split(), path)

    return make


def cut_bytes(options: str, first: float, last: float = 1.0) -> Callable[[Path, Path], None]:
    """A part of a recording's bytes."""

    def make(folder: Path, path: Path) -> None:
        encode(path, 30, options)
        content = path.read_bytes()
        path.write_bytes(content[int(first * len(content)) : int(last * len(content))])

    return make


def wrong_rate(folder: Path, path: Path) -> None:
    """Header and index of an AVI file state another rate than the camera had: nothing else tells the time."""
    encode(path, 30, MJPEG)
    content = bytearray(path.read_bytes())
    at = content.find(b"strh") + 28
    content[at : at + 8] = struct.pack("<II", 2, 25)
    path.write_bytes(content)


def wrong_default(folder: Path, path: Path) -> None:
    """The header of a Matroska file states 40 ms a frame, the frames come every 33."""
    encode(path, 30, X264)
    content = path.read_bytes()
    # DefaultDuration, EBML id 23E383, 4 bytes of nanoseconds.
    at = content.find(b"\x23\xe3\x83\x84") + 4
    path.write_bytes(content[:at] + struct.pack(">I", 40_000_000) + content[at + 4 :])


def fields(container: str, stamps: str = "PTS") -> Callable[[Path, Path], None]:
    """Interlaced H.264 with a packet for each field, as broadcasters and endoscopes send it."""

    def make(folder: Path, path: Path) -> None:
        stream = folder / f"{path.name}.h264"
        stream.write_bytes(paff.stream([bars(number) for number in range(60)]))
        ffmpeg(
            "-r", "50", "-i", stream, "-c", "copy", "-bsf:v", f"setts=pts='{stamps}'", "-f", container, path
        )

    return make


#: Recordings that are made of others.
MADE: list[tuple[str, Callable[[Path, Path], None]]] = [
    ("cut_by_edit_list.mp4", copied("-ss 1.3", "")),
    ("cut_by_edit_list.mov", copied("-ss 0.9", "")),
    ("cut_at_both_ends.mp4", copied("-ss 0.7 -t 1.5", "")),
    ("remuxed.mkv", copied("-ss 1.3", "")),
    ("remuxed.ts", copied("", "-bsf:v h264_mp4toannexb")),
    ("turned.mp4", copied("", "-metadata:s:v rotate=90")),
    ("slower.mp4", copied("-itsscale 2.5", "")),
    ("begins_inside_a_packet.ts", cut_bytes(X264, 0.003)),
    ("begins_inside_a_group.ts", cut_bytes(X264, 0.4)),
    ("begins_inside_an_open_group.ts", cut_bytes(f"{X264} {OPEN}", 0.4)),
    ("begins_inside_a_pack.mpg", cut_bytes(f"{MPEG2} -bf 0", 0.36)),
    ("ends_early.mkv", cut_bytes(X264, 0, 0.7)),
    ("ends_early.ts", cut_bytes(MPEG2, 0, 0.7)),
    ("ends_early.avi", cut_bytes(MPEG4, 0, 0.7)),
    ("wrong_rate.avi", wrong_rate),
    ("wrong_default.mkv", wrong_default),
    ("fields.ts", fields("mpegts")),
    ("fields.mkv", fields("matroska")),
    ("fields.mp4", fields("mp4")),
    # As the standard allows it: only the first field says when.
    ("fields_half_stamped.ts", fields("mpegts", "if(mod(N,2),NOPTS,PTS)")),
]


def make(name: str, folder: Path) -> Path:
    """The recording of this name."""
    path = folder / name
    for encoded, rate, options in ENCODED:
        if encoded == name:
            encode(path, rate, options)
            return path
    dict(MADE)[name](folder, path)
    return path


NAMES = [name for name, *_ in ENCODED] + [name for name, _ in MADE]
