"""``config.yaml`` is read back as it was meant, by a YAML library and by Truss itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub_baseten.yaml_text import to_yaml

yaml = pytest.importorskip("yaml")

GOLDEN = Path(__file__).parent / "golden"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SCALARS = st.none() | st.booleans() | st.integers() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)

CHECK = """
import json, pathlib, sys
from truss.base.truss_config import TrussConfig
for path in sys.argv[1:]:
    config = TrussConfig.from_yaml(pathlib.Path(path))
    config.validate_forbid_extra()
    print(json.dumps(config.to_dict(verbose=False)))
"""


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=5))
def test_what_is_written_is_read(document):
    """Any JSON value, texts to the letter."""
    assert yaml.safe_load(to_yaml(document, "a comment\nof two lines")) == document


TRICKY = (
    *("yes", "No", "null", "~", "1", "1e3", "0x1f", "1:30", "", " a", "a ", "- a", "#", "a: b"),
    *("%", "@a", "`", "*a", "&a", "!a", "=", "<<", ".nan", ".5", "2026-11-24", "a #b", "\x85"),
    *("\u2028", "on", "y", "TRUE", "🚀", "\ufeff", "'", '"', "\\", "{{a}}", "[a]", "_", "a b c"),
)


@pytest.mark.parametrize("text", TRICKY)
def test_texts_stay_texts(text):
    """Whatever a reader of YAML would take them for."""
    assert yaml.safe_load(to_yaml({text: [text]})) == {text: [text]}


def test_it_can_be_read_by_people():
    """Block style, and quotes where they are needed only."""
    document = {"name": "a-b", "list": [{"x": 1, "y": [True]}, "two words"], "none": {}}
    assert to_yaml(document) == (
        'name: a-b\nlist:\n  - x: 1\n    "y":\n      - true\n  - two words\nnone: {}\n'
    )


@pytest.mark.sdk
def test_truss_reads_the_golden_configurations(vendor):
    """Without an unknown key, and with the values that were meant."""
    paths = sorted(GOLDEN.glob("*.config.yaml"))
    ran = subprocess.run(
        [vendor, "-c", CHECK, *paths], capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    for path, line in zip(paths, lines, strict=True):
        meant, read = yaml.safe_load(path.read_text("utf-8")), json.loads(line)
        for name in ("model_name", "requirements", "environment_variables", "secrets", "weights"):
            assert read.get(name) == meant.get(name), (path.name, name)
        for name, value in meant.get("resources", {}).items():
            assert read["resources"][name] == value
        concurrency = meant.get("runtime", {}).get("predict_concurrency", 1)
        assert read.get("runtime", {}).get("predict_concurrency", 1) == concurrency
