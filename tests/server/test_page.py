"""The page in a real browser: the whole way from a file to a printed answer, and who can go it.

Debian's `chromium` is driven by Playwright. axe-core looks for what keeps people from using the page.
"""

import io
import json
import re
import shutil
import zipfile
from importlib.resources import files

import pytest
from playwright.sync_api import expect, sync_playwright
from serving import CHEST, PATIENCE, Server

from program import ROOT

EXAMPLES = ROOT / "examples"
VOLUME = EXAMPLES / "chest.nii.gz"
DEVICE = "What device is observed on the chest wall?"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
#: What a person meets at once on a phone, on a desk, and on a desk at 200 %.
SIZES = [(360, 740), (1280, 800), (640, 400)]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)"
)


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Opens the page of a server. What it does wrong fails the test: exceptions, blocked or foreign loads."""
    wrong, contexts = [], []

    def open_page(server, theme="light", size=(1280, 800)):
        address = f"http://127.0.0.1:{server.port}/"
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.extend(foreign(request.url, address)))
        # A refused call is told in the page; a browser writes a line of its own for each.
        page.on("console", lambda line: wrong.extend(complaint(line)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


expect.set_options(timeout=PATIENCE * 1000)


def foreign(url, address):
    return [] if url.startswith((address, "blob:")) else [url]


def complaint(line):
    harmless = line.type not in ("error", "warning") or line.text.startswith("Failed to load resource")
    return [] if harmless else [line.text]


def check(page):
    """What a state of the page must be for everybody."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate(SMALL) == []
    expect(page.locator("#notice")).to_be_visible()


SMALL = """() => {
  const shown = [...document.querySelectorAll('button, select, textarea, summary, input')].filter(
    (one) => one.checkVisibility() && !one.matches('[type=checkbox], [type=radio]'));
  const box = (one) => one.getBoundingClientRect();
  return shown.filter((one) => box(one).height < 44 || box(one).width < 44).map((one) => one.outerHTML);
}"""


def bring(page, *paths):
    page.set_input_files("#files", [str(path) for path in paths])
    expect(page.locator("#study")).to_be_visible()


def seen(page, frames):
    expect(page.locator("#strip li")).to_have_count(frames)
    expect(page.locator("#slice")).to_have_js_property("complete", True)


def ask(page, question):
    page.fill("#question", question)
    page.keyboard.press("Enter")


def answered(page, answer, turn=0):
    expect(page.locator(".turn").nth(turn).locator(".origin")).to_be_visible()
    expect(page.locator(".turn").nth(turn).locator(".answer")).to_have_text(answer)


def endless(page):
    """Answers from now on take long: the model writes on after its end."""

    def longer(route):
        body = json.loads(route.request.post_data)
        body["fleming"]["ignore_eos"] = True
        body["max_completion_tokens"] = 2000
        route.continue_(post_data=json.dumps(body))

    page.route("**/v1/chat/completions", longer)
    page.evaluate(GATE)


#: A read gives one event of a stream, however many arrived. After `hold(n)` the page reads up to the n-th
#: piece of a thought and then nothing up to `release()`, so that the middle of an answer can be looked at,
#: however fast the machine is.
GATE = """() => {
  const {read} = ReadableStreamDefaultReader.prototype;
  const arrived = new WeakMap();
  const events = (bytes) => {
    const ends = [...bytes.keys()].filter((at) => bytes[at] === 10 && bytes[at - 1] === 10);
    return [0, ...ends.map((at) => at + 1)]
      .map((from, place) => bytes.slice(from, place < ends.length ? ends[place] + 1 : bytes.length))
      .filter((event) => event.length);
  };
  window.hold = (pieces) => {
    window.left = pieces;
    window.gate = new Promise((open) => (window.release = open));
  };
  ReadableStreamDefaultReader.prototype.read = async function () {
    if (window.left <= 0) {
      await window.gate;
      arrived.delete(this);
    }
    const waiting = arrived.get(this) ?? [];
    if (!waiting.length) {
      const got = await read.call(this);
      if (got.done) return got;
      waiting.push(...events(got.value));
      arrived.set(this, waiting);
    }
    const value = waiting.shift();
    if (new TextDecoder().decode(value).includes('"reasoning_content":"')) window.left -= 1;
    return {done: false, value};
  };
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size[0]))
def test_the_whole_way_is_open_to_everybody(server, visit, theme, size, tmp_path):
    page = visit(server, theme, size)
    expect(page.locator("#health")).to_have_text("Ready")
    check(page)

    page.set_input_files("#files", str(EXAMPLES / "cases.jsonl"))
    expect(page.locator(".error")).to_contain_text("What to do")
    check(page)
    page.get_by_role("button", name="Dismiss").click()

    bring(page, VOLUME)
    seen(page, 11)
    expect(page.locator("#name")).to_be_focused()
    check(page)

    page.focus("#slider")
    before = page.locator("#slice").get_attribute("alt")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#slice")).not_to_have_attribute("alt", before)
    page.focus("#look-window")
    page.select_option("#look-window", "lung")
    seen(page, 11)
    expect(page.locator("#look-window")).to_be_focused()
    check(page)
    # In the window of the lung, the device is as white as bone.
    page.select_option("#look-window", "")
    seen(page, 11)

    ask(page, DEVICE)
    answered(page, "pacemaker")
    page.locator(".origin summary").click()
    check(page)

    endless(page)
    page.evaluate("() => { hold(3) }")
    ask(page, "On which side of the chest is the device?")
    expect(page.locator(".turn").nth(1).locator(".thought")).to_be_visible()
    check(page)
    page.click("#stop")
    page.evaluate("release()")
    expect(page.locator(".turn").nth(1)).to_contain_text("Stopped.")
    expect(page.locator("#question")).to_be_focused()
    check(page)

    page.route("**/v1/chat/completions", lambda route: route.abort())
    ask(page, "Is anybody there?")
    expect(page.locator(".turn").nth(2).get_by_role("alert")).to_contain_text("The server does not answer")
    check(page)

    page.emulate_media(media="print")
    expect(page.locator("#notice")).to_be_visible()
    expect(page.locator(".turn").nth(0).locator(".answer")).to_be_visible()
    expect(page.locator("#composer")).to_be_hidden()


def test_a_picture_is_asked_about_again_and_what_was_said_is_saved(server, visit):
    page = visit(server)
    page.get_by_role("button", name="Chest radiograph").click()
    seen(page, 1)
    page.get_by_role("button", name="Is there a nodule").click()
    answered(page, "right lung")
    page.unroute_all()
    ask(page, "Is the heart enlarged or normal?")
    answered(page, "normal", turn=1)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    saved = json.loads(download.value.path().read_text())
    assert "non-clinical" in saved["notice"] and saved["studies"][0]["name"] == "chest.png"
    first, second = saved["turns"]
    assert first["thought"] == "There is a nodule in the right lung." and first["answer"] == "right lung"
    assert first["fleming"]["package"]["digest"] and first["usage"]["completion_tokens"] > 0
    # The study stands in the conversation once, and is not read by the model a second time.
    asked, answer, again = second["request"]["messages"]
    assert [part["type"] for part in asked["content"]] == ["file", "text"]
    assert answer["content"] == "right lung"
    assert [part["type"] for part in again["content"]] == ["text"]
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] >= 64


def test_what_the_model_sees_is_what_it_then_saw(server, visit):
    page = visit(server)
    bring(page, VOLUME)
    seen(page, 11)
    page.select_option("#look-plane", "coronal")
    page.fill("#look-slices", "5")
    page.keyboard.press("Enter")
    seen(page, 5)
    places = page.locator("#strip li").all_inner_texts()
    marks = page.locator("#marks span").count()
    ask(page, DEVICE)
    expect(page.locator(".origin")).to_be_visible()
    page.locator(".origin summary").click()
    rows = page.locator(".origin tr").all_inner_texts()[1:]
    assert [row.split("\t")[1] for row in rows] == places and marks == 5
    # Its places on the slider are those of the slices that are leafed through.
    page.locator("#strip button").last.click()
    expect(page.locator("#seen-here")).to_have_text("Seen by the model")


def test_a_volume_is_leafed_through_by_wheel_keys_and_strip(server, visit):
    page = visit(server)
    bring(page, VOLUME)
    seen(page, 11)
    picture = page.locator("#slice")
    expect(picture).to_have_attribute("alt", "Slice 16 of chest.nii.gz")
    page.locator("#stage").hover()
    page.mouse.wheel(0, 120)
    expect(picture).to_have_attribute("alt", "Slice 19 of chest.nii.gz")
    page.locator("#stage").click()
    page.keyboard.press("End")
    expect(picture).to_have_attribute("alt", "Slice 31 of chest.nii.gz")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", "31 of 0 to 31, seen by the model")
    page.locator("#strip button").first.click()
    expect(picture).to_have_attribute("alt", "Slice 0 of chest.nii.gz")
    assert page.locator("#stage b").all_inner_texts() == list("APRL")


def test_a_folder_of_a_series_is_sent_as_one_archive_without_its_names(server, visit):
    page = visit(server)
    page.set_input_files("#folder", str(EXAMPLES / "chest_ct"))
    seen(page, 11)
    expect(page.locator("#facts")).to_contain_text("32 slices of 128×128")
    (study,) = server.get("/v1/files").json()["data"][:1]
    archive = zipfile.ZipFile(io.BytesIO(server.get(f"/v1/files/{study['id']}/content").body))
    assert archive.testzip() is None
    assert archive.namelist() == [f"{number:06}" for number in range(1, 33)]
    originals = {path.read_bytes() for path in (EXAMPLES / "chest_ct").iterdir()}
    assert {archive.read(name) for name in archive.namelist()} == originals
    ask(page, DEVICE)
    answered(page, "pacemaker")


def test_two_pictures_are_compared(server, visit):
    page = visit(server)
    bring(page, EXAMPLES / "fundus.png", EXAMPLES / "fundus_clear.png")
    expect(page.locator("#tabs button[aria-pressed]")).to_have_count(2)
    ask(page, "Which of the two shows haemorrhages of the retina?")
    answered(page, "first")
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)


def test_a_picture_is_pasted_and_another_dropped(server, visit):
    page = visit(server)
    expect(page.locator("#health")).to_have_text("Ready")
    given = """async ([type, name]) => {
      const blob = await (await fetch(`/examples/${name}`)).blob();
      const data = new DataTransfer();
      data.items.add(new File([blob], name));
      const events = {
        paste: () => new ClipboardEvent(type, {clipboardData: data}),
        drop: () => new DragEvent(type, {dataTransfer: data}),
      };
      window.dispatchEvent(events[type]());
    }"""
    page.evaluate(given, ["paste", "chest.png"])
    expect(page.locator("#name")).to_have_text("chest.png")
    page.evaluate(given, ["drop", "fundus.png"])
    expect(page.locator("#name")).to_have_text("fundus.png")
    expect(page.locator("#tabs")).to_contain_text("chest.png")


def test_nothing_is_kept_in_the_browser_nor_on_the_server(server, visit):
    page = visit(server)
    bring(page, CHEST)
    seen(page, 1)
    loads = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name).join()")
    study = re.search(r"file-[0-9a-f]{32}", loads)[0]
    ask(page, "Is there a nodule, and on which side?")
    answered(page, "right lung")
    page.get_by_role("button", name="Theme").click()
    kept = page.evaluate(
        "async () => [{...localStorage}, {...sessionStorage}, document.cookie, await indexedDB.databases()]"
    )
    assert kept == [{"theme": "light"}, {}, "", []]
    assert server.get(f"/v1/files/{study}").status == 200
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.get_by_role("button", name="New study").click()
    assert server.get(f"/v1/files/{study}").status == 404
    expect(page.locator("#welcome")).to_be_visible()
    assert page.locator(".turn").count() == 0
    expect(page.locator("#pick")).to_be_focused()


def test_a_key_is_asked_for_and_not_kept(visit, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("a-key-of-this-very-server\n")
    keys.chmod(0o600)
    with Server("--keys", keys, wait=False) as server:
        page = visit(server)
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page.get_by_label("API key")).to_be_focused()
        check(page)
        page.get_by_label("API key").fill("another-key-than-that-one")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("refused")
        check(page)
        page.get_by_label("API key").fill("a-key-of-this-very-server")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator("#health")).to_have_text("Ready")
        bring(page, CHEST)
        ask(page, "Is there a nodule, and on which side?")
        answered(page, "right lung")
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        page.reload()
        expect(page.get_by_role("dialog")).to_be_visible()


def test_a_server_that_comes_back_is_noticed(server, visit):
    page = visit(server)
    bring(page, CHEST)
    seen(page, 1)
    page.route("**/*", lambda route: route.abort())
    ask(page, "Is there a nodule, and on which side?")
    expect(page.locator("#banner")).to_contain_text("does not answer")
    check(page)
    page.unroute_all()
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#banner")).to_be_hidden()
    page.get_by_role("button", name="Try again").click()
    answered(page, "right lung")
    assert page.locator(".turn").count() == 1


def test_events_survive_every_cut(server, visit):
    page = visit(server)
    stream = (
        ': ping\r\n\r\ndata: {"a": "Größe"}\n\nevent: x\rdata:one\r\ndata: two\n\rdata: 🫁\r\n\r\ndata: no'
    )
    read = """async ([text, size]) => {
      const {events} = await import('/page/sse.js');
      const bytes = new TextEncoder().encode(text);
      const all = [];
      for (let start = 1; start <= (size || bytes.length); start += 1) {
        const stream = new ReadableStream({
          start(controller) {
            const step = size || bytes.length;
            const ends = size ? [] : [start];
            for (let end = step; end < bytes.length + step; end += step) ends.push(end);
            ends.forEach((end, i) => controller.enqueue(bytes.slice(ends[i - 1] ?? 0, end)));
            controller.close();
          },
        });
        const got = [];
        for await (const data of events(stream)) got.push(data);
        all.push(got);
      }
      return all;
    }"""
    wanted = ['{"a": "Größe"}', "one\ntwo", "🫁"]
    for size in (0, 1, 2, 3, 5):
        assert all(got == wanted for got in page.evaluate(read, [stream, size])), size


def test_the_archive_that_the_page_writes_is_one(server, visit):
    page = visit(server)
    contents = [b"", b"a", bytes(range(256)) * 400]
    made = page.evaluate(
        """async (contents) => {
          const {zip, crc32} = await import('/page/zip.js');
          const files = contents.map((bytes, i) => new File([new Uint8Array(bytes)], `Doe^John ${i}`));
          const bytes = new Uint8Array(await (await zip(files)).arrayBuffer());
          return [[...bytes], crc32(new TextEncoder().encode('123456789'), 0)];
        }""",
        [list(content) for content in contents],
    )
    archive = zipfile.ZipFile(io.BytesIO(bytes(made[0])))
    assert archive.testzip() is None and b"Doe" not in bytes(made[0])
    assert [archive.read(name) for name in archive.namelist()] == contents
    assert made[1] == 0xCBF43926
