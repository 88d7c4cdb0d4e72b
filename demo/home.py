"""Where the demo of one port keeps all that it makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
#: The homes of all demos of this clone.
DEMOS = REPOSITORY / ".demo"
#: The port of the local AWS where none is given.
DEFAULT_PORT = 4566


@dataclass(frozen=True)
class Home:
    """The folder of the demo of one port: demos of two ports share no file.

    :param port: The port of its local AWS.
    """

    port: int

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return DEMOS / str(self.port)

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.folder / "airflow"

    @property
    def state(self) -> Path:
        """The state folder of its local AWS: what ``sm-hosting local`` notes of a running server."""
        return self.folder / "local-aws"

    @property
    def models(self) -> Path:
        """The trained artifacts."""
        return self.folder / "models"

    @property
    def access_key(self) -> Path:
        """The file with the access key of the local AWS: the same after a restart, so that a running UI stays connected."""
        return self.folder / "access-key"

    @property
    def environment(self) -> Path:
        """The file with the environment of its Airflow, JSON."""
        return self.folder / "environment.json"

    @property
    def log(self) -> Path:
        """The log of Airflow's runs."""
        return self.folder / "demo.log"

    @property
    def ui_log(self) -> Path:
        """The log of Airflow's UI, scheduler, DAG processor and triggerer."""
        return self.folder / "ui.log"

    @property
    def report(self) -> Path:
        """The file with the results of the newest runs, JSON."""
        return self.folder / "report.json"

    @property
    def lock(self) -> Path:
        """Is held while a demo runs: one at a time on a port."""
        return self.folder / "demo.lock"

    @property
    def make_option(self) -> str:
        """What a ``make`` command needs to mean this demo: `` PORT=…``, nothing for the default port."""
        return "" if self.port == DEFAULT_PORT else f" PORT={self.port}"

    def prepare(self) -> None:
        """Make the folder.

        It holds the key of the local AWS, under which containers, and with the process engine plain code, are run: it is the
        user's alone.
        """
        for folder in (DEMOS, self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)


def demos() -> list[Home]:
    """Return the demos of this clone that ran so far, by port."""
    ports = sorted(int(path.name) for path in DEMOS.glob("[0-9]*") if path.name.isdigit())
    return [home for home in map(Home, ports) if home.environment.exists()]
