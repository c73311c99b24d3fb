"""The README's pictures: every tab of the workbench in JupyterLab, light and dark. `make pictures` draws them anew."""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.jupyter import Notebook, Server, find_browser

DOCS = Path(__file__).parents[2] / "docs"
SIZE = (1280, 1240)  # as tall as the tallest tab
APP = """
import workbench as wb
from widgets import Workbench

model = wb.load("demo")
question = "Mia has 14 apples. She buys 9 more. Then there are 3 times as many. How many apples are there?"
trace = wb.record(model, question, sampler=wb.Sampler(temperature=0.8), seed=1)
app = Workbench(model, trace=trace, autosave=False)
app
"""
# Tab -> what is done there before the picture is taken.
SCENES = {
    "Model": "app.turn_to('Model')",
    "Trace": "app.turn_to('Trace'); app.session.cursor = 31",
    "Sampler": "app.session.sampler = wb.Sampler(temperature=0.8, top_k=40, top_p=0.9); app.turn_to('Sampler')",
    "Think/Answer": "app.turn_to('Think/Answer')",
    "Difficulty": "app.turn_to('Difficulty')",
    "Heads": "app.turn_to('Heads')",
    "Figures": "[(app.turn_to(one), app.keep_figure()) for one in ('Sampler', 'Difficulty')]; app.turn_to('Figures')",
}
SETTLE = 2500  # ms after the kernel has done: charts are drawn, and nothing moves any more


def take(notebook: Notebook, theme: str) -> None:
    """A picture of every tab in one theme."""
    notebook.open([APP], theme=theme, size=SIZE).run_all(timeout=120)
    page = notebook.page
    for title, code in SCENES.items():
        notebook.execute(code)
        page.wait_for_timeout(SETTLE)
        name = title.lower().replace("/", "-")
        save(page.locator(".workbench-app").screenshot(), DOCS / f"{name}-{theme}.png")
        sys.stdout.write(f"docs/{name}-{theme}.png\n")
    notebook.shut_down()


def save(picture: bytes, path: Path) -> None:
    """As a PNG of 256 colours, a third of the size; rare colours keep theirs."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Both themes, one after the other."""
    path = find_browser()
    if path is None:
        sys.exit("Pictures need Chrome or Chromium; WORKBENCH_BROWSER names another.")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder))
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            for theme in ("light", "dark"):
                take(Notebook(browser.new_page(), server), theme)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
