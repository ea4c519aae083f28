"""Who may use the server: keys, names, origins, addresses, TLS; and what its log tells of them."""

import hashlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import time

import pytest
from abuse import Socket, blurt, chat_bytes, exchange, head
from serving import PATIENCE, Server, about, picture

from program import FLEMING, ROOT

FIRST, SECOND, THIRD = (f"{which}-key-of-a-test-0123456789" for which in ("first", "second", "third"))
OPEN = ["/health", "/health/live", "/health/ready", "/v1/health/live", "/v1/health/ready", "/openapi.json"]
CLOSED = [
    "/v1/chat/completions",
    "/v1/chat/completions/input_tokens",
    "/v1/models",
    "/v1/models/any",
    "/v1/files",
    "/v1/files/any",
    "/v1/files/any/content",
    "/v1/files/any/slices",
    "/v1/files/any/facts",
    "/v1/preview",
    "/v1/responses",
    "/metrics",
    "/nowhere",
]


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def key_file(folder, *keys):
    path = folder / "keys"
    path.write_text("\n".join(keys) + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    hashed = "sha256:" + hashlib.sha256(SECOND.encode()).hexdigest()
    with Server(
        "--keys", key_file(tmp_path_factory.mktemp("keys"), "# keys", FIRST, hashed, THIRD)
    ) as server:
        yield server


def test_what_tells_nothing_is_open(guarded):
    for path in OPEN:
        assert guarded.get(path).status == 200, path


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"]


@pytest.mark.parametrize("method", METHODS)
def test_everything_else_needs_a_key(guarded, method):
    paths = CLOSED + (OPEN if method not in ("GET", "HEAD") else [])
    for path in paths:
        answer = guarded.request(method, path)
        assert answer.status == 401, (method, path, answer)
        assert answer.headers["www-authenticate"] == "Bearer" and answer.headers["x-request-id"]
        if method != "HEAD":
            error = answer.error()
            assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")


@pytest.mark.parametrize(
    "path",
    [
        "//v1/models",
        "/v1//models",
        "/v1/models/",
        "/v1/models?x=/health",
        "/v1/models#/health",
        "/health/../v1/models",
        "/health/..%2fv1%2fmodels",
        "/%68ealth/../v1/models",
        "/health/",
        "/health%2f",
        "/health;/v1/models",
        "/V1/models",
        "/v1/./models",
        "/v1/x/../models",
        "/v1\\models",
        "/v1/models%00",
        "http://localhost/v1/models",
        "http://localhost/health/../v1/models",
        "*",
    ],
)
def test_no_spelling_of_a_path_or_host_opens_it(guarded, path):
    for host in ("localhost", "health", "/health", "localhost/health?", "evil.example", "a b", "", None):
        for method in ("GET", "POST", "OPTIONS"):
            status, text = exchange(guarded, head(0, method, path, Host=host, Connection="close"))
            assert status in (0, 400, 401, 404), text
            assert '"object":"list"' not in text and '"object":"model"' not in text


def test_a_key_opens_by_either_header(guarded):
    for key in (FIRST, SECOND):
        assert guarded.get("/v1/models", bearer(key)).status == 200
        assert guarded.get("/v1/models", {"authorization": f"bearer  {key} "}).status == 200
        assert guarded.get("/v1/models", {"X-Api-Key": key}).status == 200


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        FIRST,
        f"Basic {FIRST}",
        f"Bearer {FIRST}x",
        f"Bearer {FIRST[:-1]}",
        f"Bearer {FIRST.upper()}",
        f"Bearer {FIRST},{SECOND}",
        f"Bearer {FIRST} {SECOND}",
        "Bearer # keys",
        "Bearer sha256:" + hashlib.sha256(SECOND.encode()).hexdigest(),
        "Bearer " + hashlib.sha256(FIRST.encode()).hexdigest(),
        "Bearer " + "a" * 30_000,
        "Bearer \xff\xfe",
    ],
)
def test_what_is_no_key_opens_nothing(guarded, value):
    assert guarded.get("/v1/models", {"Authorization": value}).status == 401


def test_a_request_without_a_key_is_refused_before_its_body(guarded):
    with Socket(guarded) as connection:
        connection.send(head(400 << 20))
        assert connection.read_until("\r\n\r\n").startswith("HTTP/1.1 401 ")


def test_what_one_key_asked_is_not_faster_for_another(guarded):
    messages = about(picture())
    cached = []
    for key in (FIRST, FIRST, SECOND, SECOND, FIRST):
        reply = guarded.chat(messages, bearer(key)).json()
        cached.append(reply["usage"]["prompt_tokens_details"]["cached_tokens"])
        if key == SECOND and len(cached) == 3:
            assert reply["fleming"]["timings_ms"]["vision"] > 0
    assert cached[0] == cached[2] == 0, cached
    assert cached[1] == cached[3] == cached[4] > 60, cached


def test_a_text_that_one_key_asked_is_not_faster_for_another(guarded):
    cached = [
        guarded.chat("Who are you?", bearer(key)).json()["usage"]["prompt_tokens_details"]["cached_tokens"]
        for key in (FIRST, THIRD, THIRD)
    ]
    assert cached[1] == 0 < cached[2]


def test_keys_are_read_again_and_kept_if_they_cannot_be(tmp_path):
    file = key_file(tmp_path, FIRST)
    with Server("--keys", file) as server:

        def reload(*keys):
            file.write_text("\n".join(keys))
            before = server.said().count('what="keys"')
            server.process.send_signal(signal.SIGHUP)
            until = time.monotonic() + PATIENCE
            while server.said().count('what="keys"') == before:
                assert time.monotonic() < until
                time.sleep(0.02)

        def opens(key):
            return server.get("/v1/models", bearer(key)).status == 200

        assert opens(FIRST) and not opens(SECOND)
        reload(SECOND)
        assert opens(SECOND) and not opens(FIRST)
        for broken in ([], ["short"], ["a key with spaces in it"]):
            reload(*broken)
            assert opens(SECOND) and not opens(FIRST)
        file.unlink()
        server.process.send_signal(signal.SIGHUP)
        assert opens(SECOND)
        assert FIRST not in server.said() and SECOND not in server.said()


def refused(*options):
    command = [FLEMING, "serve", "--model", ROOT / "models" / "demo", "--port", "0", *map(str, options)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert "listening" not in ended.stderr
    return ended.returncode, ended.stderr


def test_nobody_else_reaches_a_server_without_keys(tmp_path):
    for host in ("0.0.0.0", "::", "192.0.2.1", "::ffff:127.0.0.1"):
        code, said = refused("--host", host)
        assert code == 2 and "--keys" in said, said
    for keys in ("", "# none\n", "short\n"):
        file = tmp_path / "broken"
        file.write_text(keys)
        file.chmod(0o600)
        code, said = refused("--host", "0.0.0.0", "--keys", file)
        assert code == 2 and "short" not in said, said
    assert refused("--keys", tmp_path / "none")[0] == 2
    readable = key_file(tmp_path, FIRST)
    readable.chmod(0o644)
    code, said = refused("--keys", readable)
    assert code == 2 and FIRST not in said and "chmod" in said


# ── names and origins, without keys


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("localhost@evil.example", 403),
        ("127.0.0.1.nip.io", 403),
        ("evil.example:127.0.0.1", 403),
        ("localhost:80:evil", 403),
        ("192.168.1.1", 403),
        ("0.0.0.0", 403),
        ("", 403),
    ],
)
def test_a_foreign_name_is_refused(server, host, status):
    for path in ("/v1/models", "/openapi.json", "/health"):
        got, text = exchange(
            server, head(None, "GET", path, Host=host, Content_Length=None, Connection="close")
        )
        assert got == status, text


def test_the_name_in_the_request_line_counts_too(server):
    request = head(None, "GET", "http://evil.example/v1/models", Content_Length=None, Connection="close")
    assert exchange(server, request)[0] == 403


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "https://localhost.evil.example", "http://localhost:1", "file://"],
)
def test_a_page_from_elsewhere_is_refused(server, origin):
    answer = server.get("/v1/models", {"Origin": origin})
    assert answer.status == 403 and answer.error()["type"] == "permission_error"
    assert "access-control-allow-origin" not in answer.headers
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert server.request("OPTIONS", "/v1/chat/completions", headers=asked).status == 403


def test_our_own_page_and_named_ones_may_ask():
    with Server("--allow-origin", "https://viewer.example", "--allow-host", "box.example") as server:
        own = {"Origin": f"http://127.0.0.1:{server.port}", "Host": f"127.0.0.1:{server.port}"}
        assert server.get("/v1/models", own).status == 200
        page = {"Origin": "https://viewer.example"}
        answer = server.get("/v1/models", page)
        assert (
            answer.headers["access-control-allow-origin"] == page["Origin"]
            and answer.headers["vary"] == "Origin"
        )
        asked = {
            **page,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        answer = server.request("OPTIONS", "/v1/chat/completions", headers=asked)
        assert answer.status in (200, 204) and "POST" in answer.headers["access-control-allow-methods"]
        assert server.get("/v1/models", {"Host": "box.example:8080"}).status == 200
        assert server.get("/v1/models", {"Host": "other.example"}).status == 403


# ── ids and the log

FORGED = ["a%0d%0aINFO fleming", "\x1b[2J", "a\tb", "a b", "ä", "x" * 60_000, "", "../..", "a;b", "a\x7fb"]


def test_ids_cannot_forge_a_line(server):
    for id in FORGED:
        status, text = exchange(
            server, head(None, "GET", "/v1/models", Content_Length=None, X_Request_Id=id, Connection="close")
        )
        assert status in (0, 200, 400, 431), text
        if status == 200 and id != "../..":
            assert "x-request-id: req-" in text
    assert server.get("/v1/models", {"X-Request-Id": "case-7_a.b"}).headers["x-request-id"] == "case-7_a.b"
    status, text = exchange(
        server,
        "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\rb\r\nConnection: close\r\n\r\n",
    )
    assert status in (0, 400)
    # A header of a MiB.
    status, _ = exchange(
        server,
        head(
            None, "GET", "/v1/models", Content_Length=None, X_Request_Id="y" * (1 << 20), Connection="close"
        ),
    )
    assert status in (0, 400, 431)
    said = server.said()
    assert "\x1b" not in said and "INFO fleming\n" not in said and "yyyy" not in said
    assert server.get("/v1/models").status == 200


def test_paths_cannot_forge_a_line(server):
    for path in (
        "/v1/models/%0d%0aINFO%20forged",
        "/%1b[2J",
        "/v1/files/%0aforged/content",
        "/" + "z" * 5000,
    ):
        assert server.get(path).status in (400, 404, 405, 414), path
    said = server.said()
    assert "forged" not in said and "\x1b" not in said and "zzzz" not in said


SECRET = "Zebra4711Patient"


def test_nothing_of_what_is_asked_is_logged():
    with Server(env={"FLEMING_LOG": "fleming=trace"}) as server:
        server.chat(about(picture(), question=f"{SECRET}?"), user=SECRET, metadata={"name": SECRET})
        server.chat(about(picture(), question=SECRET), stream=True, stop=SECRET)
        server.chat(SECRET, model=SECRET)
        server.chat(SECRET, fleming={SECRET: 1})
        server.chat(SECRET, response_format={"type": SECRET})
        server.chat([{"role": SECRET, "content": SECRET}])
        server.chat(SECRET, fleming={"regex": f"({SECRET}"})
        named = {"type": "file", "file": {"filename": f"{SECRET}.png", "file_data": "data:;base64,aGk="}}
        server.chat(about(named))
        server.get(f"/v1/models/{SECRET}?{SECRET}={SECRET}")
        server.request(
            "POST",
            "/v1/chat/completions",
            f'{{"messages": "{SECRET}"}}',
            {"Content-Type": "application/json"},
        )
        server.request("POST", "/v1/chat/completions", SECRET, {"Content-Type": SECRET, "User-Agent": SECRET})
        assert server.get("/health").status == 200
        assert SECRET not in server.said()


# ── TLS


def certificate(folder, name, days=2):
    """A self-signed certificate for localhost; returns its files."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days {days} -subj /CN={name}"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", *made.split(), "-addext", names, "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def secure(server, cert):
    context = ssl.create_default_context(cafile=cert)
    connection = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE, context=context)
    connection.connect()
    return connection


def subject(connection):
    return dict(pair for part in connection.sock.getpeercert()["subject"] for pair in part)["commonName"]


def over_tls(connection, body=None):
    if body is None:
        connection.request("GET", "/v1/models")
    else:
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
    response = connection.getresponse()
    return response.status, response.read()


def test_tls_is_spoken_and_its_certificate_is_read_again(tmp_path):
    cert, key = certificate(tmp_path, "first")
    with Server("--tls-cert", cert, "--tls-key", key, wait=False) as server:
        connection = secure(server, cert)
        assert subject(connection) == "first" and connection.sock.version() in ("TLSv1.2", "TLSv1.3")
        until = time.monotonic() + PATIENCE
        while over_tls(connection)[0] != 200:
            assert time.monotonic() < until
            time.sleep(0.05)
        messages = about(picture())
        status, body = over_tls(connection, {"messages": messages, "stream": True})
        assert status == 200 and body.endswith(b"data: [DONE]\n\n")

        certificate(tmp_path, "second")
        server.process.send_signal(signal.SIGHUP)
        while server.said().count('what="certificate"') == 0:
            assert time.monotonic() < until
            time.sleep(0.05)
        fresh = secure(server, cert)
        assert subject(fresh) == "second"
        fresh.close()
        # The connection of before goes on.
        assert over_tls(connection)[0] == 200
        # What cannot be read changes nothing.
        key.write_text("no key")
        server.process.send_signal(signal.SIGHUP)
        while "kept as it was" not in server.said():
            assert time.monotonic() < until
            time.sleep(0.05)
        again = secure(server, cert)
        assert over_tls(again)[0] == 200
        # Plain HTTP and noise close their own connection alone.
        assert blurt(server, chat_bytes("hello"))[0] in (0, 400)
        assert blurt(server, os.urandom(5000))[0] == 0
        assert over_tls(again)[0] == 200
        connection.close()
        again.close()
        assert server.stop() == 0


def test_a_certificate_that_does_not_fit_is_refused_by_name(tmp_path):
    cert, _ = certificate(tmp_path, "one")
    other = tmp_path / "other"
    other.mkdir()
    _, foreign = certificate(other, "two")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for files, named in [
        ((cert, foreign), "cert.pem"),
        ((empty, foreign), "empty.pem"),
        ((cert, empty), "empty.pem"),
    ]:
        code, said = refused("--tls-cert", files[0], "--tls-key", files[1])
        assert code == 2 and named in said, said
    assert refused("--tls-cert", cert)[0] == 2
