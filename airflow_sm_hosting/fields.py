"""The parameters of operators and sensors, each declared once.

A subclass of :class:`Fields` declares what each parameter takes. Three things follow from that one declaration: the check of literals while
the DAG file is parsed, the typed values after rendering, and which attributes Airflow renders::

    class ExampleFields(AwsFields):
        endpoint_name = Resource(ENDPOINT)
        timeout = Seconds(low=1, default=3600)


    class ExampleOperator(SageMakerHostingBaseOperator):
        fields = ExampleFields
        template_fields: Sequence[str] = ExampleFields.template_fields()
        template_fields_renderers: ClassVar[dict[str, str]] = ExampleFields.template_fields_renderers()

        def __init__(self, *, endpoint_name: Late, timeout: float | timedelta | Late = 3600, **kwargs: Any) -> None:
            self.check_literals(locals())
            super().__init__(**kwargs)
            self.endpoint_name = endpoint_name
            self.timeout = timeout

        def execute(self, context: Context) -> None:
            given = ExampleFields.of(self)  # checks everything, before the first AWS call
            wait(given.endpoint_name, seconds=given.timeout)

The constructor's default is the field's default, also for a rendered value that is None or blank. Airflow serialises only the template fields
that differ from the default: see :class:`GivenFields`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar, cast, overload

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.arn import check_resource, resource_name
from airflow_sm_hosting.spec.attributes import StoredAttribute
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_boolean,
    check_integer,
    check_name,
    check_number,
    check_one_of,
    check_seconds,
    check_tags,
    invalid,
    is_rendered_later,
)
from airflow_sm_hosting.spec.members import check_plain
from airflow_sm_hosting.spec.patterns import MAX_TAGS
from airflow_sm_hosting.spec.rendered import (
    as_boolean,
    as_integer,
    as_list,
    as_number,
    as_seconds,
    as_string,
    as_tags,
    is_absent,
)

if TYPE_CHECKING:
    from typing import TypeAlias

    from airflow.sdk import XComArg

    class Resolved(Protocol):
        """A value that Airflow resolves when the task runs, such as a DAG param or ``literal(…)``."""

        def iter_references(self) -> Any:
            """Return the tasks that it comes from."""

        def resolve(self, context: Any) -> Any:
            """Return the value."""

    #: What Airflow fills in when the task runs: a string with Jinja, the output of another task, a DAG param, or a callable that takes
    #: ``context`` and ``jinja_env``.
    Late: TypeAlias = str | XComArg | Resolved | Callable[..., Any]

T = TypeVar("T")

if TYPE_CHECKING:

    class _Typed(Generic[T]):
        """Base of what has a type of value."""

else:

    class _Typed:
        """Base of what has a type of value; ``typing.Generic`` itself is half the cost of this module's import."""

        def __class_getitem__(cls, item: object) -> type:
            return cls


#: A check of a value: it raises an error that begins with its first argument.
Check = Callable[[str, Any], object]


class Field(_Typed[T]):
    """A parameter that takes anything.

    :param default: The value when nothing is given; without a default the parameter is required, unless it is :func:`optional`.
    :param templated: Whether Airflow renders it.
    :param json: Whether the UI shows it as JSON.
    :param attribute: Name of the operator's attribute (default: the parameter's).
    """

    name: str

    def __init__(
        self,
        *,
        default: T | None = None,
        templated: bool = True,
        json: bool = False,
        attribute: str | None = None,
    ) -> None:
        self.default = default
        self.required = default is None
        self.templated = templated
        self.json = json
        self.attribute = attribute

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.attribute = self.attribute or name

    @property
    def takes_none(self) -> bool:
        """Return whether None may be written for it: where the default is None, and for tags, lists and structures."""
        return not self.required and (self.default is None or isinstance(self.default, list | dict))

    @overload
    def __get__(self, fields: None, owner: type) -> Self: ...

    @overload
    def __get__(self, fields: Fields, owner: type) -> T: ...

    def __get__(self, fields: Fields | None, owner: type) -> Self | T:
        if fields is None:
            return self
        value = fields.values.get(self.name)
        return cast("T", self.default if value is None else value)

    def is_absent(self, value: Any) -> bool:
        """Return whether a rendered value means that nothing was given."""
        return is_absent(value)

    def check(self, where: str, value: Any) -> None:
        """Check a literal value.

        :param where: What the message begins with.
        :param value: The value; None only where the parameter is required.
        :raises InvalidSpecError: When it can never work.
        """

    def value(self, where: str, given: Any) -> T:
        """Return what a rendered value stands for.

        :raises InvalidSpecError: When it stands for nothing that is allowed.
        """
        return cast("T", given)

    def rendered(self, given: Any) -> T:
        """Return the value of a rendered attribute, or the default."""
        if not self.required and self.is_absent(given):
            return cast("T", self.default.copy() if isinstance(self.default, list | dict) else self.default)
        return self.value(self.name, given)


def optional(field: Field[T]) -> Field[T | None]:
    """Return a field that may be left out, and then is None."""
    field.required = False
    return cast("Field[T | None]", field)


class Value(Field[Any]):
    """A value of any kind, of which only None is nothing: ``""`` and ``"None"`` may be meant."""

    def is_absent(self, value: Any) -> bool:
        """Return whether the value is None."""
        return value is None


class Text(Field[str]):
    """A string.

    :param check: Check of the string, literal or rendered (default: none).
    :param blank: Whether ``""`` and ``"None"``, which Jinja makes of nothing, stand for nothing. False where to leave the parameter out by
        accident would do harm: then they are errors.
    """

    def __init__(self, check: Check | None = None, *, blank: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self._check = check
        self._blank = blank

    def is_absent(self, value: Any) -> bool:
        """Return whether there is no string."""
        return super().is_absent(value) if self._blank else value is None

    def check(self, where: str, value: Any) -> None:
        """Check a literal string."""
        if self._check is not None:
            self._check(where, value)
        elif not isinstance(value, str) and not is_rendered_later(value):
            raise invalid(where, value, "a string")

    def value(self, where: str, given: Any) -> str:
        """Return the string, checked."""
        text = as_string(where, given)
        if self._check is not None:
            self._check(where, text)
        return text


class Resource(Field[str]):
    """A model, endpoint config or endpoint, by name or ARN; the value is its name.

    :param kind: ``MODEL``, ``ENDPOINT_CONFIG`` or ``ENDPOINT`` of :mod:`airflow_sm_hosting.spec.arn`.
    """

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__(**options)
        self._kind = kind

    def check(self, where: str, value: Any) -> None:
        """Check a literal name or ARN."""
        check_resource(where, value, self._kind)

    def value(self, where: str, given: Any) -> str:
        """Return the name."""
        return resource_name(where, given, self._kind)


class FilePath(Field[str]):
    """A path of the worker's file system, as a string or a ``pathlib.Path``; see :class:`PathAsText`.

    :param instead: What to do with a URL, for the message.
    :param check_url: Check of a URL, where one may stand in place of a path.
    """

    def __init__(self, *, instead: str = "", check_url: Check | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._instead = instead
        self._check_url = check_url

    def check(self, where: str, value: Any) -> None:
        """Check a literal path."""
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        if is_rendered_later(text):
            return
        if not isinstance(text, str) or not text:
            raise invalid(where, value, "a path, as a string or a pathlib.Path")
        if "://" in text and self._check_url is not None:
            self._check_url(where, text)
        elif "://" in text:
            raise invalid(where, text, "a path in the worker's file system, not a URL", hint=self._instead)

    def value(self, where: str, given: Any) -> str:
        """Return the path as a string."""
        text = as_string(where, os.fspath(given) if isinstance(given, os.PathLike) else given)
        self.check(where, text)
        return text


class PathAsText(StoredAttribute):
    """An attribute that keeps a ``pathlib.Path`` as a string: Airflow renders strings only, and some of its versions resolve a path."""

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = os.fspath(value) if isinstance(value, os.PathLike) else value


class Boolean(Field[bool]):
    """True or False; ``"False"`` after rendering is False."""

    def check(self, where: str, value: Any) -> None:
        """Check a literal boolean; a string is none."""
        check_boolean(where, value)

    def value(self, where: str, given: Any) -> bool:
        """Return the boolean."""
        return as_boolean(where, given)


class Integer(Field[int]):
    """A whole number.

    :param low: The least that is allowed.
    :param high: The greatest that is allowed (default: none).
    """

    def __init__(self, *, low: int, high: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._low = low
        self._high = high

    def check(self, where: str, value: Any) -> None:
        """Check a literal number."""
        check_integer(where, value, self._low, self._high)

    def value(self, where: str, given: Any) -> int:
        """Return the number."""
        return as_integer(where, given, self._low, self._high)


class Number(Field[float]):
    """A number.

    :param low: The least that is allowed.
    """

    def __init__(self, *, low: float, **options: Any) -> None:
        super().__init__(**options)
        self._low = low

    def check(self, where: str, value: Any) -> None:
        """Check a literal number."""
        check_number(where, value, low=self._low)

    def value(self, where: str, given: Any) -> float:
        """Return the number."""
        return as_number(where, given, low=self._low)


class Seconds(Field[float]):
    """A duration in seconds, as a number or a timedelta.

    :param low: The least that is allowed.
    :param high: The greatest that is allowed (default: none).
    """

    def __init__(self, *, low: float, high: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._low = low
        self._high = high

    def check(self, where: str, value: Any) -> None:
        """Check a literal duration."""
        if not is_rendered_later(value):
            as_seconds(where, value, self._low, self._high)

    def value(self, where: str, given: Any) -> float:
        """Return the seconds."""
        return as_seconds(where, given, self._low, self._high)


class WholeSeconds(Field[int]):
    """A duration in whole seconds, as a number or a timedelta.

    :param low: The least that is allowed.
    :param high: The greatest that is allowed.
    """

    def __init__(self, *, low: int, high: int, **options: Any) -> None:
        super().__init__(**options)
        self._low = low
        self._high = high

    def check(self, where: str, value: Any) -> None:
        """Check a literal duration."""
        check_seconds(where, value, self._low, self._high)

    def value(self, where: str, given: Any) -> int:
        """Return the seconds."""
        number = as_seconds(where, given, self._low, self._high)
        return as_integer(where, int(number) if number.is_integer() else number, self._low, self._high)


class Choice(Field[T]):
    """One of a closed set of values; rendered strings stand for the booleans among them.

    :param choices: The values.
    """

    def __init__(self, choices: Collection[T], **options: Any) -> None:
        super().__init__(**options)
        self._choices = choices

    def check(self, where: str, value: Any) -> None:
        """Check a literal value."""
        check_one_of(where, value, self._choices)

    def value(self, where: str, given: Any) -> T:
        """Return the value."""
        if isinstance(given, str) and any(isinstance(one, bool) for one in self._choices):
            given = {"true": True, "false": False}.get(given.strip().lower(), given)
        check_one_of(where, given, self._choices)
        return cast("T", given)


class Tags(Field[dict[str, str]]):
    """Tags, as a dict or as AWS's list of Key and Value.

    :param most: How many there may be (default: what AWS allows a resource).
    """

    def __init__(self, *, most: int = MAX_TAGS, **options: Any) -> None:
        super().__init__(default={}, json=True, **options)
        self._most = most

    def check(self, where: str, value: Any) -> None:
        """Check literal tags."""
        check_tags(where, value, most=self._most)

    def value(self, where: str, given: Any) -> dict[str, str]:
        """Return the tags as a dict."""
        return as_tags(where, given, most=self._most)


class ListOf(Field[list[Any]]):
    """A list.

    :param check: Check of the list, literal or rendered (default: none).
    :param literal_check: Check of a literal list alone, where rendered ones are made to requests first, and checked then.
    :param of: The structure of the entries in botocore's model, whose members are checked in plain dicts while the DAG file is parsed.
    """

    def __init__(
        self,
        *,
        check: Check | None = None,
        literal_check: Check | None = None,
        of: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**{"default": [], **options})
        self._check = check
        self._literal_check = literal_check or check
        self._of = of

    def check(self, where: str, value: Any) -> None:
        """Check a literal list."""
        if is_rendered_later(value):
            return
        entries = as_list(where, value)
        if self._of is not None:
            for index, entry in enumerate(entries):
                check_plain(f"{where}[{index}]", entry, self._of)
        if self._literal_check is not None:
            self._literal_check(where, entries)

    def value(self, where: str, given: Any) -> list[Any]:
        """Return the list."""
        entries = as_list(where, given)
        if self._check is not None:
            self._check(where, entries)
        return entries


class References(ListOf):
    """A list of names, URLs, and references to images or model data, whose rendered parts are checked like literals."""

    def value(self, where: str, given: Any) -> list[Any]:
        """Return the list."""
        from airflow_sm_hosting.spec.reference_parts import rendered_reference  # not needed at DAG parse

        entries = super().value(where, given)
        return [rendered_reference(f"{where}[{index}]", entry) for index, entry in enumerate(entries)]


class Structure(Field[dict[str, Any]]):
    """A dict in the AWS shape.

    :param words: What is allowed, for the message.
    :param of: Its structure in botocore's model, whose members are checked in a plain dict while the DAG file is parsed.
    """

    def __init__(
        self, *, words: str = "a dict in the AWS shape", of: str | None = None, **options: Any
    ) -> None:
        super().__init__(json=True, **options)
        self._words = words
        self._of = of

    def check(self, where: str, value: Any) -> None:
        """Check that a literal value is a dict, and the names of its members."""
        if is_rendered_later(value):
            return
        self.value(where, value)
        if self._of is not None:
            check_plain(where, value, self._of)

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the dict."""
        if not isinstance(given, dict):
            raise InvalidSpecError(f"{where} is a {type(given).__name__}; allowed: {self._words}.")
        return given


class ByVariant(Field[dict[str, Any]]):
    """A dict of numbers by variant."""

    words = "a dict of numbers by variant"

    def check(self, where: str, value: Any) -> None:
        """Check what is literal of a dict."""
        if is_rendered_later(value):
            return
        if not isinstance(value, Mapping) or not value:
            raise invalid(where, value, self.words)
        for name, number in value.items():
            check_name(f"{where}: variant", name)
            self.check_number(f"{where}[{name!r}]", number)

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the numbers by variant."""
        if not isinstance(given, Mapping) or not given:
            raise invalid(where, given, self.words)
        for name in given:
            check_name(f"{where}: variant", name)
        return {name: self.number(f"{where}[{name!r}]", number) for name, number in given.items()}

    def check_number(self, where: str, number: Any) -> None:
        """Check a literal number."""
        raise NotImplementedError

    def number(self, where: str, number: Any) -> Any:
        """Return a rendered number."""
        raise NotImplementedError


class Weights(ByVariant):
    """Weights by variant, each 0 or more (botocore, VariantWeight)."""

    words = "a dict of weights by variant, e.g. {'main': 9, 'challenger': 1}"

    def check_number(self, where: str, number: Any) -> None:
        """Check a literal weight."""
        check_number(where, number, low=0)

    def number(self, where: str, number: Any) -> float:
        """Return a weight."""
        return as_number(where, number, low=0)


class InstanceCounts(ByVariant):
    """Instance counts by variant, each 0 or more (botocore, TaskCount)."""

    words = "a dict of instance counts by variant, e.g. {'main': 2}"

    def check_number(self, where: str, number: Any) -> None:
        """Check a literal count."""
        check_integer(where, number, 0)

    def number(self, where: str, number: Any) -> int:
        """Return a count."""
        return as_integer(where, number, 0)


class GivenFields:
    """The template fields of an operator; of one of its tasks, those whose value is not the default.

    A default needs no rendering, and there are many: Airflow reads a config option for each template field that it serialises, and looks
    through each for upstream tasks, which together costs 50 us of CPU a field at every parse of the DAG file.

    :param fields: The template fields.
    """

    def __init__(self, fields: Sequence[Field[Any]]) -> None:
        self._defaults = {str(field.attribute): field.default for field in fields}
        self._names = tuple(self._defaults)

    def __get__(self, task: Any, owner: type) -> tuple[str, ...]:
        if task is None:
            return self._names
        given = task.__dict__.get
        return tuple(
            [
                name
                for name, default in self._defaults.items()
                if (value := given(name)) is not None
                and value is not default
                and (type(value) is not type(default) or value != default)
            ]
        )


class GivenRenderers:
    """The renderers of an operator's template fields; of one of its tasks, those of fields whose value is not the default.

    :param fields: The fields that the UI shows as JSON.
    """

    def __init__(self, fields: Sequence[Field[Any]]) -> None:
        self._given = GivenFields(fields)

    def __get__(self, task: Any, owner: type) -> dict[str, str]:
        return dict.fromkeys(self._given.__get__(task, owner), "json")


class _LaterValue:
    """Stands for the value of a callable until it is called."""

    def iter_references(self) -> tuple[Any, ...]:
        """Return the tasks that it comes from: none."""
        return ()

    def resolve(self, context: Any) -> None:
        """Return nothing; it is never asked."""

    def __repr__(self) -> str:
        return "the return value of a callable"


class Fields:
    """The parameters of an operator or a sensor, and their values.

    :param values: The values by parameter.
    :param operator: Name of the operator, for messages.
    :param rendered: Whether they are those of a rendered task; otherwise they are as they were written, and may be filled in later.
    """

    declared: ClassVar[Mapping[str, Field[Any]]] = {}
    _defaults: ClassVar[tuple[tuple[str, Any, Field[Any]], ...]] = ()

    def __init_subclass__(cls) -> None:
        own = {name: field for name, field in vars(cls).items() if isinstance(field, Field)}
        cls.declared = {**cls.declared, **own}
        cls._defaults = tuple((name, field.default, field) for name, field in cls.declared.items())

    @classmethod
    def template_fields(cls) -> Any:
        """Return the operator's class attribute ``template_fields``."""
        return GivenFields([field for field in cls.declared.values() if field.templated])

    @classmethod
    def template_fields_renderers(cls) -> Any:
        """Return the operator's class attribute ``template_fields_renderers``."""
        return GivenRenderers([field for field in cls.declared.values() if field.templated and field.json])

    def __init__(self, values: Mapping[str, Any], operator: str, *, rendered: bool) -> None:
        self.values = values
        self.operator = operator
        self.rendered = rendered

    @classmethod
    def of(cls, task: Any) -> Self:
        """Return the values of a rendered task, typed and checked.

        :raises InvalidSpecError: For a value that can never work.
        """
        values, problems = {}, Problems()
        for name, field in cls.declared.items():
            with problems:
                values[name] = field.rendered(getattr(task, str(field.attribute)))
        problems.tell()
        fields = cls(values, type(task).__name__, rendered=True)
        fields.check_together("")
        return fields

    @classmethod
    def check_literals(cls, operator: str, values: dict[str, Any]) -> None:
        """Check what is literal of an operator's arguments.

        :param operator: Name of the operator.
        :param values: The arguments; what is not among them has its default. Callables in it are replaced.
        :raises InvalidSpecError: For a value that can never work.
        """
        where, problems = f"{operator}: ", Problems()
        for name, default, field in cls._defaults:
            value = values.get(name, default)
            if value is default and not field.required:
                continue  # as most are
            if field.templated and callable(value):
                values[name] = LATER
            elif value is not None or not field.takes_none:
                with problems:
                    field.check(where + name, value)
                    if not field.templated and is_rendered_later(value):
                        raise invalid(where + name, value, "a literal value; Airflow does not render it")
        problems.tell()
        cls(values, operator, rendered=False).check_together(where)

    def check_together(self, where: str) -> None:
        """Check what parameters must be to each other, as far as it is known: literal values, or all after rendering.

        :param where: What a field's name is preceded by in a message.
        :raises InvalidSpecError: For values that can never work together.
        """


LATER = _LaterValue()


class HasFields:
    """An operator or sensor whose parameters are declared by its ``fields``."""

    fields: ClassVar[type[Fields]] = Fields

    def check_literals(self, given: Mapping[str, Any]) -> None:
        """Check the literal ones of a constructor's arguments, its ``locals()``."""
        self.fields.check_literals(type(self).__name__, {**given.get("kwargs", {}), **given})

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, *others: Any) -> Any:
        """Return a string without Jinja as written: with native rendering, Airflow turns ``"1.10"`` into the number 1.1."""
        if isinstance(content, str) and jinja_env is not None and not self._has_jinja(content, jinja_env):
            return content
        return super().render_template(content, context, jinja_env, *others)  # type: ignore[misc]

    def _has_jinja(self, text: str, jinja_env: Any) -> bool:
        """Return whether a string is a template in an environment, which may have its own delimiters, or the path of one."""
        starts = (
            jinja_env.variable_start_string,
            jinja_env.block_start_string,
            jinja_env.comment_start_string,
        )
        return (
            any(start in text for start in starts)
            or bool(jinja_env.line_statement_prefix or jinja_env.line_comment_prefix)
            or text.endswith(tuple(getattr(self, "template_ext", ())))
        )
