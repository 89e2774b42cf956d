"""A script for Lightning, as its users write it. The line that was added says so.

Alone it trains once; as ``command: python lightning_script.py --lr {lr}`` of a job it is a trial.
"""

import argparse

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

from tunesmith.integrations.lightning import ReportCallback


class Net(lightning.LightningModule):
    def __init__(self, lr):
        super().__init__()
        self.lr = lr
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)
        )

    def training_step(self, batch, _):
        return torch.nn.functional.mse_loss(self.layers(batch[0])[:, 0], batch[1])

    def validation_step(self, batch, _):
        loss = torch.nn.functional.mse_loss(self.layers(batch[0])[:, 0], batch[1])
        self.log("val_loss", loss)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-2)
lightning.seed_everything(0)
x = torch.randn(128, 4)
data = DataLoader(TensorDataset(x, x[:, 0] * x[:, 1]), batch_size=32)
trainer = lightning.Trainer(
    max_epochs=3,
    accelerator="cpu",
    logger=False,
    enable_progress_bar=False,
    callbacks=[ReportCallback(monitor="val_loss")],  # was: callbacks=[],
)
trainer.fit(Net(parser.parse_args().lr), data, data)
trainer.save_checkpoint("model.ckpt")
