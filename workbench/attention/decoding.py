"""Entropies of every head at every token of a decode, kept beside its trace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.atomic import replacing
from workbench.errors import AttentionError, TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMAT = "1"
_KEY = "workbench.head_entropies"
_SCHEMA = pl.Schema(
    {
        "position": pl.Int32(),
        "token_id": pl.Int32(),
        "layer": pl.Int32(),
        "head": pl.Int32(),
        "support": pl.Int32(),
        "entropy": pl.Float32(),
    }
)


@dataclass(frozen=True, eq=False, repr=False)
class HeadEntropies:
    """What every head attended to when each of T tokens was drawn; aligned with the token table of its trace.

    Token t was drawn from the logits of the position before it, so that its row of attention is that position's: the
    prompt's last for t = 0.
    """

    entropy: NDArray[np.float32]
    """(T, L, H) row entropy in nats; NaN for a head that a layer does not have."""
    support: NDArray[np.int32]
    """(T, L): how many keys each row sees."""
    layers: tuple[int, ...]
    """The layers' numbers in the model."""
    token_ids: tuple[int, ...]
    """(T,) the tokens drawn."""
    model: str

    def __len__(self) -> int:
        return len(self.token_ids)

    def __repr__(self) -> str:
        tokens, layers, heads = self.entropy.shape
        return f"HeadEntropies({self.model}: {tokens} tokens x {layers} layers x {heads} heads)"

    @property
    def normalized(self) -> NDArray[np.float32]:
        """(T, L, H) row entropy over ln of the row's support; NaN where a row sees one key only."""
        most = np.log(np.where(self.support < 2, np.nan, self.support))
        return np.asarray(self.entropy / most[..., None], np.float32)

    def head(self, layer: int, head: int) -> NDArray[np.float32]:
        """(T,) the row entropies of one head in nats.

        Raises:
            AttentionError: no such layer or head.
        """
        if layer not in self.layers or not 0 <= head < self.entropy.shape[2]:
            raise AttentionError(
                f"There is no head {head} in layer {layer}: the layers are {list(self.layers)}, with up to "
                f"{self.entropy.shape[2]} heads."
            )
        return np.asarray(self.entropy[:, self.layers.index(layer), head])

    def to_frame(self) -> pl.DataFrame:
        """A row a token and head: position, token_id, layer, head, support, entropy (nats)."""
        tokens, layers, heads = self.entropy.shape
        position, at, head = (index.ravel() for index in np.indices((tokens, layers, heads), np.int32))
        columns = {
            "position": position,
            "token_id": np.array(self.token_ids, np.int32)[position],
            "layer": np.array(self.layers, np.int32)[at],
            "head": head,
            "support": self.support[position, at],
            "entropy": self.entropy.ravel(),
        }
        return pl.DataFrame(columns, schema=_SCHEMA).filter(pl.col("entropy").is_not_nan())

    def save(self, path: str | Path) -> Path:
        """Write one Parquet file, whole or not at all.

        Raises:
            TraceError: the folder is missing or not writable, or the disk is full.
        """
        path = Path(path).expanduser()
        about = {"model": self.model, "layers": self.layers, "heads": self.entropy.shape[2], "tokens": self.token_ids}
        with replacing(path, TraceError) as part:
            self.to_frame().write_parquet(
                part, compression="zstd", metadata={_KEY: _FORMAT, "about": json.dumps(about)}
            )
        return path

    @classmethod
    def load(cls, path: str | Path) -> HeadEntropies:
        """Read a file written by `save`.

        Raises:
            TraceError: no such file, truncated, another kind of file, of another version, or a column missing.
        """
        path = Path(path).expanduser()
        about, frame = _read(path)
        layers, tokens = tuple(about["layers"]), tuple(about["tokens"])
        entropy = np.full((len(tokens), len(layers), about["heads"]), np.nan, np.float32)
        support = np.zeros(entropy.shape[:2], np.int32)
        position, layer, head = (frame[name].to_numpy() for name in ("position", "layer", "head"))
        at = np.searchsorted(np.array(layers), layer)
        try:
            entropy[position, at, head] = frame["entropy"].to_numpy()
            support[position, at] = frame["support"].to_numpy()
        except IndexError as problem:
            raise TraceError(f"{path} was changed after it was saved ({problem}). Save it again.") from problem
        return cls(entropy, support, layers, tokens, about["model"])


def _read(path: Path) -> tuple[dict[str, Any], pl.DataFrame]:
    if not path.is_file():
        raise TraceError(f"{path}: there is no such file.")
    try:
        found = pl.read_parquet_metadata(path)
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise TraceError(f"{path} is not a Parquet file, or it is truncated ({problem}).") from problem
    version = found.get(_KEY)
    if version is None:
        raise TraceError(f"{path} holds no head entropies. HeadEntropies.save writes such files.")
    if version != _FORMAT:
        raise TraceError(f"{path} has format {version}; this version reads {_FORMAT}. Upgrade entropy-workbench.")
    missing = [name for name in _SCHEMA if name not in frame.columns]
    if missing:
        raise TraceError(f"{path} lacks the columns {missing}. It was changed after it was saved.")
    return json.loads(found["about"]), frame
