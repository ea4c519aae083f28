"""How long recordings are, which frames are chosen and when these are shown, against ffprobe.

Pictures and their order are those of the program `ffmpeg`. What is chosen is reckoned here again from
ffprobe's stamps, by the rules of docs/input.md.
"""

import json
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recordings import NAMES, make, number

from program import FLEMING

LONG = Fraction(1, 2)


@dataclass
class Probed:
    """What ffprobe and ffmpeg say of a recording."""

    #: Frames a second by the header.
    stated: Fraction
    #: Seconds from the first frame on, for each frame in display order; none where ffprobe knows none.
    times: list[Fraction | None]
    #: What each frame says.
    numbers: list[int]

    @property
    def duration(self) -> Fraction:
        """From the first frame to the end of the last, which stays as long as most do."""
        steps = sorted(b - a for a, b in zip(self.times, self.times[1:], strict=False))
        return self.times[-1] + (steps[len(steps) // 2] if steps else 1 / self.stated)

    def keeps(self, rate: Fraction) -> bool:
        return all(abs(time * rate - frame) < LONG for frame, time in enumerate(self.times))

    def steady(self) -> Fraction | None:
        """Frames a second, if they follow one another evenly."""
        last = len(self.times) - 1
        if last == 0 or self.keeps(self.stated):
            return self.stated
        own = last / self.times[last]
        return own if self.keeps(own) else None

    def chosen(self, count: int, start: Fraction, end: Fraction) -> list[int]:
        """Frames, evenly spaced over a part."""
        rate = self.steady()
        if rate is None:
            moments = [start + (end - start) * (i + LONG) / count for i in range(count)]
            return [max(f for f, time in enumerate(self.times) if time <= moment) for moment in moments]
        first = max(round(start * rate), 0)
        step = Fraction(min(round(end * rate), len(self.times) - 1) - first) / count
        return [int(first + step / 2 + round(step * i)) for i in range(count)]


def output(*command: str | Path) -> bytes:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True).stdout


def probed(path: Path) -> Probed:
    entries = "stream=time_base,avg_frame_rate,r_frame_rate,width,height:stream_side_data=rotation"
    entries += ":frame=best_effort_timestamp"
    options = ["-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "json"]
    found = json.loads(output("ffprobe", *options, path))
    (stream,) = found["streams"]
    rates = [stream[name] for name in ("avg_frame_rate", "r_frame_rate")]
    rate = next(Fraction(rate) for rate in rates if not rate.startswith("0") and not rate.endswith("/0"))
    unit = Fraction(stream["time_base"])
    stamps = [frame.get("best_effort_timestamp") for frame in found["frames"]]
    times = [None if stamp is None else (stamp - stamps[0]) * unit for stamp in stamps]
    size = stream["width"], stream["height"]
    if any(abs(data.get("rotation", 0)) == 90 for data in stream.get("side_data_list", [])):
        size = size[::-1]
    raw = output(
        "ffmpeg", "-v", "quiet", "-i", path, "-vsync", "0", "-f", "rawvideo", "-pix_fmt", "gray", "-"
    )
    pictures = np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0])
    return Probed(rate, times, [number(picture) for picture in pictures])


def fleming(verb: str, path: Path, *options: str | Path) -> dict:
    return json.loads(output(FLEMING, verb, "--json", *options, "--video", path))


def looked_at(path: Path, count: int, part: list[str]) -> tuple[list[int], list[float], list[int]]:
    """The numbers of the chosen frames, when they are shown, and what their pictures say."""
    folder = path.parent / "pictures"
    options = ["--frames", str(count), *part, "--pictures", folder, "-o", path.parent / "sheet.png"]
    frames = fleming("preview", path, *options)["frames"]
    pictures = [
        number(np.asarray(Image.open(folder / f"{i:04}.png").convert("L"))) for i in range(len(frames))
    ]
    return [frame["frame_index"] for frame in frames], [frame["time"] for frame in frames], pictures


@pytest.mark.parametrize("name", NAMES)
def test_recording(name: str, tmp_path: Path) -> None:
    path = make(name, tmp_path)
    truth = probed(path)
    assert len(truth.times) == len(truth.numbers), "ffprobe and ffmpeg agree"
    contents = fleming("inspect", path)["contents"]
    assert contents["frames"] == [len(truth.times)]
    if None in truth.times:
        assert truth.times.index(None) == len(truth.times) - 1, "of the last one alone it may know none"
        truth.times[-1] = 2 * truth.times[-2] - truth.times[-3]
    assert contents["duration_s"] == [pytest.approx(float(truth.duration), abs=1e-6)]
    # Off the stamps, and the same number in decimals.
    start, end = (
        Fraction(f"{float(truth.times[-1] * part):.3f}1") for part in (Fraction(3, 8), Fraction(7, 8))
    )
    for count, part, bounds in [
        (7, [], (Fraction(0), truth.duration)),
        (5, ["--start", str(float(start)), "--end", str(float(end))], (start, end)),
    ]:
        frames, times, pictures = looked_at(path, count, part)
        assert frames == truth.chosen(count, *bounds)
        assert times == pytest.approx([float(truth.times[frame]) for frame in frames], abs=1e-6)
        assert pictures == [truth.numbers[frame] for frame in frames]
