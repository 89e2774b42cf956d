"""A program for a sweep of Weights & Biases, as its users write it. The line that was added says so."""

import argparse

import wandb

import tunesmith

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--units", type=int)
arguments = parser.parse_args()
run = wandb.init(project="sweep", config=vars(arguments))
for epoch in range(3):
    loss = (arguments.lr - 0.01) ** 2 + 1 / arguments.units + 1 / (epoch + 1)
    run.log({"loss": loss})
    tunesmith.report(loss=loss)  # was nothing
run.finish()
