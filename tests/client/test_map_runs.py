"""Distributed Maps as a user has them: files in, Python functions on the items, files out."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import nbflow as nf
from nbflow.client.display import tree
from nbflow.client.progress import watch
from nbflow.language.values import Json

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:price"


def price(order: dict[str, int]) -> int:
    if order["pieces"] < 0:
        raise ValueError(f"{order['pieces']} pieces")
    return order["pieces"] * 3


def total(batch: dict[str, list[dict[str, int]]]) -> int:
    return sum(order["pieces"] for order in batch["Items"])


def definition(*, type: str = "STANDARD", **state: Json) -> dict[str, Json]:
    work = {"Type": "Task", "Resource": FUNCTION, "End": True}
    prices = {
        "Type": "Map",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSONL"},
            "Parameters": {"Uri": "data/*.jsonl"},
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": type},
            "StartAt": "Price",
            "States": {"Price": work},
        },
        "End": True,
        **state,
    }
    return {"StartAt": "Prices", "States": {"Prices": prices}}


@pytest.fixture(autouse=True)
def files(connection: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here" / "data"
    folder.mkdir(parents=True)
    for name, pieces in (("a", [1, 2]), ("b", [3, -4])):
        (folder / f"{name}.jsonl").write_text("".join(f'{{"pieces": {n}}}\n' for n in pieces))
    monkeypatch.chdir(tmp_path / "here")


def test_items_from_files_and_results_to_a_folder(
    dask_client: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Uri": "results"}}
    machine = nf.StateMachine(
        definition(ToleratedFailureCount=1, ResultWriter=writer), name="orders", tasks={"price": price}
    )
    run = machine.start()
    monkeypatch.chdir(tmp_path)  # what the run reads and writes is where it was started
    output = run.result()
    assert isinstance(output, dict)
    manifest = Path(output["ResultWriterDetails"]["Uri"])
    assert manifest.parents[1] == tmp_path / "here" / "results"
    succeeded = json.loads((manifest.parent / "SUCCEEDED_0.json").read_text())
    assert [each["Output"] for each in succeeded] == ["3", "6", "9"]
    [failed] = json.loads((manifest.parent / "FAILED_0.json").read_text())
    assert failed["Error"] == "ValueError"

    step = run["Prices"]
    assert (step.status, len(step)) == ("SUCCEEDED", 4)
    assert step.map_run is not None
    assert step.map_run["itemCounts"]["failed"] == 1
    assert [child.status for child in step.children] == ["SUCCEEDED"] * 3 + ["FAILED"]
    assert step.children[0]["Price"].output == 3
    assert step.children[3].machine == "orders/Prices"
    with pytest.raises(nf.NbflowError, match="items of step 'Prices' are executions of their own"):
        step[1]
    assert [each.name for each in nf.executions()] == [run.name]
    assert run.board.states["Prices"].done == 4
    assert any("Prices" in each and "Map, 3 of 4, 1 failed" in each for each in tree(run.trace.visits))


def test_express_children_in_batches(dask_client: object) -> None:
    batcher = {"MaxItemsPerBatch": 3}
    machine = nf.StateMachine(
        definition(type="EXPRESS", ItemBatcher=batcher), name="orders", tasks={"price": total}
    )
    run = machine.start()
    assert run.result() == [6, -4]
    assert run["Prices"].children == []
    assert len(run["Prices"]) == 4


def test_a_dry_run_of_gc_counts_the_children(dask_client: object) -> None:
    machine = nf.StateMachine(definition(ToleratedFailureCount=1), name="orders", tasks={"price": price})
    machine.run()
    assert nf.gc(keep=0, dry_run=True).executions == 5
    assert nf.gc(keep=0).executions == 5


def test_what_fails_says_so(dask_client: object) -> None:
    run = nf.StateMachine(definition(MaxConcurrency=1), name="orders", tasks={"price": price}).start()
    console = Console(file=io.StringIO(), width=120)
    watch(run, console)
    for shown in (console.file.getvalue(), "".join(tree(run.trace.visits))):  # type: ignore[attr-defined]
        assert "Map, 3 of 4, 1 failed" in shown
    assert run.error == "States.ExceedToleratedFailureThreshold"
    assert run.failed is not None
    assert run.failed.name == "Prices"
    assert [attempt["error"] for attempt in run.failed.attempts] == [run.error]
    explained = run.explain()
    assert "failed in step 'Prices': States.ExceedToleratedFailureThreshold" in explained
    assert "the first child that failed: execution" in explained
    assert "of orders/Prices failed in step 'Price': ValueError: -4 pieces" in explained
    missing = definition()
    missing["States"]["Prices"]["ItemReader"]["Parameters"] = {"Uri": "none/*.jsonl"}
    run = nf.StateMachine(missing, name="orders", tasks={"price": price}).start().wait()
    assert run.error == "States.ItemReaderFailed"
    assert run.cause is not None
    assert "none/*.jsonl: no file matches" in run.cause


def test_watching_a_map_run(dask_client: object) -> None:
    console = Console(record=True, width=120, force_terminal=True)
    machine = nf.StateMachine(
        definition(ToleratedFailurePercentage=100), name="orders", tasks={"price": price}
    )
    run = watch(machine.start(), console)
    assert run.status == "SUCCEEDED"
    text = console.export_text()
    assert "Prices" in text
    assert f"{run.name} SUCCEEDED" in text
