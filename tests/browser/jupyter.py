"""JupyterLab in a real browser, for tests: a server of its own, and a notebook page to drive and look at."""

from __future__ import annotations

import ast
import atexit
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import ConsoleMessage, Locator, Page

ARTIFACTS = Path(__file__).parent / "artifacts"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
START_SECONDS = 90
# What JupyterLab itself writes to the console, whatever is in the notebook. Each entry says why it is harmless.
ALLOWED_CONSOLE = (
    r"Failed to load resource.*/api/(workspaces|me|contents/.*checkpoints)",  # asked for before it exists
    r"favicon",  # drawn by the kernel's state, replaced in mid-load
    # A page that was busy for two seconds, or a widget closed before it had begun; one that is wanted and does not come
    # fails the test that waits for it.
    r"\[anywidget\] Failed to initialize model",
    r"no comm channel defined",  # of ipywidgets: a chart was closed before the page had taken its view away
)

# Runs in the page: one line of Python in the notebook's own kernel, its repr through JSON.
_EVALUATE = """async (code) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const request = { code: "", silent: true, store_history: false, user_expressions: { value: code } };
  const reply = await kernel.requestExecute(request).done;
  const value = reply.content.user_expressions.value;
  return value.status === "ok" ? { text: value.data["text/plain"] } : { error: `${value.ename}: ${value.evalue}` };
}"""
_EXECUTE = """async (code) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const reply = await kernel.requestExecute({ code, store_history: false }).done;
  return reply.content.status === "ok" ? "" : `${reply.content.ename}: ${reply.content.evalue}`;
}"""
_READY = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  return panel?.sessionContext?.session?.kernel?.status === "idle" && panel.context.isReady;
}"""
_OPEN = """async ([name, kernel]) => {
  const id = kernel ? { kernel: { id: kernel } } : {};
  await window.jupyterapp.commands.execute("docmanager:open", { path: name, ...id });
}"""
# The notebook goes before its kernel: widgets say goodbye to theirs.
_CLOSE = """(keep) => {
  const { shell, serviceManager } = window.jupyterapp ?? {};
  const session = shell?.currentWidget?.sessionContext?.session;
  const [id, kernel] = [session?.id, session?.kernel?.id];
  for (const widget of [...(shell?.widgets("main") ?? [])]) widget.dispose();
  if (id && !keep) serviceManager.sessions.shutdown(id);
  return kernel ?? null;
}"""
# A kernel as a new one, but for the modules it has imported.
_CLEAN = """
__import__("ipywidgets").Widget.close_all()
get_ipython().reset(new_session=False)
__import__("gc").collect()
"""
_OPENED = """(name) => window.jupyterapp?.shell.currentWidget?.context?.path === name"""
_START = """(name) => {
  window.testCommandDone = false;
  window.jupyterapp.commands.execute(name).finally(() => (window.testCommandDone = true));
}"""
_ERRORS = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.flatMap((cell, index) =>
  (cell.toJSON().outputs ?? []).filter((output) => output.output_type === "error")
    .map((output) => `cell ${index}: ${output.ename}: ${output.evalue}`))"""


def find_browser() -> str | None:
    """Path of an installed Chrome or Chromium; WORKBENCH_BROWSER names another."""
    named = os.environ.get("WORKBENCH_BROWSER")
    return named or next((path for name in BROWSERS if (path := shutil.which(name))), None)


class Server:
    """A JupyterLab of its own: free port, no token, empty configuration, this interpreter's kernel."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "notebooks"
        self.kernel: str | None = None
        """Of a kernel to be used again."""
        self._folder = folder
        self.root.mkdir(parents=True)
        self._write_settings()
        self._write_kernelspec()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (folder / "server.log").open("w+")
        self._process = subprocess.Popen(  # its own group, so that kernels end with it
            self._command(), cwd=self.root, env=self._environment(), stdout=self._log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        atexit.register(self.stop)  # should the fixture not get to it
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        atexit.unregister(self.stop)
        self._process.terminate()  # the server shuts its kernels down
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait(timeout=10)
        self._log.close()

    def _command(self) -> list[str]:
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.root,
            "ServerApp.open_browser": False,
            "ServerApp.terminals_enabled": False,
            "ServerApp.allow_root": True,
            "IdentityProvider.token": "",
            "LabApp.expose_app_in_browser": True,  # lets the tests ask the page for its kernel
            "LabApp.extension_manager": "readonly",  # asks no package index
            "LabApp.news_url": "",
        }
        return [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]

    def _environment(self) -> dict[str, str]:
        folders = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
        own = {f"JUPYTER_{name}": str(self._folder / value) for name, value in folders.items()}
        own["JUPYTER_PREFER_ENV_PATH"] = "0"  # our kernelspec before any other of the same name
        own["JUPYTERLAB_SETTINGS_DIR"] = str(self._folder / "settings")
        own["JUPYTERLAB_WORKSPACES_DIR"] = str(self._folder / "workspaces")
        return {**os.environ, **own}

    def _write_settings(self) -> None:
        """No question, news or update notice may cover the notebook."""
        settings = {
            "apputils-extension/notification": {
                "fetchNews": "false",
                "checkForUpdates": False,
                "doNotDisturbMode": True,
            },
            "docmanager-extension/plugin": {"autosave": False},
        }
        for name, value in settings.items():
            path = self._folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))

    def _write_kernelspec(self) -> None:
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Python 3",
            "language": "python",
        }
        folder = self._folder / "data" / "kernels" / "python3"
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(spec))

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/api/status", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        self._log.seek(0)
        raise RuntimeError(f"JupyterLab did not start:\n{self._log.read()[-4000:]}")


class Notebook:
    """One notebook open in one page."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.frame = page.main_frame
        """Where JupyterLab is: the page itself, or a frame in it."""
        self.server = server
        self.problems: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", self._broke)

    def open(
        self,
        source: Sequence[str] | Path | str,
        *,
        theme: str = "light",
        size: tuple[int, int] = (1280, 800),
        sidebar: bool = False,
        fresh: bool = False,
    ) -> Notebook:
        """Opens code cells given as strings, or a copy of an .ipynb file, without running anything.

        A page that shows JupyterLab already opens it there, and on the kernel that the notebook before left, if it
        did, unless it should be a fresh one: importing torch anew takes longer than most tests. The sidebar is the
        file browser, open at first visit.
        """
        name = f"{uuid.uuid4().hex[:8]}.ipynb"
        if isinstance(source, (str, Path)):
            notebook = nbformat.read(source, as_version=4)
        else:
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in source])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.server.root / name)
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        if not self.frame.evaluate("() => Boolean(window.jupyterapp)"):
            self.page.goto(f"{self.server.url}/lab/workspaces/{name[:8]}?reset")
            self.frame.wait_for_function("() => window.jupyterapp?.restored", timeout=60_000)
        kernel, self.server.kernel = self.server.kernel, None
        if fresh and kernel:
            self.frame.evaluate("(id) => window.jupyterapp.serviceManager.kernels.shutdown(id)", kernel)
            kernel = None
        self.frame.evaluate(_OPEN, [name, kernel])
        self.frame.wait_for_function(_OPENED, arg=name, timeout=60_000)
        self.frame.wait_for_function(_READY, timeout=60_000)
        self.command(
            "application:toggle-left-area",
            when=f"() => window.jupyterapp.shell.leftCollapsed === {str(sidebar).lower()}",
        )
        self.set_theme(theme)
        return self

    def command(self, name: str, args: dict[str, Any] | None = None, *, when: str = "() => true") -> None:
        """Runs one of JupyterLab's commands, as its menus do."""
        if self.frame.evaluate(when):
            self.frame.evaluate("([name, args]) => window.jupyterapp.commands.execute(name, args)", [name, args or {}])

    def set_theme(self, theme: str) -> None:
        light = "true" if theme == "light" else "false"
        self.command("apputils:change-theme", {"theme": THEMES[theme]})
        self.frame.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=light)

    def run_all(self, *, timeout: float = 60) -> None:
        """Runs every cell and waits; a cell that fails, fails the test."""
        self._run("notebook:run-all-cells", timeout)

    def run_cell(self, index: int, *, timeout: float = 60) -> None:
        self.frame.evaluate("i => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i; }", index)
        self._run("notebook:run-cell", timeout)

    def execute(self, code: str) -> None:
        """Runs statements in the notebook's kernel, beside its cells."""
        if error := self.frame.evaluate(_EXECUTE, code):
            raise AssertionError(f"{code!r} raised {error}")

    def value(self, expression: str) -> Any:
        """A Python expression's value in the notebook's kernel, through JSON."""
        reply = self.frame.evaluate(_EVALUATE, f"__import__('json').dumps({expression})")
        if "error" in reply:
            raise AssertionError(f"{expression!r} raised {reply['error']}")
        return json.loads(ast.literal_eval(reply["text"]))  # the repr of a string

    def wait_value(self, expression: str, expected: Any, *, timeout: float = 5) -> None:
        """Waits until the kernel has a value: what the page sends arrives a moment later."""
        deadline = time.monotonic() + timeout
        while (found := self.value(expression)) != expected:
            assert time.monotonic() < deadline, f"{expression} is {found!r}, expected {expected!r}"
            self.page.wait_for_timeout(50)

    def settled(self, expression: str, *, quiet: float = 0.4, timeout: float = 10) -> Any:
        """The value once it has stayed the same for a while: the last of many moves may still be on its way."""
        deadline, value = time.monotonic() + timeout, self.value(expression)
        since = time.monotonic()
        while time.monotonic() - since < quiet:
            assert time.monotonic() < deadline, f"{expression} does not come to rest"
            self.page.wait_for_timeout(50)
            found = self.value(expression)
            if found != value:
                value, since = found, time.monotonic()
        return value

    def cell(self, index: int) -> Locator:
        return self.frame.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{index}"]')

    def screenshot(self, name: str, *, always: bool = False) -> Path | None:
        """Into tests/browser/artifacts, where WORKBENCH_SCREENSHOTS is set (or always, for a failure)."""
        if not (always or os.environ.get("WORKBENCH_SCREENSHOTS")):
            return None
        ARTIFACTS.mkdir(exist_ok=True)
        (ARTIFACTS / ".gitignore").write_text("*\n")
        path = ARTIFACTS / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)}.png"
        self.page.screenshot(path=path)
        return path

    def shut_down(self, *, keep: bool = False) -> None:
        """Lets go of the page, and ends the kernel without waiting for that, or keeps it, emptied, for the next one."""
        if keep:
            self.execute(_CLEAN)
        kernel = self.frame.evaluate(_CLOSE, keep)
        self.server.kernel = kernel if keep else None
        self.page.remove_listener("console", self._heard)
        self.page.remove_listener("pageerror", self._broke)

    def _run(self, command: str, timeout: float) -> None:
        self.frame.evaluate(_START, command)
        self.frame.wait_for_function("() => window.testCommandDone", timeout=timeout * 1000)
        self.frame.wait_for_function(_READY, timeout=timeout * 1000)
        errors = self.frame.evaluate(_ERRORS)
        assert not errors, "\n".join(errors)

    def _broke(self, error: object) -> None:
        if not any(re.search(pattern, str(error)) for pattern in ALLOWED_CONSOLE):
            self.problems.append(f"uncaught: {error}")

    def _heard(self, message: ConsoleMessage) -> None:
        text = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not any(re.search(pattern, text) for pattern in ALLOWED_CONSOLE):
            self.problems.append(text)
