"""Module: a backbone with its loss, optimiser and figures for Lightning, in the layout of the published hub models."""

from __future__ import annotations

from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from undercast.errors import ModelError
from undercast.training.bigearthnet.hub_config import HubConfig, read_config
from undercast.training.bigearthnet.hub_files import WEIGHTS, fill, hub_folder
from undercast.training.bigearthnet.metrics import average_precision_macro
from undercast.training.bigearthnet.networks import backbone
from undercast.training.bigearthnet.schedule import Schedule

MONITORED = "val/MultilabelAveragePrecision_macro"
"""Figure that early stopping and the best checkpoint go by."""

Batch = tuple[Tensor, Tensor]


class Network(nn.Module):
    """The backbone under the name that it has in published weights: ``model.vision_encoder``."""

    def __init__(self, config: HubConfig) -> None:
        super().__init__()
        self.vision_encoder = backbone(config)

    def forward(self, patches: Tensor) -> Tensor:
        """Give logits ``(batch, label)``."""
        logits: Tensor = self.vision_encoder(patches)
        return logits


class SceneClassifier(LightningModule, PyTorchModelHubMixin):
    """A scene classifier: normalised patches ``(batch, channel, y, x)`` in, one logit for each label out.

    ``save_pretrained`` and ``from_pretrained`` write and read the folders of BIFOLD-BigEarthNetv2-0.
    """

    def __init__(self, config: HubConfig, schedule: Schedule | None = None, weight_decay: float = 0.01) -> None:
        super().__init__()
        self.config = config
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.model = Network(config)
        self._seen: list[Batch] = []

    def forward(self, patches: Tensor) -> Tensor:
        """Give logits ``(batch, label)``."""
        logits: Tensor = self.model(patches)
        return logits

    def training_step(self, batch: Batch, _number: int) -> Tensor:
        """Give the loss of a batch."""
        patches, labels = batch
        loss = binary_cross_entropy_with_logits(self(patches), labels)
        self.log("train/loss", loss, batch_size=len(patches))
        return loss

    def validation_step(self, batch: Batch, _number: int) -> None:
        """Keep logits and labels until the end of the epoch."""
        patches, labels = batch
        self._seen.append((self(patches), labels))

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the figure that early stopping goes by."""
        logits, labels = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        self._seen.clear()
        self.log("val/loss", binary_cross_entropy_with_logits(logits, labels))
        self.log(MONITORED, average_precision_macro(logits, labels))

    def configure_optimizers(self) -> Any:
        """Give AdamW and its learning rate by step."""
        if self.schedule is None:
            msg = "a schedule is needed to train; this classifier was made for scoring."
            raise ModelError(msg)
        plan = self.schedule
        optimiser = torch.optim.AdamW(self.parameters(), lr=plan.highest, weight_decay=self.weight_decay)
        by_step = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: plan.rate(step) / plan.highest)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": by_step, "interval": "step"}}

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **_options: Any) -> SceneClassifier:
        """Load a folder or an id of the hub; the mixin alone would open pickles and leave gaps unsaid.

        Raises:
            ModelError: If a part is missing, or the weights are not those of the network in ``config.json``.
        """
        folder = hub_folder(model_id)
        classifier = cls(read_config(folder))
        fill(classifier, folder / WEIGHTS)
        return classifier
