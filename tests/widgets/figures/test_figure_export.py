import asyncio
import errno
import json
import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from playwright.sync_api import sync_playwright

from tests.widgets.figures.figure_cases import make_tokens
from widgets.figures.embed import read_metadata
from widgets.figures.entropy_chart import entropy_chart
from widgets.figures.export import export_data, export_settings, save_figure
from widgets.figures.renderer import RENDERER, drawing_page
from workbench.errors import ExportError

META = {
    "model": "demo (x)\\",
    "sampler": {"temperature": 0.8},
    "seed": 0,
    "hostile": "</script></metadata>--><img src=x onerror=alert(1)>)>>\nendobj",
    "größe": "ü",
}


def chromium():
    """A browser, or a skip that says how to get one; with WORKBENCH_REQUIRE_BROWSER=1 a failure."""
    try:
        RENDERER.render(
            entropy_chart(make_tokens(3)).to_dict(), {"format": "png", "width": 50, "height": 50, "scale": 1}
        )
    except ExportError as problem:
        if os.environ.get("WORKBENCH_REQUIRE_BROWSER") == "1":
            raise
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def browser():
    chromium()
    yield
    RENDERER.stop()


@pytest.fixture(scope="module")
def fig():
    return entropy_chart(make_tokens(), theme="dark", cursor=3)


def png_chunks(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks.setdefault(kind, body)
        at += 12 + length
    return chunks


@pytest.mark.parametrize(("size", "width"), [("single", 1051), ("double", 2161)])
def test_png_has_print_width_resolution_and_metadata(browser, fig, tmp_path, size, width):
    chunks = png_chunks(save_figure(fig, tmp_path / "a.png", size=size, meta=META).read_bytes())
    pixels = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert abs(pixels[0] - width) <= 2
    assert struct.unpack(">IIB", chunks[b"pHYs"]) == (11811, 11811, 1)  # 300 dots an inch
    assert json.loads(chunks[b"tEXt"].split(b"\0")[1]) == META
    assert list(chunks)[-1] == b"IEND"


def test_png_in_pixels_is_as_large_as_asked(browser, fig, tmp_path):
    chunks = png_chunks(save_figure(fig, tmp_path / "a.png", size=(400, 300), scale=1.5).read_bytes())
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (600, 450)


def test_svg_parses_is_white_and_carries_metadata(browser, fig, tmp_path):
    path = save_figure(fig, tmp_path / "a.svg", meta=META)
    root = ET.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    assert json.loads(root[0].text) == META
    backgrounds = [rect.get("style", "") for rect in root.iter(f"{space}rect")]
    assert any("fill: rgb(255, 255, 255)" in style for style in backgrounds)
    assert "raw entropy (nats)" in "".join(root.itertext())


def test_pdf_is_whole_and_its_newest_information_carries_metadata(browser, fig, tmp_path):
    path = save_figure(fig, tmp_path / "a.pdf", meta=META)
    data = path.read_bytes()
    assert data.startswith(b"%PDF-1.")
    at = int(re.findall(rb"startxref\s+(\d+)\s+%%EOF", data)[-1])
    table = re.match(rb"xref\n(\d+) 1\n(\d{10}) 00000 n \ntrailer\n<<.*?/Prev (\d+)>>", data[at:], re.DOTALL)
    number, offset, previous = table.groups()
    assert data[int(offset) :].startswith(number + b" 0 obj\n<<")
    assert data[int(previous) :].startswith(b"xref")
    assert b"/Producer" in data[int(offset) : at]  # what the browser wrote is still said
    assert read_metadata(path) == META


def test_figure_on_screen_keeps_its_theme(browser, fig, tmp_path):
    before = fig.to_json()
    save_figure(fig, tmp_path / "a.svg", size="single")
    assert fig.to_json() == before


def test_html_asks_the_network_for_nothing_and_runs_no_token(browser, tmp_path):
    table = make_tokens(
        5, text=["</script><script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>", *"abc"]
    )
    path = save_figure(entropy_chart(table), tmp_path / "a.html", meta=META)
    asked, said = [], []
    with sync_playwright() as play:
        program = os.environ.get("BROWSER_PATH", "/usr/bin/chromium")
        window = play.chromium.launch(
            executable_path=program if Path(program).exists() else None, args=["--no-sandbox"]
        )
        page = window.new_page(viewport={"width": 1000, "height": 700})
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector(".main-svg")
        plot = page.locator(".nsewdrag").first.bounding_box()
        for share in (0.05, 0.15):  # the first tokens of ten places
            page.mouse.move(plot["x"] + share * plot["width"], plot["y"] + plot["height"] / 2)
            page.wait_for_timeout(200)
        label = page.locator(".hoverlayer").text_content()
        shown = page.locator("dl").inner_text()
        assert page.evaluate("window.pwned") is None
        window.close()
    assert asked == [path.as_uri()]
    assert said == []
    assert "<img␣src=x" in label  # drawn as written
    assert "temperature" in shown
    assert "<img src=x" in shown
    assert read_metadata(path) == META


def test_one_browser_serves_all_files(browser, fig, tmp_path):
    starts = RENDERER.starts
    for name in ("a.png", "b.svg", "c.pdf", "d.png"):
        save_figure(fig, tmp_path / name)
    assert RENDERER.starts == starts


def test_export_inside_a_running_loop(browser, fig, tmp_path):
    async def cell():
        return save_figure(fig, tmp_path / "a.png")

    assert asyncio.run(cell()).stat().st_size > 1000


def test_threads_get_their_own_figures(browser, fig, tmp_path):
    sizes = [(200 + 20 * i, 200) for i in range(6)]
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    settings = zip(paths, sizes, strict=True)
    threads = [
        threading.Thread(target=save_figure, args=(fig, path), kwargs={"size": size, "scale": 1})
        for path, size in settings
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    drawn = [struct.unpack(">II", png_chunks(path.read_bytes())[b"IHDR"][:8]) for path in paths]
    assert drawn == sizes


def test_a_killed_browser_is_replaced(browser, fig, tmp_path):
    save_figure(fig, tmp_path / "a.png")
    RENDERER._kaleido.subprocess.kill()
    RENDERER._kaleido.subprocess.wait()
    assert save_figure(fig, tmp_path / "b.png").stat().st_size > 1000


SCRIPT = """
import os, sys
from widgets.figures.export import save_figure
from widgets.figures.renderer import RENDERER, drawing_page
import plotly.graph_objects as go
save_figure(go.Figure(go.Scatter(y=[1, 2])), sys.argv[1])
print(RENDERER._kaleido.subprocess.pid)
"""


def test_the_interpreter_ends_without_a_word_and_the_browser_with_it(browser, tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, tmp_path / "a.png"],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert run.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(run.stdout), 0)


def test_without_a_browser_the_error_says_how_to_get_one_and_html_works(fig, tmp_path, monkeypatch):
    RENDERER.stop()
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    with pytest.raises(ExportError, match=r"apt install chromium.*HTML export works"):
        save_figure(fig, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    assert save_figure(fig, tmp_path / "a.html").exists()


def test_figures_too_large_are_refused(fig, tmp_path):
    with pytest.raises(ExportError, match="pixels"):
        save_figure(fig, tmp_path / "a.png", size=(20_000, 100))
    huge = entropy_chart(make_tokens(3)).add_scatter(x=list(range(200_001)))
    with pytest.raises(ExportError, match="points"):
        save_figure(huge, tmp_path / "a.svg")


@pytest.mark.parametrize("name", ["a.gif", "a"])
def test_unknown_suffixes_are_refused(fig, tmp_path, name):
    with pytest.raises(ExportError, match=r"\.html"):
        save_figure(fig, tmp_path / name)
    with pytest.raises(ExportError, match=r"\.parquet"):
        export_data(pl.DataFrame(), tmp_path / name)
    with pytest.raises(ExportError, match=r"\.json"):
        export_settings({}, tmp_path / name)


def test_bad_sizes_are_refused(fig, tmp_path):
    for size in ("poster", (0, 10)):
        with pytest.raises(ExportError):
            save_figure(fig, tmp_path / "a.png", size=size)


def test_a_path_may_not_leave_its_folder(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link").symlink_to(tmp_path)
    for path in ("../a.json", "/tmp/a.json", "link/a.json"):
        with pytest.raises(ExportError, match="outside"):
            export_settings({}, path, folder=inner)
    assert export_settings({}, "a.json", folder=inner) == (inner / "a.json").resolve()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ExportError, match="does not exist"):
        export_settings({}, tmp_path / "none" / "a.json")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = export_settings({"seed": 1}, tmp_path / "a.json")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match="disk is full"):
        export_settings({"seed": 2}, path)
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]
    assert read_metadata(path) == {"seed": 1}


def test_csv_round_trip_with_hostile_tokens(tmp_path):
    frame = make_tokens(4, text=['\n# not a comment, "quoted"', "#", None, "\r\n"])
    path = export_data(frame, tmp_path / "a.csv", META)
    back = pl.read_csv(path, skip_lines=1, schema=frame.schema)
    assert back["text"].to_list() == frame["text"].to_list()
    assert back["entropy"].to_list() == frame["entropy"].to_list()
    assert read_metadata(path) == META


def test_parquet_round_trip(tmp_path):
    frame = make_tokens(4)
    path = export_data(frame, tmp_path / "a.parquet", META)
    assert pl.read_parquet(path).equals(frame)
    assert read_metadata(path) == META


def test_settings_round_trip(tmp_path):
    assert read_metadata(export_settings(META, tmp_path / "a.json")) == META


def test_lists_do_not_go_into_csv(tmp_path):
    with pytest.raises(ExportError, match=r"'ids'.*parquet"):
        export_data(pl.DataFrame({"ids": [[1]]}), tmp_path / "a.csv")


def test_reading_metadata_that_is_not_there_says_so(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "a.json").write_text("{")
    for name, words in {
        "a.parquet": "no metadata",
        "a.png": "no metadata",
        "a.json": "cannot be read",
        "a.txt": "not one",
    }.items():
        with pytest.raises(ExportError, match=words):
            read_metadata(tmp_path / name)


def test_the_page_drawn_on_has_no_margin_that_would_cut_a_pdf():
    page = drawing_page().generate_index()
    assert '<body style="margin: 0; padding: 0;">' in page
    assert "@page { margin: 0 }" in page
    assert "http" not in "".join(re.findall(r'src="([^"]*)"', page))
