"""What hostile bodies are answered with: a short refusal, no hint of the machine, and no lasting harm."""

# ruff: noqa: E501 — bodies stand on a line each

import io
import json
import random
import re
import struct
import subprocess
import sys
import zipfile
import zlib

import pytest
from abuse import Peak, Socket, blurt, head
from serving import ANSWER, CHEST, Server, about, data_url, picture

from program import ROOT

sys.path.append(str(ROOT / "tests" / "bombs"))
import run as bombs

TELLTALE = re.compile(
    r"0x[0-9a-f]{4,}|\.rs\b|/(home|root|work|usr|tmp|etc|proc|opt|var|src|lib)/|panicked|unwrap|RUST"
)


def file_part(content, name="study"):
    return {"type": "file", "file": {"filename": name, "file_data": data_url(content, "")}}


def is_sound(server):
    """Whether it answers as it did before."""
    return server.chat(about(picture())).json()["choices"][0]["message"]["content"] == ANSWER


# ── nothing is fetched

URLS = """
http://192.0.2.1/a.png
https://192.0.2.1/a.png
HTTP://192.0.2.1/
http:192.0.2.1
http:/192.0.2.1/
http:\\\\192.0.2.1\\a.png
http://127.0.0.1:PORT/health
http://localhost:PORT/v1/models
http://[::1]:PORT/
http://0/
http://2130706433/
http://0x7f000001/
http://169.254.169.254/latest/meta-data/
http://metadata.google.internal/
http://a@127.0.0.1:PORT/
http://example.org\\@127.0.0.1:PORT/
http://example.org#@127.0.0.1/
//192.0.2.1/a.png
\\\\192.0.2.1\\share\\a.png
ftp://192.0.2.1/a
ftps://192.0.2.1/a
gopher://192.0.2.1:70/_
dict://192.0.2.1:11/
ldap://192.0.2.1/
tftp://192.0.2.1/a
smb://192.0.2.1/a
rtsp://192.0.2.1/a
rtmp://192.0.2.1/a
udp://192.0.2.1:9
tcp://192.0.2.1:9
ws://192.0.2.1/
s3://bucket/key
file:///etc/passwd
file://localhost/etc/passwd
FILE:/etc/passwd
/etc/passwd
../../etc/passwd
concat:/etc/passwd|/etc/passwd
subfile,,start,0,end,9,,:/etc/passwd
pipe:0
jar:file:///etc/passwd!/a
data:text/html,http://192.0.2.1/
blob:http://192.0.2.1/a
javascript:alert(1)
cid:a
""".split()

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
static void note(const char *what) {
    FILE *file = fopen(getenv("NOTED"), "a");
    if (file) { fprintf(file, "%s\\n", what); fclose(file); }
}
int connect(int fd, const struct sockaddr *to, socklen_t length) {
    note("connect");
    return ((int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect"))(fd, to, length);
}
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    note("getaddrinfo");
    return EAI_FAIL;
}
"""


def test_nothing_is_looked_up_and_nothing_connected(tmp_path):
    (tmp_path / "shim.c").write_text(SHIM)
    shim, noted = tmp_path / "shim.so", tmp_path / "noted"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, tmp_path / "shim.c", "-ldl"], check=True)
    env = {"LD_PRELOAD": str(shim), "NOTED": str(noted)}
    # It notes what it should.
    probe = "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect_ex('/nowhere')"
    subprocess.run([sys.executable, "-c", probe], check=True, env=env)
    assert noted.read_text() == "connect\n"
    noted.unlink()
    with Server(env=env) as server:
        for url in (url.replace("PORT", str(server.port)) for url in URLS):
            parts = [
                {"type": "image_url", "image_url": {"url": url}},
                {"type": "video_url", "video_url": {"url": url}},
                {"type": "input_video", "input_video": {"url": url}},
                {"type": "file", "file": {"filename": "a", "file_data": url}},
            ]
            for part in parts:
                answer = server.chat(about(part))
                assert answer.status == 400, url
                assert answer.error()["param"].startswith("messages[0].content[0]."), answer.body
        # A list of other files, and a name in place of a picture.
        for text in (
            "#EXTM3U\n#EXTINF:1,\nhttp://192.0.2.1/a.ts\n",
            "ffconcat version 1.0\nfile http://192.0.2.1/a\n",
        ):
            clip = {"type": "video_url", "video_url": {"url": data_url(text.encode(), "video/mp4")}}
            assert server.chat(about(clip)).status == 400
            assert server.chat(about(file_part(text.encode()))).status == 400
        assert server.chat(about(file_part(b"<svg xmlns='http://192.0.2.1/'/>"))).status == 400
        assert is_sound(server)
    assert not noted.exists(), noted.read_text()


# ── what errors tell


def damaged(content, seed):
    """A file with some bytes changed, cut or doubled."""
    dice = random.Random(seed)
    content = bytearray(content)
    for _ in range(dice.randint(1, 20)):
        place = min(dice.randrange(len(content)), dice.choice([64, 512, len(content)]) - 1)
        content[place] = dice.randrange(256)
    if dice.random() < 0.4:
        content = content[: dice.randrange(len(content))]
    return bytes(content)


def test_errors_tell_nothing_of_the_machine(server):
    files = [
        CHEST,
        ROOT / "examples" / "chest.nii.gz",
        ROOT / "examples" / "clip.mp4",
        ROOT / "examples" / "volume.npz",
    ]
    texts = []
    for seed in range(12):
        for path in files:
            content = damaged(path.read_bytes()[: 200_000 if seed % 2 else None], seed)
            texts.append(server.chat(about(file_part(content)), max_tokens=1))
    for name in ("/etc/passwd", "../../../etc/passwd", "C:\\a", "a\0b", "\u202egnp.exe", "x" * 4096, "", "/"):
        texts.append(server.chat(about(file_part(b"no study", name))))
    for fields in (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"type": "nonsense"}},
            }
        },
        {"fleming": {"regex": "("}},
        {"fleming": {"grammar": "start: nowhere"}},
        {"fleming": {"plane": "/etc/passwd"}},
        {"fleming": {"window": "0x1:"}},
        {"logit_bias": {"999999": 1}},
    ):
        texts.append(server.chat("hello", **fields))
    statuses = {answer.status for answer in texts}
    assert statuses <= {200, 400, 413}, statuses
    for answer in texts:
        if answer.status != 200:
            error = answer.error()
            assert not TELLTALE.search(json.dumps(error).replace("/etc/passwd", "")), error
            assert set(error["fleming"]) == {"thing", "wanted", "got", "hint"}
            assert len(answer.body) < 4096
    assert is_sound(server)


# ── bombs


def nested(depth):
    content = bytes(1 << 20)
    for _ in range(depth):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(8):
                archive.writestr(f"{number}.zip", content)
        content = file.getvalue()
    return content


def zip_of(count, content=b""):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.dcm", content)
    return file.getvalue()


def lying_zip():
    """Sizes that the directory claims."""
    content = bytearray(zip_of(2, b"x" * 100))
    at = content.find(b"PK\1\2")
    content[at + 20 : at + 28] = b"\xff\xff\xff\x7f" * 2
    return bytes(content)


def nifti(*dims, kind=4, bits=16, offset=352.0):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(dims), *dims, *[1] * (7 - len(dims)))
    struct.pack_into("<hh", header, 70, kind, bits)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, offset)
    header[344:348] = b"n+1\0"
    return bytes(header)


def dicom(rows, columns, frames):
    def element(group, number, kind, value):
        value += b" " if len(value) % 2 else b""
        if kind in (b"OB", b"OW"):
            return struct.pack("<HH2sHI", group, number, kind, 0, len(value)) + value
        return struct.pack("<HH2sH", group, number, kind, len(value)) + value

    meta = element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0")
    data = (
        element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0")
        + element(0x28, 2, b"US", struct.pack("<H", 1))
        + element(0x28, 4, b"CS", b"MONOCHROME2")
        + element(0x28, 8, b"IS", str(frames).encode())
        + element(0x28, 0x10, b"US", struct.pack("<H", rows))
        + element(0x28, 0x11, b"US", struct.pack("<H", columns))
        + element(0x28, 0x100, b"US", struct.pack("<H", 16))
        + element(0x28, 0x101, b"US", struct.pack("<H", 16))
        + element(0x28, 0x102, b"US", struct.pack("<H", 15))
        + element(0x28, 0x103, b"US", struct.pack("<H", 0))
        + element(0x7FE0, 0x10, b"OW", bytes(64))
    )
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    return bytes(128) + b"DICM" + length + meta + data


def wide_gif():
    """A picture that says how large it is, and ends."""
    content = bytearray(bombs.gif(8, 8, 1))
    content[6:10] = b"\xff" * 4
    at = content.index(b",", 13)
    content[at + 5 : at + 9] = b"\xff" * 4
    return bytes(content)


def gzip(content):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


BOMBS = {
    "a PNG of 60,000 squared": lambda: bombs.png(60_000, 60_000, 0, 8, bombs.zeros(1 << 20)),
    "a PNG of 2^31 - 1 squared": lambda: bombs.png(0x7FFFFFFF, 0x7FFFFFFF, 6, 16, bombs.zeros(1 << 16)),
    "a PNG of no width": lambda: bombs.png(0, 5, 0, 8, b""),
    "a PNG cut off": lambda: bombs.png(8000, 8000, 2, 8, bombs.zeros(1 << 24)),
    "a GIF of 65,535 squared": wide_gif,
    "a BMP that claims 2^31": lambda: bombs.bmp(0x7FFFFFFF, 1),
    "a BMP of 40,000 squared": lambda: bombs.bmp(40_000, 40_000),
    "an array of 2^62 bytes": lambda: bombs.npy(f"({1 << 31}, {1 << 31})"),
    "an array of 2^80 bytes": lambda: bombs.npy(f"({1 << 40}, {1 << 40})"),
    "an array of a negative size": lambda: bombs.npy("(-1, 8, 8)"),
    "an archive of an array of 2^62 bytes": lambda: bombs.npz(f"({1 << 31}, {1 << 31})", 64),
    "zips in zips": lambda: nested(5),
    "a zip of 20,000 empty files": lambda: zip_of(20_000),
    "a zip that claims other sizes": lying_zip,
    "a gzip of 64 megabytes of zeros": lambda: gzip(bytes(1 << 26)),
    "a gzip of a NIfTI of 32,767 cubed": lambda: gzip(nifti(32_767, 32_767, 32_767) + bytes(1 << 24)),
    "a NIfTI of 32,767 cubed": lambda: nifti(32_767, 32_767, 32_767),
    "a NIfTI of seven dimensions": lambda: nifti(*[32_767] * 7),
    "a NIfTI of negative sizes": lambda: nifti(-5, 10, 10),
    "a NIfTI of values far away": lambda: nifti(8, 8, 8, offset=3e38),
    "a NIfTI whose values begin nowhere": lambda: nifti(8, 8, 8, offset=float("nan")),
    "a DICOM of 65,535 squared": lambda: dicom(65_535, 65_535, 1),
    "a DICOM of 2^31 - 1 frames": lambda: dicom(512, 512, 0x7FFFFFFF),
    "a DICOM of frames beyond numbers": lambda: dicom(512, 512, 10**30),
    "a TIFF of 2^31 squared": lambda: bombs.tiff([(256, [1 << 31]), (257, [1 << 31])], b""),
    "a JPEG of many scans, cut off": lambda: bombs.scans(4000, 400)[:-20],
    "ten megabytes of noise": lambda: random.Random(1).randbytes(10 << 20),
    "nothing but zeros": lambda: bytes(10 << 20),
}


@pytest.fixture(scope="module")
def careful():
    """A server whose limits leave a picture of 20 million pixels."""
    with Server("--max-pixels", 20_000_000, "--max-unpacked-bytes", 200_000_000) as server:
        assert is_sound(server)
        yield server


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_costs_little(careful, name):
    part = file_part(BOMBS[name]())
    peak = Peak(careful)
    answer = careful.chat(about(part), max_tokens=1)
    assert answer.status in (400, 413), answer.body[:500]
    assert answer.error()["fleming"]["hint"] and not TELLTALE.search(json.dumps(answer.error()))
    assert peak.grown() < 256 << 20
    assert careful.get("/health/ready").status == 200


def test_a_packed_body_is_not_unpacked(server):
    body = gzip(json.dumps({"messages": about(picture())}).encode())
    for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x"):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        answer = server.request("POST", "/v1/chat/completions", body, headers)
        assert (answer.status, answer.error()["code"]) == (415, "unsupported_media_type")


FORMS = {
    "a schema of deep nesting": {"schema": lambda: nest(200)},
    "a schema that holds itself": {"schema": lambda: {"$ref": "#"}},
    "a schema of a reference to elsewhere": {"schema": lambda: {"$ref": "http://192.0.2.1/schema.json"}},
    "a schema of many properties": {
        "schema": lambda: {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(500)}}
    },
    "a schema of a long text": {"schema": lambda: {"type": "string", "minLength": 1 << 40}},
    "a schema of many items": {"schema": lambda: {"type": "array", "minItems": 1 << 40}},
    "a schema with a pattern that blows up": {"schema": lambda: {"type": "string", "pattern": "^(a+)+$" * 50}},
    "a repeated repetition": {"regex": "((a{1000}){1000}){1000}"},
    "a long choice of words": {"regex": "|".join(f"word{number}" for number in range(20_000))},
    "a pattern that looks ahead": {"regex": "(?=a)b"},
    "an endless grammar": {"grammar": {"text": "start: start"}},
    "a grammar that doubles": {"grammar": {"text": "start: a a\n" + "\n".join(f"{a}: {b} {b}" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)) + '\nk: "x"'}},
    "many choices": {"choice": [f"choice {number}" for number in range(20_000)]},
    "empty choices": {"choice": [""]},
}  # fmt: skip


def nest(depth):
    schema = {"type": "boolean"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_a_bomb_costs_little(server, name):
    form = FORMS[name]
    if "schema" in form:
        schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": form["schema"]()}}
        fields = {"response_format": schema}
    else:
        fields = {"fleming": form}
    peak = Peak(server)
    answer = server.chat("hello", max_tokens=8, **fields)
    assert answer.status in (200, 400), answer.body[:300]
    assert peak.grown() < 512 << 20
    assert is_sound(server)


# ── bodies


def test_a_large_study_is_taken_by_default(server):
    """A picture whose URL is 90 MB."""
    pixels = 67 << 20
    side = 4096
    rows = pixels // (3 * side)
    header = b"BM" + struct.pack("<IHHI", 54 + rows * side * 3, 0, 0, 54)
    bitmap = (
        header + struct.pack("<IiiHHIIiiII", 40, side, rows, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(rows * side * 3)
    )
    url = data_url(bitmap, "image/bmp")
    assert len(url) > 90_000_000
    answer = server.chat(about({"type": "image_url", "image_url": {"url": url}}), max_tokens=1)
    assert answer.status == 200, answer.body


@pytest.fixture(scope="module")
def small():
    with Server("--max-body", 1_000_000, "--max-bodies", 2_000_000) as server:
        yield server


def test_a_body_beyond_the_limit_is_refused_before_it_is_sent(small):
    for length in (1_000_001, 1 << 40):
        with Socket(small) as connection:
            connection.send(head(length))
            text = connection.read_until('"hint":"')
        assert text.startswith("HTTP/1.1 413 ") and "--max-body" in text and "1000000" in text, text
        assert "x-should-retry: false" in text
    with Socket(small) as connection:
        connection.send(head(1 << 30, Expect="100-continue"))
        assert connection.read_until("\r\n\r\n").startswith("HTTP/1.1 413 ")
    with Socket(small) as connection:
        connection.send(head(100, Expect="100-continue"))
        assert connection.read_until("\r\n\r\n").startswith("HTTP/1.1 100 ")


def test_a_client_that_sends_all_of_it_reads_the_refusal(small):
    """A connection that is closed over unread bytes is reset, and the answer on it is lost."""
    body = json.dumps({"messages": about({"type": "text", "text": "a" * (30 << 20)})})
    for _ in range(5):
        answer = small.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        assert answer.status == 413 and answer.headers["x-should-retry"] == "false"
        assert answer.error()["code"] == "body_too_large"


def test_a_body_of_no_stated_length_has_the_limit_too(small):
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    answer = small.request(
        "POST", "/v1/chat/completions", iter([b"8000\r\n" + b" " * 0x8000 + b"\r\n"] * 40), headers
    )
    assert answer.status == 413, answer
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
    pieces = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in (body[:9], body[9:])]
    answer = small.request("POST", "/v1/chat/completions", iter([*pieces, b"0\r\n\r\n"]), headers)
    assert answer.status == 200, answer


def test_bodies_together_have_a_limit(small):
    held = [Socket(small) for _ in range(2)]
    for connection in held:
        # It has its room once its body is asked for.
        connection.send(head(1_000_000, Expect="100-continue"))
        assert connection.read_until("\r\n\r\n").startswith("HTTP/1.1 100 ")
    with Socket(small) as third:
        third.send(head(900_000), "{")
        text = third.read_until('"hint":"')
    assert text.startswith("HTTP/1.1 429 ") and "retry-after" in text
    for connection in held:
        connection.close()
    small.wait_for("/health/ready", 200)
    assert small.chat("a" * 900_000).status in (200, 400)


NOISE = [
    b"\0" * 1000,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"H%d: 1\r\n" % number for number in range(500)) + b"\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/models/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
]  # fmt: skip


def test_noise_is_refused_or_cut_off(server):
    for noise in NOISE:
        status, text = blurt(server, noise)
        assert status == 0 or 400 <= status < 500 or status == 505, text
    assert is_sound(server)


BODIES = [
    '{"messages": ' + "[" * 100_000,
    '{"messages": [' + '{"role":' * 1000,
    '{"a":' * 100_000,
    '{"messages": [{"role": "user", "content": "\\ud800"}]}',
    '{"messages": [{"role": "user", "content": "\\u0000"}]}',
    '{"messages": [{"role": "user", "content": "a"}], "messages": []}',
    '{"messages": [{"role": "user", "content": "a"}], "n": 1, "n": 1000}',
    '{"messages": [{"role": "user", "content": "a", "content": "b"}]}',
    '{"messages": [{"role": "user", "content": []}]}',
    '{"messages": [{"role": "user", "content": [[]]}]}',
    '{"messages": [{"role": "user", "content": [{"type": "text", "text": ["a"]}]}]}',
    '{"messages": [null]}',
    '{"messages": {}}',
    '{"messages": [{"role": "user", "content": "a"}], "stop": [' + '"a",' * 100_000 + '"a"]}',
    '{"messages": [{"role": "user", "content": "a"}], "stop": "' + "b" * 100_000 + '"}',
    '{"messages": [{"role": "user", "content": "a"}], "logit_bias": {' + ",".join(f'"{n}": 1' for n in range(100_000)) + "}}",
    '{"messages": [' + '{"role":"user","content":"a"},{"role":"assistant","content":"b"},' * 50_000 + '{"role":"user","content":"a"}]}',
    '{"messages": [{"role": "user", "content": "' + "word " * 1_000_000 + '"}]}',
    '{"messages": [{"role": "user", "content": [' + '{"type":"text","text":"a"},' * 50_000 + '{"type":"text","text":"a"}]}]}',
    '\ufeff{"messages": []}',
    "null",
    "true",
    '"messages"',
    "[1, 2",
    "1e999999",
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_odd_bodies_are_named_or_answered(server, body):
    answer = server.request(
        "POST",
        "/v1/chat/completions",
        body.encode("utf-8", "surrogatepass"),
        {"Content-Type": "application/json"},
    )
    assert answer.status in (200, 400), answer.body[:300]
    if answer.status == 400:
        error = answer.error()
        assert error["param"] or error["fleming"]["thing"] == "question", error
        assert error["type"] == "invalid_request_error" and len(answer.body) < 4096
    assert server.get("/health/ready").status == 200


def test_every_error_has_the_form(server):
    """Also those of the router and of HTTP."""
    tries = [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/models/%ff", 400),
        ("GET", "/v1/models/a%2fb", 404),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/health", 405),
        ("PUT", "/v1/chat/completions", 405),
        ("FOO", "/v1/models", 405),
        ("POST", "/v1/chat/completions", 415),
    ]
    for method, path, status in tries:
        answer = server.request(method, path)
        assert answer.status == status, (method, path, answer)
        error = answer.error()
        assert set(error) == {"message", "type", "param", "code", "fleming"}, (path, error)
        assert answer.headers["x-request-id"]
        if status == 405:
            assert answer.headers["allow"], (method, path)


@pytest.mark.parametrize("stream", [False, True])
def test_noise_in_the_middle_of_requests_changes_no_answer(server, stream):
    for seed in range(40):
        dice = random.Random(seed)
        body = bytearray(
            json.dumps({"messages": about(picture()), "stream": stream, "max_tokens": 3}).encode()
        )
        for _ in range(dice.randint(1, 5)):
            body[dice.choice([dice.randrange(len(body)), dice.randrange(100), -1 - dice.randrange(120)])] = (
                dice.randrange(256)
            )
        answer = server.request(
            "POST", "/v1/chat/completions", bytes(body), {"Content-Type": "application/json"}
        )
        assert answer.status in (200, 400), answer
    assert is_sound(server)
