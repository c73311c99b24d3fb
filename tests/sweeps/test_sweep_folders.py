"""What a sweep's folder survives: a second start, a kill at any moment, files cut short, a refusal, other people's."""

import json
import shutil

import pytest

import workbench as wb
from tests.sweeps.sweep_cases import SETTINGS, few, rows, same
from workbench.errors import SweepError
from workbench.sweeps.folder import SweepFolder

SMALL = SETTINGS | {"samples": 1, "max_new_tokens": 8, "batch_size": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return wb.sweeps.run("demo", few(2), out=tmp_path_factory.mktemp("folders") / "made", **SMALL)


@pytest.fixture
def copy(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "copy")
    return wb.sweeps.open_sweep(tmp_path / "copy")


def test_a_refused_second_run_takes_nothing_from_the_one_under_way(copy):
    under_way = copy.folder / "traces" / ".part-00001.parquet.abc.part"
    under_way.write_bytes(b"being written")
    with SweepFolder(copy.folder).locked(), pytest.raises(SweepError, match="Another run"):
        wb.sweeps.run("demo", few(2), out=copy.folder, **SMALL)
    assert under_way.read_bytes() == b"being written"


def test_killed_before_its_settings_were_written_it_starts(made, tmp_path):
    for kind in ("traces", "results"):
        (tmp_path / kind).mkdir()
    few(2).frame.write_parquet(tmp_path / "problems.parquet")
    (tmp_path / ".sweep.json.abc.part").write_text("{")
    same(wb.sweeps.run("demo", few(2), out=tmp_path, **SMALL), made)


@pytest.mark.parametrize("kind", ["traces", "results"])
@pytest.mark.parametrize("left", [0, 2, 0.5, -1])
def test_a_file_cut_short_is_not_read_and_its_unit_is_done_again(copy, made, kind, left):
    part = copy.folder / kind / "part-00001.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    assert len(copy.missing) == 1
    assert len(copy.to_frame()) == 1
    assert copy.traces.collect()["problem"].n_unique() == 1
    missing = next(row["problem"] for row in rows(made).to_dicts() if row["problem"] not in set(rows(copy)["problem"]))
    with pytest.raises(SweepError, match="is not decoded yet"):
        copy.trace(missing)
    same(wb.sweeps.run("demo", few(2), out=copy.folder, **SMALL), made)


def test_what_was_refused_starts_smaller_in_the_same_folder(made, tmp_path, monkeypatch):
    needed = wb.sweeps.estimate("demo", few(2), **_without_progress(SMALL | {"batch_size": 2})).memory
    monkeypatch.setattr("workbench.sweeps.estimating.available_memory", lambda _: needed - 1)
    with pytest.raises(SweepError, match=r"smaller batch_size \(1 would do\)"):
        wb.sweeps.run("demo", few(2), out=tmp_path / "s", **SMALL | {"batch_size": 2})
    same(wb.sweeps.run("demo", few(2), out=tmp_path / "s", **SMALL), made)


def test_traces_of_discarded_settings_do_not_stay(tmp_path, made):
    wb.sweeps.run("demo", few(2), out=tmp_path / "s", stop=lambda: True, **SMALL | {"samples": 9})
    (tmp_path / "s" / "traces" / "part-00017.parquet").write_bytes(b"killed before its results")
    same(wb.sweeps.run("demo", few(2), out=tmp_path / "s", **SMALL), made)
    assert len(list((tmp_path / "s" / "traces").iterdir())) == 2


def test_a_limit_left_out_is_another_limit(copy):
    with pytest.raises(SweepError, match="max_new_tokens was 8 and is None"):
        wb.sweeps.run("demo", few(2), out=copy.folder, **SMALL | {"max_new_tokens": None})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "holds no settings"),
        (json.dumps({"format": 1, "samples": 3}), "lacks batch_size, grader"),
        (json.dumps({"format": 99}), "another version"),
        (json.dumps({"method": "bayes"}), "another version"),
    ],
)
def test_another_programs_sweep_json_is_neither_read_nor_replaced(tmp_path, text, words):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(SweepError, match=words):
        wb.sweeps.open_sweep(tmp_path)
    with pytest.raises(SweepError, match=words):
        wb.sweeps.run("demo", few(2), out=tmp_path, **SMALL)
    assert (tmp_path / "sweep.json").read_text() == text


def test_results_without_settings_are_not_written_over(copy):
    (copy.folder / "sweep.json").unlink()
    before = (copy.folder / "results" / "part-00000.parquet").read_bytes()
    with pytest.raises(SweepError, match="holds other files"):
        wb.sweeps.run("demo", few(2), out=copy.folder, **SMALL)
    assert (copy.folder / "results" / "part-00000.parquet").read_bytes() == before


def test_a_folder_of_other_things_gets_not_even_a_lock(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SweepError, match="holds other files"):
        wb.sweeps.run("demo", few(2), out=tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_cannot_be_locked_is_named(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(SweepError, match=r"\.lock cannot be written"):
        wb.sweeps.run("demo", few(2), out=tmp_path, **SMALL)


@pytest.mark.parametrize("wrong", [{"backend": "slurm"}, {"workers": 0}, {"samples": 0}, {"sampler": {}}])
def test_a_wrong_argument_leaves_no_folder(tmp_path, wrong):
    with pytest.raises(SweepError):
        wb.sweeps.run("demo", few(2), out=tmp_path / "s", **SMALL | wrong)
    assert not (tmp_path / "s").exists()


def test_a_stop_reaches_the_timing_before_the_first_unit(tmp_path):
    asked, seen = [], []

    def third_time():
        asked.append(True)
        return len(asked) >= 3

    sweep = wb.sweeps.run("demo", few(2), out=tmp_path / "s", stop=third_time, **SMALL | {"progress": seen.append})
    assert not seen  # no step of the sweep itself
    assert not sweep.complete
    assert not list((sweep.folder / "traces").iterdir())


def _without_progress(settings):
    return {name: value for name, value in settings.items() if name != "progress"}
