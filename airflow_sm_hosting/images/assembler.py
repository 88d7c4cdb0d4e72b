"""Assemble an image without an engine: all instructions of a Dockerfile except RUN.

For workers on which no container can be started to build another (MWAA, Fargate, most of Kubernetes). The same
context gives the same digest.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from airflow_sm_hosting.byte_progress import ByteProgress
from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.builders import Destination, Log, PushedImage, check_platform, log_pushed
from airflow_sm_hosting.images.context import DOCKERIGNORE, ContextFile
from airflow_sm_hosting.images.dockerfile import SCRATCH, Instruction, parse_dockerfile, platform_arguments
from airflow_sm_hosting.images.dockerignore import glob_to_regex
from airflow_sm_hosting.images.layers import ImageTree, Layer, LayerFile, write_layer
from airflow_sm_hosting.images.recipe import BuildRecipe
from airflow_sm_hosting.images.registry import RegistryClient, parse_image_name
from airflow_sm_hosting.work_folder import work_folder

#: Set to 1 for the local AWS's process engine: a base image that is not available is left out.
ALLOW_MISSING_BASE = "SM_HOSTING_ALLOW_MISSING_BASE"

_EPOCH = "1970-01-01T00:00:00Z"
# What Docker gives an image that has none.
_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHIVE = re.compile(r"\.(tar|tar\.(gz|bz2|xz|zst)|tgz|tbz2?|txz)$", re.IGNORECASE)
_REMOTE = re.compile(r"^(https?|git|ssh|ftp)://|^git@", re.IGNORECASE)
_OWNER = re.compile(r"^(\d+|root)(?::(\d+|root))?$")
_GLOB = re.compile(r"[*?\[\\]")
_MODE = re.compile(r"^0?[0-7]{3,4}$")
# Predefined by Docker: they need no ARG, and cause no warning when they are unused.
_PREDEFINED = frozenset(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (upper, upper.lower())
)


class ImageAssembler:
    """Builds images out of layers that it writes itself, and pushes them through the registry's API.

    :param allow_missing_base: leave out a base image that is not available. Such an image runs only in the local
        AWS's process engine, whose Python replaces the base. Default: from the environment.
    """

    name = "assembler"

    def __init__(self, *, allow_missing_base: bool | None = None) -> None:
        if allow_missing_base is None:
            allow_missing_base = os.environ.get(ALLOW_MISSING_BASE, "").lower() in {"1", "true", "yes"}
        self.allow_missing_base = allow_missing_base

    def lacks(self, recipe: BuildRecipe) -> str | None:
        """Return what a build needs and the assembler cannot do; of the Dockerfile's instructions, :meth:`build_and_push` tells."""
        if recipe.secrets:
            return "secrets, which only RUN can read"
        return "build contexts" if recipe.build_contexts else None

    def build_and_push(self, recipe: BuildRecipe, destination: Destination, log: Log) -> PushedImage:
        """Assemble the image and push it.

        :raises ImageBuildError: the Dockerfile needs an engine (with file, line and instruction), the base cannot be
            had, or the registry refused
        """
        file = str(recipe.context.directory / recipe.context.dockerfile)
        instructions = parse_dockerfile(recipe.context.read_dockerfile(), file=file)
        _refuse_what_needs_an_engine(instructions)
        # Only a registry on this machine may get an image that runs nowhere else.
        allow_missing_base = self.allow_missing_base and destination.insecure
        log.info("Assembling %s for %s", recipe.context.directory, recipe.platform)
        with (
            work_folder() as folder,
            destination.registry() as registry,
        ):
            assembly = _Assembly(recipe, destination, registry, folder, log, allow_missing_base)
            for instruction in instructions:
                assembly.carry_out(instruction)
            recipe.context.check_unchanged()
            pushed = _push(assembly, destination, registry, log)
        log_pushed(destination, pushed, log)
        return pushed


@dataclass
class _Image:
    """The image so far."""

    config: dict[str, Any] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    local: dict[str, Path] = field(default_factory=dict)
    diff_ids: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    tree: ImageTree = field(default_factory=ImageTree)


class _Assembly:
    """One walk through a Dockerfile."""

    def __init__(
        self,
        recipe: BuildRecipe,
        destination: Destination,
        registry: RegistryClient,
        folder: Path,
        log: Log,
        allow_missing_base: bool,
    ) -> None:
        self._recipe = recipe
        self._destination = destination
        self._registry = registry
        self.folder = folder
        self._log = log
        self._allow_missing_base = allow_missing_base
        self.image = _Image()
        self._stage: str | None = None
        self._before_from = platform_arguments(recipe.platform)
        self._arguments: dict[str, str] = {}
        self._consumed: set[str] = set()
        self._own_command = False
        self._files = {file.path: file for file in recipe.context.files() if not file.only_for_build}
        self._steps: dict[str, Callable[[Instruction], None]] = {
            "FROM": self._from,
            "ARG": self._arg,
            "COPY": self._copy,
            "ADD": self._add,
            "ENV": self._env,
            "ENTRYPOINT": self._entrypoint,
            "CMD": self._cmd,
            "LABEL": self._label,
            "EXPOSE": self._expose,
            "WORKDIR": self._workdir,
            "USER": self._user,
            "STOPSIGNAL": self._stopsignal,
        }

    def carry_out(self, instruction: Instruction) -> None:
        if self._stage is None and instruction.name not in {"FROM", "ARG"}:
            raise instruction.refuse("Only ARG is allowed before FROM")
        self._log.info("Line %s: %s %s", instruction.line, instruction.name, instruction.arguments)
        layers = len(self.image.layers)
        self._steps[instruction.name](instruction)
        if instruction.name != "FROM" and self._stage is not None:
            # As written: with values put in, a build argument would be readable in the image's history.
            step: dict[str, Any] = {
                "created": _EPOCH,
                "created_by": f"{instruction.name} {instruction.arguments}",
            }
            if len(self.image.layers) == layers:
                step["empty_layer"] = True
            self.image.history.append(step)

    def configuration(self) -> dict[str, Any]:
        """Return the image's configuration.

        :raises ImageBuildError: the asked target is not this Dockerfile's stage
        """
        recipe = self._recipe
        if self._stage is None:
            raise ImageBuildError(f"{recipe.context.directory / recipe.context.dockerfile} has no FROM")
        if recipe.target and recipe.target != self._stage:
            raise ImageBuildError(
                f"The Dockerfile has no stage {recipe.target!r}; it has {self._stage or 'one stage without a name'}"
            )
        unused = sorted(set(recipe.build_args) - self._consumed - _PREDEFINED)
        if unused:
            self._log.warning("The Dockerfile declares no ARG for the build args %s", ", ".join(unused))
        if recipe.labels:
            self.image.config["Labels"] = {**(self.image.config.get("Labels") or {}), **recipe.labels}
        os_name, architecture, *variant = recipe.platform.split("/")
        return {
            "architecture": architecture,
            **({"variant": variant[0]} if variant else {}),
            "os": os_name,
            "created": _EPOCH,
            "config": self.image.config,
            "rootfs": {"type": "layers", "diff_ids": self.image.diff_ids},
            "history": self.image.history,
        }

    def _variables(self) -> dict[str, str]:
        # ENV wins over an ARG of the same name.
        return {**self._arguments, **_environment(self.image.config)}

    def _from(self, instruction: Instruction) -> None:
        if "platform" in instruction.flags:
            self._log.info("--platform of FROM is ignored; the image is built for %s", self._recipe.platform)
        words = instruction.words(self._before_from)
        if len(words) not in {1, 3} or (len(words) == 3 and words[1].lower() != "as"):
            raise instruction.refuse("FROM needs an image and may name the stage: FROM <image> [AS <name>]")
        if not words[0]:
            raise instruction.refuse("The image's name is empty; give the ARG a default value, or build_args")
        self._stage = words[2] if len(words) == 3 else ""
        if words[0] == SCRATCH:
            self.image.config["Env"] = [_DEFAULT_PATH]
            return
        try:
            self.image = _pull_base(
                words[0], self._recipe, self._destination, self._registry, self.folder, self._log
            )
        except ImageBuildError as error:
            if not self._allow_missing_base:
                raise instruction.refuse(
                    f"The base image cannot be pulled without an engine: {error}"
                ) from error
            self._log.warning(
                "THE BASE IMAGE %s IS LEFT OUT, because it cannot be pulled (%s). The image runs only in the "
                "local AWS's process engine, with that engine's Python instead of the base image",
                words[0],
                error,
            )
            self.image.config["Env"] = [_DEFAULT_PATH]
        if self.image.config.get("OnBuild"):
            raise instruction.refuse("The base image has ONBUILD instructions, which need an engine")

    def _arg(self, instruction: Instruction) -> None:
        scope = self._before_from if self._stage is None else self._variables()
        for word in instruction.words(scope):
            name, equals, default = word.partition("=")
            given = self._recipe.build_args.get(name)
            self._consumed.add(name)
            value = given if given is not None else (default if equals else None)
            if self._stage is None:
                if value is not None:
                    self._before_from[name] = value
            else:
                # An ARG without a value takes that of the ARG before FROM.
                value = self._before_from.get(name) if value is None else value
                if value is not None:
                    self._arguments[name] = value

    def _copy(self, instruction: Instruction) -> None:
        words = instruction.words(self._variables())
        if len(words) < 2:
            raise instruction.refuse(f"{instruction.name} needs at least one source and a destination")
        uid, gid, mode = _ownership(instruction, self._variables())
        *sources, destination = words
        files = [
            LayerFile(place, _mode_of(file, mode), uid, gid, self._opener(file), file.target or None)
            for place, file in self._placed(instruction, sources, destination)
        ]
        self._add_layer(files)

    def _add(self, instruction: Instruction) -> None:
        for word in instruction.words(self._variables())[:-1]:
            if _REMOTE.match(word):
                raise instruction.refuse("ADD of a URL needs an engine; download the file first, and COPY it")
            if _ARCHIVE.search(word):
                raise instruction.refuse(
                    "ADD would unpack the archive, which needs an engine; unpack it first, and COPY its "
                    "content"
                )
        self._copy(instruction)

    def _env(self, instruction: Instruction) -> None:
        environment = _environment(self.image.config) | instruction.pairs(self._variables())
        self.image.config["Env"] = [f"{name}={value}" for name, value in environment.items()]

    def _entrypoint(self, instruction: Instruction) -> None:
        self.image.config["Entrypoint"] = instruction.command()
        # The base's CMD are arguments of the base's entry point.
        if not self._own_command:
            self.image.config.pop("Cmd", None)

    def _cmd(self, instruction: Instruction) -> None:
        self._own_command = True
        self.image.config["Cmd"] = instruction.command()

    def _label(self, instruction: Instruction) -> None:
        labels = self.image.config.get("Labels") or {}
        self.image.config["Labels"] = {**labels, **instruction.pairs(self._variables())}

    def _expose(self, instruction: Instruction) -> None:
        ports = dict(self.image.config.get("ExposedPorts") or {})
        for word in " ".join(instruction.words(self._variables())).split():
            port = word if "/" in word else f"{word}/tcp"
            if not re.fullmatch(r"\d+(-\d+)?/(tcp|udp|sctp)", port.lower()):
                raise instruction.refuse(f"{word!r} is not a port; expected 8080 or 8080/tcp")
            ports[port.lower()] = {}
        self.image.config["ExposedPorts"] = ports

    def _workdir(self, instruction: Instruction) -> None:
        folder = self._absolute(instruction.expand(instruction.arguments, self._variables()))
        self.image.config["WorkingDir"] = folder
        place = self.image.tree.resolve(folder)
        if not self.image.tree.is_directory(place):
            self._add_layer([LayerFile(place, 0o755)])

    def _user(self, instruction: Instruction) -> None:
        user = instruction.expand(instruction.arguments, self._variables())
        if not user:
            raise instruction.refuse("USER needs a user")
        self.image.config["User"] = user

    def _stopsignal(self, instruction: Instruction) -> None:
        self.image.config["StopSignal"] = instruction.expand(instruction.arguments, self._variables())

    def _absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join("/", self.image.config.get("WorkingDir") or "/", path))

    def _opener(self, file: ContextFile) -> Callable[[], Any] | None:
        return partial(self._recipe.context.open, file) if file.kind == "file" else None

    def _placed(
        self, instruction: Instruction, sources: list[str], destination: str
    ) -> Iterator[tuple[str, ContextFile]]:
        """Yield each file with its place in the image.

        .. seealso:: https://docs.docker.com/reference/dockerfile/#destination
        """
        matched = [match for source in sources for match in self._match(instruction, source)]
        into_folder = destination.endswith("/") or posixpath.basename(destination) in {".", ".."}
        place = self.image.tree.resolve(self._absolute(destination))
        if len(matched) > 1 and not into_folder:
            raise instruction.refuse(
                f"With more than one source, the destination must end with /: {destination}/"
            )
        is_folder = into_folder or self.image.tree.is_directory(place)
        for name, file in matched:
            if file.kind == "directory":
                yield from self._below(file.path, place)
            elif is_folder:
                yield self.image.tree.resolve(posixpath.join(place, name)), file
            else:
                yield place, file

    def _below(self, folder: str, place: str) -> Iterator[tuple[str, ContextFile]]:
        yield place, ContextFile(folder, "directory")
        prefix = f"{folder}/" if folder else ""
        for path, file in self._files.items():
            if path.startswith(prefix):
                yield self.image.tree.resolve(posixpath.join(place, path.removeprefix(prefix))), file

    def _match(self, instruction: Instruction, source: str) -> list[tuple[str, ContextFile]]:
        """Return the file or folder that a source of COPY names, and its name in the image."""
        if source.startswith("<<"):
            raise instruction.refuse("A here-document needs an engine with BuildKit; put the text in a file")
        path = posixpath.normpath(posixpath.join("/", source)).lstrip("/")
        if not path:
            return [("", ContextFile("", "directory"))]
        paths = [path] if path in self._files else []
        if not paths and _GLOB.search(path):
            pattern = re.compile(glob_to_regex(path))
            paths = [name for name in self._files if pattern.fullmatch(name)]
        if not paths:
            context = self._recipe.context
            hint = f" ({DOCKERIGNORE} excludes it)" if (context.directory / path).exists() else ""
            raise instruction.refuse(f"{source!r} is not in the build context {context.directory}{hint}")
        return [(posixpath.basename(path), self._followed(instruction, path)) for path in paths]

    def _followed(self, instruction: Instruction, path: str) -> ContextFile:
        """Return the target of a link that is itself a source; links in a copied folder stay links."""
        file = self._files[path]
        seen = {path}
        while file.kind == "symlink":
            target = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), file.target))
            if target in seen or target not in self._files:
                raise instruction.refuse(
                    f"The link {path!r} points to {file.target!r}, which is not in the build context"
                )
            seen.add(target)
            file = self._files[target]
        return file

    def _add_layer(self, files: Iterable[LayerFile]) -> None:
        layer = write_layer(files, self.image.tree, self.folder / f"layer-{len(self.image.layers)}.tar.gz")
        self.image.layers.append(_layer_descriptor(layer))
        self.image.local[layer.digest] = layer.path
        self.image.diff_ids.append(layer.diff_id)


# The instructions that the assembler supports without an engine.
_FLAGS = {"FROM": {"platform"}, "COPY": {"chown", "chmod", "link"}, "ADD": {"chown", "chmod", "link"}}
_KNOWN = frozenset(
    (
        "FROM",
        "ARG",
        "COPY",
        "ADD",
        "ENV",
        "ENTRYPOINT",
        "CMD",
        "LABEL",
        "EXPOSE",
        "WORKDIR",
        "USER",
        "STOPSIGNAL",
    )
)


def _refuse_what_needs_an_engine(instructions: Iterable[Instruction]) -> None:
    """Check the whole file before anything is pulled or pushed."""
    stages = 0
    for instruction in instructions:
        name = instruction.name
        stages += name == "FROM"
        if name == "RUN":
            raise instruction.refuse(
                "RUN needs a Docker Engine: start one, or set DOCKER_HOST, or put the result of RUN into the "
                "base image"
            )
        if name not in _KNOWN:
            raise instruction.refuse(
                f"{name} needs a Docker Engine; allowed without one: {', '.join(sorted(_KNOWN))}"
            )
        if stages > 1:
            raise instruction.refuse("A Dockerfile with several stages needs a Docker Engine")
        for flag in sorted(set(instruction.flags) - _FLAGS.get(name, set())):
            raise instruction.refuse(f"{name} --{flag} needs a Docker Engine")


def _environment(config: dict[str, Any]) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in config.get("Env") or [])
    return {name: value for name, _, value in pairs}


def _ownership(instruction: Instruction, variables: dict[str, str]) -> tuple[int, int, int | None]:
    """Return uid, gid and mode of the copied files; None: as in the build context."""
    uid = gid = 0
    mode: int | None = None
    if "chown" in instruction.flags:
        asked = instruction.expand(instruction.flags["chown"], variables)
        owner = _OWNER.match(asked)
        if owner is None:
            raise instruction.refuse(
                f"--chown={asked} needs an engine to look up the name in the image; give numbers: "
                "--chown=1000:1000"
            )
        numbers = [0 if part == "root" else int(part) for part in owner.groups() if part is not None]
        uid, gid = numbers[0], numbers[-1]  # Docker takes the uid for the gid, too, if that is all there is
    if "chmod" in instruction.flags:
        asked = instruction.expand(instruction.flags["chmod"], variables)
        if not _MODE.match(asked):
            raise instruction.refuse(f"--chmod={asked} is not an octal mode; give digits: --chmod=755")
        mode = int(asked, 8)
    return uid, gid, mode


def _mode_of(file: ContextFile, asked: int | None) -> int:
    if file.kind == "symlink":
        return 0o777
    if asked is not None:
        return asked
    return 0o755 if file.executable or file.kind == "directory" else 0o644


def _layer_descriptor(layer: Layer) -> dict[str, Any]:
    return {"mediaType": manifests.DOCKER_LAYER, "size": layer.size, "digest": layer.digest}


def _pull_base(
    name: str, recipe: BuildRecipe, destination: Destination, registry: RegistryClient, folder: Path, log: Log
) -> _Image:
    """Get the base image from its registry: with its credentials where they are known, anonymously elsewhere."""
    host, repository, reference = parse_image_name(name)
    if host == destination.host:
        return _pull(registry, repository, reference, recipe.platform, folder, log, name)
    with recipe.registry(host) as other:
        return _pull(other, repository, reference, recipe.platform, folder, log, name)


def _pull(
    registry: RegistryClient,
    repository: str,
    reference: str,
    platform: str,
    folder: Path,
    log: Log,
    name: str,
) -> _Image:
    media_type, content = registry.get_manifest(repository, reference)
    if manifests.is_index(media_type):
        chosen = manifests.select_platform(json.loads(content), platform)
        media_type, content = registry.get_manifest(repository, chosen)
    manifest = manifests.to_docker(json.loads(content))
    log.info("Using the base image %s, %s", name, manifests.digest_of(content))
    base = json.loads(registry.get_blob(repository, manifest["config"]["digest"]))
    check_platform(
        platform, os_name=base["os"], architecture=base["architecture"], what=f"The base image {name}"
    )
    image = _Image(
        config=dict(base.get("config") or {}),
        layers=list(manifest["layers"]),
        diff_ids=list(base["rootfs"]["diff_ids"]),
        history=list(base.get("history") or []),
    )
    for number, layer in enumerate(manifest["layers"]):
        path = folder / f"base-{number}"
        progress = ByteProgress(log, f"Pulling {layer['digest']}", layer["size"])
        registry.download_blob(repository, layer["digest"], path, progress)
        with path.open("rb") as file:
            image.tree.apply(file)
        image.local[layer["digest"]] = path
    return image


def _push(assembly: _Assembly, destination: Destination, registry: RegistryClient, log: Log) -> PushedImage:
    repository = destination.repository
    configuration = manifests.to_bytes(assembly.configuration())
    image = assembly.image
    for layer in image.layers:
        digest = layer["digest"]
        if registry.has_blob(repository, digest):
            log.info("%s: layer already exists", digest)
        else:
            progress = ByteProgress(log, f"Pushing {digest}", layer["size"])
            registry.upload_blob(repository, digest, image.local[digest], progress)
            log.info("%s: pushed %.1f MB", digest, layer["size"] / 1e6)
    config_digest = manifests.digest_of(configuration)
    if not registry.has_blob(repository, config_digest):
        path = assembly.folder / "config.json"
        path.write_bytes(configuration)
        registry.upload_blob(repository, config_digest, path)
    manifest = {
        "schemaVersion": 2,
        "mediaType": manifests.DOCKER_MANIFEST,
        "config": {"mediaType": manifests.DOCKER_CONFIG, "size": len(configuration), "digest": config_digest},
        "layers": image.layers,
    }
    content = manifests.to_bytes(manifest)
    digest = registry.put_manifest(repository, destination.tag, content, manifests.DOCKER_MANIFEST)
    return PushedImage(
        digest=digest, media_type=manifests.DOCKER_MANIFEST, size=manifests.image_size(manifest)
    )
