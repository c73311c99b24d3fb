"""The command line: `workbench lab`, `record`, `sweep` and `doctor`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from workbench import __version__
from workbench.cli_doctor import doctor
from workbench.cli_record import record
from workbench.cli_sweep import sweep
from workbench.errors import WorkbenchError
from workbench.locations import NOTEBOOKS


def _examples(*lines: str) -> str:
    """The end of a command's help; an empty line keeps each example on a line of its own."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])


app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    epilog=_examples(
        "workbench doctor", "workbench lab", 'workbench record "What is 17 plus 25?" --temperature 0.8',
        "workbench sweep --problems arithmetic --limit 16", "workbench record --help",
    ),
)  # fmt: skip


@app.callback(invoke_without_command=True)
def about(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Entropy Workbench: see, compare and tune how language models decode."""
    if version:
        print(__version__)


@app.command(epilog=_examples("workbench lab", "workbench lab ~/notes --notebook token_entropy.ipynb --no-browser"))
def lab(
    folder: Annotated[
        Path | None, typer.Argument(help="Where to work; installed notebooks are copied there if it has none.")
    ] = None,
    notebook: Annotated[str, typer.Option(help="The notebook to open.")] = "start_here.ipynb",
    *,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open JupyterLab on the start notebook."""
    home = _notebooks(folder)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    # The address itself names the notebook, so that one copied from the terminal leads there too.
    options = [f"--ServerApp.root_dir={home}", f"--LabApp.default_url=/lab/tree/{quote(notebook)}"]
    command = [sys.executable, "-m", "jupyter", "lab", *options]
    # Where the installation has not compiled the kernels yet, that happens while JupyterLab starts.
    compiling = subprocess.Popen([sys.executable, "-m", "workbench.samplers"])
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    code = subprocess.call(command, env=environment)  # noqa: S603  -- our own interpreter and arguments
    compiling.wait()
    raise typer.Exit(code)


app.command(
    epilog=_examples(
        'workbench record "What is 17 plus 25?"',
        'workbench record "Tell me a story." --model ./my-model --temperature 0.8 --top-p 0.95 --seed 7',
        'workbench record "What is 17 plus 25?" --n 8 --out traces/addition',
        'workbench record - --sampler \'{"temperature": 0.8, "min_p": 0.05}\' --out story.parquet < prompt.txt',
    )
)(record)
app.command(
    epilog=_examples(
        "workbench sweep --limit 16 --samples 2",
        "workbench sweep --model Qwen/Qwen3-0.6B --problems problems.csv --sampler temperature=0.7,top_p=0.9",
        "workbench sweep --problems arithmetic --backend ray --workers 4 --out sweeps/large",
    )
)(sweep)
app.command(epilog=_examples("workbench doctor", "workbench doctor --json > report.json"))(doctor)


def _notebooks(folder: Path | None) -> Path:
    """The folder to serve: the checkout's own notebooks, or copies of the installed ones in the user's folder."""
    in_checkout = not NOTEBOOKS.is_relative_to(Path(sys.prefix))
    if folder is None and in_checkout:
        return NOTEBOOKS
    home = (folder or Path.cwd() / "entropy-workbench").expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    for source in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not (home / source.name).exists():
            shutil.copy(source, home / source.name)
    return home


def main() -> None:
    """Run the command line; an error of ours is one line, not a traceback."""
    try:
        app()
    except WorkbenchError as problem:
        print(f"workbench: {problem}", file=sys.stderr)
        raise SystemExit(1) from problem
