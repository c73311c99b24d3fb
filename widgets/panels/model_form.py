"""Which model to load, and how: a menu, a name of one's own, and settings that are folded away."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets
import torch

from workbench.models import bundled_names
from workbench.models.settings import QUANTIZATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = "folder or hub id …"
NONE = "none"
"""No quantization: a word of its own, since a menu whose value is None shows nothing."""
DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")
_STYLE = {"description_width": "84px"}


@dataclass(frozen=True)
class ModelRequest:
    """What `wb.load` is to be asked for; its fields are that function's arguments."""

    source: str = "demo"
    device: str = "auto"
    dtype: str = "auto"
    revision: str | None = None
    quantization: str | None = None

    def arguments(self) -> dict[str, Any]:
        """For `load(**arguments)` and `estimate(**arguments)`."""
        return asdict(self)


def devices() -> list[str]:
    """What this machine can hold a model on, auto first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["auto", "cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


class ModelForm(ipywidgets.VBox):
    """The menu of bundled models, a field for others, and revision, dtype, device and quantization behind Settings.

    Args:
        request: to begin with.
        changed: called after every change.
    """

    def __init__(self, request: ModelRequest, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._make_source()
        self._make_settings()
        self._quiet = False
        row = {"flex_flow": "row wrap", "align_items": "center"}
        super().__init__([ipywidgets.HBox([self.menu, self.text, self.more], layout=row), self.settings])
        self.request = request
        for control in (self.menu, self.text, *self.settings.children):
            control.observe(lambda _: self._moved(), "value")
        self.more.observe(lambda _: self._arrange(), "value")

    def _make_source(self) -> None:
        self.menu = ipywidgets.Dropdown(
            options=[*bundled_names(), OTHER], layout={"width": "160px"},
            tooltip="A bundled model, or one of your own: a folder or a model on the hub",
        )  # fmt: skip
        self.text = ipywidgets.Text(
            placeholder="./my-model or Qwen/Qwen3-0.6B, then Enter", continuous_update=False,
            layout={"flex": "1 1 200px", "width": "auto", "min_width": "0"},
            tooltip="A folder with config.json, tokenizer and safetensors weights, or owner/name on the hub",
        )  # fmt: skip
        self.more = ipywidgets.ToggleButton(
            description="Settings", icon="sliders", tooltip="Revision, dtype, device and quantization",
            layout={"width": "100px"},
        )  # fmt: skip

    def _make_settings(self) -> None:
        wide = {"width": "230px"}
        self.revision = ipywidgets.Text(
            placeholder="branch, tag or commit", description="revision", style=_STYLE, continuous_update=False,
            layout=wide, tooltip="For models on the hub; the main branch where nothing is given",
        )  # fmt: skip
        self.dtype = ipywidgets.Dropdown(
            options=DTYPES, description="dtype", style=_STYLE, layout=wide,
            tooltip="What it computes in; auto: as it was saved. bfloat16 halves the memory of float32",
        )  # fmt: skip
        self.device = ipywidgets.Dropdown(
            options=devices(), description="device", style=_STYLE, layout=wide,
            tooltip="Where it computes; auto: the accelerator where there is one, else the CPU",
        )  # fmt: skip
        self.quantization = ipywidgets.Dropdown(
            options=[NONE, *QUANTIZATIONS], description="quantization",
            style=_STYLE, layout=wide, tooltip="Fewer bits a weight, through bitsandbytes: less memory, coarser logits",
        )  # fmt: skip
        self.settings = ipywidgets.HBox(
            [self.revision, self.dtype, self.device, self.quantization], layout={"flex_flow": "row wrap"}
        )

    @property
    def request(self) -> ModelRequest:
        """What the controls say; `source` is empty where no model of one's own is named yet. Setting it moves them."""
        source = self.text.value.strip() if self.menu.value == OTHER else self.menu.value
        bits = None if self.quantization.value == NONE else self.quantization.value
        return ModelRequest(source, self.device.value, self.dtype.value, self.revision.value.strip() or None, bits)

    @request.setter
    def request(self, request: ModelRequest) -> None:
        self._quiet = True
        try:
            bundled = request.source in self.menu.options and request.source != OTHER
            self.menu.value = request.source if bundled else OTHER
            self.text.value = "" if bundled else request.source
            self.dtype.value, self.device.value = request.dtype, request.device
            self.revision.value, self.quantization.value = request.revision or "", request.quantization or NONE
        finally:
            self._quiet = False
        self._moved()

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        names = ("menu", "text", "revision", "dtype", "device", "quantization")
        return {name: getattr(self, name) for name in names}

    def _moved(self) -> None:
        if not self._quiet:
            self._arrange()
            self._changed()

    def _arrange(self) -> None:
        """What does not apply is not shown."""
        self.text.layout.display = None if self.menu.value == OTHER else "none"
        self.settings.layout.display = None if self.more.value else "none"

    def close(self) -> None:
        """Close all controls."""
        for part in (*self.children[0].children, *self.settings.children, *self.children):
            part.close()
        super().close()
