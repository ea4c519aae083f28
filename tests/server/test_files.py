"""Files that clients upload: their way in, who finds them, how they are looked at, and their end."""

import base64
import contextlib
import io
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import threading
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image
from serving import ANSWER, CHEST, DEMO, QUESTION, Server, about, data_url

from program import FLEMING, ROOT

VOLUME = ROOT / "examples" / "chest.nii.gz"
SERIES = ROOT / "examples" / "chest_ct"
CLIP = ROOT / "examples" / "clip.mp4"
KEYS = ["first-key-of-the-tests", "second-key-of-the-tests"]
BOUNDARY = "a-boundary-of-the-tests"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
PRIVATE = re.compile(r"/tmp|/home|/root|/work|\.rs\b|0x[0-9a-f]{6}")


def form(content, name="scan.png", **fields):
    """The body of an upload."""
    fields = {"purpose": "user_data", **fields}
    lines = []
    for field, value in fields.items():
        if value is not None:
            lines.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n')
    if content is not None:
        lines.append(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        )
    head = "".join(lines).encode("utf-8", "surrogateescape")
    return head + (content or b"") + f"\r\n--{BOUNDARY}--\r\n".encode()


def key(number):
    return {"Authorization": f"Bearer {KEYS[number]}"}


def upload(server, content, headers=None, **fields):
    content = content if isinstance(content, bytes) else Path(content).read_bytes()
    return server.request("POST", "/v1/files", form(content, **fields), {**FORM, **(headers or {})})


def uploaded(server, content, headers=None, **fields):
    answer = upload(server, content, headers, **fields)
    assert answer.status == 200, answer.body
    return answer.json()


def part(file, **options):
    return {"type": "file", "file": {"file_id": file["id"]}, **({"fleming": options} if options else {})}


def begun(body):
    """A request with this body, as bytes on the wire."""
    lines = ["POST /v1/files HTTP/1.1", "Host: localhost", f"Content-Type: {FORM['Content-Type']}"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "files"


@pytest.fixture
def keyed(folder, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("\n".join(KEYS))
    keys.chmod(0o600)
    with Server("--keys", keys, "--files", folder, wait=False) as server:
        yield server


@pytest.fixture
def bare(folder):
    """A server that may still be loading: files need no model."""
    with Server("--files", folder, wait=False) as server:
        yield server


def test_a_study_is_uploaded_once_and_asked_often(server):
    file = uploaded(server, CHEST, name="chest.png", purpose="vision")
    assert re.fullmatch(r"file-[0-9a-f]{32}", file["id"]) and file["object"] == "file"
    assert (file["bytes"], file["filename"], file["purpose"], file["status"]) == (
        CHEST.stat().st_size,
        "chest.png",
        "vision",
        "processed",
    )
    assert file["expires_at"] - file["created_at"] == 24 * 3600 and abs(file["created_at"] - time.time()) < 60
    facts = file["fleming"]
    assert (facts["source"], facts["format"], facts["modality"]) == ("chest.png", "PNG", "image")
    reply = server.chat(about(part(file))).json()
    assert reply["choices"][0]["message"]["content"] == ANSWER
    assert reply["fleming"]["frames"][0]["source"] == "chest.png"
    again = server.chat(about(part(file))).json()
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert server.get(f"/v1/files/{file['id']}").json() == file
    content = server.get(f"/v1/files/{file['id']}/content")
    assert content.body == CHEST.read_bytes()
    assert content.headers["content-disposition"] == "attachment; filename*=UTF-8''chest.png"
    assert content.headers["x-content-type-options"] == "nosniff"
    gone = server.request("DELETE", f"/v1/files/{file['id']}")
    assert gone.json() == {"id": file["id"], "object": "file", "deleted": True}
    for path in ("", "/content", "/facts", "/slices?index=0"):
        assert server.get(f"/v1/files/{file['id']}{path}").status == 404
    missing = server.chat(about(part(file)))
    assert missing.status == 404 and missing.error()["param"] == "messages[0].content[0].file.file_id"


def test_files_are_listed_page_by_page(bare):
    files = [
        uploaded(bare, CHEST, name=f"{place}.png", purpose=purpose)
        for place, purpose in enumerate(["vision", "user_data"] * 2)
    ]
    ids = [file["id"] for file in files]
    listed = bare.get("/v1/files").json()
    assert [file["id"] for file in listed["data"]] == ids[::-1] and listed["has_more"] is False
    assert (listed["object"], listed["first_id"], listed["last_id"]) == ("list", ids[3], ids[0])
    page = bare.get("/v1/files?limit=3&order=asc").json()
    assert [file["id"] for file in page["data"]] == ids[:3] and page["has_more"] is True
    rest = bare.get(f"/v1/files?limit=3&order=asc&after={page['last_id']}").json()
    assert [file["id"] for file in rest["data"]] == ids[3:] and rest["has_more"] is False
    vision = bare.get("/v1/files?purpose=vision").json()
    assert [file["id"] for file in vision["data"]] == [ids[2], ids[0]]
    for query, param in (
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("purpose=batch", "purpose"),
        ("page=2", "page"),
        ("limit=1&limit=2", "limit"),
    ):
        refused = bare.get(f"/v1/files?{query}")
        assert (refused.status, refused.error()["param"]) == (400, param)
    assert bare.get("/v1/files?after=file-x").status == 404


def test_another_key_finds_nothing(keyed):
    file = uploaded(keyed, CHEST, key(0))
    paths = [f"/v1/files/{file['id']}{rest}" for rest in ("", "/content", "/facts", "/slices?index=0")]
    unknown = f"file-{'0' * 32}"
    for path in paths:
        assert keyed.get(path, key(0)).status == 200
        assert keyed.get(path).status == 401
        foreign = keyed.get(path, key(1))
        missing = keyed.get(path.replace(file["id"], unknown), key(1))
        assert foreign.status == missing.status == 404
        assert foreign.body.replace(file["id"].encode(), unknown.encode()) == missing.body
    assert keyed.get("/v1/files", key(1)).json()["data"] == []
    assert keyed.request("DELETE", paths[0], headers=key(1)).status == 404
    keyed.wait_for("/health/ready", 200)
    for number, status in ((0, 200), (1, 404)):
        assert keyed.chat(about(part(file)), headers=key(number), max_tokens=1).status == status
    assert keyed.get(paths[0], key(0)).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/x",
        "..",
        "a\0b",
        "x" * 4096 + ".nii.gz",
        "\u202egnp.exe",
        "C:\\\\scans\\\\x.png",
        "%2e%2e%2fx",
        ".lock",
        "",
    ],
)
def test_a_name_leads_nowhere(bare, folder, tmp_path, name):
    before = set(tmp_path.iterdir())
    answer = upload(bare, CHEST, name=name)
    if answer.status == 200:
        file = answer.json()
        assert names(folder) == [file["id"], f"{file['id']}.json"]
        shown = file["filename"]
        assert 0 < len(shown.encode()) <= 255 and not set(shown) & set("/\\\0\u202e")
        assert bare.get(f"/v1/files/{file['id']}/content").body == CHEST.read_bytes()
    else:
        # NUL in a header.
        assert answer.status == 400 and "\0" in name and names(folder) == []
    assert set(tmp_path.iterdir()) | {folder} == before | {folder}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE((folder / name).stat().st_mode) == 0o600 for name in names(folder))


def png(width, height):
    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def nifti(side):
    header = struct.pack("<i", 348) + bytes(36) + struct.pack("<8h", 3, side, side, side, 1, 1, 1, 1)
    header += bytes(14) + struct.pack("<hh", 4, 16)
    return header.ljust(108, b"\0") + struct.pack("<f", 352) + bytes(232) + b"n+1\0" + bytes(4)


def nested_zip():
    content = bytes(1 << 20)
    for _ in range(3):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for place in range(16):
                archive.writestr(f"{place}.zip", content)
        content = packed.getvalue()
    return content


REFUSED = {
    "text": b"a letter about a study",
    "nothing": b"",
    "cut short": CHEST.read_bytes()[:20],
    "a huge picture": png(60_000, 60_000),
    "a lying volume": nifti(30_000),
    "archives in archives": nested_zip(),
    "gzip": zlib.compress(bytes(1 << 20)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_study_is_refused_and_not_kept(bare, folder, kind):
    bare.wait_for("/health/ready", 200)
    began = bare.resident()
    answer = upload(bare, REFUSED[kind], name="Doe Jane.png")
    assert answer.status == 400, answer.body
    error = answer.error()
    assert error["param"] == "file" and error["code"] in ("unreadable_study", None)
    assert all(error["fleming"][fact] for fact in ("thing", "wanted", "got", "hint"))
    assert error["fleming"]["thing"].startswith("Doe Jane.png") and not PRIVATE.search(error["message"])
    assert names(folder) == [] and bare.resident() - began < 256 << 20


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": None}, "purpose"),
        ({"purpose": "fine-tune"}, "purpose"),
        ({"colour": "red"}, "colour"),
        ({"expires_after[anchor]": "now", "expires_after[seconds]": "60"}, "expires_after[anchor]"),
        ({"expires_after[anchor]": "created_at"}, "expires_after[seconds]"),
        *(
            ({"expires_after[seconds]": value}, "expires_after[seconds]")
            for value in ("-1", "0", "1e9", "86401", "NaN", "")
        ),
        ({"purpose": "x" * 5000}, "purpose"),
    ],
)
def test_a_field_that_cannot_be_taken_is_named(bare, folder, fields, param):
    answer = upload(bare, CHEST, **fields)
    assert (answer.status, answer.error()["param"]) == (400, param), answer.body
    assert names(folder) == []


def test_a_body_that_is_no_form_is_refused(bare, folder):
    for headers, body, status in (
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({}, form(b"x"), 415),
        ({"Content-Type": "multipart/form-data"}, form(b"x"), 415),
        ({**FORM, "Content-Encoding": "gzip"}, form(b"x"), 415),
        (FORM, b"no form at all", 400),
        (FORM, form(CHEST.read_bytes())[:-40], 400),
        (FORM, form(None), 400),
        (FORM, form(CHEST.read_bytes(), purpose="vision") + b"", 200),
    ):
        answer = bare.request("POST", "/v1/files", body, headers)
        assert answer.status == status, answer.body
    twice = form(CHEST.read_bytes(), purpose=None).replace(
        f"\r\n--{BOUNDARY}--\r\n".encode(), b"\r\n"
    ) + form(CHEST.read_bytes())
    assert bare.request("POST", "/v1/files", twice, FORM).error()["param"] == "file"
    assert len(names(folder)) == 2


def test_a_body_without_an_end_is_not_held(bare, folder):
    """Neither rubbish before the first field nor a header without end may fill the memory."""
    bare.wait_for("/health/ready", 200)
    began = bare.resident()
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="'.encode()
    for begin in (b"", head):
        answer = bare.request("POST", "/v1/files", begin + b"x" * (64 << 20), FORM)
        assert answer.status == 400, answer.body
    assert bare.resident() - began < 32 << 20 and names(folder) == []


def test_limits_hold_while_the_body_comes(folder):
    limits = ("--file-bytes", 1 << 20, "--files-per-key", 2)
    with Server("--files", folder, *limits, wait=False) as server:
        large = server.request("POST", "/v1/files", form(bytes(4 << 20)), FORM)
        assert large.status == 413 and large.headers["x-should-retry"] == "false"
        # Without a length it is found out on the way.
        body = form(bytes(3 << 20))
        pieces = (body[place : place + 65536] for place in range(0, len(body), 65536))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            answer = server.request("POST", "/v1/files", pieces, FORM)
            assert answer.status == 413 and answer.error()["code"] == "file_too_large"
        assert names(folder) == []
        files = [uploaded(server, CHEST) for _ in range(2)]
        full = upload(server, CHEST)
        assert (
            full.status == 413
            and full.error()["code"] == "too_many_files"
            and "delete" in full.error()["message"]
        )
        server.request("DELETE", f"/v1/files/{files[0]['id']}")
        uploaded(server, CHEST)
    shutil.rmtree(folder)
    with Server("--files", folder, "--files-bytes", 20_000, wait=False) as server:
        full = upload(server, bytes(30_000))
        assert full.status == 507 and full.error()["code"] == "storage_full"
        assert names(folder) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_said_and_leaves_nothing(folder):
    folder.mkdir(mode=0o700)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        with Server("--files", folder, wait=False) as server:
            full = upload(server, bytes(3 << 20))
            assert full.status == 507 and "disk" in full.error()["message"]
            assert names(folder) == []
            uploaded(server, CHEST)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_client_that_leaves_leaves_nothing(bare, folder):
    body = form(bytes(8 << 20))
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", bare.port)) as client:
            client.sendall(begun(body)[: 3 << 20])
            until = time.monotonic() + 30
            while not names(folder) and time.monotonic() < until:
                time.sleep(0.01)
            assert names(folder)[0].endswith(".part")
    until = time.monotonic() + 30
    while names(folder) and time.monotonic() < until:
        time.sleep(0.05)
    assert names(folder) == [] and bare.get("/v1/files").json()["data"] == []


def test_files_expire(folder):
    with Server("--files", folder, wait=False) as server:
        file = uploaded(
            server, CHEST, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "2"}
        )
        assert file["expires_at"] - file["created_at"] == 2
        path = f"/v1/files/{file['id']}"
        assert server.get(f"{path}/slices?index=0").status == 200
        server.wait_for(path, 404)
        assert server.get(f"{path}/slices?index=0").status == 404
        assert server.get("/v1/files").json()["data"] == []
    with Server("--files", folder, wait=False):
        assert names(folder) == []


def test_after_a_kill_files_are_whole_or_gone(folder):
    with Server("--files", folder, wait=False) as server:
        file = uploaded(server, CHEST)
        body = form(bytes(8 << 20))
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(begun(body)[: 3 << 20])
            until = time.monotonic() + 30
            while len(names(folder)) < 3 and time.monotonic() < until:
                time.sleep(0.01)
            server.process.kill()
            server.process.wait()
    assert any(name.endswith(".part") for name in names(folder))
    with Server("--files", folder, wait=False) as server:
        assert names(folder) == [file["id"], f"{file['id']}.json"]
        assert server.get("/v1/files").json()["data"] == [file]
        assert server.get(f"/v1/files/{file['id']}/content").body == CHEST.read_bytes()


def test_a_folder_is_used_by_one_server_and_read_by_its_owner_alone(folder, tmp_path):
    def refused(path):
        command = [FLEMING, "serve", "--model", DEMO, "--port", "0", "--files", path]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 2, ended.stderr
        return ended.stderr

    with Server("--files", folder, wait=False):
        assert "another server" in refused(folder)
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    assert "chmod 700" in refused(open_to_all)


def test_without_a_folder_nothing_stays(tmp_path):
    """Neither when the server ends nor, at the next start, when it was killed."""
    for end in ("stop", "kill"):
        with Server(wait=False, env={"TMPDIR": str(tmp_path)}) as server:
            uploaded(server, CHEST)
            (folder,) = tmp_path.iterdir()
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and len(names(folder)) == 2
            if end == "stop":
                server.wait_for("/health/ready", 200)
                assert server.stop() == 0
                assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == [folder]
    with Server(wait=False, env={"TMPDIR": str(tmp_path)}):
        assert folder not in list(tmp_path.iterdir())


def slices(server, file, query):
    return server.get(f"/v1/files/{file['id']}/slices?{query}")


def picture(answer):
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.body))


def test_slices_are_the_volumes_own(bare):
    file = uploaded(bare, VOLUME, name="chest.nii.gz")
    assert file["fleming"]["chosen"]["count"] == 32
    first = slices(bare, file, "index=15")
    assert first.headers["x-fleming-count"] == "32" and first.headers["cache-control"] == "no-store"
    shown = picture(first)
    assert (shown.mode, shown.size) == ("L", (128, 128))
    # What is read ahead for somebody who leafs on is what is read alone.
    pictures = [picture(slices(bare, file, f"index={index}")).tobytes() for index in range(32)]
    assert pictures[15] == shown.tobytes() and len(set(pictures)) == 32
    coronal = slices(bare, file, "index=64&plane=coronal&window=-600/1500")
    assert coronal.headers["x-fleming-count"] == "128" and picture(coronal).size == (128, 32)
    assert picture(slices(bare, file, "index=15&size=64")).size == (64, 64)
    assert picture(slices(bare, file, "index=15&size=4096")).size == (128, 128)
    # What chooses frames for the model does not matter here.
    assert slices(bare, file, "index=15&slices=3&form=trained&reverse=true").body == first.body
    for query, param in (
        ("", "index"),
        ("index=-1", "index"),
        ("index=x", "index"),
        ("index=99999999999", "index"),
        ("index=0&size=0", "size"),
        ("index=0&plane=oblique", "plane"),
        ("index=0&slices=0", "slices"),
        ("index=0&colour=red", "colour"),
        ("index=0&index=1", "index"),
        ("index=0&temperature=1", "temperature"),
    ):
        refused = slices(bare, file, query)
        assert (refused.status, refused.error()["param"]) == (400, param), query
    beyond = slices(bare, file, "index=32")
    assert beyond.status == 400 and "0 to 31" in beyond.error()["message"]
    assert slices(bare, file, "index=0&frames=3").status == 400


def test_a_slice_that_a_client_has_is_not_sent_again(bare):
    file = uploaded(bare, VOLUME)
    path = f"/v1/files/{file['id']}/slices?index=3"
    tag = bare.get(path).headers["etag"]
    for known in (tag, f'"x", W/{tag}', "*"):
        same = bare.get(path, {"If-None-Match": known})
        assert (same.status, same.body, same.headers["etag"]) == (304, b"", tag)
    for other in (path.replace("=3", "=4"), f"{path}&window=lung", f"{path}&size=64"):
        answer = bare.get(other, {"If-None-Match": tag})
        assert answer.status == 200 and answer.headers["etag"] != tag
    bare.request("DELETE", f"/v1/files/{file['id']}")
    assert bare.get(path, {"If-None-Match": tag}).status == 404


def test_a_file_that_is_deleted_while_it_is_read_is_gone_when_it_was(bare, folder):
    for _ in range(12):
        file = uploaded(bare, CHEST)
        reader = threading.Thread(target=slices, args=(bare, file, "index=0"))
        reader.start()
        bare.request("DELETE", f"/v1/files/{file['id']}")
        reader.join()
    assert names(folder) == []


def test_frames_of_a_clip_are_its_own(bare):
    file = uploaded(bare, CLIP, name="clip.mp4")
    first = slices(bare, file, "index=0")
    count = int(first.headers["x-fleming-count"])
    assert count == file["fleming"]["chosen"]["count"] > 1
    pictures = [slices(bare, file, f"index={index}").body for index in range(count)]
    assert len(set(pictures)) > count // 2 and pictures[0] == first.body
    assert slices(bare, file, f"index={count}").status == 400


def test_a_picture_is_its_only_slice(bare):
    file = uploaded(bare, CHEST)
    only = slices(bare, file, "index=0")
    assert only.headers["x-fleming-count"] == "1"
    with Image.open(CHEST) as chest:
        assert picture(only).convert("RGB").tobytes() == chest.convert("RGB").tobytes()
    assert slices(bare, file, "index=1").status == 400


def element(data, tag):
    """Where the value of an element of explicit VR is."""
    at = data.index(struct.pack("<HH", *tag))
    (length,) = struct.unpack_from("<H", data, at + 6)
    return slice(at + 8, at + 8 + length)


def two_series():
    """A study of the drawn chest and of its first slices once more, as a series of its own."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as study:
        for place, path in enumerate(sorted(SERIES.iterdir())):
            data = path.read_bytes()
            study.writestr(f"one/{path.name}", data)
            if place < 9:
                for tag in ((8, 0x18), (0x20, 0xE)):
                    uid = data[element(data, tag)]
                    middle = len(uid) // 2
                    other = b"1" if uid[middle : middle + 1] != b"1" else b"2"
                    data = data.replace(uid, uid[:middle] + other + uid[middle + 1 :])
                number = element(data, (0x20, 0x11))
                data = data[: number.start] + b"7 " + data[number.stop :]
                study.writestr(f"two/{path.name}", data)
    return archive.getvalue()


def test_a_study_of_two_series_is_looked_at_by_either(server):
    file = uploaded(server, two_series(), name="study.zip")
    facts = file["fleming"]
    assert facts["format"] == "ZIP archive" and len(facts["contents"]["series"]) == 2
    total = len(list(SERIES.iterdir()))
    assert facts["chosen"]["count"] == total
    smaller = server.get(f"/v1/files/{file['id']}/facts?series=7").json()
    assert smaller["chosen"]["count"] == 9
    assert slices(server, file, "index=0").headers["x-fleming-count"] == str(total)
    assert slices(server, file, "index=0&series=7").headers["x-fleming-count"] == "9"
    assert slices(server, file, "index=9&series=7").status == 400
    wrong = server.get(f"/v1/files/{file['id']}/facts?series=1.2.3")
    assert wrong.status == 400 and "series" in wrong.error()["message"]
    reply = server.chat(
        about(part(file, series="7"), question="Name the device on the chest wall."), max_tokens=4
    ).json()
    assert reply["fleming"]["frames"][0]["view"]["slices"] == 9


def test_a_preview_shows_what_the_model_will_see(server):
    volume, chest = uploaded(server, VOLUME, name="chest.nii.gz"), uploaded(server, CHEST, name="chest.png")
    body = {"messages": about(part(volume, slices=3), part(chest)), "fleming": {"window": "lung"}}
    seen = server.post("/v1/preview", body).json()
    assert [frame["source"] for frame in seen["frames"]] == ["chest.nii.gz"] * 3 + ["chest.png"]
    reply = server.post("/v1/chat/completions", {**body, "max_tokens": 1}).json()
    images = [frame.pop("image") for frame in seen["frames"]]
    assert seen["frames"] == reply["fleming"]["frames"] and seen["warnings"] == reply["fleming"]["warnings"]
    assert seen["usage"] == {
        "prompt_tokens": reply["usage"]["prompt_tokens"],
        "image_tokens": reply["usage"]["prompt_tokens_details"]["image_tokens"],
    }
    assert seen["fits"] is True and seen["context"] > seen["usage"]["prompt_tokens"]
    sizes = {Image.open(io.BytesIO(decoded(image))).size for image in images}
    assert len(sizes) == 1 and len(set(images)) == 4
    sheet = server.post("/v1/preview", body, {"Accept": "image/png"})
    assert picture(sheet).width > sizes.pop()[0]


def decoded(url):
    assert url.startswith("data:image/png;base64,")
    return base64.b64decode(url.partition(",")[2])


def test_a_preview_of_what_does_not_fit_says_so(server):
    volume = uploaded(server, VOLUME)
    body = {"messages": about(part(volume, slices=4096, form="native"))}
    seen = server.post("/v1/preview", body).json()
    assert (seen["frames"], seen["fits"]) == ([], False) and "does not fit" in seen["warnings"][0]
    refused = server.post("/v1/preview", body, {"Accept": "image/png"})
    assert refused.status == 400 and refused.error()["code"] == "context_length_exceeded"
    for messages, param in (
        (about(), "messages"),
        (about({"type": "file", "file": {"file_id": "file-x"}}), "messages[0].content[0].file.file_id"),
    ):
        assert server.post("/v1/preview", {"messages": messages}).error()["param"] == param


def test_the_reply_about_an_upload_is_that_about_its_bytes(server):
    file = uploaded(server, VOLUME, name="chest.nii.gz")
    inline = {"type": "file", "file": {"filename": "chest.nii.gz", "file_data": data_url(VOLUME)}}
    ask = lambda study: server.chat(about(study, question=QUESTION), max_tokens=8).json()  # noqa: E731
    first, second = ask(part(file)), ask(inline)
    assert first["choices"][0]["message"] == second["choices"][0]["message"]
    assert first["fleming"]["frames"] == second["fleming"]["frames"]
