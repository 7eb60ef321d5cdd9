"""The command `tracker`: the server, a demo, and what is left of a client's work when its server was away."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .client.http import Api, NotAllowed, Refused, Unanswered
from .client.run import DEFAULT_URL
from .keys import add_commands
from .server.config import PORT, Settings

if TYPE_CHECKING:
    from .train import Config


class Mistake(Exception):
    """Something that the user can mend; its text says how."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code of the process."""
    parser = argparse.ArgumentParser(prog="tracker", description="A tiny ML experiment tracker.")
    parser.add_argument("--version", action="version", version=f"tracker {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="answer HTTP requests, until Ctrl-C")
    serve.add_argument(
        "--host", default="127.0.0.1", help="the address to listen at (default: %(default)s, this machine only)"
    )
    where = serve.add_mutually_exclusive_group()
    where.add_argument("--port", type=int, help=f"the port (default: {PORT}, or the next free one)")
    where.add_argument("--fd", type=int, help="instead: the number of a listening socket that this process was given")
    serve.add_argument("--dir", type=Path, help="the folder of tracker.db (default: $TRACKER_DIR, else ./.tracker)")
    serve.add_argument("--about", default="", metavar="TEXT", help="a sentence to show on its page and in /healthz")
    serve.add_argument("--quiet", action="store_true", help="log what goes wrong, and not every request")
    serve.set_defaults(run=_serve)

    migrate = commands.add_parser("migrate", help="bring the tables of the database to the version of this tracker")
    migrate.add_argument("--dir", type=Path, help="the folder of tracker.db (default: $TRACKER_DIR, else ./.tracker)")
    migrate.set_defaults(run=_migrate)

    worker = commands.add_parser("worker", help="store what the servers put into the queue, until Ctrl-C")
    worker.add_argument("--quiet", action="store_true", help="log only what goes wrong")
    worker.set_defaults(run=_worker)

    dead = commands.add_parser("dead", help="messages of the queue that could not be stored")
    dead.add_argument(
        "action", choices=("list", "requeue"), help="show them with the reason; or give them another chance"
    )
    dead.add_argument("--limit", type=int, default=100, help="how many at most (default: %(default)s)")
    dead.set_defaults(run=_dead)

    demo = commands.add_parser("demo", help="train three small networks that log to the tracker")
    demo.add_argument("--epochs", type=int, default=30, help="passes over the training images (default: %(default)s)")
    demo.set_defaults(run=_demo)

    sync = commands.add_parser("sync", help="send what the server has not received yet")
    sync.add_argument(
        "dir", type=Path, nargs="?", help="the folder with the spool (default: $TRACKER_DIR, else ./.tracker)"
    )
    sync.set_defaults(run=_sync)

    export = commands.add_parser("export", help="write an experiment as text, to keep or to take elsewhere")
    export.add_argument("experiment", help="its name")
    export.add_argument(
        "--csv", action="store_true", help="a table of its points, for other programs (default: all of it)"
    )
    export.add_argument("--output", "-o", type=Path, metavar="FILE", help="where to (default: standard output)")
    export.set_defaults(run=_export)

    import_ = commands.add_parser("import", help="send the runs of an export, or of a spool file, to a tracker")
    import_.add_argument("file", type=Path, help="what `tracker export` wrote")
    import_.add_argument(
        "--experiment", metavar="NAME", help="the experiment they go to (default: the one they are from)"
    )
    import_.set_defaults(run=_import)

    add_commands(commands)

    doctor = commands.add_parser("doctor", help="say what is configured, reachable and up to date, and what to do")
    doctor.add_argument("--dir", type=Path, help="the folder of the data (default: $TRACKER_DIR, else ./.tracker)")
    doctor.set_defaults(run=_doctor)

    for command in (demo, sync, export, import_, doctor):
        command.add_argument("--url", help=f"the tracker (default: $TRACKER_URL, else {DEFAULT_URL})")

    options = parser.parse_args(arguments)
    warnings.showwarning = lambda message, *_: print(f"tracker: {message}", file=sys.stderr)
    try:
        options.run(options)
    except NotAllowed as refusal:
        print(f"tracker: {refusal}", file=sys.stderr)
        return 1
    except Unanswered as unanswered:
        print(f"tracker: {unanswered}: start a tracker with `tracker serve`, or name yours with --url", file=sys.stderr)
        return 1
    except (Mistake, Refused, ValueError) as mistake:
        print(f"tracker: {mistake}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who reads what we write has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0


def _url(options: argparse.Namespace) -> str:
    return str(options.url or os.environ.get("TRACKER_URL") or DEFAULT_URL)


def _folder(options: argparse.Namespace) -> Path:
    return Path(getattr(options, "dir", None) or os.environ.get("TRACKER_DIR") or ".tracker").absolute()


def _serve(options: argparse.Namespace) -> None:
    try:
        from .server.opening import CannotServe
        from .server.serve import serve
    except ModuleNotFoundError as missing:
        raise Mistake(f"the server needs {missing.name}: pip install 'tracker-workbook[server]'") from None
    try:
        serve(_folder(options), options.host, options.port, fd=options.fd, about=options.about, quiet=options.quiet)
    except CannotServe as reason:
        raise Mistake(str(reason)) from None


def _migrate(options: argparse.Namespace) -> None:
    try:
        from .server.migrations import versions
        from .server.opening import CannotServe, claimed, opened, settings_for
    except ModuleNotFoundError as missing:
        raise Mistake(f"the server needs {missing.name}: pip install 'tracker-workbook[server]'") from None
    try:
        settings = settings_for(_folder(options))
        with claimed(settings), opened(settings, migrate=True) as database:
            print(f"tracker: {database.name} has tables of version {versions(database)[0]}, the newest")
    except CannotServe as reason:
        raise Mistake(str(reason)) from None


def _worker(options: argparse.Namespace) -> None:
    with _queue(options) as settings:
        from .server.worker import work

        work(settings, quiet=options.quiet)


def _dead(options: argparse.Namespace) -> None:
    with _queue(options) as settings:
        from .server.dead import list_dead, requeue

        if options.action == "list":
            print("\n".join(list_dead(settings, options.limit)) or "tracker: no message is dead")
        else:
            print(f"tracker: {requeue(settings, options.limit)} messages are back in the queue")


@contextmanager
def _queue(options: argparse.Namespace) -> Iterator[Settings]:
    """The settings of a server with a queue. Raises Mistake, also for what goes wrong with them."""
    try:
        from .server.opening import CannotServe, settings_for

        settings = settings_for(_folder(options))
        if not settings.rabbitmq_url:
            raise Mistake("there is no queue: set TRACKER_RABBITMQ_URL, as for the servers that fill it")
        yield settings
    except ModuleNotFoundError as missing:
        needed = "tracker-workbook[server,postgres,rabbitmq]"
        raise Mistake(f"the queue needs {missing.name}: pip install '{needed}'") from None
    except CannotServe as reason:
        raise Mistake(str(reason)) from None


def _demo(options: argparse.Namespace) -> None:
    url = _url(options)
    with closing(Api(url)) as api:
        api.request("GET", "/experiments?limit=1")  # a missing key should be missed before the training
    try:
        from .train import Config
    except ModuleNotFoundError as missing:
        raise Mistake(f"the demo needs {missing.name}: pip install 'tracker-workbook[train]'") from None
    for name, lr in (("too small", 0.001), ("just right", 0.1), ("too large", 1.0)):
        _train(url, name, Config(lr=lr, epochs=options.epochs))
    print(f"The curves: {url}/ui/")


def _train(url: str, name: str, config: Config) -> None:
    """One run of the demo, with a line of progress that a terminal sees grow."""
    from dataclasses import asdict

    from .client.run import init
    from .train import load, train

    title = f"{name:>10}  learning rate {config.lr:<5g}"
    live = sys.stdout.isatty()

    def show(epoch: int, accuracy: float) -> None:
        if live or epoch == config.epochs:
            start, end = ("\r", "") if live else ("", "\n")
            print(f"{start}{title}  epoch {epoch:>3} of {config.epochs}  accuracy {accuracy:.1%}", end=end, flush=True)

    with init("digits", name=name, params=asdict(config), url=url) as run:
        train(config, load(), run.log, show)
    if live:
        print()


def _sync(options: argparse.Namespace) -> None:
    from .client.sync import sync

    folder, url = _folder(options), _url(options)
    sent, busy = sync(folder, url, progress=lambda run, left: _show(f"{run}: {left:,} bytes left"))
    _show("")
    print(f"tracker: {_runs(sent)} sent from {folder} to {url}" if sent else f"tracker: nothing to send in {folder}")
    if busy:
        print(f"tracker: {_runs(busy)} left to the training, which sends its points itself")


def _export(options: argparse.Namespace) -> None:
    with closing(Api(_url(options))) as api:
        found = api.experiment(options.experiment)
        if not found:
            raise Mistake(f"there is no experiment named {options.experiment!r} at {api.url}")
        parts = api.stream(f"/experiments/{found['id']}/export?format={'csv' if options.csv else 'jsonl'}")
        if options.output is None:
            for part in parts:
                sys.stdout.buffer.write(part)
            sys.stdout.flush()
            return
        size = _write(options.output, parts)
    print(f"tracker: {size:,} bytes of {options.experiment!r} are in {options.output}")


def _write(file: Path, parts: Iterable[bytes]) -> int:
    """Writes the whole of it or nothing, and returns its size. Raises Mistake where it cannot be written."""
    unfinished = file.with_name(f"{file.name}.part")
    try:
        with unfinished.open("wb") as written:
            for part in parts:
                written.write(part)
                _show(f"{file}: {written.tell():,} bytes")
            size = written.tell()
        _show("")
        unfinished.replace(file)
    except OSError as error:
        raise Mistake(f"{file} cannot be written ({error.strerror}): name another with --output") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return size


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _show(progress: str) -> None:
    """A line that the next one takes the place of; only for who looks on."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{progress}", end="", file=sys.stderr, flush=True)


def _import(options: argparse.Namespace) -> None:
    from .client.sync import import_file

    try:
        size = options.file.stat().st_size
        runs, refused = import_file(
            options.file,
            _url(options),
            experiment=options.experiment,
            progress=lambda done: _show(f"{options.file}: {done / size:.0%}"),
        )
    except OSError as error:
        raise Mistake(f"{options.file} cannot be read ({error.strerror})") from None
    _show("")
    print(f"tracker: {_runs(runs)} of {options.file} sent to {_url(options)}")
    if refused:
        raise Mistake(
            f"without {refused} of their lines and points, which are in {options.file.with_suffix('.refused')}"
        )


def _doctor(options: argparse.Namespace) -> None:
    from .doctor import report

    if not report(_url(options), _folder(options)):
        raise Mistake("what has an arrow needs you")
