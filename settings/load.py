"""Load a program's configuration: flags over environment over TOML file over defaults.

Apart, because every program must read its settings in the same order and refuse them in one voice.
"""

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

PREFIX = "TESSERA_"
NESTING = "__"  # TESSERA_PEERS__SMALLEST is the key `smallest` of the table `peers`

Tree = Mapping[str, object]
Keys = tuple[str, ...]  # from the outermost table inwards
Loaded = TypeVar("Loaded", bound="Settings")


class BadSettings(Exception):  # noqa: N818  the name says it: settings that are bad
    """One settings key that cannot be used; its text is one line.

    ``source`` is the file, variable or flag, ``key`` the dotted key (empty for a whole file; not
    repeated in the text where the source is ``named`` after it),
    ``what`` says what is wrong and ``todo`` what to do about it. Values are never repeated in it,
    since a key may hold a secret.
    """

    def __init__(self, source: str, key: str, what: str, todo: str, *, named: bool = False) -> None:
        """Keep the four facts; the text is made of them."""
        self.source, self.key, self.what, self.todo = source, key, what, todo
        said = (source, "" if named else key, what)
        super().__init__(": ".join(part for part in said if part) + f"; {todo}")


class Settings(BaseSettings):
    """Base of a program's settings: frozen, unknown keys refused, ``Settings()`` reads nothing.

    Only :func:`load` looks at the environment or a file, so constructing one in a test is safe.
    """

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )

    @classmethod
    def settings_customise_sources(  # the signature is pydantic-settings'
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  given by the caller, not needed
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  see load
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  no .env file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  nor a secrets folder
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take keyword arguments only."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class _Layer:
    """The keys that one source gives, and the name of a key's place in it."""

    tree: Tree
    name: Callable[[Keys], str]  # the flag, variable or file that holds a key
    named: bool = True  # whether that is called after the key

    def holds(self, path: Keys) -> bool:
        """Say whether this source gives a value at ``path``."""
        here: object = self.tree
        for part in path:
            if not isinstance(here, Mapping) or part not in here:
                return False
            here = here[part]
        return True


def load(
    kind: type[Loaded],
    *,
    flags: Tree,
    environ: Mapping[str, str],
    file: Path | None = None,
    prefix: str = PREFIX,
) -> Loaded:
    """Return settings of ``kind``: ``flags`` over ``environ`` over ``file`` over defaults.

    A flag whose value is None was not given. Variables are ``prefix`` and the key in upper case,
    ``__`` between a table and its key. Raise :class:`BadSettings` for the first key that is unknown
    or has an unusable value, and for a file that cannot be read.
    """
    layers = (
        _Layer(
            {key: value for key, value in flags.items() if value is not None},
            lambda path: "--" + "-".join(path).replace("_", "-"),
        ),
        _Layer(
            _read_environ(kind, environ, prefix),
            lambda path: prefix + NESTING.join(path).upper(),
        ),
        _Layer({} if file is None else _read_file(file), lambda _path: str(file), named=False),
    )
    merged: dict[str, object] = {}
    for layer in reversed(layers):
        _refuse_unknown(kind, layer)
        merged = _overlay(merged, layer.tree)
    try:
        return kind(**merged)
    except ValidationError as error:
        raise _refusal(error, layers) from None


def _refuse_unknown(kind: type[Settings], layer: _Layer) -> None:
    """Raise :class:`BadSettings` for a key that ``kind`` has not.

    Here and not by pydantic, whose settings take some keys with an underscore for themselves.
    """
    for key in layer.tree:
        if key not in kind.model_fields:
            todo = _suggestion(key, kind.model_fields)
            name = layer.name((key,))
            raise BadSettings(name, key, "unknown key", todo, named=layer.named)


def _overlay(below: Tree, above: Tree) -> dict[str, object]:
    """Return ``below`` with the keys of ``above`` laid over it, table by table."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[key] = _overlay(under, value)
        else:
            merged[key] = value
    return merged


def _read_file(file: Path) -> Tree:
    """Return the tables of the TOML file, or raise :class:`BadSettings`."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise BadSettings(str(file), "", what, "name a readable TOML file") from None
    except UnicodeDecodeError:
        raise BadSettings(str(file), "", "is not UTF-8 text", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        todo = "correct the TOML at that place"
        raise BadSettings(str(file), "", f"is not TOML: {error}", todo) from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        what = "holds an integer of thousands of digits"
        raise BadSettings(str(file), "", what, "write it shorter") from None
    except RecursionError:
        raise BadSettings(str(file), "", "is nested too deeply", "write it flat") from None


def _read_environ(kind: type[Settings], environ: Mapping[str, str], prefix: str) -> Tree:
    """Return what the variables with ``prefix`` say, parsed as the fields of ``kind`` ask."""
    named = {name: value for name, value in environ.items() if name.startswith(prefix)}
    for name in sorted(named):
        key = name.removeprefix(prefix).split(NESTING)[0].lower()
        if key not in kind.model_fields:
            raise BadSettings(name, "", "unknown setting", _suggestion(key, kind.model_fields))
    source = EnvSettingsSource(kind, env_prefix=prefix, env_nested_delimiter=NESTING)
    source.env_vars = {name.lower(): value for name, value in named.items()}
    try:
        return source()
    except SettingsError as error:
        field = next((key for key in kind.model_fields if f'"{key}"' in str(error)), "")
        what = "is not the JSON that a list or table needs"
        raise BadSettings(prefix + field.upper(), "", what, "write it as JSON") from None


def _refusal(error: ValidationError, layers: tuple[_Layer, ...]) -> BadSettings:
    """Turn pydantic's report into one :class:`BadSettings` about its first problem."""
    first, *more = error.errors(include_url=False, include_input=False, include_context=False)
    path = tuple(str(part) for part in first["loc"])
    key = ".".join(path)
    nobody = _Layer({}, lambda _path: "settings", named=False)
    holder, held = next(_holders(layers, path), (nobody, ()))
    named = holder.named and held == path
    what = first["msg"][:1].lower() + first["msg"][1:]
    todo = "correct it"
    if first["type"] == "value_error":  # raised by a validator of ours, which may say what to do
        what, _, said = first["msg"].removeprefix("Value error, ").partition("; ")
        todo = said or todo
    elif first["type"] == "finite_number":  # NaN and infinities
        what, todo = "is not a number", "write a finite one"
    elif first["type"] == "extra_forbidden":
        what, todo = "unknown key", "remove it"  # inside a table
    elif first["type"] == "missing":
        what, todo = "has no value and no default", "give it a value"
    if more:
        todo += f" ({len(more)} more after this)"
    return BadSettings(holder.name(held), key, what, todo, named=named)


def _holders(layers: tuple[_Layer, ...], path: Keys) -> Iterator[tuple[_Layer, Keys]]:
    """Yield the sources that gave ``path`` or the nearest table above it, strongest first.

    Errors point below the key at times (the third item of a list), hence the shorter paths.
    """
    for end in range(len(path), 0, -1):
        for layer in layers:
            if layer.holds(path[:end]):
                yield layer, path[:end]


def _suggestion(key: str, known: Mapping[str, object]) -> str:
    """Say which known key was probably meant, or which keys there are."""
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"remove it; known: {', '.join(sorted(known))}"
