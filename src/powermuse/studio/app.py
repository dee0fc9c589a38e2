"""The studio as a web application: files and the page go out, wishes come in. No logic of its own."""

from collections.abc import Awaitable, Callable
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import FastAPI, File, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from powermuse.agents.factors import FACTORS
from powermuse.studio.models import Models
from powermuse.studio.store import LARGEST_BYTES, LONGEST_S, Store
from powermuse.studio.work import Asked, Side, Worker
from powermuse.types import BadInput

PAGE = Path(str(resources.files("powermuse") / "studio/page"))
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_KEPT = {
    "blend.wav": "audio/wav", "blend.json": "application/json", "blend.png": "image/png", "blend.mid": "audio/midi",
    "heard/groove.wav": "audio/wav", "heard/harmony.wav": "audio/wav", "heard/mix.wav": "audio/wav",
    "heard/blend.wav": "audio/wav",
}  # fmt: skip
"""The files of a blend that a page may have."""
_Next = Callable[[Request], Awaitable[Response]]


Seconds = Annotated[float, Field(ge=0.0, le=LONGEST_S, allow_inf_nan=False)]


class SideWish(BaseModel, extra="forbid"):
    """One of the two sounds of a wish."""

    sound: str
    begin_s: Seconds = 0.0
    end_s: Seconds = 0.0


class Wish(BaseModel, extra="forbid"):
    """What a page asks for."""

    groove: SideWish
    harmony: SideWish
    model: str = "factors"
    seed: int = Field(0, ge=0, lt=2**53)
    length: Literal["longer", "shorter", "groove", "harmony"] = "longer"
    orchestration: str = ""
    sources: dict[str, str] = {}
    strengths: dict[str, float] = {}
    align: str = "auto"
    transpose: str = "0"
    distance: float | None = Field(None, ge=0.0, le=1.0, allow_inf_nan=False)


def make(folder: Path, hosts: tuple[str, ...] = LOOPBACK, models: Models | None = None) -> FastAPI:
    """The application over a folder, with `models` (the shipped ones where None). Answers only where it is called by
    one of `hosts`; empty: by any."""
    app = FastAPI(title="PowerMuse studio", docs_url=None, redoc_url=None, openapi_url=None)
    store = Store(folder)
    worker = Worker(store, models or Models())
    app.state.store, app.state.worker = store, worker
    _guard(app, hosts)
    _sounds(app, store, worker)
    _work(app, worker)
    _blends(app, store)

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        return {"version": version("powermuse"), "models": worker.models.told(),
                "factors": FACTORS, "longest_s": LONGEST_S, "largest_bytes": LARGEST_BYTES}  # fmt: skip

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE))
    return app


def _guard(app: FastAPI, hosts: tuple[str, ...]) -> None:
    """Who may ask: this machine's own pages. Another site that a browser has open cannot, not by a name that it has
    led to this address either."""

    @app.middleware("http")
    async def guard(request: Request, call_next: _Next) -> Response:
        origin = request.headers.get("origin")
        if hosts and _part("hostname", f"//{request.headers.get('host', '')}") not in hosts:
            return _refusal("this studio answers on its own machine alone", 403)
        if origin is not None and _part("netloc", origin) != request.headers.get("host"):
            return _refusal("another page may not ask", 403)
        if "transfer-encoding" in request.headers:  # no page of ours sends without saying how much
            return _refusal("the length of what is sent is wanted", 411)
        if int(request.headers.get("content-length") or 0) > LARGEST_BYTES + 100_000:
            return _refusal(f"at most {LARGEST_BYTES / 1e6:.0f} MB are taken", 413)
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.exception_handler(BadInput)
    async def bad_input(_: Request, error: BadInput) -> JSONResponse:
        return _refusal(str(error), 400)

    @app.exception_handler(RequestValidationError)
    async def bad_form(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return _refusal(f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}", 400)


def _part(name: str, address: str) -> str | None:
    """A part of an address; None of what is none."""
    try:
        found: str | None = getattr(urlsplit(address), name)
    except ValueError:
        return None
    return found


def _refusal(message: str, status: int) -> JSONResponse:
    return JSONResponse({"trouble": message}, status)


def _sounds(app: FastAPI, store: Store, worker: Worker) -> None:
    @app.get("/api/sounds")
    def sounds() -> list[dict[str, Any]]:
        return [sound.told() for sound in store.sounds()]

    @app.post("/api/sounds")
    def bring(file: Annotated[UploadFile, File()]) -> dict[str, Any]:
        return store.add_sound(file.filename or "sound", file.file.read(LARGEST_BYTES + 1)).told()

    @app.delete("/api/sounds/{id_}")
    def put_away(id_: str) -> dict[str, Any]:
        store.drop_sound(id_)
        return {}

    @app.get("/api/sounds/{id_}/bars")
    def bars(id_: str, begin_s: Seconds = 0.0, end_s: Seconds = 0.0) -> dict[str, Any]:
        return worker.bars(Side(id_, begin_s, end_s))

    @app.get("/api/sounds/{id_}/audio")
    def audio(id_: str) -> Response:
        from powermuse.audio import files

        # As wav: a browser does not play every kind that is read here.
        wav_CN = files.read(store.sound(id_).path, 24_000)
        peak = max(1.0, float(abs(wav_CN).max()))
        return Response(files.encoded(wav_CN / peak, 24_000, "sound.wav"), media_type="audio/wav")


def _work(app: FastAPI, worker: Worker) -> None:
    @app.post("/api/jobs")
    def ask(wish: Wish) -> dict[str, Any]:
        groove, harmony = (Side(**side.model_dump()) for side in (wish.groove, wish.harmony))
        asked = Asked(
            groove, harmony, wish.model, wish.seed, wish.length, wish.orchestration, wish.sources, wish.strengths,
            wish.align, wish.transpose, wish.distance,
        )  # fmt: skip
        return worker.ask(asked).view()

    @app.get("/api/jobs/{id_}")
    def job(id_: str) -> dict[str, Any]:
        return worker.job(id_).view()

    @app.delete("/api/jobs/{id_}")
    def call_off(id_: str) -> dict[str, Any]:
        return worker.call_off(id_).view()


def _blends(app: FastAPI, store: Store) -> None:
    @app.get("/api/blends")
    def blends() -> list[dict[str, Any]]:
        return store.blends()

    @app.get("/api/blends/{id_}/{name:path}")
    def blend(id_: str, name: str) -> FileResponse:
        if name not in _KEPT:
            raise BadInput("a blend has no such file")
        return FileResponse(store.blend_file(id_, name), media_type=_KEPT[name])

    @app.delete("/api/blends/{id_}")
    def forget(id_: str) -> dict[str, Any]:
        store.drop_blend(id_)
        return {}
