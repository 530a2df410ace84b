"""The Python API, as a notebook uses it: a process without a terminal, and tables in HTML."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline.inference.prediction_table import ImagePrediction, PredictionTable

HOSTILE = "<script>alert(1)&"
RECIPE = """\
data: {source: image_folder, path: photographs, image_size: [8, 8], batch_size: 16}
model: {architecture: mlp, hidden: [16]}
optimizer: {learning_rate: 1e-2}
training: {epochs: 30}
"""
# What a person types in three cells; sys.ps1 is there in an interactive session.
SESSION = """
import json, sys
sys.ps1 = "In : "
import pipeline

result = pipeline.run("recipe.yaml", {"training.epochs": 3, "name": "few"})
model = pipeline.load("few")
table = model.predict(["photographs/0", "broken.png"])
print(json.dumps({
    "run_id": result.run_id,
    "epochs": result.epochs,
    "metrics": result.metrics,
    "report": str(result.report),
    "report_is_there": result.report.is_file(),
    "result_html": result._repr_html_(),
    "model_html": model._repr_html_(),
    "model_run_id": model.run_id,
    "class_names": model.class_names,
    "keras_input": model.keras_model.input_shape,
    "files": [str(each.path) for each in table],
    "labels": [each.label for each in table],
    "sums": [sum(each.probabilities.values()) for each in table],
    "errors": [each.error for each in table],
    "table_html": table._repr_html_(),
}))
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """What the session printed, and its standard error."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    directory = tmp_path_factory.mktemp("session")
    digits = load_digits()
    for label, name in ((0, "0"), (1, HOSTILE)):
        (directory / "photographs" / name).mkdir(parents=True)
        images = digits.images[digits.target == label][:40]
        for number, image in enumerate(images):
            pixels = np.round(image * (255 / 16)).astype(np.uint8)
            Image.fromarray(pixels).save(directory / "photographs" / name / f"{number}.png")
    (directory / "broken.png").write_bytes(b"no image")
    (directory / "recipe.yaml").write_text(RECIPE)
    command = [sys.executable, "-c", SESSION]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_overrides_replace_values_of_the_recipe(session: tuple[dict[str, Any], str]) -> None:
    printed, _ = session
    assert printed["epochs"] == 3
    assert printed["metrics"]["val_accuracy"] > 0.7


def test_progress_is_one_plain_line_an_epoch(session: tuple[dict[str, Any], str]) -> None:
    _, progress = session
    assert "\r" not in progress
    assert "\x1b" not in progress
    epochs = [line.split()[1] for line in progress.splitlines() if line.startswith("Epoch ")]
    assert epochs == ["1/3", "2/3", "3/3"]


def test_log_messages_are_shown_once(session: tuple[dict[str, Any], str]) -> None:
    _, progress = session
    assert progress.count("Found 80 files") == 1


def test_a_result_is_a_table_and_names_its_report(session: tuple[dict[str, Any], str]) -> None:
    printed, _ = session
    accuracy = f"{printed['metrics']['val_accuracy']:.4f}"
    assert printed["result_html"].count("<tr>") == 2
    assert f"<td>{accuracy} (" in printed["result_html"]
    assert printed["run_id"] in printed["result_html"]
    assert printed["report_is_there"], printed["report"]


def test_the_logged_model_was_verified_in_a_fresh_process(
    session: tuple[dict[str, Any], str],
) -> None:
    metrics = session[0]["metrics"]
    assert metrics["verification/count"] == 8
    assert metrics["verification/label_changes"] == 0
    assert metrics["verification/max_difference"] < 1e-5


def test_a_loaded_model_knows_its_run_and_its_classes(session: tuple[dict[str, Any], str]) -> None:
    printed, _ = session
    assert printed["model_run_id"] == printed["run_id"]
    assert printed["class_names"] == ["0", HOSTILE]
    assert printed["keras_input"] == [None, 8, 8, 3]


def test_a_directory_and_a_file_are_predicted(session: tuple[dict[str, Any], str]) -> None:
    printed, _ = session
    assert len(printed["files"]) == 41
    assert printed["files"][-1] == "broken.png"
    assert printed["labels"][:40].count("0") > 30
    assert printed["sums"][:40] == pytest.approx([1.0] * 40)
    assert (printed["labels"][40], bool(printed["errors"][40])) == ("", True)


def test_names_are_escaped_in_tables(session: tuple[dict[str, Any], str]) -> None:
    printed, _ = session
    assert "<script>" not in printed["model_html"] + printed["table_html"]
    assert "&lt;script&gt;alert(1)&amp;" in printed["model_html"]


def test_a_long_table_says_how_many_images_it_hides() -> None:
    one = ImagePrediction(Path("<a>.png"), {"class": HOSTILE, "probability": 0.75}, "")
    html = PredictionTable([one] * 1_234)._repr_html_()
    assert html.count("<td>0.7500</td>") == 50
    assert "<strong>1,234 images</strong>" in html
    assert "1,184 more images are not shown." in html
    assert "<a>" not in html
    assert "<script>" not in html


def test_importing_the_package_loads_no_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import pipeline; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "pipeline\n"


DIGITS = "data: {source: digits}\nmodel: {architecture: mlp}\n"


def test_every_error_of_a_recipe_is_raised_at_once(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(DIGITS)
    with pytest.raises(pipeline.RecipeError) as raised:
        pipeline.run("recipe.yaml", {"training.epochs": "3", "model.hiden": [1]})
    assert {problem.path for problem in raised.value.problems} == {"training.epochs", "model.hiden"}


def test_validate_returns_warnings(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(DIGITS)
    assert pipeline.validate("recipe.yaml") == ()
    flip = [{"random_flip": {"mode": "horizontal"}}]
    (warning,) = pipeline.validate(Path("recipe.yaml"), {"data.augmentation": flip})
    assert warning.path == "data.augmentation.0.random_flip"


def test_a_missing_run_is_an_error_of_the_package(in_empty_folder: Path) -> None:
    with pytest.raises(pipeline.UsageError, match="There is no run"):
        pipeline.load("latest")


def test_every_public_name_is_there() -> None:
    assert sorted(pipeline.__all__) == list(pipeline.__all__)
    assert all(hasattr(pipeline, name) for name in pipeline.__all__)


INTERRUPTED = """
import hashlib, os, signal, sys, threading
from pipeline.shutdown import graceful_shutdown

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
if sys.argv[1] == "interactive":
    sys.ps1 = "In : "
try:
    with graceful_shutdown(lambda: print("saved", flush=True)):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**23)  # native code that takes seconds
except KeyboardInterrupt:
    print("the session lives")
"""


@pytest.mark.parametrize(
    ("kind", "code", "output"),
    [("script", 130, "saved\n"), ("interactive", 0, "saved\nthe session lives\n")],
)
def test_an_interrupt_does_not_end_an_interactive_session(
    kind: str, code: int, output: str
) -> None:
    command = [sys.executable, "-c", INTERRUPTED, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, output)
