"""Not a test: a warm parent that forks servers and scenarios over a shop's folder, so that one start costs 0.2 s.

Orders on stdin, one JSON object a line:
    {"do": "serve", "folder", "url": file for the address, "points"}     answers the pid
    {"do": "run", "scenario", "folder", "result": file, "points"}        answers how it ended
    {"do": "wait", "pid"}                                                answers how it ended
`points` arms failpoints in the child ("" none, "file:..." while it runs). An end is the number of the signal that
killed it, or minus the exit status. Scenarios write {"ok": ..., "error": ..., ...} into their result file.
"""

import gc
import json
import os
import sys
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import bodega
from bodega import failpoints
from bodega.adapters import backup
from bodega.engine.answer import Engine
from bodega.engine.shop import Shop
from bodega.errors import BodegaError
from bodega.protocols import NoProgress, Written
from bodega.service import create_app, run
from bodega.understanding.query.rewriter import LlmRewriter

HOST = "127.0.0.1"


def armed(points: str) -> None:
    """What the environment variable does at the start of a process."""
    failpoints.ON = bool(points) and points != "early"
    failpoints._board = failpoints._Board(points if failpoints.ON else "")


def acknowledge_early(shop: Shop) -> None:
    """The broken twin: what merely waits for its commit counts as stored."""
    submit = shop.stores.events.submit

    def early(events, *rest, **told):
        submit(events, *rest, **told)
        done: Future[Written] = Future()
        done.set_result(Written(added=len(events)))
        return done

    shop.stores.events.submit = early


def serve(order: dict[str, str]) -> None:
    shop = bodega.open(order["folder"], create=False)
    if order.get("points") == "early":
        acknowledge_early(shop)
    address = Path(order["url"])

    def started(url: str) -> None:
        beside = address.with_suffix(".new")
        beside.write_text(url)
        beside.rename(address)

    if order.get("reload", "yes") != "no":
        shop.reload()
    if order.get("reload") == "llm":  # as if `learn` had proved it
        engine = shop.engine
        learned = replace(engine.learned, rewords=LlmRewriter(shop.settings.understand))
        shop.served.now = Engine(learned, engine.shelf, engine.shoppers, engine.settings)
    run(create_app(shop, host=HOST), host=HOST, port=0, started=started)
    shop.close()


def learn(folder: str) -> dict[str, object]:
    with bodega.open(folder) as shop:
        report = shop.learn()
        return {"ok": report.published, "snapshot": report.snapshot, "served": shop.engine.learned.snapshot}


def import_file(folder: str) -> dict[str, object]:
    with bodega.open(folder) as shop:
        report = shop.catalog.add(Path(folder) / "feed.jsonl")
        return {"ok": True, "rows": report.rows, "dead": report.dead}


def open_only(folder: str) -> dict[str, object]:
    with bodega.open(folder) as shop:
        shop.reload()
        page = shop.recommend("popular")
        return {"ok": bool(page.hits), "snapshot": page.snapshot, "degraded": list(page.degraded)}


def summarise(folder: str) -> dict[str, object]:
    with bodega.open(folder) as shop:
        return {"ok": True, "events": shop.events.summary().events}


def search(folder: str) -> dict[str, object]:
    with bodega.open(folder) as shop:
        first = next(iter(shop.stores.catalog.scan()))
        page = shop.search(first.title)
        lost = shop.search("zzxqy flumox")
        return {"ok": bool(page.hits), "degraded": list(page.degraded), "lost": list(lost.degraded)}


def forget(folder: str) -> dict[str, object]:
    with bodega.open(folder) as shop:
        receipt = shop.erasures.forget("u0001")
        left = shop.stores.events.recent(user="u0001", session="", limit=10)
        return {"ok": not left, "receipt": receipt.id, "pending": shop.erasures.pending()}


def back_up(folder: str) -> dict[str, object]:
    report = backup.back_up(Path(folder), Path(folder).parent / "backup", NoProgress())
    return {"ok": True, "rows": sum(table.rows for table in report.tables)}


def restore(folder: str) -> dict[str, object]:
    report = backup.restore(Path(folder).parent / "backup", Path(folder).parent / "restored", NoProgress())
    return {"ok": True, "rows": sum(table.rows for table in report.tables)}


SCENARIOS = {
    each.__name__: each for each in (learn, import_file, open_only, summarise, search, forget, back_up, restore)
}


def scenario(order: dict[str, str]) -> None:
    result: dict[str, object]
    try:
        result = SCENARIOS[order["scenario"]](order["folder"])
    except BodegaError as error:
        result = {"ok": False, "error": type(error).__name__, "what": error.what, "status": error.status}
    except Exception as error:
        result = {"ok": False, "error": type(error).__name__, "what": str(error), "status": 500}
    beside = Path(order["result"]).with_suffix(".new")
    beside.write_text(json.dumps(result))
    beside.rename(order["result"])


def born(order: dict[str, str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 3
    try:
        sys.stdin.close()
        log = os.open(order.get("log") or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        armed(order.get("points", ""))
        (serve if order["do"] == "serve" else scenario)(order)
        status = 0
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def main() -> None:
    import bodega.engine.learn
    import bodega.wiring  # noqa: F401 - warm

    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "wait":
            print(ended(order["pid"]), flush=True)
        elif order["do"] == "serve":
            print(born(order), flush=True)
        else:
            print(ended(born(order)), flush=True)


if __name__ == "__main__":
    main()
