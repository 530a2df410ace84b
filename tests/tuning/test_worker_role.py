"""The role of a process in a search on several machines."""

from __future__ import annotations

import pytest

from pipeline.errors import UsageError
from pipeline.tuning.worker_role import WorkerRole, worker_role


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "alpha")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "10.0.0.7")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    monkeypatch.setenv("PIPELINE_SEARCH_KEY", "0123456789abcdef")
    return monkeypatch


def error() -> str:
    with pytest.raises(UsageError) as raised:
        worker_role()
    return str(raised.value)


def test_a_process_has_the_role_of_its_environment(variables: pytest.MonkeyPatch) -> None:
    role = WorkerRole("alpha", ("10.0.0.7", 8000), is_chief=False, key=b"0123456789abcdef")
    assert worker_role() == role
    assert "0123456789abcdef" not in str(role)
    variables.setenv("KERASTUNER_TUNER_ID", "chief")
    assert worker_role() == WorkerRole("chief", role.address, is_chief=True, key=role.key)


def test_a_process_without_the_variables_of_keras_tuner_has_no_role(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIPELINE_SEARCH_KEY", "0123456789abcdef")
    assert worker_role() is None


def test_missing_variables_are_named(variables: pytest.MonkeyPatch) -> None:
    variables.delenv("KERASTUNER_ORACLE_IP")
    variables.delenv("PIPELINE_SEARCH_KEY")
    assert error() == (
        "A search on several machines needs KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP, "
        "KERASTUNER_ORACLE_PORT, PIPELINE_SEARCH_KEY. Missing: KERASTUNER_ORACLE_IP, "
        "PIPELINE_SEARCH_KEY. The key is the same on every machine. Make one with: "
        'python -c "import secrets; print(secrets.token_hex(32))"'
    )


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_a_port_is_a_number(variables: pytest.MonkeyPatch, port: str) -> None:
    variables.setenv("KERASTUNER_ORACLE_PORT", port)
    assert error() == (
        f"KERASTUNER_ORACLE_PORT: expected a number from 1 to 65535. Received '{port}'."
    )
