"""A model with damaged weights fails in the middle of its work: what clients see, and what goes on."""

import hashlib
import json
import math
import shutil
import struct

import onnx
import pytest
from serving import CHEST, DEMO, QUESTION, Server, about, data_url, picture

from program import ROOT

BRAIN = ROOT / "examples" / "brain.png"
#: A token of the answer about the chest, and of no question.
TOKEN = "Ġlung"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """After this token the model's numbers are none."""
    folder = tmp_path_factory.mktemp("damaged") / "model"
    shutil.copytree(DEMO, folder)
    graph = onnx.load(folder / "decoder.onnx", load_external_data=False).graph
    table = next(tensor for tensor in graph.initializer if tensor.name.endswith("embed_tokens.weight"))
    place = {entry.key: entry.value for entry in table.external_data}
    token = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"][TOKEN]
    with open(folder / place["location"], "r+b") as weights:
        weights.seek(int(place["offset"]) + token * table.dims[1] * 4)
        weights.write(struct.pack("<f", math.nan) * table.dims[1])
    # As if it had been exported so.
    manifest = json.loads((folder / "fleming.json").read_text())
    content = (folder / place["location"]).read_bytes()
    manifest["files"][place["location"]]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "fleming.json").write_text(json.dumps(manifest))
    with Server(model=folder) as server:
        yield server


def goes_on(server):
    answer = server.chat(about(picture(BRAIN), question="What imaging modality is this?"))
    assert answer.status == 200 and answer.json()["choices"][0]["message"]["content"]
    assert server.get("/health/ready").status == 200


def is_ours(error):
    """The form of an error, with nothing of what went wrong inside."""
    assert set(error) == {"message", "type", "param", "code", "fleming"}
    assert (error["type"], error["code"], error["param"]) == ("server_error", "internal_error", None)
    assert "NaN" not in error["message"] and "/" not in error["message"]


@pytest.mark.parametrize("count", [1, 3])
def test_what_fails_is_an_error_that_is_not_asked_again(server, count):
    answer = server.chat(about(picture()), {"X-Request-Id": f"failing-{count}"}, n=count)
    assert (answer.status, answer.headers["x-should-retry"]) == (500, "false")
    assert answer.headers["x-request-id"] == f"failing-{count}" and "retry-after" not in answer.headers
    is_ours(answer.error())
    line = next(line for line in server.said().splitlines() if f'id="failing-{count}"' in line)
    assert "status=500" in line and 'code="internal_error"' in line
    goes_on(server)


def test_a_stream_that_fails_says_so_after_what_it_said(server):
    answer = server.chat(about(picture()), stream=True)
    assert answer.status == 200
    *chunks, last = [json.loads(event) for event in answer.events()]
    thought = "".join(chunk["choices"][0]["delta"].get("reasoning", "") for chunk in chunks)
    assert thought.startswith("There is a nodule")
    assert list(last) == ["error"]
    is_ours(last["error"])
    goes_on(server)


def test_a_response_that_fails_is_one_too(server):
    part = {"type": "input_image", "image_url": data_url(CHEST), "detail": "auto"}
    body = {"input": [{"role": "user", "content": [part, {"type": "input_text", "text": QUESTION}]}]}
    answer = server.post("/v1/responses", body)
    assert (answer.status, answer.headers["x-should-retry"]) == (500, "false")
    is_ours(answer.error())
    streamed = server.post("/v1/responses", {**body, "stream": True}).body.decode()
    data = streamed.strip().rsplit("data: ", 1)[1]
    event = json.loads(data)
    assert event["type"] == "response.failed" and event["response"]["status"] == "failed"
    assert event["response"]["error"]["code"] == "server_error"
    is_ours(event["response"]["fleming"]["error"])
    goes_on(server)


def test_failures_are_counted(server):
    def failed():
        lines = server.get("/metrics").body.decode().splitlines()
        named = [line for line in lines if line.startswith("fleming_requests_failed_total{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in named if 'code="runtime"' in line)

    before = failed()
    assert server.chat(about(picture())).status == 500
    assert failed() == before + 1


def test_a_file_that_somebody_removed_from_the_disk(tmp_path):
    with Server("--files", tmp_path / "files") as server:
        boundary = "part-of-a-test"
        fields = [('name="purpose"', b"vision"), ('name="file"; filename="a.png"', CHEST.read_bytes())]
        form = b"".join(
            f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + content + b"\r\n"
            for name, content in fields
        )
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        body = form + f"--{boundary}--\r\n".encode()
        file = server.request("POST", "/v1/files", body, kind).json()
        contents = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
        for path in contents:
            if path.stat().st_size == file["bytes"]:
                path.unlink()
        answer = server.get(f"/v1/files/{file['id']}/content")
        assert (answer.status, answer.headers["x-should-retry"]) == (500, "false")
        is_ours(answer.error())
        assert str(tmp_path) not in answer.body.decode()
        goes_on(server)
