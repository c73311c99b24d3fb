"""The token strip's Python side: columns in, cursor and hover out, alternatives on request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import numpy.typing as npt
import traitlets

from widgets.strip.columns import Columns, Layer
from workbench.errors import ParameterError

Alternatives = Callable[[int], Sequence[tuple[str, float]]]

_HERE = Path(__file__).parent
_MODULES = ("tokens.js", "layout.js", "colour.js", "card.js", "header.js", "page.js", "strip.js")


def _joined_modules() -> str:
    """One ES module from several files: a widget's script is a single text, so imports between the files fall away."""
    source = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in _MODULES)
    source = re.sub(r'^import [^;]*? from "\./[a-z]+\.js";\n', "", source, flags=re.MULTILINE)
    return re.sub(r"^export (?=const |function |class )", "", source, flags=re.MULTILINE)


class TokenStrip(anywidget.AnyWidget):
    """The tokens of one trace as flowing text, each a box coloured by a layer, with a cursor to pin and move.

    Args:
        texts: (T,) what each token adds to the text. Untrusted: shown literally, never as HTML.
        phases: (T,) the phase of each token, such as think, answer, marker.
        layers: numbers by which to colour, by name; see `Layer`.
        on_alternatives: token index -> [(text, probability), ...], most probable first; called when somebody looks at
            a token. Without it the tooltip shows the layers only.
        **traits: any trait below.

    Raises:
        ParameterError: columns of different lengths, an unknown layer, a marked token that is not there.
    """

    _esm = _joined_modules()
    _css = (_HERE / "strip.css").read_text(encoding="utf-8")

    _columns = traitlets.Any().tag(sync=True, to_json=lambda columns, _: columns.packed())
    _answers = traitlets.Bool(default_value=False).tag(sync=True)

    colour_by = traitlets.Unicode("phase", help="name of the layer that colours the tokens, or phase").tag(sync=True)
    cursor = traitlets.Int(-1, help="the pinned token, -1 for none; an index that is not there becomes -1").tag(
        sync=True
    )
    hover = traitlets.Int(-1, help="the token under the pointer, -1 for none").tag(sync=True)
    marked = traitlets.Any((), help="indices of tokens that carry a mark, such as forking tokens").tag(
        sync=True, to_json=lambda indices, _: np.asarray(indices, dtype="<u4").tobytes()
    )
    marked_label = traitlets.Unicode("marked", help="what the mark means, for the legend").tag(sync=True)
    alternatives_label = traitlets.Unicode("raw probability, T = 1", help="what the alternatives' numbers are").tag(
        sync=True
    )
    max_height = traitlets.Int(340, help="pixels of text before the strip scrolls").tag(sync=True)

    def __init__(
        self,
        texts: Sequence[str] = (),
        phases: Sequence[str] = (),
        layers: Mapping[str, Layer] | None = None,
        *,
        on_alternatives: Alternatives | None = None,
        **traits: object,
    ) -> None:
        columns = Columns(texts, phases, layers or {})
        traits.setdefault("colour_by", _first_choice(columns))
        self._on_alternatives = on_alternatives
        super().__init__(_columns=columns, _answers=on_alternatives is not None, **traits)
        self.on_msg(self._receive)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def on_alternatives(self) -> Alternatives | None:
        """Who is asked for the alternatives of a token; may be set at any time."""
        return self._on_alternatives

    @on_alternatives.setter
    def on_alternatives(self, callback: Alternatives | None) -> None:
        self._on_alternatives = callback
        self._answers = callback is not None

    def append(self, texts: Sequence[str], phases: Sequence[str], values: Mapping[str, npt.ArrayLike]) -> None:
        """Add tokens at the end; only these travel to the browser.

        Args:
            texts: (n,) what each new token adds.
            phases: (n,) their phases.
            values: for every layer of the strip, (n,) numbers.
        """
        columns: Columns = self._columns
        self._send_tokens(columns, columns.append(texts, phases, values))

    def replace(
        self, texts: Sequence[str], phases: Sequence[str], layers: Mapping[str, Layer], *, marked: npt.ArrayLike = ()
    ) -> None:
        """Show another trace: cursor and hover let go, and late answers about the old tokens are dropped."""
        columns = Columns(texts, phases, layers, epoch=self._columns.epoch + 1)
        with self.hold_sync(), self.hold_trait_notifications():
            self._columns = columns
            self.cursor = self.hover = -1
            self.marked = marked
            if self.colour_by != "phase" and self.colour_by not in columns.layers:
                self.colour_by = _first_choice(columns)

    @traitlets.validate("colour_by")
    def _known_layer(self, proposal: dict[str, Any]) -> str:
        choices = [name for name, layer in self._columns.layers.items() if layer.selectable]
        if proposal["value"] not in [*choices, "phase"]:
            raise ParameterError(
                f"Nothing to colour by named {proposal['value']!r}; choose from {[*choices, 'phase']}."
            )
        return str(proposal["value"])

    @traitlets.validate("cursor", "hover")
    def _present(self, proposal: dict[str, Any]) -> int:
        # Not an error: a click on the trace shown before may arrive after another has taken its place.
        return int(proposal["value"]) if 0 <= proposal["value"] < len(self) else -1

    @traitlets.validate("marked")
    def _markable(self, proposal: dict[str, Any]) -> tuple[int, ...]:
        indices = np.unique(np.asarray(proposal["value"], dtype=np.int64))
        if indices.size and (indices[0] < 0 or indices[-1] >= len(self)):
            raise ParameterError(
                f"Marked tokens must lie between 0 and {len(self) - 1}: {indices[0]} to {indices[-1]}."
            )
        return tuple(indices.tolist())

    def _receive(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        columns: Columns = self._columns
        if content.get("epoch") != columns.epoch:
            return  # about tokens that are no longer shown
        if content.get("type") == "sync" and 0 <= int(content["from"]) < len(columns):
            self._send_tokens(columns, int(content["from"]))
        elif content.get("type") == "alternatives" and 0 <= int(content["token"]) < len(columns):
            self._answer(columns.epoch, int(content["token"]))

    def _answer(self, epoch: int, token: int) -> None:
        reply: dict[str, Any] = {"type": "alternatives", "epoch": epoch, "token": token, "items": [], "error": ""}
        if self._on_alternatives is None:
            return
        try:
            reply["items"] = [[str(text), float(p)] for text, p in self._on_alternatives(token)]
        except Exception as error:
            reply["error"] = str(error) or type(error).__name__  # the tooltip must not wait for ever
            raise
        finally:
            self.send(reply)

    def _send_tokens(self, columns: Columns, start: int) -> None:
        packed = columns.packed(start)
        buffers = [packed.pop("codes"), packed.pop("values")]
        del packed["layers"]
        self.send({"type": "append", **packed}, buffers=buffers)


def _first_choice(columns: Columns) -> str:
    return next((name for name, layer in columns.layers.items() if layer.selectable), "phase")
