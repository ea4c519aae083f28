"""Compares what the program makes of clinical volumes with recorded expectations.

PYTHONPATH=tests python tests/clinical/check.py FOLDER EXPECTED.json [nifti] [dicom] [--name PART]

FOLDER has the files, `nifti/NAME` and `dicom/FOLDER/…`. EXPECTED.json has for each of them the SHA-256 of
its values turned upright (float32, little-endian, slices × rows × columns), what a note must say or a refusal
must name, and frames in both forms. The program shows 8 bits of a value: a window 255 wide shows whole
numbers as they are, so several windows, one beside the other, show a volume exactly.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from program import FLEMING, ROOT

STEP = 255
WINDOWS = {"window 40/400": "40/400", "wide": "0/2000", "volume": "own-range"}


class Refused(Exception):
    """What the program said instead of an answer."""


def preview(study: Path, *options: object) -> tuple[np.ndarray, dict]:
    """The frames `[count, rows, columns, 3]` and the JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        out = [
            f"--output={folder}/sheet.png",
            f"--pictures={folder}/frames",
            f"--model={ROOT / 'models/demo'}",
        ]
        command = [FLEMING, "preview", study, "--json", *out, *map(str, options)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise Refused(done.stderr.strip())
        pictures = sorted(Path(folder, "frames").iterdir())
        return np.stack([np.asarray(Image.open(picture)) for picture in pictures]), json.loads(done.stdout)


def values(
    study: Path, slices: int, low: float, high: float, *options: object, grain: float = 1
) -> np.ndarray:
    """All values of a volume, turned upright: whole numbers, or multiples of `grain`."""
    found = None
    width = STEP * grain
    for bottom in np.arange(int(low), int(high) + 1, width - grain).tolist():
        window = f"{bottom + width / 2}/{width}"
        native = "--form=native", f"--slices={slices}", f"--window={window}"
        grey = preview(study, *native, *options)[0][..., 0].astype(np.float32)
        if found is None:
            found = np.full(grey.shape, np.nan, np.float32)
        found = np.where(np.isnan(found) & (grey < STEP), grey * np.float32(grain) + bottom, found)
    return found


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def words(notes: list[dict]) -> list[str]:
    """A word of each note that must be said."""
    known = {"gap": "missing", "volumes": "volumes", "no orientation": "exchanged", "no position": "position"}
    found = []
    for note in notes:
        what = note["what"]
        found.append(
            next((word for key, word in known.items() if key in what), what.split(";")[0].split(" ")[0])
        )
    return found


def check_values(study: Path, expected: dict, wrong: list[str]) -> None:
    shape, low, high = expected["canonical_shape"], expected["min"], expected["max"]
    if low != int(low) or high - low > 4000:
        return
    times = expected.get("canonical_f32_sha256_of_each")
    hashes = list(enumerate(times)) if times else [(None, expected["canonical_f32_sha256"])]
    for time, wanted in hashes:
        options = [] if time is None else [f"--time={time}"]
        # Later times are somewhat brighter.
        got = values(study, shape[0], low, high + (100 if times else 0), *options)
        if sha256(got) == wanted:
            continue
        # Slopes of single frames may make halves.
        halves = values(study, shape[0], low, high, *options, grain=0.5)
        if sha256(halves) != wanted:
            wrong.append(
                f"values{'' if time is None else f' of time {time}'}: {got.shape}, {got.min()} to {got.max()}"
            )


def check_planes(study: Path, expected: dict, wrong: list[str]) -> None:
    for plane in ("axial", "coronal", "sagittal"):
        wanted = expected.get(f"plane_{plane}_f32_sha256")
        if wanted:
            slices = max(expected["canonical_shape"])
            slices = {"axial": 32, "coronal": 40, "sagittal": slices}[plane]
            got = values(study, slices, expected["min"], expected["max"], f"--plane={plane}")
            if sha256(got) != wanted:
                wrong.append(f"values of the {plane} plane: {got.shape}")


def check_facts(study: Path, expected: dict, wrong: list[str]) -> None:
    _, seen = preview(study)
    first = seen["frames"][0]
    wanted = expected["canonical"]
    # Without a position the program names no plane.
    is_placed = not any("no position" in note["what"] for note in expected["notes"])
    if first["view"]["plane"] != wanted["plane"] and expected.get("normal", True) and is_placed:
        wrong.append(f"plane {first['view']['plane']}")
    _, native = preview(study, "--form=native")
    spacing = native["frames"][0].get("spacing_mm")
    if spacing and not np.allclose(spacing[1:], wanted["spacing_mm"][1:], rtol=1e-6):
        wrong.append(f"spacing {spacing}")
    said = " ".join(seen["warnings"]).lower()
    wrong.extend(f"note on {word}: {said}" for word in words(expected["notes"]) if word.lower() not in said)
    if "display_range" in expected and native["frames"][0]["window"] != expected["display_range"]:
        wrong.append(f"window {native['frames'][0]['window']}")


def check_models(study: Path, expected: dict, wrong: list[str]) -> None:
    for name, forms in expected.get("model", {}).items():
        window = WINDOWS.get(name)
        options = [f"--window={window}"] if window else []
        if name == "percentiles 0.5 and 99.5" and expected.get("modality") not in ("MR", "PT"):
            low, high = forms["native"]["range"]
            options = [f"--window={(low + high) / 2}/{high - low}"]
        native = forms["native"]
        if name == "volume":
            low, high = native["range"]
            grey, seen = preview(study, "--form=native", f"--window={(low + high) / 2}/{high - low}")
        else:
            grey, seen = preview(study, "--form=native", *options)
        if sha256(grey[..., 0]) != native["u8_sha256"]:
            wrong.append(f"{name}, native: {grey.shape}, mean {grey.mean()} for {native['mean_u8']}")
        if [frame["slice_index"] for frame in seen["frames"]] != native["slices"]:
            wrong.append(f"{name}, native: slices {[frame['slice_index'] for frame in seen['frames']]}")
        for form, slab in (("as_trained", "none"), ("as_trained_before_2024_06_12", "mean")):
            if form not in forms:
                continue
            grey, seen = preview(study, "--form=trained", f"--slab={slab}", *options)
            wanted = zlib.decompress(base64.b64decode(forms[form]["every_8th_pixel_zlib_base64"]))
            wanted = np.frombuffer(wanted, np.uint8).reshape(11, 32, 32).astype(int)
            off = np.abs(grey[:, 4::8, 4::8, 0].astype(int) - wanted)
            means = np.abs(grey[..., 0].mean((1, 2)) - forms[form]["mean_u8"])
            if off.max() > 1 or means.max() > 0.5:
                wrong.append(f"{name}, {form}: {off.max()} grey levels off, {(off > 0).mean():.1%} of pixels")
            crop = seen["frames"][0]["view"]["crop"] or [[0, side] for side in expected["canonical_shape"]]
            if crop != forms[form]["crop"]:
                wrong.append(f"{name}, {form}: crop {crop}")


def check(study: Path, expected: dict) -> list[str]:
    """What is wrong, a sentence each."""
    wrong: list[str] = []
    refuse = expected.get("refuse")
    try:
        if refuse:
            _, seen = preview(study)
            like = refuse.get("read_as") or refuse.get("or")
            return [] if like else [f"taken, with {seen['warnings']}"]
        if expected.get("colour"):
            got, _ = preview(study, f"--slices={expected['shape'][2]}")
            return [] if sha256(got) == expected["canonical_u8_sha256"] else [f"colours: {got.shape}"]
        for part in (check_values, check_planes, check_facts, check_models):
            part(study, expected, wrong)
    except Refused as error:
        said = str(error)
        names = refuse["must_name"] if refuse else None
        if names is None or not all(name.lower() in said.lower() for name in names):
            wrong.append(f"refused, naming none of {names}: {said}")
    except subprocess.TimeoutExpired:
        wrong.append("took more than a minute")
    return wrong


def studies(folder: Path, expected: dict, kinds: list[str]) -> list[tuple[str, Path, dict]]:
    found = []
    if "nifti" in kinds:
        found += [(name, folder / "nifti" / name, one) for name, one in expected["nifti"].items()]
    if "dicom" in kinds:
        for name, case in expected["dicom"].items():
            if "refuse" in case:
                found.append((name, folder / "dicom" / name, case))
            elif case.get("volumes"):
                found.append((name, folder / "dicom" / name, case["volumes"][case["chosen"]]))
    return found


def main(folder: Path, recorded: Path, *rest: str) -> int:
    part = rest[rest.index("--name") + 1] if "--name" in rest else ""
    kinds = [kind for kind in ("nifti", "dicom") if kind in rest] or ["nifti", "dicom"]
    expected = json.loads(recorded.read_text())
    cases = [case for case in studies(folder, expected, kinds) if part in case[0]]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda case: check(case[1], case[2]), cases))
    for (name, _, _), wrong in zip(cases, results, strict=True):
        print(f"{'wrong' if wrong else 'right'}  {name}", *wrong, sep="\n       ")
    right = sum(not wrong for wrong in results)
    print(f"{right} of {len(cases)} as expected")
    return int(right < len(cases))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
