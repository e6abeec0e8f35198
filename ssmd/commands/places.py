"""The places that a command reads: files and folders, and storages in buckets, which look like folders to it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, NoReturn

from ssmd.bucket.address import Address, is_address
from ssmd.commands.caches import cache_asked, cache_folder, temporary_folder
from ssmd.commands.jobs.cores import cores
from ssmd.commands.jobs.outlet import Outlet, Work
from ssmd.errors import SsmdError, UsageError
from ssmd.store.layout import day_of

if TYPE_CHECKING:
    from ssmd.bucket.mirror import Mirror

__all__ = ["Places", "places"]

class Places:
    """The paths that a command was given, each a file or folder of this host now."""

    def __init__(self, paths: Sequence[Path], mirrors: Sequence[Mirror]) -> None:
        self.paths = paths
        self._mirrors = mirrors
        self.passes = 2 if mirrors else 1
        """How often a byte is worked on that is read once: what is in a bucket comes first."""

    def work(self, work: Work, *, shown: bool = True) -> Work:
        """Return work that may be done in another process. `shown`: whether a bar shows its progress."""
        return _Fetching(work, self._mirrors, shown) if self._mirrors else work


class _Fetching:
    """Work on files of buckets; the bytes that come count as done too."""

    def __init__(self, work: Work, mirrors: Sequence[Mirror], shown: bool) -> None:
        self._work = work
        self._mirrors = mirrors
        self._shown = shown

    def __call__(self, unit: Any, outlet: Outlet) -> Any:
        counted = _Counted(outlet)
        for mirror in self._mirrors:
            mirror.use()
            mirror.progress = counted.came if self._shown else _Announced(mirror)
        return self._work(unit, counted)


class _Announced:
    """Names on a terminal what is fetched: that may take minutes."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._named: set[Path] = set()

    def __call__(self, path: Path, count: int) -> None:
        if path not in self._named and sys.stderr.isatty():
            name = path.relative_to(self._mirror.root)
            print(f"ssmd: fetching {self._mirror.address}/{name}, {path.stat().st_size:,} bytes", file=sys.stderr)
        self._named.add(path)


class _Counted:
    """An outlet that adds what came to what is done."""

    def __init__(self, outlet: Outlet) -> None:
        self.report = outlet.report
        self.write = outlet.write
        self._outlet = outlet
        self._came = 0

    def came(self, path: Path, count: int) -> None:
        self._came += count
        self._outlet.progress(self._came)

    def progress(self, done: int) -> None:
        self._outlet.progress(self._came + done)


@contextmanager
def places(
    texts: Sequence[str],
    arguments: Mapping[str, Any],
    wanted: Callable[[str], bool] = lambda day: True,
) -> Iterator[Places]:
    """Yield what `texts` name; those that begin with s3:// are looked up in their buckets.

    `arguments`: with --cache and --cache-size. `wanted`: whether a day, YYYY-MM-DD, is needed at all. Until the end of
    the block, what is printed has the address of a bucket where it has the folder that stands for it. Raises
    UsageError, EngineError, and what a Mirror raises.
    """
    if not any(map(is_address, texts)):
        if arguments.get("--cache") is not None:
            raise UsageError("--cache is for what is read from a bucket; name one, such as s3://<bucket>/<prefix>")
        yield Places([Path(text) for text in texts], ())
        return
    with ExitStack() as stack:
        stack.enter_context(_ended_by_sigterm())
        cache, size = cache_asked(arguments)
        folder = stack.enter_context(temporary_folder() if cache is None else cache_folder(cache))
        buckets = _Buckets(folder, size // cores(), wanted, stack)
        stack.enter_context(_shown(buckets.names))
        paths = [buckets.path_of(text) if is_address(text) else Path(text) for text in texts]
        yield Places(paths, list(buckets.mirrors.values()))


class _Buckets:
    """The storages in buckets that a command reads. `keeps`: as of a Mirror."""

    def __init__(
        self,
        folder: Path,
        keeps: int,
        wanted: Callable[[str], bool],
        stack: ExitStack,
    ) -> None:
        self._folder = folder
        self._keeps = keeps
        self._wanted = wanted
        self._stack = stack
        self.mirrors: dict[Address, Mirror] = {}
        self.names: dict[str, str] = {}
        """What the paths of the folders stand for."""

    def path_of(self, text: str) -> Path:
        """Return the path that stands for an address: of a storage, of one of its days, or of a file of a day."""
        whole = Address.parse(text)
        parts = whole.prefix.split("/") if whole.prefix else []
        at = next((place for place, part in enumerate(parts) if day_of(Path(part)) is not None), len(parts))
        mirror = self._mirror(Address.of(whole.bucket, "/".join(parts[:at])))
        mirror.lay_out(self._wanted, parts[at] if at < len(parts) else None)
        return mirror.root.joinpath(*parts[at:])

    def _mirror(self, address: Address) -> Mirror:
        from ssmd.bucket.mirror import Mirror  # Here: a command that reads files starts faster.

        if address not in self.mirrors:
            root = self._folder / address.bucket / address.prefix
            root.mkdir(parents=True, exist_ok=True)
            mirror = self.mirrors[address] = Mirror(address, root, keeps=self._keeps)
            mirror.progress = _Announced(mirror)
            self.names[str(root)] = str(address)
            self._stack.callback(mirror.close)
            mirror.use()
        return self.mirrors[address]


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Leave the block in order when SIGTERM ends this process."""
    before = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _shown(names: Mapping[str, str]) -> Iterator[None]:
    """Print names in place of paths, on stdout and on stderr, and in errors."""

    def named(text: str) -> str:
        for path, name in names.items():
            text = text.replace(path, name)
        return text

    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Named(stream, named) for stream in before)
    try:
        yield
    except SsmdError as error:
        error.args = tuple(named(one) if isinstance(one, str) else one for one in error.args)
        raise
    finally:
        sys.stdout, sys.stderr = before


class _Named:
    """A stream that writes names in place of paths. Bytes that are written to its buffer stay as they are."""

    def __init__(self, stream: IO[str], named: Callable[[str], str]) -> None:
        self._stream = stream
        self._named = named

    def write(self, text: str) -> int:
        self._stream.write(self._named(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
