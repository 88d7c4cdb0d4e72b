"""Write ``docs/local-aws-rules.md``: ``python -m tests.local.rules.write_page``. It runs all tests of this folder."""

from __future__ import annotations

import sys

import pytest

from tests.local.rules import outcomes


class _Writer:
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._config = session.config

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # The folder's conftest has been read by now.
        self._conftest = next(
            plugin
            for plugin in session.config.pluginmanager.get_plugins()
            if getattr(plugin, "__file__", None) == str(outcomes.FOLDER / "conftest.py")
        )
        session.config.stash[self._conftest.WRITING] = True

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK:
            moto = session.config.stash[self._conftest.MOTO]
            outcomes.PAGE.write_text(outcomes.page(moto), encoding="utf-8")


def main() -> None:
    """Run the tests and write the page, unless one fails on the local AWS."""
    arguments = [
        str(outcomes.FOLDER),
        "-q",
        f"--ignore={outcomes.FOLDER / 'test_page.py'}",
        "-p",
        "no:cacheprovider",
    ]
    sys.exit(pytest.main(arguments, plugins=[_Writer()]))


if __name__ == "__main__":
    main()
