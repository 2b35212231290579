"""Commands for merchandising: rules from files, what they would move, who changed them, and back again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at
from bodega.errors import BadRequest

if TYPE_CHECKING:
    from bodega.engine.preview import Preview, PreviewRow
    from bodega.protocols import RuleChange
    from bodega.schema import Action, Filter, Rule

WHO = "cli"
STAR = "*"
rules = typer.Typer(help="Merchandising: pin, boost, bury, hide, redirect, banner, words.", no_args_is_help=True)
app.add_typer(rules, name="rules", rich_help_panel="Learn and ask")

RuleName = Annotated[str, typer.Argument(help="Id of a rule.")]
File = Annotated[Path, typer.Argument(help="JSON: one rule, a list, or one a line; `-` reads standard input.")]


@rules.command("list", epilog="Example: `bodega rules list --shop my-shop`")
def list_rules(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """All rules: when they apply and what they do."""
    with shop_at(shop) as opened:
        found = opened.rules.list()
    if as_json:
        show.json({"rules": found})
        return
    if not found:
        show.console.print("none yet; next: bodega rules add rule.json   (docs/rules.md shows rules)")
        return
    table = Table(title=f"{len(found):,} rules", title_justify="left")
    for column in ("id", "on", "priority", "when", "then", "version"):
        table.add_column(column, justify="right" if column in ("priority", "version") else "left")
    for rule in found:
        mark = "[green]yes[/]" if rule.enabled else "[red]no[/]"
        cells = (escape(rule.id), mark, str(rule.priority), escape(when_of(rule)), escape(then_of(rule)))
        table.add_row(*cells, str(rule.version))
    show.console.print(table)


@rules.command("show", epilog="Example: `bodega rules show tv-week --shop my-shop > rule.json`")
def show_rule(rule: RuleName, shop: ShopFolder = HERE) -> None:
    """One rule as JSON, as `add` and `import` read it."""
    with shop_at(shop) as opened:
        show.json(opened.rules.get(rule))


@rules.command("add", epilog="Example: `bodega rules add tv-week.json --shop my-shop`")
def add(file: File, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Add new rules; an id that is there already is refused."""
    read = rules_in(file)
    with shop_at(shop) as opened:
        _stored(opened.rules.put(*read, who=WHO, expected=0), as_json)


@rules.command("import", epilog="Example: `bodega rules import rules.jsonl --shop my-shop`")
def import_rules(file: File, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Add or replace rules, all or none: what `export` wrote, or what another shop exported."""
    read = rules_in(file)
    with shop_at(shop) as opened:
        _stored(opened.rules.put(*read, who=WHO), as_json)


@rules.command("export", epilog="Example: `bodega rules export --shop my-shop > rules.jsonl`")
def export(shop: ShopFolder = HERE) -> None:
    """All rules as JSON, one a line."""
    with shop_at(shop) as opened:
        for rule in opened.rules.list():
            show.json(rule)


@rules.command("set", epilog="Example: `bodega rules set tv-week priority=5 when.end=2026-12-01T00:00:00Z`")
def set_values(
    rule: RuleName,
    values: Annotated[list[str], typer.Argument(help="`key=value`; the value as JSON, or as text.")],
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Change some values of a rule."""
    import msgspec

    from bodega.schema import read_rule, to_plain

    with shop_at(shop) as opened:
        held = opened.rules.get(rule)
        plain = to_plain(held)
        for pair in values:
            _put_at(plain, pair)
        changed = read_rule(msgspec.json.encode(plain))
        if changed.id != held.id:
            raise BadRequest("an id does not change", where="rules set", got=changed.id, next="bodega rules import")
        _stored(opened.rules.put(changed, who=WHO, expected=held.version), as_json)


@rules.command("enable", epilog="Example: `bodega rules enable tv-week --shop my-shop`")
def enable(rule: RuleName, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Switch a rule on; the very next answer has it."""
    with shop_at(shop) as opened:
        _stored([opened.rules.enable(rule, True, who=WHO)], as_json)


@rules.command("disable", epilog="Example: `bodega rules disable tv-week --shop my-shop`")
def disable(rule: RuleName, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Switch a rule off and keep it."""
    with shop_at(shop) as opened:
        _stored([opened.rules.enable(rule, False, who=WHO)], as_json)


@rules.command("delete", epilog="Example: `bodega rules delete tv-week --shop my-shop`   (`undo` brings it back)")
def delete(rule: RuleName, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Delete a rule."""
    with shop_at(shop) as opened:
        opened.rules.delete(rule, who=WHO)
    if as_json:
        show.json({"deleted": rule})
    else:
        show.console.print(f"deleted {escape(rule)}; back with: bodega rules undo")


@rules.command("preview", epilog="Example: `bodega rules preview tv-week.json -q tv -q television --shop my-shop`")
def preview(
    rule: Annotated[str, typer.Argument(help="A file with one rule, or the id of a rule.")],
    queries: Annotated[
        list[str], typer.Option("--query", "-q", help="Look at this query.", show_default="the most asked")
    ] = [],  # noqa: B006 - typer reads the default
    shop: ShopFolder = HERE,
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=100, help="Hits of a page that are compared.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Which queries would it move? Pages with and without it, before anybody sees them."""
    with shop_at(shop) as opened:
        path = Path(rule)
        drafts = rules_in(path) if path.is_file() else [opened.rules.get(rule)]
        if len(drafts) != 1:
            raise BadRequest("a preview looks at one rule", where=rule, allowed="one rule", got=f"{len(drafts)} rules")
        found = opened.rules.preview(drafts[0], queries=queries, k=k)
    if as_json:
        show.json(found)
    else:
        _previewed(found)


@rules.command("audit", epilog="Example: `bodega rules audit --rule tv-week --shop my-shop`")
def audit(
    shop: ShopFolder = HERE,
    rule: Annotated[str, typer.Option(help="Only changes of this rule.", show_default="all")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    as_json: AsJson = False,
) -> None:
    """Who changed which rule, when, from what to what; newest first."""
    with shop_at(shop) as opened:
        lines = opened.rules.history(rule=rule, limit=limit)
    if as_json:
        show.json({"changes": lines})
        return
    table = Table(title_justify="left")
    for column in ("change", "time (UTC)", "who", "what", "rule", "difference"):
        table.add_column(column, justify="right" if column == "change" else "left")
    for line in lines:
        what = f"{line.what} {line.undoes}" if line.undoes else line.what
        when = f"{line.time:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(line.id), when, escape(line.who), what, escape(line.rule), escape(difference(line)))
    show.console.print(table if lines else "no change yet")


@rules.command("undo", epilog="Example: `bodega rules undo 17 --shop my-shop`; without a number: the newest change")
def undo(
    change: Annotated[int, typer.Argument(help="Number from `rules audit`.", show_default="the newest")] = 0,
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Take a change back; that is a change, too, and can be undone."""
    with shop_at(shop) as opened:
        newest = opened.rules.history(limit=1)
        done = opened.rules.undo(change or (newest[0].id if newest else 0), who=WHO)
    if as_json:
        show.json(done)
    else:
        state = "is gone" if done.after is None else f"is as it was before change {done.undoes}"
        show.console.print(f"{escape(done.rule)} {state}")


def rules_in(file: Path) -> list[Rule]:
    """The rules of a file: an object, a list of them, or one a line. Raises BadRequest with the line."""
    import msgspec

    from bodega.schema import read_rule

    if str(file) == "-":
        text = sys.stdin.read()
    elif file.is_file():
        text = file.read_text("utf-8", "replace")
    else:
        raise BadRequest("there is no such file", where="rules", got=str(file), next="a JSON file; see docs/rules.md")
    try:
        found: Any = msgspec.json.decode(text)
        parts = found if isinstance(found, list) else [found]
    except msgspec.DecodeError:
        parts = [msgspec.Raw(line.encode()) for line in text.splitlines() if line.strip()]
    read = [read_rule(bytes(each) if isinstance(each, msgspec.Raw) else msgspec.json.encode(each)) for each in parts]
    if not read:
        raise BadRequest("the file holds no rule", where=str(file), allowed="a rule, or several")
    return read


def when_of(rule: Rule) -> str:
    """The conditions in a few words."""
    when = rule.when
    parts = [f"{phrase.match.value} '{phrase.text}'" for phrase in when.queries[:3]]
    parts += [f"category {path}" for path in when.categories[:2]]
    parts += [segment.key for segment in when.segments]
    parts += [*when.places, *when.languages, *(day.value for day in when.weekdays)]
    parts += [f"{word} {date:%Y-%m-%d %H:%M}" for word, date in (("from", when.start), ("until", when.end)) if date]
    return ", ".join(parts) or "every search and category page"


def then_of(rule: Rule) -> str:
    """The actions in a few words."""
    more = len(rule.then) - 4
    return "; ".join(_did(action) for action in rule.then[:4]) + (f"; and {more} more" if more > 0 else "")


def _did(action: Action) -> str:
    from bodega import schema

    match action:
        case schema.Pin():
            return f"pin {action.item} at {action.position}"
        case schema.Boost() | schema.Bury():
            return f"{type(action).__name__.lower()} {_target(action.items, action.filters)} x {action.factor:g}"
        case schema.Hide():
            return f"hide {_target(action.items, action.filters)}"
        case schema.Narrow():
            return f"only {_target((), action.filters)}"
        case schema.Redirect():
            return f"send to {_short(action.url)}"
        case schema.ShowBanner():
            return f"banner '{_short(action.text or action.image)}'"
        case schema.Replace():
            return f"search '{action.by}' for '{action.words or STAR}'"
        case schema.Synonyms():
            return (" -> " if action.one_way else " = ").join(action.words[:4])


def _target(items: Sequence[str], filters: Sequence[Filter]) -> str:
    parts = [", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")] if items else []
    for each in filters:
        low, high = (f"{end:g}" if end is not None else "" for end in (each.low, each.high))
        parts.append(f"{each.field}={'|'.join(each.values)}" if each.values else f"{each.field}={low}..{high}")
    return " ".join(parts)


def difference(line: RuleChange) -> str:
    """What a change changed, key by key."""
    only = (line.after or line.before) if not (line.before and line.after) else None
    if only is not None:
        return then_of(only)
    before, after = _flat(line.before), _flat(line.after)
    changed = [key for key in dict.fromkeys((*before, *after)) if before.get(key) != after.get(key)]
    return "; ".join(f"{key}: {_short(before.get(key, '-'))} -> {_short(after.get(key, '-'))}" for key in changed)


def _flat(rule: Rule | None) -> dict[str, object]:
    """The rule's values by dotted keys, without what the store adds."""
    import msgspec

    from bodega.schema import to_plain

    flat: dict[str, object] = {}
    for key, value in to_plain(rule).items():
        if key == "when":
            flat |= {f"when.{inner}": held for inner, held in value.items()}
        elif key not in ("version", "updated"):
            flat[key] = value
    return {
        key: value if isinstance(value, str) else msgspec.json.encode(value).decode() for key, value in flat.items()
    }


def _short(value: object, limit: int = 40) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _put_at(plain: dict[str, Any], pair: str) -> None:
    """`when.end=2026-12-01T00:00:00Z` into the rule; `null` takes a key away."""
    import msgspec

    name, equals, text = pair.partition("=")
    if not (name and equals):
        raise BadRequest("a change is a pair", where="rules set", allowed="key=value", got=pair, next="priority=5")
    try:
        value: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        value = text
    *path, last = name.split(".")
    for step in path:
        plain = plain.setdefault(step, {})
        if not isinstance(plain, dict):
            raise BadRequest("there is nothing below this key", where="rules set", got=name, next="set the whole key")
    if value is None:
        plain.pop(last, None)
    else:
        plain[last] = value


def _stored(stored: Sequence[Rule], as_json: bool) -> None:
    if as_json:
        show.json({"rules": list(stored)})
        return
    for rule in stored:
        state = "on" if rule.enabled else "off"
        show.console.print(f"[green]{escape(rule.id)}[/] version {rule.version}, {state}: {escape(then_of(rule))}")


def _previewed(found: Preview) -> None:
    """The pages that change, as a table; what stays is counted."""
    table = Table(title=f"{found.changed:,} of {len(found.rows):,} pages change", title_justify="left")
    for column in ("page", "enters", "leaves", "moves", "total", "first hits after"):
        table.add_column(column)
    for row in found.rows:
        if row.changed:
            table.add_row(*(escape(cell) for cell in _cells(row)))
    show.console.print(table)
    for note in found.notes:
        show.console.print(f"[dim]note:[/] {escape(note)}")
    if not found.rows:
        show.console.print("no page to look at: name queries with -q")


def _cells(row: PreviewRow) -> tuple[str, ...]:
    page = f"'{row.query}'" if row.query else " ".join(part for part in (row.place, row.category) if part)
    moves = [f"{move.item} {move.before}→{move.after}" for move in row.moved[:4]]
    total = "" if row.total_before == row.total_after else f"{row.total_before:,} → "
    total += f"{row.total_after:,}"
    first = f"→ {row.redirect}" if row.redirect else ", ".join(row.after[:5])
    banner = f" [banner: {row.banners[0]}]" if row.banners else ""
    more = f", {len(row.moved) - 4} more" if len(row.moved) > 4 else ""
    return page, ", ".join(row.entered[:5]), ", ".join(row.left[:5]), ", ".join(moves) + more, total, first + banner
