"""Compares values of DICOM files with pydicom's: modality values of grey pictures, 8-bit RGB of colour ones.

python tests/clinical/values.py [FOLDER…]

It needs pydicom with numpy and the plugins that decode; without folders it takes pydicom's own test images,
and pydicom-data's where that is installed. What is not equal is listed by name and reason.
"""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.uid import ExplicitVRBigEndian

ROOT = Path(__file__).parents[2]
# Grey levels between decoders of lossy pictures.
LOSSY = 3
RUST = ["cargo", "test", "-q", "--lib", "input::dicom::tests::values_of_listed_files", "--", "--ignored"]


def expected(path: Path) -> tuple[str, np.ndarray, float]:
    """What pydicom reads: the kind, the values, and how far apart decoders may be."""
    data = pydicom.dcmread(path, force=True)
    array = pixel_array(data)
    syntax = data.file_meta.get("TransferSyntaxUID", "") if hasattr(data, "file_meta") else ""
    lossy = str(syntax).startswith(("1.2.840.10008.1.2.4.5", "1.2.840.10008.1.2.4.91")) and not str(
        syntax
    ).endswith(".57")
    if data.PhotometricInterpretation == "PALETTE COLOR":
        if data.file_meta.TransferSyntaxUID == ExplicitVRBigEndian:
            # pydicom takes the tables as they are.
            for colour in ("Red", "Green", "Blue"):
                table = data[f"{colour}PaletteColorLookupTableData"]
                table.value = np.frombuffer(table.value, np.uint16).byteswap().tobytes()
        array = apply_color_lut(array, data)
        array = array >> 8 if array.dtype == np.uint16 else array
        return "rgb", array.astype(np.uint8), 0
    if data.SamplesPerPixel == 3:
        if array.dtype != np.uint8:
            array = (array.astype(np.float64) / (2**data.BitsStored - 1) * 255).astype(np.uint8)
        # Conversions round differently.
        return "rgb", array, LOSSY if lossy else 1
    slope = abs(float(data.get("RescaleSlope", 1) or 1))
    if "PerFrameFunctionalGroupsSequence" in data and array.ndim == 3:
        frames = zip(array, data.PerFrameFunctionalGroupsSequence, strict=True)
        return "f32", np.stack([of_frame(frame, data, groups) for frame, groups in frames]), 0
    return "f32", apply_modality_lut(array, data).astype(np.float32), LOSSY * slope if lossy else 0


def of_frame(stored: np.ndarray, data: pydicom.Dataset, groups: pydicom.Dataset) -> np.ndarray:
    """A frame by its own slope and intercept, or by those of all frames; pydicom knows only the whole's."""
    for holder in (groups, data.SharedFunctionalGroupsSequence[0]):
        if "PixelValueTransformationSequence" in holder:
            values = holder.PixelValueTransformationSequence[0]
            return (stored * float(values.RescaleSlope) + float(values.RescaleIntercept)).astype(np.float32)
    return apply_modality_lut(stored, data).astype(np.float32)


def difference(found: Path, kind: str, wanted: np.ndarray, most: float) -> str:
    """Why the values are not the same, in words; nothing if they are."""
    refused = found.with_suffix(".txt")
    if refused.exists():
        return refused.read_text()
    read = found.with_suffix(f".{kind}")
    if not read.exists():
        return f"no {kind}"
    got = np.fromfile(read, np.uint8 if kind == "rgb" else "<f4")
    if got.size != wanted.size:
        return f"{got.size} values for {wanted.size}"
    off = np.abs(got.astype(np.float64) - wanted.ravel().astype(np.float64)).max()
    return "" if off <= most else f"off by {off}"


def main(*folders: str) -> int:
    warnings.simplefilter("ignore")
    # Not by pydicom's own list, which asks the network for what is missing.
    own = Path(pydicom.__file__).parent
    images = [own / "data" / "test_files", own.with_name("data_store") / "data"]
    listed = [path for folder in folders or images for path in Path(folder).rglob("*") if path.is_file()]
    truth = {}
    for path in sorted(set(listed)):
        try:
            truth[path] = expected(path)
        except Exception as error:  # whatever the reason, it is not compared
            if "-v" in os.environ.get("VALUES", ""):
                print(f"not read by pydicom: {path.name}: {str(error)[:100]}")
    wrong = 0
    with tempfile.TemporaryDirectory() as out:
        Path(out, "list").write_text("\n".join(map(str, truth)))
        variables = {**os.environ, "DICOM_LIST": f"{out}/list", "DICOM_VALUES": out}
        subprocess.run(RUST, cwd=ROOT, env=variables, check=True)
        for number, (path, (kind, wanted, most)) in enumerate(truth.items()):
            why = difference(Path(out, str(number)), kind, wanted, most)
            wrong += bool(why)
            if why:
                print(f"{path.name}: {why}")
    print(
        f"{len(truth) - wrong} of {len(truth)} as pydicom reads them ({1 - wrong / max(len(truth), 1):.1%})"
    )
    return int(wrong > 0.02 * len(truth))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
