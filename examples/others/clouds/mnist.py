"""A training as SageMaker's PyTorch containers run it: hyperparameters are arguments, folders are variables `SM_*`.

On the digits that scikit-learn ships, instead of MNIST's."""

import argparse
import os

import numpy as np
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--data-dir", default=os.environ["SM_CHANNEL_TRAINING"])
args = parser.parse_args()

torch.set_num_threads(1)
torch.manual_seed(1)
data = np.load(f"{args.data_dir}/digits.npz")
x, y = torch.tensor(data["x"], dtype=torch.float32), torch.tensor(data["y"])
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.5)
loss = torch.nn.functional.cross_entropy
for _ in range(args.epochs):
    for begin in range(0, 1500, args.batch_size):
        optimizer.zero_grad()
        part = slice(begin, min(begin + args.batch_size, 1500))
        loss(model(x[part]), y[part]).backward()
        optimizer.step()
    with torch.no_grad():
        out = model(x[1500:])
        right = (out.argmax(1) == y[1500:]).float().mean()
        print(
            f"Test set: Average loss: {loss(out, y[1500:]):.4f}, Accuracy: {right:.3f}", flush=True
        )
torch.save(model.state_dict(), f"{args.model_dir}/model.pth")
