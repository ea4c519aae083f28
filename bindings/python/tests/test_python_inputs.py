"""Objects of other libraries as inputs: the same answer as that of the file that they are of."""

import io
import shutil
import sys

import pytest
from bound import CHEST, CLIP, CT, DEVICE, EXAMPLES, NIFTI, SIDE, VOLUME, printed, same, told

import fleming_vl

numpy = pytest.importorskip("numpy")
pillow = pytest.importorskip("PIL.Image")
SLICES = sorted(path for path in CT.iterdir() if path.is_file())


def test_studies_are_equal_to_themselves_alone():
    values = numpy.zeros((4, 4, 4), "int16")
    space = fleming_vl.Space(directions=numpy.eye(3), spacing_mm=numpy.ones(3))
    for make in (
        lambda: fleming_vl.Study.image(values[0]),
        lambda: fleming_vl.Study.volume(values, space=space),
        lambda: fleming_vl.Space(directions=numpy.eye(3)),
    ):
        one, other = make(), make()
        assert one != other and {one: 1, other: 2}[one] == 1
        assert [one, other].index(other) == 1


def test_an_array_becomes_the_file_that_numpy_writes():
    numbers = numpy.arange(2 * 3 * 4)
    for values in (
        numbers.reshape(2, 3, 4).astype("int16"),
        numpy.asfortranarray(numbers.reshape(2, 3, 4).astype("float32")),
        numbers.reshape(2, 3, 4)[::-1, :, ::2].astype("uint8")[:, ::2],
        numbers.reshape(2, 3, 2, 2).astype(">f8"),
        numbers.reshape(4, 3, 2).transpose(2, 0, 1) > 5,
        numbers.reshape(2, 3, 4).astype("complex64"),
    ):
        buffer = io.BytesIO()
        numpy.save(buffer, values)
        made = fleming_vl._inputs.source(fleming_vl.Study.volume(values)).data
        assert bytes(made) == buffer.getvalue(), values.dtype


def test_a_volume_with_a_place_has_three_axes(engine):
    space = fleming_vl.Space(spacing_mm=(1, 1, 1))
    with pytest.raises(
        fleming_vl.InputError, match=r"volume: wanted numbers of \(depth, height, width\)"
    ) as caught:
        engine.ask(SIDE, studies=[fleming_vl.Study.volume(numpy.zeros((2, 2, 2, 2), "int16"), space=space)])
    assert caught.value.hint


@pytest.fixture(scope="module")
def picture():
    return told(CHEST, "-q", SIDE)


def array(path=CHEST, mode="RGB"):
    return numpy.asarray(pillow.open(path).convert(mode))


class Tensor:
    """What of a tensor of PyTorch is used."""

    def __init__(self, values):
        self.values, self.dtype = values, values.dtype

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.values


@pytest.mark.parametrize(
    "make",
    [
        CHEST.read_bytes,
        lambda: bytearray(CHEST.read_bytes()),
        lambda: memoryview(CHEST.read_bytes()),
        lambda: io.BytesIO(CHEST.read_bytes()),
        lambda: pillow.open(CHEST),
        lambda: pillow.open(CHEST).convert("RGBA"),
        lambda: pillow.open(CHEST).convert("P"),
        array,
        lambda: array(mode="L"),
        lambda: array(mode="L")[..., None],
        lambda: array(mode="RGBA"),
        lambda: Tensor(numpy.moveaxis(array(mode="RGBA"), -1, 0)),
        lambda: numpy.asfortranarray(array()),
        lambda: array()[::-1][::-1],
        lambda: Tensor(numpy.moveaxis(array(), -1, 0)),
        lambda: Tensor(array(mode="L")[None]),
    ],
)
def test_a_picture_in_memory(engine, picture, make):
    assert same(engine.ask(SIDE, image=make()), picture)


def test_what_a_picture_needs_rules_for_is_left_to_the_library(engine, tmp_path):
    deep = pillow.fromarray((array(mode="L").astype("uint16") << 7) + 3)
    turned = pillow.open(CHEST).convert("RGB").rotate(90, expand=True)
    exif = turned.getexif()
    exif[0x0112] = 6
    for name, image, options in (("deep", deep, {}), ("turned", turned, {"exif": exif})):
        path = tmp_path / f"{name}.png"
        image.save(path, **options)
        assert same(engine.ask(SIDE, image=pillow.open(path)), told(path, "-q", SIDE)), name


@pytest.mark.parametrize("kind", ["int16", "uint8", "float32", "float64", "int32"])
def test_a_volume_in_memory(engine, tmp_path, kind):
    (name,) = numpy.load(VOLUME).files
    values = (numpy.load(VOLUME)[name] // 16).astype(kind)
    numpy.save(tmp_path / "volume.npy", values)
    wanted = told(tmp_path / "volume.npy", "-q", DEVICE, "--slices", 3, "--window", "2/60")
    for volume in (values, numpy.asfortranarray(values), Tensor(values), values[None]):
        assert same(engine.ask(DEVICE, volume=volume, slices=3, window="2/60"), wanted)


def test_a_grey_picture_of_any_number(engine, tmp_path):
    deep = (array(mode="L").astype("uint16") << 7) + 3
    path = tmp_path / "deep.png"
    pillow.fromarray(deep).save(path)
    wanted = told(path, "-q", SIDE)
    for picture in (deep, deep.astype("int32"), deep.astype("float32"), deep.astype(">i2")):
        reply = engine.ask(SIDE, image=picture)
        assert reply.answer == wanted["answer"]
        assert "no window" in reply.warnings[0]
    study = fleming_vl.Study.image
    windowed = engine.preview(studies=[study(deep, window="8000/16000")])
    inverse = engine.preview(studies=[study(deep, window="8000/16000", inverse=True)])
    dark, light = (numpy.asarray(one.pictures[0]).astype(int) for one in (windowed, inverse))
    # Each is cut to whole numbers before it is resized.
    assert abs(dark + light - 255).max() < 5 and dark.std() > 10
    with pytest.raises(fleming_vl.FlemingError, match="bits"):
        engine.ask(SIDE, studies=[study(deep, bits=8)])
    for facts, data in (({"bits": 12}, CHEST), ({"inverse": True}, array())):
        with pytest.raises(fleming_vl.InputError, match="wanted an array"):
            engine.ask(SIDE, studies=[study(data, **facts)])


def test_an_array_may_say_how_it_lies(engine):
    (name,) = numpy.load(VOLUME).files
    values = numpy.load(VOLUME)[name]
    plain = engine.ask(DEVICE, volume=values)
    study, space = fleming_vl.Study.volume, fleming_vl.Space
    spaced = engine.ask(DEVICE, studies=[study(values, space=space((5, 1.5, 1.5)))])
    assert spaced.text == plain.text and spaced.frames[0].spacing_mm == (5, 1.5, 1.5)
    to_head, to_feet = ([[0, 0, way], [0, 1, 0], [1, 0, 0]] for way in (1, -1))
    seen = []
    for turned, directions in ((values, to_head), (values[::-1], to_feet)):
        lying = study(turned, space=space((5, 1.5, 1.5), directions, (0, 0, 0), "ct"), form="native")
        seen.append([numpy.asarray(picture) for picture in engine.preview(studies=[lying]).pictures])
    assert len(seen[0]) == 11 and not (seen[0][0] == seen[0][-1]).all()
    assert all((one == other).all() for one, other in zip(*seen, strict=True))
    with pytest.raises(fleming_vl.RequestError, match="kind: wanted unknown or ct"):
        engine.ask(DEVICE, studies=[study(values, space=space(directions=to_head, kind="us"))])


def test_frames_are_a_clip(engine):
    frames = [pillow.open(CHEST).convert("RGB"), pillow.open(CHEST).rotate(180).convert("RGB")]
    stack = numpy.stack([numpy.asarray(frame) for frame in frames])
    grey = stack[..., :1]
    ways = [frames, list(stack), stack, Tensor(numpy.moveaxis(stack, -1, 1)), grey, list(grey[..., 0])]
    replies = [engine.ask(DEVICE, video=way, fps=2) for way in ways]
    assert len({reply.text for reply in replies}) == 1
    for reply in [*replies, engine.ask(DEVICE, video=stack, times=[0.0, 0.5])]:
        assert [(frame.index, frame.seconds) for frame in reply.frames] == [(0, 0.0), (1, 0.5)]
    assert same(engine.ask(DEVICE, video=CLIP.read_bytes()), told(CLIP, "-q", DEVICE))
    for options in ({}, {"times": [0.0]}, {"fps": 2, "times": [0.0, 0.5]}, {"fps": 2, "frames": 1}):
        with pytest.raises(fleming_vl.FlemingError):
            engine.ask(DEVICE, video=stack, **options)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("image", numpy.zeros((4, 4, 7), "uint8")),
        ("image", numpy.zeros((2, 4, 4, 3), "uint8")),
        ("image", numpy.zeros((4, 4, 3), "float32")),
        ("image", numpy.zeros((4, 4), "complex64")),
        ("video", numpy.zeros((4, 4, 3), "uint8")),
        ("video", [numpy.zeros((4, 4, 3), "uint8"), numpy.zeros((5, 4, 3), "uint8")]),
        ("volume", numpy.zeros((4, 4), "int16")),
        ("volume", object()),
        ("dicom", []),
        ("dicom", [object()]),
        ("dicom", ["a.dcm", b"b"]),
        ("file", numpy.zeros((4, 4), "uint8")),
        ("file", object()),
    ],
)
def test_what_is_no_input_is_refused(engine, kind, values):
    with pytest.raises(fleming_vl.InputError, match="wanted"):
        engine.ask(SIDE, **{kind: values})


def test_tensors_of_pytorch(engine, picture):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(array().copy()).permute(2, 0, 1)
    assert same(engine.ask(SIDE, image=tensor), picture)
    (name,) = numpy.load(VOLUME).files
    volume = torch.from_numpy(numpy.load(VOLUME)[name])
    assert same(engine.ask(DEVICE, volume=volume, slices=3), told(VOLUME, "-q", DEVICE, "--slices", 3))
    half = engine.ask(DEVICE, volume=volume.to(torch.bfloat16), slices=3)
    assert half.text == engine.ask(DEVICE, volume=volume.to(torch.bfloat16).float(), slices=3).text


def test_datasets_of_pydicom(engine):
    pydicom = pytest.importorskip("pydicom")
    datasets = [pydicom.dcmread(path) for path in SLICES]
    wanted = told(CT, "-q", DEVICE)
    assert same(engine.ask(DEVICE, dicom=datasets), wanted)
    assert same(engine.ask(DEVICE, dicom=datasets[::-1]), wanted)
    assert same(engine.ask(DEVICE, dicom=[path.read_bytes() for path in SLICES]), wanted)
    assert same(engine.ask(DEVICE, dicom=SLICES), wanted)
    one = told("--image", SLICES[0], "-q", DEVICE)
    assert same(engine.ask(DEVICE, image=datasets[0]), one)


def test_images_of_nibabel(engine, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.load(NIFTI)
    wanted = told(NIFTI, "-q", DEVICE)
    assert same(engine.ask(DEVICE, volume=image), wanted)
    values = numpy.asanyarray(image.dataobj)
    changed = nibabel.Nifti1Image(values, image.affine, image.header)
    assert same(engine.ask(DEVICE, volume=changed), wanted)
    # Values that the file stores scaled stay as they are stored.
    changed.header.set_slope_inter(0.37, -11.0)
    path = tmp_path / "scaled.nii.gz"
    changed.to_filename(path)
    scaled = nibabel.load(path)
    assert scaled.dataobj.slope == pytest.approx(0.37)
    assert same(engine.ask(DEVICE, volume=scaled), told(path, "-q", DEVICE))


def test_images_of_simpleitk(engine, tmp_path):
    itk = pytest.importorskip("SimpleITK")
    volume = itk.ReadImage(NIFTI)
    assert same(engine.ask(DEVICE, volume=volume), told(NIFTI, "-q", DEVICE))
    oblique = itk.GetImageFromArray(numpy.arange(2 * 3 * 40 * 50, dtype="float32").reshape(6, 40, 50))
    oblique.SetSpacing((0.7, 0.8, 2.5))
    oblique.SetOrigin((-3.0, 4.0, 11.0))
    oblique.SetDirection((0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
    for kind in (itk.sitkFloat32, itk.sitkInt16, itk.sitkUInt8, itk.sitkFloat64):
        image, path = itk.Cast(oblique, kind), tmp_path / f"{kind}.nii"
        itk.WriteImage(image, path)
        wanted = told(path, "-q", DEVICE, "--form", "native")
        reply = engine.ask(DEVICE, volume=image, form="native")
        assert same(reply, wanted)
        assert reply.frames[0].spacing_mm == pytest.approx(wanted["frames"][0]["spacing_mm"], rel=1e-6)
    flat = itk.GetImageFromArray(array(mode="L"))
    assert same(engine.ask(SIDE, image=flat), told(CHEST, "-q", SIDE))
    with pytest.raises(fleming_vl.InputError, match="one number for each voxel"):
        engine.ask(DEVICE, volume=itk.Compose(volume, volume))


def test_no_library_is_imported_for_its_objects(tmp_path):
    shutil.copy(CHEST, tmp_path / "chest.png")
    libraries = ("numpy", "PIL", "torch", "pydicom", "nibabel", "SimpleITK", "pydantic", "onnxruntime", "ray")
    script = f"""
import sys, fleming_vl
with fleming_vl.Engine(fleming_vl.DEMO, threads=1) as engine, open(sys.argv[1], "rb") as file:
    print(engine.ask({SIDE!r}, image=file).answer)
print([name for name in {libraries!r} if name in sys.modules])
"""
    assert printed(script, tmp_path / "chest.png") == "right lung\n[]\n"
    assert "numpy" in sys.modules


def small(kind="float32"):
    return numpy.arange(30 * 20).reshape(30, 20).astype(kind)


def with_one(value, kind="float64"):
    values = small(kind)
    values[2, 3] = value
    return values


class Foreign:
    """What of an image of SimpleITK says what its pixels are."""

    def GetPixelIDTypeAsString(self):
        return "label of 8-bit unsigned integer"

    def GetNumberOfComponentsPerPixel(self):
        return 1

    def GetDirection(self):
        return (1.0,)


FRAMES = numpy.zeros((2, 30, 20, 3), "uint8")


@pytest.mark.parametrize(
    ("error", "says", "options"),
    [
        ("Input", "image: wanted finite numbers, got nan in row 2, column 3", {"image": with_one(numpy.nan)}),
        ("Input", "image: wanted finite numbers, got -inf", {"image": with_one(-numpy.inf, "float16")}),
        ("Input", "2 that are masked .*filled", {"image": numpy.ma.masked_array(small(), small() < 2)}),
        ("Input", "that are masked", {"volume": numpy.ma.masked_array(small()[None], small()[None] < 2)}),
        ("Input", "image: .*got complex64 of .30, 20", {"image": small("complex64")}),
        ("Input", "image: .*got object of .30, 20", {"image": small("object")}),
        ("Input", "volume: .*got object of .1, 30, 20", {"volume": small("object")[None]}),
        ("Input", "got int64 from -9", {"image": with_one(-(2**63), "int64")}),
        ("Input", "got uint64 from 0 to 18", {"image": with_one(2**64 - 1, "uint64")}),
        ("Input", "give the files of a series as dicom=", {"volume": SLICES[:2]}),
        ("Input", "a label of 8-bit .*LabelMapToLabel", {"volume": Foreign()}),
        ("Input", "video: .*a frame of the mode F", {"video": [pillow.new("F", (9, 9))], "fps": 1}),
        *[("Request", "fps: wanted", {"video": FRAMES, "fps": fps}) for fps in (0, -1, numpy.inf, "2", [1])],
        ("Request", "fps: wanted", {"video": FRAMES, "fps": numpy.nan}),
        ("Request", "times: .*ascending", {"video": FRAMES, "times": [1, 1]}),
        ("Request", "times: .*ascending", {"video": FRAMES, "times": [2, 1]}),
        ("Request", "times: .*negative", {"video": FRAMES, "times": [-1, 1]}),
        ("Request", "times: wanted finite", {"video": FRAMES, "times": [0, numpy.nan]}),
        ("Request", "times: wanted a list", {"video": FRAMES, "times": 5}),
        ("Request", "times: wanted a number", {"video": FRAMES, "times": ["a", "b"]}),
    ],
)
def test_an_object_that_cannot_be_looked_at_says_why(engine, error, says, options):
    with pytest.raises(getattr(fleming_vl, f"{error}Error"), match=says) as caught:
        engine.preview(**options)
    assert caught.value.thing and caught.value.wanted and caught.value.got and caught.value.hint


@pytest.mark.parametrize(
    ("thing", "make"),
    [
        ("kind", lambda study: study("foo", CHEST)),
        ("name", lambda study: study.image(CHEST, name=5)),
        ("space", lambda study: study.volume(small()[None], space=(1, 1, 1))),
        ("spacing_mm", lambda study: study.volume(small()[None], space=fleming_vl.Space((1, 1)))),
        ("spacing_mm", lambda study: study.volume(small()[None], space=fleming_vl.Space("abc"))),
        (
            "directions",
            lambda study: study.volume(small()[None], space=fleming_vl.Space(directions=[5, 5, 5])),
        ),
        ("kind", lambda study: study.volume(small()[None], space=fleming_vl.Space(kind=["ct"]))),
        ("bits", lambda study: study.image(small("uint16"), bits="12")),
        ("bits", lambda study: study.image(small("uint16"), bits=2.5)),
        ("bits", lambda study: study.image(pillow.open(CHEST), bits=12)),
    ],
)
def test_a_study_of_wrong_facts_says_why(engine, thing, make):
    with pytest.raises(fleming_vl.FlemingError) as caught:
        engine.preview(studies=[make(fleming_vl.Study)])
    assert caught.value.thing == thing and caught.value.wanted and caught.value.got and caught.value.hint


@pytest.mark.parametrize(
    ("kind", "same_as"), [("int64", "int32"), ("uint64", "uint32"), ("float16", "float32"), (">i8", "int32")]
)
def test_numbers_of_a_type_that_no_file_has_are_those_of_one(engine, kind, same_as):
    def seen(values):
        return numpy.asarray(engine.preview(image=values).pictures[0])

    assert (seen(small(kind)) == seen(small(same_as))).all()
    assert (seen(numpy.ma.masked_array(small(same_as))) == seen(small(same_as))).all()


def test_truth_values_are_black_and_white(engine):
    seen = numpy.asarray(engine.preview(image=small() > 300).pictures[0])
    assert seen.min() == 0 and seen.max() == 255


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "PA", "RGBa", "La", "I"])
def test_modes_of_pillow_that_no_file_has(engine, mode):
    picture = pillow.open(EXAMPLES / "fundus.png").convert("RGB")
    if mode == "LAB":
        cms = pytest.importorskip("PIL.ImageCms")
        profiles = [cms.createProfile(name) for name in ("sRGB", "LAB")]
        given = cms.profileToProfile(picture, *profiles, outputMode="LAB")
    else:
        via = {"PA": "LA", "RGBa": "RGBA", "La": "LA", "I": "L"}.get(mode, "RGB")
        given = picture.convert(via).convert(mode)
    assert given.mode == mode
    grey = mode in ("PA", "La", "I")
    plain = picture.convert("L") if grey else picture
    # Whole numbers of 32 bits are spread over their range, as those of an array.
    wanted = engine.preview(image=numpy.asarray(given) if mode == "I" else plain).pictures[0]
    seen = engine.preview(image=given).pictures[0]
    assert abs(numpy.asarray(seen).astype(int) - numpy.asarray(wanted)).mean() < 3


def test_a_pair_of_nibabel_is_its_image(engine):
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.load(NIFTI)
    pair = nibabel.Nifti1Pair(numpy.asanyarray(image.dataobj), image.affine, image.header)
    assert same(engine.ask(DEVICE, volume=pair), told(NIFTI, "-q", DEVICE))


def test_what_is_printed_of_a_study_says_nothing_of_its_content():
    for data in (str(CHEST), b"secret", small()):
        shown = repr(fleming_vl.Study.image(data, name="Doe, Jane"))
        assert shown.startswith("<Study: image of ") and len(shown) < 60, shown
        assert "Doe" not in shown and "secret" not in shown and "chest" not in shown
