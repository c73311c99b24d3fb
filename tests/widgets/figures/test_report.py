"""The report: one page that stands alone, in which nothing from outside runs."""

import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import plotly.graph_objects as go
import polars as pl
import pytest
from playwright.sync_api import sync_playwright
from plotly.offline import get_plotlyjs

from tests.browser.jupyter import find_browser
from tests.widgets.figures.figure_cases import make_tokens
from widgets.figures.embed import read_metadata
from widgets.figures.entropy_chart import entropy_chart
from widgets.figures.report import ROWS, caption, versions, write_report
from workbench.errors import ExportError

HOSTILE = "</script></style></pre><img src=x onerror=window.pwned=1>\ud800"


def item(name="entropy", count=250, **parts):
    tokens = make_tokens(count)
    known = {"figure": entropy_chart(tokens, theme="dark"), "data": tokens.drop("surprisal", strict=False), "tall": 1.0}
    return SimpleNamespace(**{"name": name, "settings": {"model": "demo", "seed": 3}, **known, **parts})


def hostile():
    texts = [HOSTILE[:-1], "<script>window.pwned=1</script>", *"abc"]
    tokens = make_tokens(5, text=texts)
    settings = {"model": HOSTILE, HOSTILE: [HOSTILE], "seed": 0}
    return item(HOSTILE, figure=entropy_chart(tokens), data=tokens.select("text", "entropy"), settings=settings)


class Reader(HTMLParser):
    """Elements and texts of a page, as a browser's parser tells them apart."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.ids = [], [], []
        self._within = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.ids.append(dict(attributes).get("id"))
        self._within.append(tag)

    def handle_endtag(self, tag):
        if tag in self._within:
            while self._within.pop() != tag:
                pass

    def handle_data(self, data):
        if "script" not in self._within and "style" not in self._within:
            self.texts.append(data)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    figures = [item(), item("scatter", 40, tall=1.5), hostile()]
    return write_report(figures, tmp_path_factory.mktemp("report") / "a.html", title=f"Runs {HOSTILE}")


@pytest.fixture(scope="module")
def page(report):
    return report.read_text(encoding="utf-8")


def test_figures_settings_tables_and_contents_are_there_and_plotly_once(page):
    found, words = Reader(page), "".join(Reader(page).texts)
    assert page.count(get_plotlyjs()) == 1
    assert page.count("Plotly.newPlot(") - get_plotlyjs().count("Plotly.newPlot(") == 3
    assert [name for name in found.ids if name and re.fullmatch(r"(part|figure)-\d", name)] == [
        f"{kind}-{number}" for number in (1, 2, 3) for kind in ("part", "figure")
    ]
    assert set(re.findall(r'href="([^"]*)"', page.replace(get_plotlyjs(), ""))) == {"#part-1", "#part-2", "#part-3"}
    assert f"{ROWS} of 250 rows" in words
    assert "all 40 rows" in words
    assert found.tags.count("tr") == (1 + ROWS) + (1 + 40) + (1 + 5)
    assert '"seed": 3' in words
    for name, number in versions().items():
        assert f"{name} {number}" in words


def test_nothing_from_outside_becomes_an_element(page):
    found = Reader(page)
    assert not {"img", "iframe", "link", "object", "base"} & set(found.tags)
    assert found.tags.count("script") == 1 + 3 + 1  # plotly.js, a figure each, the metadata
    assert found.tags.count("style") == 1
    assert "".join(found.texts).count("<img src=x onerror=window.pwned=1>") >= 5  # name, contents, settings, table
    assert "default-src 'none'" in page
    assert "connect-src" not in page.replace(get_plotlyjs(), "")


def test_figures_are_in_the_light_theme_and_as_tall_as_they_want(page):
    drawn = page.replace(get_plotlyjs(), "")
    assert '"paper_bgcolor":"#ffffff"' in drawn
    assert '"paper_bgcolor":"#111111"' not in drawn
    assert '"height":420' in drawn
    assert '"height":630' in drawn


def test_what_it_was_made_from_can_be_read_back(report):
    about = read_metadata(report)
    assert about["versions"] == versions()
    assert [made["name"] for made in about["figures"][:2]] == ["entropy", "scatter"]
    assert about["figures"][1]["settings"] == {"model": "demo", "seed": 3}


def test_the_figures_themselves_are_not_changed(tmp_path):
    one = item()
    before = json.loads(one.figure.to_json())
    write_report([one], tmp_path / "a.html", title="t")
    assert json.loads(one.figure.to_json()) == before


def test_in_a_browser_it_asks_for_nothing_and_runs_nothing_from_outside(report):
    program = find_browser()
    if program is None:
        pytest.skip("needs a browser")
    asked, said = [], []
    with sync_playwright() as play:
        window = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        view = window.new_page(viewport={"width": 1000, "height": 700}, color_scheme="dark")
        view.on("request", lambda request: asked.append(request.url))
        view.on("pageerror", lambda error: said.append(str(error)))
        view.on("console", lambda message: said.append(message.text))
        view.goto(report.as_uri())
        view.wait_for_selector("#figure-3 .main-svg")
        for fold in view.locator("summary").all():
            fold.click()
        assert view.locator("#part-3 pre").inner_text().count("<img src=x") == 3
        assert view.evaluate("window.pwned") is None
        assert view.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 17, 17)"
        assert view.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
        window.close()
    assert [url for url in asked if url.startswith("file:")] == [report.as_uri()]
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:", "https://example.org"))]
    assert not [words for words in said if "example.org" not in words]


def test_a_figure_that_cannot_be_drawn_does_not_take_the_others_along(tmp_path):
    broken = item("<b>broken", settings={("no", "key"): 1})
    with pytest.raises(ExportError, match="<b>broken: cannot be drawn"):
        write_report([item(), broken], tmp_path / "a.html", title="t")
    assert not list(tmp_path.iterdir())
    failed, order = [], []
    path = write_report(
        [broken, item()], tmp_path / "a.html", title="t", progress=order.append,
        failed=lambda name, problem: failed.append((name, type(problem))),
    )  # fmt: skip
    assert failed == [("<b>broken", TypeError)]
    assert order == [1, 2]
    assert "⚠ This figure cannot be drawn" in path.read_text()
    assert [made["name"] for made in read_metadata(path)["figures"]] == ["entropy"]


def test_what_progress_raises_ends_the_report_and_leaves_the_old_file(tmp_path):
    path = write_report([item(count=5)], tmp_path / "a.html", title="old")

    def halt(number):
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report([item(count=5)] * 3, path, title="new", progress=halt)
    assert [found.name for found in tmp_path.iterdir()] == ["a.html"]
    assert read_metadata(path)["title"] == "old"


def test_bad_paths_and_no_figures_are_refused(tmp_path):
    one = [item(count=5)]
    for path, words in {"a.pdf": r"\.html", "../a.html": "outside", "none/a.html": "does not exist"}.items():
        with pytest.raises(ExportError, match=words):
            write_report(one, path, title="t", folder=tmp_path)
    with pytest.raises(ExportError, match="keep one first"):
        write_report([], tmp_path / "a.html", title="t")
    assert not list(tmp_path.iterdir())


def test_cells_say_what_is_unknown_and_keep_a_token_on_its_line(tmp_path):
    frame = pl.DataFrame({"text": ["a\nb\t", None], "value": [1.23456789e-9, float("nan")], "ids": [[1, 2], None]})
    path = write_report([item(figure=go.Figure(), data=frame)], tmp_path / "a.html", title="t")
    words = Reader(path.read_text()).texts
    assert {"a⏎b⇥", "1.23457e-09", "nan", "–"} <= set(words)


def test_captions_hold_what_is_known_in_plain_words():
    known = {"model": "demo", "seed": 0, "sampler": {"p": 1}, "time": "2031-01-02T03:04:05+02:00"}
    assert caption(known) == "demo · seed 0 · 2031-01-02 01:04 UTC"
    assert caption({}) == caption({"model": {"a": 1}, "seed": None, "time": "<b>now"}) == ""
