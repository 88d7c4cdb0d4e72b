"""The FastAPI app of the plugin: static files and nothing else, as Airflow guards no route of a plugin."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

mimetypes.add_type("text/javascript", ".js")  # browsers refuse a module of another type

#: Without the pages that FastAPI adds: they would be open to everyone, too.
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
