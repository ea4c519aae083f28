"""Compares DICOM pictures, clips, transfer syntaxes and broken files with recorded expectations.

PYTHONPATH=tests python tests/clinical/dicom.py FOLDER EXPECTED.json [--name PART]

FOLDER has the files, `dicom/NAME/…`, `dicom/ts/NAME.dcm` and `dicom/broken/NAME.dcm`. EXPECTED.json has for
each picture the SHA-256 of its 8 bits as they are shown, or some of its colours; for each transfer syntax
that of its values; for each broken file what a refusal or a warning must name. `check.py` compares volumes.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from check import Refused, preview, sha256, values


def check_colours(frames: np.ndarray, expected: dict) -> list[str]:
    wrong = []
    most = expected["rgb_tolerance"]
    if most == 0 and sha256(frames) != expected["rgb_sha256"]:
        wrong.append("colours")
    probe = np.array(expected["rgb_probe"]).reshape(-1, 3)
    got = frames[:, ::12, ::16].reshape(-1, 3).astype(int)[: len(probe)]
    if np.abs(got - probe).max() > most:
        wrong.append(f"colours off by {np.abs(got - probe).max()}")
    if np.abs(frames.reshape(-1, 3).mean(0) - expected["rgb_mean"]).max() > max(0.5, most):
        wrong.append(f"mean {frames.reshape(-1, 3).mean(0)}")
    return wrong


def check_picture(path: Path, expected: dict) -> list[str]:
    count = expected["frames"]
    frames, seen = preview(path, *([f"--frames={count}"] if count > 1 else []))
    if frames.shape[:3] != (count, expected["rows"], expected["columns"]):
        return [f"shape {frames.shape}"]
    said = " ".join(seen["warnings"]).lower()
    wrong = [
        f"note on {note['what']}: {said}" for note in expected.get("notes", []) if note["what"] not in said
    ]
    times = [frame.get("time") for frame in seen["frames"]]
    wanted = expected.get("times_ms")
    if wanted and not np.allclose(times, np.array(wanted) / 1000):
        wrong.append(f"times {times}")
    if count > 1 and "times_ms" in expected and not wanted and any(time is not None for time in times):
        wrong.append(f"times {times}")
    if "rgb_mean" in expected:
        return wrong + check_colours(frames, expected)
    shown = expected["display"]
    if sha256(frames[..., 0]) not in {one["floor_u8_sha256"] for one in shown.values()}:
        wrong.append(f"grey, mean {frames[..., 0].mean()} for {[one['mean_u8'] for one in shown.values()]}")
    return wrong


def check_syntax(path: Path, expected: dict) -> list[str]:
    if "rgb_mean" in expected:
        return check_picture(path, expected)
    got = values(path, 1, expected["min"], expected["max"])
    if expected["tolerance"] == 0:
        right = sha256(got) == expected["modality_f32_sha256"]
    else:
        right = abs(got.mean() - expected["mean"]) <= expected["tolerance"]
    return [] if right else [f"values of mean {got.mean()} for {expected['mean']}"]


def check_broken(path: Path, expected: dict) -> list[str]:
    names = [name.lower() for name in expected["must_name"]]
    try:
        _, seen = preview(path)
    except Refused as error:
        said = str(error).lower()
        return (
            [] if names and all(name in said for name in names) else [f"refused, not naming {names}: {error}"]
        )
    said = " ".join(seen["warnings"]).lower()
    may = not names or "or" in expected.get("why", "") or isinstance(expected["pydicom"], dict)
    if not may:
        return [f"taken, with {seen['warnings']}"]
    return (
        []
        if all(name in said for name in names) or "else read" in expected["why"]
        else [f"no warning names {names}"]
    )


def main(folder: Path, recorded: Path, *rest: str) -> int:
    part = rest[rest.index("--name") + 1] if "--name" in rest else ""
    expected = json.loads(recorded.read_text())
    dicom = folder / "dicom"
    cases = [
        (name, next((dicom / name).iterdir()), one, check_picture)
        for name, one in expected["pictures"].items()
    ]
    cases += [
        (name, dicom / "ts" / f"{name}.dcm", one, check_syntax) for name, one in expected["syntaxes"].items()
    ]
    cases += [
        (name, dicom / "broken" / f"{name}.dcm", one, check_broken)
        for name, one in expected["broken"].items()
    ]
    cases = [case for case in cases if part in case[0]]
    right = 0
    for name, path, one, compare in cases:
        try:
            wrong = compare(path, one)
        except Refused as error:
            wrong = [f"refused: {error}"]
        except subprocess.TimeoutExpired:
            wrong = ["took more than a minute"]
        right += not wrong
        print(f"{'wrong' if wrong else 'right'}  {name}", *wrong, sep="\n       ", flush=True)
    print(f"{right} of {len(cases)} as expected")
    return int(right < len(cases))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
