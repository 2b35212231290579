"""Every code that the server can send has its sentence in English and Chinese, and the English is the server's own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import bodega
from bodega import errors
from bodega.engine.configuring import _specs
from bodega.engine.loop.gate import GateLine
from bodega.errors import BadRequest, BodegaError
from bodega.schema.said import Said
from bodega.service.desk import Visit
from bodega.service.problems import problem_of
from bodega.settings import Settings
from bodega.web.console.shell import strings

ROOT = Path(bodega.__file__).parent
SENT = ("schema", "engine", "service", "insight", "evaluation", "settings.py")
"""Where what a console is told is made."""
HANDLERS = (
    "configuring", "console", "doctor", "experiments", "insight", "keyring", "letters", "judgments", "models", "rules",
    "shoppers", "fairness", "guard", "desk", "limits", "live",
)  # fmt: skip
"""Files that answer the console: every error that they make names its code."""
ERRORS = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, BodegaError)}
EN, ZH = strings("en"), strings("zh")


def calls(*where: str) -> Iterator[tuple[str, ast.Call]]:
    for each in where:
        path = ROOT / each
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    yield str(file.relative_to(ROOT)), node


def constants(node: ast.expr) -> list[str]:
    """Texts that an expression may be: a constant, or one of two."""
    if isinstance(node, ast.IfExp):
        return [*constants(node.body), *constants(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def codes() -> Iterator[tuple[str, str, list[str]]]:
    """(file, code, what is said with it where that is one plain text) of errors and sentences."""
    for file, call in calls(*SENT):
        assert isinstance(call.func, ast.Name)
        if call.func.id in ERRORS:
            found = next((each.value for each in call.keywords if each.arg == "code"), None)
            text = constants(call.args[0]) if call.args else []
        elif call.func.id == "Said":
            found, text = call.args[0], []
        elif call.func.id in ("_refused", "_held_back"):
            at = 1 if call.func.id == "_refused" else 0
            found, text = call.args[at] if len(call.args) > at else None, []
        else:
            continue
        for code in constants(found) if found is not None else []:
            yield file, code, text if len(text) == 1 else []


def test_every_code_is_said_in_both_languages() -> None:
    found = list(codes())
    assert len(found) > 100
    missing = {(file, code) for file, code, _ in found if f"said.{code}" not in EN or f"said.{code}" not in ZH}
    assert not missing
    other = {
        (file, code, text[0])
        for file, code, text in found
        if text and EN[f"said.{code}"] != text[0] and "{" not in EN[f"said.{code}"]
    }
    assert not other, "the English in the strings is not what the server says"


def test_codes_that_are_put_together_are_said_too() -> None:
    gates = [
        GateLine(gate=gate, state=state, cases=cases).said.code
        for gate in ("quality", "relevance", "exposure", "attack", "latency")
        for state, cases in (("pass", 99), ("fail", 99))
    ]
    gates += [GateLine(gate="quality", state="open", cases=3).said.code]
    gates += [GateLine(gate=gate, state="skip").said.code for gate in ("relevance", "latency")]
    decided = [f"decided.{name}_{word}" for name in ("fusion", "ranker", "language_model") for word in ("yes", "no")]
    signals = re.findall(r'yield of\("([\w.]+)"', (ROOT / "engine/drifting.py").read_text("utf-8"))
    assert len(signals) == 8
    for code in (*gates, *decided, *(f"signal_{name}" for name in signals)):
        assert {f"said.{code}"} <= EN.keys() & ZH.keys(), code


def test_no_code_stands_there_for_nobody() -> None:
    sent = {code for _, code, _ in codes()}
    made = re.compile(r"(type|decided|gate|signal_?)\b.*|signal_.*|change\.rules|experiment\.stop_.*|loop\.rejected")
    dead = {key for key in EN if key.startswith("said.") and key[5:] not in sent and not made.fullmatch(key[5:])}
    assert not dead


def test_every_kind_of_error_has_a_sentence_for_those_without_a_code() -> None:
    for name in ERRORS:
        assert f"said.type.{name}" in EN, name
        assert f"said.type.{name}" in ZH, name


def test_what_answers_the_console_names_codes() -> None:
    bare = [
        (file, call.lineno)
        for file, call in calls(*(f"service/{name}.py" for name in HANDLERS))
        if isinstance(call.func, ast.Name) and call.func.id in ERRORS
        and not any(each.arg == "code" for each in call.keywords)
    ]  # fmt: skip
    assert not bare, "give the error a code, and said.<code> to both languages"


def test_a_problem_carries_its_code() -> None:
    coded = problem_of(BadRequest("there are no words", code="steering.no_words"), Visit("1", False, ""))
    plain = problem_of(BadRequest("there are no words"), Visit("1", False, ""))
    assert b'"code":"steering.no_words"' in coded.body
    assert b'"code"' not in plain.body


def shared(key: str) -> str:
    """Places share their explanations: `explore.*.share`."""
    return re.sub(r"^(diversity|explore)\.(?!keep_days)[a-z]+", r"\1.*", key)


def test_every_setting_is_explained_in_chinese() -> None:
    """In English the page shows the text of the source itself. New setting? Add `help.<key>` to help.zh.json."""
    keys = {".".join(path) for path, _, _ in _specs(Settings)}
    tables = {shared(key.rpartition(".")[0]) for key in keys} - {""}
    wanted = {f"help.{shared(key)}" for key in keys} | {f"help.table.{name}" for name in tables}
    assert {key for key in ZH if key.startswith("help.")} == wanted


def test_a_sentence_is_kept_as_it_was_said() -> None:
    said = GateLine(gate="attack", state="fail", value=0.123, limit=0.05, text="attack: 12.3%").said
    assert said == Said("gate.attack", "attack: 12.3%", said.values)
    assert (said.values["value"], said.values["limit"]) == ("12.3%", "5.0%")


def test_one_thing_has_one_name_in_chinese() -> None:
    """What a shopper types is 搜索词, a shop 商店, a category 类目, a row that cannot be used 坏数据."""
    other = {key: text for key, text in ZH.items() if re.search(r"(?<!可)查询|店铺|分类|死信|闭环|目录医生", text)}
    assert not other
