"""Where problems may come from, and what is said of what cannot be read."""

import json
import sys

import polars as pl
import pytest

from workbench import locations
from workbench.errors import MissingPackageError, ParameterError, ProblemError
from workbench.problems import load

ROWS = [{"question": "a?", "answer": "007", "level": 1}, {"question": "b\né?", "answer": "1,000", "level": 2}]
FRAME = pl.DataFrame(ROWS)
WRITERS = {
    "sums.parquet": FRAME.write_parquet,
    "sums.csv": FRAME.write_csv,
    "sums.tsv": lambda path: FRAME.write_csv(path, separator="\t"),
    "sums.jsonl": lambda path: path.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n", encoding="utf-8"),
    "sums.ndjson": FRAME.write_ndjson,
    "sums.json": lambda path: path.write_text("\ufeff" + json.dumps(ROWS), encoding="utf-8"),
    "sums.JSON": lambda path: path.write_text(json.dumps(FRAME.to_dict(as_series=False))),
}


class Dataset:
    """What matters of a datasets.Dataset: its columns by name and as plain lists."""

    def __init__(self, frame):
        self.frame = frame
        self.column_names = frame.columns

    def to_dict(self):
        return self.frame.to_dict(as_series=False)


class ModernDataset(Dataset):
    def to_polars(self):
        return self.frame


def told(problems):
    return [problems.frame[name].to_list() for name in ("prompt", "answer", "difficulty")]


EXPECTED = [["a?", "b\né?"], ["007", "1000"], [1.0, 2.0]]


def test_the_bundled_set():
    problems = load()
    source = pl.read_parquet(locations.PROBLEMS / "arithmetic.parquet")
    assert problems.name == "arithmetic"
    assert problems.grader == "numeric"
    assert problems.frame["problem"].to_list() == source["id"].to_list()
    assert problems.frame["prompt"].to_list() == source["prompt"].to_list()
    assert problems.frame["answer"].to_list() == source["answer"].to_list()
    assert problems.frame["difficulty"].to_list() == [float(level) for level in source["difficulty"]]
    assert problems.frame["chain"].to_list() == source["chain"].to_list()


@pytest.mark.parametrize("name", WRITERS)
def test_files_of_every_kind(tmp_path, name):
    WRITERS[name](tmp_path / name)
    for source in (tmp_path / name, str(tmp_path / name)):
        problems = load(source)
        assert told(problems) == EXPECTED
        assert problems.frame["problem"].to_list() == ["sums-00001", "sums-00002"]
        assert problems.name == "sums"


@pytest.mark.parametrize(
    "source",
    [
        FRAME,
        FRAME.lazy(),
        FRAME.to_arrow(),
        FRAME.to_pandas(),
        FRAME.to_dict(as_series=False),
        ROWS,
        tuple(ROWS),
        Dataset(FRAME),
        ModernDataset(FRAME),
        {"test": Dataset(FRAME)},
    ],
    ids=lambda source: type(source).__name__,
)
def test_tables_in_memory(source):
    problems = load(source)
    assert told(problems) == EXPECTED
    assert problems.name == "problems"


def test_a_dataset_of_several_splits_asks_which():
    splits = {"train": Dataset(FRAME.head(1)), "test": Dataset(FRAME)}
    assert told(load(splits, split="test")) == EXPECTED
    with pytest.raises(ProblemError, match="several splits: choose one of 'train', 'test'"):
        load(splits)
    with pytest.raises(ProblemError, match="no split 'validation': choose one of 'train', 'test'"):
        load(splits, split="validation")


def test_a_folder_of_parquet_files(tmp_path):
    folder = tmp_path / "my sums"
    folder.mkdir()
    with pytest.raises(ProblemError, match="no Parquet file"):
        load(folder)
    FRAME.head(1).write_parquet(folder / "a.parquet")
    FRAME.tail(1).write_parquet(folder / "b.parquet")
    (folder / ".c.parquet.part").write_text("half written")
    problems = load(folder)
    assert told(problems) == EXPECTED
    assert problems.frame["problem"][0] == "my-sums-00001"
    assert len(load(folder, split="b")) == 1
    pl.DataFrame({"other": [1]}).write_parquet(folder / "c.parquet")
    with pytest.raises(ProblemError, match="do not have the same columns"):
        load(folder)


@pytest.mark.parametrize("names", [("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"),
                                   ("train/0000", "train/0001", "test/0000")])  # fmt: skip
def test_splits_of_a_downloaded_dataset_are_never_mixed(tmp_path, names):
    for name in names:
        path = tmp_path / "main" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        FRAME.with_columns(question=name + pl.col("question")).write_parquet(path)
    with pytest.raises(ProblemError, match="several splits"):
        load(tmp_path)
    assert len(load(tmp_path, split="train")) == 4
    assert len(load(tmp_path, split="test")) == 2


def test_sources_that_are_none():
    with pytest.raises(ProblemError, match=r"'arithmetc' is no bundled .*Did you mean 'arithmetic'"):
        load("arithmetc")
    for source in ("missing.csv", "./missing", "owner/data.parquet", ""):
        with pytest.raises(ProblemError, match="no such file or folder"):
            load(source)
    for source in (42, None, [1, 2], object(), {1, 2}):
        with pytest.raises(ProblemError, match="cannot be read from a"):
            load(source)
    with pytest.raises(ProblemError, match="no table of problems"):
        load({"question": ["a", "b"], "answer": ["1"]})
    with pytest.raises(ProblemError, match=r"split='test' goes with a folder"):
        load(FRAME, split="test")


def test_files_that_cannot_be_read(tmp_path):
    cases = {
        "a.parquet": (b"PAR1 and no more", "cannot be read as parquet"),
        "b.csv": (b"\xff\xfe\xfa,b\n1,\xff", "cannot be read as csv|no column|No column"),
        "c.jsonl": (b'{"question": "a", "answer": "1"}\n{"question": "b", "ans', r"c\.jsonl line 2 is not valid JSON"),
        "d.json": (b'[{"question": ', r"d\.json is not valid JSON"),
        "e.json": (b"[1, 2]", "one JSON object a problem"),
        "f.json": (b'{"question": "a"}', "one JSON object a problem"),
        "g.json": (b"\xff\xff", "cannot be read as json"),
        "h.json": (b"[" * 100_000, "not valid JSON"),
        "i.txt": (b"hello", r"read from \.parquet, \.csv"),
        "j.csv": (b"", "cannot be read as csv"),
        "k.csv": (b"question,answer\n", "has no rows"),
        "l.jsonl": (b"", "has no rows"),
        "m.pkl": (b"\x80\x04", "none of them"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ProblemError, match=message):
            load(path)
    with pytest.raises(ProblemError, match="has no splits"):
        load(path, split="test")


def test_a_dataset_of_the_hub_needs_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    for name in ("openai/gsm8k", "openai/gsm8k/main"):
        with pytest.raises(MissingPackageError, match=f"'{name}' is no file or folder here.*pip install datasets"):
            load(name, split="test")


def test_the_limit_and_the_name_are_the_callers():
    problems = load(limit=24, name="some sums")
    assert (len(problems), problems.name) == (24, "some sums")
    for limit in (0, -1, 1.5, True):
        with pytest.raises(ParameterError, match="at least 1"):
            load(limit=limit)
    with pytest.raises(ParameterError, match="exact, numeric, math"):
        load(grader="judge")
