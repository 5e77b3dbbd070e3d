#!/usr/bin/env python3
"""Fits the constants of QualityForecast.swift: weights on the train split, interval widths on the calibration split; and says
what both give on the test split, on which nothing is fitted.

    fit_quality_forecast.py FOLDER      of `qinfer synthesize … --train-requests 30000`; needs numpy
"""
import json
import pathlib
import sys

import numpy as np


def load(folder, split):
    """Of each request with a forecast: (ticks so far, ticks to come, shares seen, the change that came), in percent."""
    rows = []
    with open(folder / f"requests.{split}.jsonl") as requests, open(folder / f"requests.{split}.labels.jsonl") as labels:
        for request, label in zip(map(json.loads, requests), map(json.loads, labels)):
            facts, data = request.get("facts", {}), request["data"]
            ticks = data.get("ticksInCurrentEpoch")
            if label.get("quality_change_6h") is None or "forecastQuality6h" not in facts or not ticks:
                continue
            mean = ticks / max(facts["hoursSinceEpochStart"] * 3600, 600)
            of_late = facts.get("tickRateHourPerSecond", 0)
            so_far = 100 - facts["epochTickQualityPercent"]
            usual = facts.get("emptyTickUsualPercent", so_far)
            recent = facts.get("emptyTickRecentPercent", usual)
            rows.append((ticks, (of_late if of_late > 0.3 * mean else mean) * 6 * 3600, recent, usual, so_far, label["quality_change_6h"]))
    ticks, coming, recent, usual, so_far, change = np.array(rows, float).T
    return coming / (ticks + coming), np.stack([recent, usual, np.ones_like(usual)], 1), so_far, change


def predicted(weights, weight, shares, so_far):
    return -weight * (shares @ weights - so_far)


def least_absolute(weight, shares, so_far, change):
    """Iteratively reweighted least squares."""
    target, rows, weights = weight * so_far - change, shares * weight[:, None], np.zeros(3)
    for _ in range(200):
        inverse = 1 / np.maximum(np.abs(target - rows @ weights), 1e-4)
        weights = np.linalg.solve((rows * inverse[:, None]).T @ rows, (rows * inverse[:, None]).T @ target)
    return weights


def main():
    folder = pathlib.Path(sys.argv[1])
    weight, shares, so_far, change = load(folder, "train")
    weights = least_absolute(weight, shares, so_far, change)
    print("recentWeight, usualWeight, addedShare:", weights.round(3))
    weight, shares, so_far, change = load(folder, "calibration")
    errors = np.abs(change - predicted(weights, weight, shares, so_far))
    widths = np.quantile(errors / np.sqrt(weight), [0.8, 0.95])
    print("halfWidth80, halfWidth95:", widths.round(3))
    for split in ("train", "calibration", "test"):
        weight, shares, so_far, change = load(folder, split)
        errors = np.abs(change - predicted(weights, weight, shares, so_far))
        covered = [np.mean(errors <= width * np.sqrt(weight)) for width in widths]
        print(f"{split}: {len(change)} requests, MASE {errors.sum() / np.abs(change).sum():.3f}, covered {covered[0]:.1%} and {covered[1]:.1%}")


if __name__ == "__main__":
    main()
