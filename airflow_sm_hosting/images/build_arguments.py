"""Arguments that ``docker buildx build`` and ``buildah build`` have in common."""

from __future__ import annotations

from pathlib import Path

from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.recipe import BuildRecipe

#: The folder with the build context, in the folder that the command runs in.
CONTEXT = "context"
_VARIABLE = "SM_HOSTING_BUILD_SECRET_{}"


def write_contexts(recipe: BuildRecipe, folder: Path) -> dict[str, str]:
    """Write the build context into a folder, and the named ones beside it; return the places of these, by their names.

    A copy, because a builder that reads the folder itself would see modes, times and files that the fingerprint does not cover.

    :param folder: an empty one, in which the command runs
    """
    recipe.context.write_to(folder / CONTEXT)
    places = {}
    for number, (name, source) in enumerate(recipe.build_contexts.items()):
        if isinstance(source, BuildContext):
            places[name] = str(folder / f"{CONTEXT}-{number}")
            source.write_to(Path(places[name]))
        else:
            places[name] = f"docker-image://{source}"
    return places


def build_arguments(recipe: BuildRecipe, contexts: dict[str, str]) -> list[str]:
    """Return the options; the values of secrets are in :func:`secret_variables`, as a command line is seen by other users of the machine.

    :param recipe: the build
    :param contexts: of :func:`write_contexts`
    """
    options = [
        f"--platform={recipe.platform}",
        f"--file={CONTEXT}/{recipe.context.dockerfile}",
        *(f"--build-context={name}={place}" for name, place in contexts.items()),
        *(f"--label={name}={value}" for name, value in recipe.labels.items()),
        *(f"--build-arg={name}={value}" for name, value in recipe.build_args.items()),
        *(f"--secret=id={name},env={_VARIABLE.format(number)}" for number, name in enumerate(recipe.secrets)),
    ]
    if recipe.target:
        options.append(f"--target={recipe.target}")
    return options


def secret_variables(recipe: BuildRecipe) -> dict[str, str]:
    """Return the variables of the command's environment: the secrets."""
    return {_VARIABLE.format(number): value for number, value in enumerate(recipe.secrets.values())}
