"""A real classifier, measured: its accuracy once the truths are known, and its drift when a sensor goes wrong.

    pip install scikit-learn
    python examples/classifier.py

A logistic regression learns on half of scikit-learn's breast cancer data. The other half comes in as patients do, one
by one. Later a device is replaced, and the new one measures radii too large by a half.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from otel_measure import ModelType, flush, get_ai_model_service

MODEL, VERSION = "tumour", "1"
FEATURES = 8


def main() -> None:
    """Train, serve, shift, and print what was found."""
    data = load_breast_cancer()
    names = [str(name) for name in data.feature_names[:FEATURES]]
    labels = [str(data.target_names[target]) for target in data.target]
    train_x, test_x, train_y, test_y = train_test_split(
        data.data[:, :FEATURES], labels, test_size=0.5, random_state=0, stratify=labels
    )
    classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(train_x, train_y)

    ai = get_ai_model_service()
    ai.register_model(MODEL, VERSION, ModelType.CLASSIFICATION, targets={"accuracy": 0.9})
    ai.set_drift_reference(
        MODEL,
        VERSION,
        predictions=list(classifier.predict(train_x)),
        features={name: list(train_x[:, column]) for column, name in enumerate(names)},
    )

    def serve(values: Mapping[str, float], truth: str) -> None:
        with ai.inference(MODEL, VERSION, features=values) as call:
            call.set(prediction=str(classifier.predict([list(values.values())])[0]))
        if call.inference_id is not None:
            ai.record_ground_truth(call.inference_id, truth)

    def serve_all(factor: float) -> None:
        order = list(range(len(test_x)))
        random.Random(0).shuffle(order)
        for i in order:
            values = {name: float(test_x[i, column]) for column, name in enumerate(names)}
            serve(values | {names[0]: values[names[0]] * factor}, test_y[i])

    for period, factor in (("as trained", 1.0), ("after the device was replaced", 1.5)):
        serve_all(factor)
        flush()
        snapshot = ai.get_model_performance_snapshot(MODEL, VERSION)
        drift = ai.detect_model_drift(MODEL, VERSION)
        print(f"{period}:")
        if snapshot.accuracy is not None:
            print(f"  accuracy {snapshot.accuracy.accuracy:.3f} of {snapshot.accuracy.labelled} labelled predictions")
        if drift is not None:
            print(
                f"  {drift.drift_status.value}, score {drift.drift_score:.2f}; drifted: {list(drift.evidence.drifted)}"
            )
        print(f"  health {snapshot.health_score:.0f}/100")
        for sentence in snapshot.recommendations:
            print(f"  - {sentence}")


if __name__ == "__main__":
    main()
