"""One headless browser, kept alive, that turns figures into PNG, SVG and PDF."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import kaleido

_T = TypeVar("_T")

START_SECONDS = 60
RENDER_SECONDS = 60
STOP_SECONDS = 15

_NO_BROWSER = (
    "No Chrome or Chromium was found, which PNG, SVG and PDF files need. Install one (Debian and Ubuntu: "
    "`apt install chromium`), or run `kaleido_get_chrome`, or point BROWSER_PATH to one. HTML export works without."
)


class Renderer:
    """A browser behind an event loop in a thread of its own.

    kaleido's own server is not used: it hangs if the browser does not start, and mixes up the results of two threads
    that ask at once. A loop of its own also makes the caller's loop, if there is one, irrelevant. The browser starts
    with the first figure and is shut down when the interpreter exits.
    """

    def __init__(self) -> None:
        self.starts = 0
        self._lock = threading.Lock()
        self._kaleido: kaleido.Kaleido | None = None
        self._owner = 0

    def render(self, figure: dict[str, Any], options: dict[str, Any]) -> bytes:
        """The file's bytes. `options`: format, width, height, scale. From any thread, within or without a loop.

        Raises:
            ExportError: no browser, it would not start, it failed twice, or drawing took over RENDER_SECONDS.
        """
        from choreographer.errors import BrowserClosedError, BrowserFailedError, ChannelClosedError  # noqa: PLC0415

        gone = (BrowserClosedError, BrowserFailedError, ChannelClosedError)
        for attempt in (1, 2):
            browser = self._running()
            try:
                return self._call(browser.calc_fig(figure, options), RENDER_SECONDS)
            except gone as problem:  # killed from outside, or out of memory: a fresh one may do
                self.stop()
                if attempt == 2:
                    raise ExportError(
                        f"The browser that draws the figure died twice ({problem}). {_SMALLER}"
                    ) from problem
            except (TimeoutError, FutureTimeout) as problem:
                self.stop()
                raise ExportError(f"The figure was not drawn within {RENDER_SECONDS} seconds. {_SMALLER}") from problem
            except Exception as problem:
                raise ExportError(f"The browser could not draw the figure: {problem} {_SMALLER}") from problem
        raise AssertionError  # the loop returns or raises

    def stop(self) -> None:
        """Close the browser, if one is running; the next figure starts another."""
        with self._lock:
            browser, self._kaleido = self._kaleido, None
            if browser is None or self._owner != os.getpid():  # a forked child has the object but not the thread
                return
            with contextlib.suppress(Exception):
                self._call(browser.close(), STOP_SECONDS)
            self._end_loop()

    def _running(self) -> kaleido.Kaleido:
        with self._lock:
            if self._kaleido is None or self._owner != os.getpid():
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="figure-renderer", daemon=True)
                self._thread.start()
                try:
                    self._kaleido = self._call(_open(), START_SECONDS)
                except BaseException:
                    self._end_loop()
                    raise
                self._owner = os.getpid()
                self.starts += 1
                # exit handlers run last in, first out, and this one must precede that of kaleido's temporary folders
                atexit.unregister(self.stop)
                atexit.register(self.stop)
            return self._kaleido

    def _call(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except BaseException:
            future.cancel()
            raise

    def _end_loop(self) -> None:
        """Stop the loop with nothing left pending, which would warn at exit."""
        with contextlib.suppress(Exception):
            self._call(_cancel_all(), STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()


_SMALLER = "Draw fewer points, choose a smaller size, or save as HTML, which needs no browser here."


def drawing_page() -> kaleido.PageGenerator:
    """The page that kaleido draws on: without MathJax, which it would fetch from the network, and without a margin.

    kaleido 1.5 prints PDFs with a tenth of an inch around them on a page of the figure's own size, and puts the body's
    style in braces, which no browser reads: both together shift every figure and cut its lower edge off.
    """
    import kaleido  # noqa: PLC0415  -- takes a while, and only static files need it

    page = kaleido.PageGenerator(mathjax=False)
    footer = page.footer.replace("{margin: 0; padding: 0;}", "margin: 0; padding: 0;")
    page.footer = footer.replace("</head>", "<style>@page { margin: 0 }</style></head>")
    return page


async def _open() -> kaleido.Kaleido:
    import kaleido  # noqa: PLC0415  -- takes a while, and only static files need it
    from choreographer.errors import ChromeNotFoundError  # noqa: PLC0415

    try:
        # the sandbox is off, as containers need it
        browser = kaleido.Kaleido(page_generator=drawing_page(), timeout=RENDER_SECONDS)
        await browser.open()
    except ChromeNotFoundError as problem:
        raise ExportError(_NO_BROWSER) from problem
    except Exception as problem:
        raise ExportError(
            f"The browser for static files did not start: {problem} HTML export works without."
        ) from problem
    return browser


async def _cancel_all() -> None:
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


RENDERER = Renderer()
"""The one browser of this process."""
