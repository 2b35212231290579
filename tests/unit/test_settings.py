"""Settings: one default each, unknown keys refused, the environment wins over the file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bodega.errors import BadSettings
from bodega.settings import FILE, Settings, load


def written(folder: Path, text: str) -> Path:
    (folder / FILE).write_text(text, "utf-8")
    return folder


def test_an_empty_folder_has_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, {}) == Settings()


def test_the_file_overrides_single_keys(tmp_path: Path) -> None:
    got = load(written(tmp_path, 'name = "街角"\n[serve]\nport = 8080\n[learn]\ntest_days = 3\n'), {})
    assert (got.name, got.serve.port, got.learn.test_days) == ("街角", 8080, 3.0)
    assert got.serve.host == Settings().serve.host
    assert got.answer == Settings().answer


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    folder = written(tmp_path, 'name = "file"\n[serve]\nport = 8080\nburst = 5\n')
    given = {"BODEGA_SERVE_PORT": "9090", "BODEGA_NAME": "env", "BODEGA_SERVE_KEYLESS_LOOPBACK": "true"}
    got = load(folder, given)
    assert (got.name, got.serve.port, got.serve.burst, got.serve.keyless_loopback) == ("env", 9090, 5, True)


def test_other_variables_of_ours_are_not_settings(tmp_path: Path) -> None:
    assert load(tmp_path, {"BODEGA_SHOP": "x", "BODEGA_DATA": "y", "BODEGA_SERVE": "z"}) == Settings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("pot = 1", "pot"),
        ("[serve]\nprot = 1", "prot"),
        ("[sevre]\nport = 1", "sevre"),
        ('[serve]\nport = "many"', "serve.port"),
        ("[learn]\nseed = 1.5", "learn.seed"),
        ("serve = 3", "serve"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(written(tmp_path, text), {})
    error = caught.value
    assert named in error.got
    assert str(tmp_path / FILE) == error.where
    assert "docs/settings.md" in error.allowed
    assert error.next


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"[serve\n"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(BadSettings, match="not valid TOML"):
        load(tmp_path, {})


def test_a_bad_environment_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="port"):
        load(tmp_path, {"BODEGA_SERVE_PORT": "door"})


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Settings().name = "other"  # type: ignore[misc]
    assert msgspec.json.decode(msgspec.json.encode(Settings()), type=Settings) == Settings()


@pytest.mark.parametrize(
    "text",
    ["[ingest]\nbad_rows_limit = 7", "[serve]\nport = 70000", "[learn]\ntest_days = -1", "[answer]\ncandidates = 0"],
)
def test_values_out_of_range_are_refused_and_the_key_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "bodega.toml").write_text(text, "utf-8")
    with pytest.raises(BadSettings) as error:
        load(tmp_path, {})
    assert text.split("\n")[1].split(" ")[0] in error.value.got


def test_a_place_has_its_own_dial_by_file_and_by_environment(tmp_path: Path) -> None:
    (tmp_path / "bodega.toml").write_text("[diversity.home]\nmethod = 'mmr'\nstrength = 0.2\n")
    chosen = load(tmp_path, {"BODEGA_DIVERSITY_BASKET_PER_BRAND": "2"})
    assert (chosen.diversity.home.method, chosen.diversity.home.strength) == ("mmr", 0.2)
    assert chosen.diversity.of("basket").per_brand == 2
    assert chosen.diversity.search.off
    assert chosen.diversity.of("no such place").off


def test_a_dial_of_an_unknown_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bodega.toml").write_text("[diversity.hmoe]\nstrength = 0.2\n")
    with pytest.raises(BadSettings, match="hmoe"):
        load(tmp_path, {})
