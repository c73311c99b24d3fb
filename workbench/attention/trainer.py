"""Head statistics during a training by transformers' Trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers.trainer_callback import TrainerCallback

from workbench.errors import AttentionError

if TYPE_CHECKING:
    from transformers.trainer_callback import TrainerControl, TrainerState
    from transformers.training_args import TrainingArguments

    from workbench.attention.training import HeadLogger


class HeadLoggerCallback(TrainerCallback):
    """Calls a `HeadLogger` before the first step and after each. Made by `HeadLogger.as_trainer_callback`."""

    def __init__(self, logger: HeadLogger) -> None:
        self.logger = logger

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **given: Any,  # noqa: ANN401
    ) -> None:
        """Measure the model as it is before.

        Raises:
            AttentionError: the Trainer trains another model than the logger measures.
        """
        if not any(part is self.logger.model.hf for part in given["model"].modules()):
            raise AttentionError(
                "The Trainer trains another model than this HeadLogger measures: make the logger from the very model "
                "that Trainer(model=...) is given."
            )
        self.logger(state.global_step)

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **given: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """Measure where the logger's turn has come."""
        self.logger(state.global_step)

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: dict[str, float] | None = None,
        **given: Any,  # noqa: ANN401, ARG002
    ) -> None:
        """Take the loss, which the Trainer says after the step has ended."""
        self.logger.note_loss(state.global_step, (logs or {}).get("loss"))
