"""`workbench doctor`: each look alone with findings made for it, and the whole once for real."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numba
import numpy as np
import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from workbench.cli import app
from workbench.cli_doctor import line
from workbench.doctor import FAIL, OK, WARN, Check
from workbench.doctor.browser import check_browser
from workbench.doctor.check import guarded
from workbench.doctor.compiled import check_cache, check_warmth, dispatchers
from workbench.doctor.jupyter import EXTENSIONS, brought, check_extension, disabled_extensions
from workbench.doctor.machine import check_accelerator, check_memory, check_threads, usable_cores
from workbench.doctor.versions import check_package, check_versions, compare

MANAGER = EXTENSIONS[0]


@pytest.fixture(scope="module")
def report():
    """One real run in a process of its own."""
    code = "from workbench.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json"], capture_output=True, text=True, timeout=170, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    return run.returncode, json.loads(run.stdout)


def test_the_whole_of_it_passes_here(report):
    code, found = report
    failed = [check for check in found["checks"] if check["status"] == FAIL]
    assert (code, found["ok"], failed) == (0, True, [])
    names = [check["name"] for check in found["checks"]]
    assert len(set(names)) == len(names)
    for name in ("python", "torch", "transformers", "plotly", "kaleido", "ipywidgets", "anywidget", "jupyterlab",
                 "accelerator", "memory", "cores", "lab jupyterlab-manager", "numba cache", "kernels", "browser",
                 "load demo", "record", "replay", "figure as HTML", "figure as PNG"):  # fmt: skip
        assert name in names
    assert all(check["remedy"] for check in found["checks"] if check["status"] != OK)


def test_the_small_run_says_seconds(report):
    by_name = {check["name"]: check["found"] for check in report[1]["checks"]}
    for name in ("load demo", "record", "replay", "figure as HTML"):
        assert by_name[name].endswith(" s")
    assert by_name["record"].startswith("16 tokens")


def test_a_failure_makes_the_exit_code_one_and_lines_are_aligned(monkeypatch):
    checks = [Check("a", OK, "fine"), Check("bb", FAIL, "b\x1b[31mroken", "mend it")]
    monkeypatch.setattr("workbench.doctor.examine", lambda: iter(checks))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    first, second, remedy, _, summary = result.output.splitlines()
    assert first.index("fine") == second.index("b\\x1b") == remedy.index("→ mend")
    assert second.startswith("FAIL")
    assert summary == "2 checks, 0 to look at, 1 failed."
    as_json = CliRunner().invoke(app, ["doctor", "--json"])
    assert as_json.exit_code == 1
    assert json.loads(as_json.output) == {"ok": False, "checks": [check.to_dict() for check in checks]}


def test_a_warning_does_not_fail(monkeypatch):
    monkeypatch.setattr("workbench.doctor.examine", lambda: iter([Check("a", WARN, "meh", "do")]))
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0
    assert "→ do" in line(Check("a", WARN, "meh", "do"))


def test_a_look_that_breaks_is_a_failure_and_others_go_on():
    def look():
        yield Check("first", OK, "seen")
        raise ImportError("no module named x\nand more")

    seen, broken = guarded("versions", look)
    assert seen.name == "first"
    assert (broken.name, broken.status, broken.found) == ("versions", FAIL, "ImportError: no module named x")
    assert "pip install" in broken.remedy


@pytest.mark.parametrize(
    ("version", "supported", "status"),
    [("2.13.0+cpu", ">=2.8,<3", OK), ("2.7.1", ">=2.8,<3", FAIL), ("3.0", ">=2.8,<3", FAIL), ("3.0rc1", ">=2.8", OK)],
)
def test_versions_are_held_against_their_range(version, supported, status):
    check = compare("torch", version, supported, "pip install 'torch>=2.8,<3'")
    assert check.status == status
    assert (version in check.found, bool(check.remedy)) == (True, status == FAIL)


def test_packages_that_are_not_there():
    missing = check_package(Requirement("surely-not-installed>=1"))
    assert (missing.status, missing.remedy) == (FAIL, "pip install 'surely-not-installed>=1'")
    assert check_package(Requirement("surely-not-installed"), optional="for x").status == OK


def test_every_required_package_is_looked_at_once():
    names = [check.name for check in check_versions()]
    plain = {Requirement(r).name for r in metadata.requires("entropy-workbench") if "extra" not in r}
    assert plain <= set(names)
    assert len(names) == len(set(names))
    assert "pytest" not in names


def test_memory_and_threads():
    assert check_memory(10**10).status == OK
    assert check_memory(10**9).status == WARN
    assert check_memory(None).status == OK
    assert check_threads(4.0, 4, 4).status == OK
    crowded = check_threads(1.5, 8, 2)
    assert crowded.status == WARN
    assert "OMP_NUM_THREADS=1 " in crowded.remedy
    assert check_accelerator().found


def test_a_containers_quota_counts(tmp_path):
    allowed = usable_cores(tmp_path / "none")
    assert allowed >= 1
    (tmp_path / "quota").write_text("50000 100000\n")
    assert usable_cores(tmp_path / "quota") == 0.5
    (tmp_path / "open").write_text("max 100000\n")
    assert usable_cores(tmp_path / "open") == allowed


def lay(folder, version):
    place = folder / MANAGER.name
    place.mkdir(parents=True)
    (place / "package.json").write_text(json.dumps({"name": MANAGER.name, "version": version}))
    return folder


def test_an_older_copy_that_hides_the_installed_extension_is_found(tmp_path):
    old, new = lay(tmp_path / "old", "3.1.0"), lay(tmp_path / "new", "5.0.16")
    assert check_extension(MANAGER, [new, old], "5.0.16", frozenset()).status == OK
    hidden = check_extension(MANAGER, [old, new], "5.0.16", frozenset())
    assert hidden.status == WARN
    assert "3.1.0" in hidden.found
    assert str(old) in hidden.remedy


def test_extensions_missing_damaged_or_switched_off(tmp_path):
    folder = lay(tmp_path, "5.0.16")
    assert check_extension(MANAGER, [tmp_path / "none"], "5.0.16", frozenset()).status == FAIL
    assert check_extension(EXTENSIONS[2], [tmp_path / "none"], None, frozenset()).status == WARN
    off = check_extension(MANAGER, [folder], "5.0.16", frozenset([MANAGER.name]))
    assert (off.status, MANAGER.name in off.remedy) == (FAIL, True)
    (folder / MANAGER.name / "package.json").write_text("{")
    assert "damaged" in check_extension(MANAGER, [folder], "5.0.16", frozenset()).found


def test_switches_of_earlier_folders_go_first(tmp_path):
    for name, states in (("user", {"a": False, "b": True}), ("system", {"a": True, "c": True})):
        (tmp_path / name / "labconfig").mkdir(parents=True)
        (tmp_path / name / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": states}))
    assert disabled_extensions([tmp_path / "user", tmp_path / "system", tmp_path / "none"]) == {"b", "c"}


def test_what_the_packages_brought_is_known():
    assert brought(MANAGER).startswith("5.")
    assert brought(EXTENSIONS[1]) == metadata.version("anywidget")


def test_a_browser_that_is_not_there_is_a_warning_with_a_remedy(monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")
    check = check_browser()
    if check.status == OK:  # one that kaleido has downloaded goes first
        assert Path(check.found).is_file()
    else:
        assert "/nowhere/chrome" in check.found
        assert "HTML export works without" in check.remedy


def test_cold_and_warm_are_told_apart_by_numbas_own_counts(tmp_path, monkeypatch):
    path = tmp_path / "some_kernels.py"
    path.write_text("import numba\n@numba.njit(cache=True)\ndef twice(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    for status, word in ((WARN, "cold: 1 of 1"), (OK, "warm: all 1")):
        module = __import__("some_kernels")
        module.twice(np.float64(3.0))
        (kernel,) = dispatchers("some_kernels")
        assert isinstance(kernel, numba.core.dispatcher.Dispatcher)
        check = check_warmth([kernel], 0.1)
        assert (check.status, check.found[: len(word)]) == (status, word)
        assert check_cache([kernel.stats.cache_path]).status == OK
        del sys.modules["some_kernels"]


def test_a_cache_that_cannot_be_written(tmp_path):
    assert check_cache([]).status == FAIL
    check = check_cache([str(tmp_path / "gone")])
    assert check.status == WARN
    assert "NUMBA_CACHE_DIR" in check.remedy
