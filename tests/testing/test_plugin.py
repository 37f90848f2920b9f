"""The pytest plugin, in sessions of its own."""

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import nbflow as nf
from nbflow.testing import run_machine

pytest_plugins = ["pytester"]

INSTALLED = any(entry.name == "nbflow" for entry in entry_points(group="pytest11"))
"""Whether this environment has been installed since the plugin is there: then pytest loads it by itself."""

PLUGIN = () if INSTALLED else ("-p", "nbflow.testing.plugin")

SHARED = (nf.connect, run_machine)
"""Imported here: what a session in this process imports first is forgotten after it."""

TASK = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "End": True}
DEFINITION = {"StartAt": "T", "States": {"T": TASK}}


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", *arguments)


def test_a_machine_runs_on_the_tests_own_clock(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        WAIT = {{"StartAt": "W", "States": {{"W": {{"Type": "Wait", "Seconds": 86400, "End": True}}}}}}

        def test_time(run_machine, virtual_clock):
            before = virtual_clock.now()
            assert run_machine(WAIT).seconds == 86400
            assert virtual_clock.now() == before + 86400

        def test_mocks(run_machine):
            assert run_machine({DEFINITION}, {{}}, {{"T": 3}}).output == 3
        """
    )
    run(pytester).assert_outcomes(passed=2)


def test_the_store_is_the_tests_own(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NBFLOW_URL", raising=False)
    pytester.makepyfile(
        f"""
        import os
        import subprocess
        import sys
        from pathlib import Path

        import nbflow as nf

        MACHINE = nf.StateMachine({DEFINITION}, name="mine", tasks={{"f": abs}})

        def test_empty_one(nbflow_store):
            assert MACHINE.run(-1) == 1
            assert [run.machine for run in nf.executions()] == ["mine"]
            assert nbflow_store.url == os.environ["NBFLOW_URL"]

        def test_empty_again(nbflow_store, tmp_path):
            assert nf.executions() == []
            assert list(tmp_path.iterdir()) == []
            assert not Path(".nbflow").exists()

        def test_afterwards():
            assert "NBFLOW_URL" not in os.environ
        """
    )
    run(pytester).assert_outcomes(passed=3)
    assert not (pytester.path / ".nbflow").exists()


def test_a_mock_config_file_for_all_tests(pytester: pytest.Pytester) -> None:
    (pytester.path / "mocks").mkdir()
    responses = {"Seven": {"0": {"Return": 7}}}
    machines = {"m": {"TestCases": {"Lucky": {"T": "Seven"}}}}
    (pytester.path / "mocks" / "MockConfigFile.json").write_text(
        json.dumps({"StateMachines": machines, "MockedResponses": responses})
    )
    pytester.makeini("[pytest]\nnbflow_mock_config = mocks/MockConfigFile.json\n")
    pytester.makepyfile(
        f"""
        def test_case(run_machine, monkeypatch, tmp_path):
            monkeypatch.chdir(tmp_path)
            assert run_machine({DEFINITION}, case="Lucky").output == 7
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_a_case_without_a_file_says_what_to_set(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"def test_case(run_machine): run_machine({DEFINITION}, case='Lucky')")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*case=… needs a MockConfigFile: give its path as mocks, or set nbflow_mock_config*"]
    )


def test_the_fixtures_are_documented(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    listed = run(pytester, "--fixtures").stdout.str()
    for name in ("run_machine", "virtual_clock", "nbflow_store"):
        assert f"\n{name}" in listed
    assert "no docstring available" not in listed.partition("nbflow.testing.plugin")[2].partition("\n---")[0]


def test_a_session_that_uses_no_fixture_pays_nothing() -> None:
    code = (
        "import sys, pytest, nbflow; before = set(sys.modules)\n"
        "import nbflow.testing.plugin; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["nbflow.testing", "nbflow.testing.plugin"]


def test_the_kit_offers_its_names_and_no_others() -> None:
    import nbflow.testing as kit

    assert dir(kit) == sorted(kit.__all__)
    for name in kit.__all__:
        assert getattr(kit, name) is not None
    with pytest.raises(AttributeError, match=r"module 'nbflow.testing' has no attribute 'run'"):
        kit.run  # type: ignore[attr-defined]  # noqa: B018
