"""Scripts that were written for Amazon, run as they are: variables of the environment alone send them here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import numpy as np
from sklearn.datasets import load_digits
from tests.service.sagemaker.clients import KEY, SECRET, Cloud
from tests.service.sagemaker.storage import Storage

#: Runs as the notebook's mnist.py does, on the digits that scikit-learn ships.
MNIST: Final = """\
    import argparse, os
    import numpy as np, torch

    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--backend", type=str, default=None)
    parser.add_argument("--model-dir", type=str, default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--data-dir", type=str, default=os.environ["SM_CHANNEL_TRAINING"])
    parser.add_argument("--num-gpus", type=int, default=os.environ["SM_NUM_GPUS"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    data = np.load(os.path.join(args.data_dir, "digits.npz"))
    x, y = torch.tensor(data["x"], dtype=torch.float32), torch.tensor(data["y"])
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.5)
    loss = torch.nn.functional.cross_entropy
    for epoch in range(1, args.epochs + 1):
        for begin in range(0, 1500, args.batch_size):
            optimizer.zero_grad()
            loss(model(x[begin : begin + args.batch_size]), y[begin : begin + args.batch_size]).backward()
            optimizer.step()
        with torch.no_grad():
            out = model(x[1500:])
            right = (out.argmax(1) == y[1500:]).float().mean()
            print(f"Test set: Average loss: {loss(out, y[1500:]):.4f}, Accuracy: {right:.3f}", flush=True)
    torch.save(model.state_dict(), os.path.join(args.model_dir, "model.pth"))
"""


class Clouds:
    """The service, an S3 server, and a folder in which scripts run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "scripts"
        self.said = ""
        self.storage = Storage(folder)
        self.cloud = Cloud(
            folder,
            images={"*/pytorch-training:*": {"script": sys.executable}},
            buckets=self.storage.buckets,
        )
        for place in (self.folder, self.folder / "code"):
            place.mkdir(exist_ok=True)
            (place / "mnist.py").write_text(dedent(MNIST))
        digits = load_digits()
        (self.folder / "data").mkdir()
        np.savez(
            self.folder / "data" / "digits.npz", x=digits.data / 16, y=digits.target.astype(int)
        )
        rng = np.random.default_rng(0)
        features = rng.normal(size=(400, 5))
        bought = (features[:, 0] + rng.normal(scale=0.5, size=400) > 0).astype(int)
        table = np.column_stack([bought, features])
        np.savetxt(self.folder / "train.csv", table[:300], delimiter=",", fmt="%.6g")
        np.savetxt(self.folder / "validation.csv", table[300:], delimiter=",", fmt="%.6g")
        module = {"Modules": {"Session": {"DefaultS3Bucket": "bucket"}, "TelemetryOptOut": True}}
        (self.folder / "sdk.yaml").write_text(
            json.dumps({"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": module}})
        )

    def run(self, script: str) -> Any:
        """Run a script; what it printed last, as JSON, and in `said` all that it printed."""
        (self.folder / "script.py").write_text(dedent(script))
        moved = {
            "AWS_ENDPOINT_URL_SAGEMAKER": f"http://127.0.0.1:{self.cloud.service.port}",
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": f"http://127.0.0.1:{self.cloud.service.port}",
            "AWS_ENDPOINT_URL_S3": self.storage.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(self.folder / "sdk.yaml"),
            "SAGEMAKER_VALIDATE_ROLE": "false",
        }
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "script.py"],
            cwd=self.folder,
            env={**os.environ, **moved},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
        self.said = ran.stdout + ran.stderr
        return json.loads(ran.stdout.splitlines()[-1])

    def close(self) -> None:
        self.cloud.close()
        self.storage.close()
