import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from scipy.special import entr, logsumexp, softmax

from workbench.errors import LogitsError, ParameterError
from workbench.kernels import temper_rows, warm
from workbench.traces.sketch import ARRAYS, LogitSketch
from workbench.traces.sketch_torch import sketch_tensor
from workbench.traces.sketching import SketchWriter, sketch_logits

BOTH = pytest.mark.parametrize("sketch", [
    sketch_logits,
    lambda logits, token_ids=None, *, top=256, bin_width=0.25: sketch_tensor(
        torch.as_tensor(np.asarray(logits)),
        np.full(len(logits), -1, np.int32) if token_ids is None else np.asarray(token_ids, np.int32),
        top=top, bin_width=bin_width,
    ),
], ids=["kernel", "torch"])  # fmt: skip


def normal(rows, vocabulary, spread=3.0, seed=0):
    return np.random.default_rng(seed).normal(0, spread, (rows, vocabulary)).astype(np.float32)


def slow_sketch(row, k, bin_width):
    """One row the obvious way: (order, bins) with bins as {b: offsets u}."""
    order = np.lexsort((np.arange(len(row)), -row.astype(np.float64)))
    rest = row[order[k:]].astype(np.float64)
    depth = row.astype(np.float64).max() - rest[np.isfinite(rest)]
    b = np.minimum(depth / bin_width, 255).astype(int)
    return order[:k], {i: depth[b == i] - i * bin_width for i in np.unique(b)}


def assert_same(one, other):
    assert (one.vocabulary, one.bin_width) == (other.vocabulary, other.bin_width)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name, strict=True)


def nasty(rows=7, vocabulary=3000):
    """Ties everywhere, exclusions, one survivor, a flat row, masks written as the lowest float, a huge spread."""
    logits = normal(rows, vocabulary)
    logits[1] = np.round(logits[1])
    logits[2, ::2] = -np.inf
    logits[3, 1:] = -np.inf
    logits[4] = -0.0
    logits[4, ::3] = 0.0
    logits[5, 5:] = np.finfo(np.float32).min
    logits[6] *= 30
    return logits


@BOTH
@pytest.mark.parametrize("top", [1, 7, 256, 2999])
@pytest.mark.parametrize("bin_width", [0.25, 0.1, 2.0])
def test_holds_what_the_obvious_way_finds(sketch, top, bin_width):
    logits = nasty()
    found = sketch(logits, top=top, bin_width=bin_width)
    for t, row in enumerate(logits):
        order, bins = slow_sketch(row, top, bin_width)
        assert found.top_ids[t].tolist() == order.tolist()
        assert found.top_logits[t].tolist() == row[order].tolist()
        counts = {int(b): int(found.tail_count[t, b]) for b in np.flatnonzero(found.tail_count[t])}
        assert counts == {int(b): len(u) for b, u in bins.items()}
        for b, u in bins.items():
            with np.errstate(over="ignore"):
                assert found.tail_mean[t, b] == pytest.approx(u.mean(), rel=1e-5, abs=1e-7)
                assert found.tail_mean_square[t, b] == pytest.approx(
                    min((u * u).mean(), 3.4028235e38), rel=1e-5, abs=1e-9
                )
        assert found.count[t] == np.isfinite(row).sum()
        assert found.low[t] == row[np.isfinite(row)].min()


@BOTH
def test_statistics_are_those_of_the_whole_row(sketch):
    logits = nasty()[:5]
    found = sketch(logits, np.arange(5))
    wide = logits.astype(np.float64)
    p = softmax(wide, axis=1)
    assert found.log_z == pytest.approx(logsumexp(wide, axis=1), rel=1e-6)
    assert found.entropy == pytest.approx(entr(p).sum(1), rel=1e-6, abs=1e-12)
    masked = np.ma.masked_invalid(wide)
    assert found.mean == pytest.approx(masked.mean(1).data, rel=1e-5, abs=1e-6)
    assert found.std == pytest.approx(masked.std(1).data, rel=1e-5, abs=1e-6)


@BOTH
def test_rank_counts_strictly_larger_logits_wherever_the_token_lies(sketch):
    logits = np.zeros((6, 1000), np.float32)
    logits[:, 100:] = -1.0
    logits[:, 999] = -np.inf
    found = sketch(logits, [0, 99, 100, 998, 999, -1], top=16)
    assert found.token_rank.tolist() == [0, 0, 100, 100, 999, -1]
    assert found.token_logit[:5].tolist() == [0, 0, -1, -1, -np.inf]
    assert np.isnan(found.token_logit[5])
    assert found.token_ids.tolist() == [0, 99, 100, 998, 999, -1]


@BOTH
@pytest.mark.parametrize("top", [3000, 5000])
def test_with_k_at_least_v_nothing_is_lost(sketch, top):
    logits = nasty()
    found = sketch(logits, top=top)
    assert found.top_ids.shape == (7, 3000)
    assert found.tail_count.shape == (7, 0)
    back = np.empty_like(logits)
    np.put_along_axis(back, found.top_ids.astype(int), found.top_logits, axis=1)
    np.testing.assert_array_equal(back, logits)
    for temperature in (0.3, 1.0, 2.0):
        warm = found.tempered(temperature)
        wide = logits.astype(np.float64) / temperature
        assert warm.log_z == pytest.approx(logsumexp(wide, axis=1), rel=1e-14)
        assert warm.entropy == pytest.approx(entr(softmax(wide, axis=1)).sum(1), rel=1e-12, abs=1e-13)
        assert (warm.log_z_bound == 0).all()
        assert (warm.log_z_corrected == warm.log_z).all()


def test_the_torch_path_agrees_with_the_kernel_field_by_field():
    logits = nasty()
    ids = np.array([3, -1, 1, 0, 2999, 7, 0], np.int32)
    kernel, by_torch = sketch_logits(logits, ids), sketch_tensor(torch.from_numpy(logits), ids, top=256, bin_width=0.25)
    for name in ARRAYS:
        one, other = getattr(kernel, name), getattr(by_torch, name)
        assert one.dtype == other.dtype, name
        np.testing.assert_allclose(other, one, rtol=2e-5, atol=2e-6, err_msg=name)


def test_bfloat16_and_float16_tensors_are_sketched_as_the_numbers_they_hold():
    for dtype in (torch.bfloat16, torch.float16):
        tensor = torch.from_numpy(normal(3, 2000)).to(dtype)
        assert_same(sketch_logits(tensor), sketch_logits(tensor.float().numpy()))


def test_a_hundredth_of_the_logits_in_memory_and_on_disk(tmp_path):
    logits = normal(24, 151_936)
    sketch = sketch_logits(logits, np.arange(24))
    assert sketch.nbytes < logits.nbytes / 100
    many = sketch[np.tile(np.arange(24), 4)]
    many.to_frame().write_parquet(tmp_path / "sketch.parquet", compression="zstd")
    assert (tmp_path / "sketch.parquet").stat().st_size < 4 * logits.nbytes / 100


@pytest.mark.parametrize("top", [8, 256, 3000])
def test_parquet_gives_back_every_bit(tmp_path, top):
    sketch = sketch_logits(nasty(), [0, -1, 5, 1, 2, 3, 4], top=top)
    sketch.to_frame().write_parquet(tmp_path / "sketch.parquet")
    frame = pl.read_parquet(tmp_path / "sketch.parquet")
    assert_same(LogitSketch.from_frame(frame, vocabulary=3000, bin_width=0.25), sketch)
    assert_frame_equal(frame, sketch.to_frame())


def test_slices_and_concatenation_undo_each_other_whatever_the_number_of_bins():
    wide, narrow = sketch_logits(normal(4, 2000, 5.0)), sketch_logits(normal(3, 2000, 0.5))
    assert wide.tail_count.shape[1] > narrow.tail_count.shape[1]
    both = LogitSketch.concatenate([narrow, wide])
    assert len(both) == 7
    assert_same(both[3:], wide)
    assert_same(both[np.array([6, 3])], wide[np.array([3, 0])])
    assert both[:3].tempered(0.8).log_z == pytest.approx(narrow.tempered(0.8).log_z, rel=1e-15)


def test_one_token_by_its_position():
    sketch = sketch_logits(normal(4, 700))
    assert_same(sketch[2], sketch[2:3])
    assert_same(sketch[-1], sketch[3:])


def test_however_a_sketch_came_about_the_same_compiled_kernel_serves_it():
    """Seconds of compilation at a slider's first move otherwise."""
    sketch = sketch_logits(normal(6, 700), bin_width=1)
    stored = LogitSketch.from_frame(sketch.to_frame(), vocabulary=700, bin_width=1.0)
    variants = [sketch, stored, sketch[::2], sketch[[4, 1]], LogitSketch.concatenate([sketch, stored])]
    warm()
    known = len(temper_rows.signatures)
    for variant in variants:
        variant.tempered(1)
    assert len(temper_rows.signatures) == known


def test_no_tokens_at_all():
    empty = sketch_logits(np.zeros((0, 300), np.float32))
    assert len(empty) == 0
    assert len(empty.tempered(1.0).log_z) == 0
    assert len(LogitSketch.from_frame(empty.to_frame(), vocabulary=300, bin_width=0.25)) == 0


def test_the_writer_grows_and_gives_each_sequence_its_own_sketch():
    steps = normal(20, 2 * 700).reshape(20, 2, 700)
    ids = np.random.default_rng(1).integers(0, 700, (20, 2)).astype(np.int32)
    writer = SketchWriter(3, 700, top=32)
    for logits, tokens in zip(steps, ids, strict=True):
        writer.append(logits, tokens)
    for b in range(2):
        assert_same(
            writer.finish(slice(b, None, 2)), sketch_logits(np.ascontiguousarray(steps[:, b]), ids[:, b], top=32)
        )


def test_the_writer_names_the_row_and_takes_back_nothing_it_has():
    writer = SketchWriter(2, 50, top=8)
    writer.append(np.zeros((2, 50), np.float32), np.zeros(2, np.int32))
    with pytest.raises(LogitsError, match="step 2 hold NaN"):
        writer.append(np.full((1, 50), np.nan, np.float32), np.zeros(1, np.int32))
    assert len(writer.finish()) == 2


@BOTH
def test_a_row_without_a_distribution_is_named(sketch):
    logits = np.zeros((3, 50), np.float32)
    logits[1] = -np.inf
    with pytest.raises(LogitsError, match="step 1 hold nothing but -inf"):
        sketch(logits)


def test_bad_parameters_are_refused():
    logits = np.zeros((2, 50), np.float32)
    for bad in ({"top": 0}, {"bin_width": 0.0}, {"bin_width": np.nan}, {"token_ids": [0, 50]}, {"token_ids": [-2, 0]}):
        with pytest.raises(ParameterError):
            sketch_logits(logits, **bad)
    with pytest.raises(LogitsError, match="one token a row"):
        sketch_logits(logits, [1])
    for temperature in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ParameterError, match="temperature"):
            sketch_logits(logits).tempered(temperature)
    with pytest.raises(ParameterError, match="joined"):
        LogitSketch.concatenate([sketch_logits(logits), sketch_logits(logits, top=3)])
    with pytest.raises(ParameterError):
        LogitSketch.concatenate([])


def test_repr_is_short_and_holds_no_data():
    assert repr(sketch_logits(normal(40, 5000))).startswith("LogitSketch(40 tokens, top 256 of 5,000, ")
    assert len(repr(sketch_logits(normal(40, 5000)))) < 100
