"""The browser that draws PNG, SVG and PDF files."""

from __future__ import annotations

import os
from pathlib import Path

from choreographer.browsers.chromium import Chromium

from workbench.doctor.check import OK, WARN, Check

REMEDY = "apt install chromium, or kaleido_get_chrome, or export BROWSER_PATH; HTML export works without."


def check_browser() -> Check:
    """Which one kaleido will start, found as kaleido's own driver finds it: BROWSER_PATH, then the usual places."""
    path = Chromium.find_browser(skip_local=False)
    set_to = os.environ.get("BROWSER_PATH")
    if path and Path(path).is_file():
        return Check("browser", OK, f"{path}{', from BROWSER_PATH' if set_to == path else ''}")
    found = f"BROWSER_PATH={set_to} is no file" if set_to else "no Chrome or Chromium found: no PNG, SVG or PDF files"
    return Check("browser", WARN, found, REMEDY)
