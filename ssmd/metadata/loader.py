"""The tree as a whole: an environment with the feed and the schema that it refers to, or everything that is wrong.

load() is for a run, and reads only what that environment needs. check() looks at the whole tree, or at some of its
environments. Both report all errors at once, and each once, however many environments refer to its file. load_feed() is
for recordings, which need no environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path as FilePath
from typing import Any

from ssmd.errors import ConfigError, visible
from ssmd.metadata.checking_hours import check_calendar, check_schedule, check_silences
from ssmd.metadata.checking_schema import definition_to_check
from ssmd.metadata.definition import check_definitions
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.document import why_unusable
from ssmd.metadata.fields import NAME
from ssmd.metadata.folder import Folder, MetadataFile
from ssmd.metadata.model import Environment, Feed, FeedVersion, Schema
from ssmd.metadata.parts import Parts
from ssmd.metadata.problem import Problem, quoted
from ssmd.metadata.references import FeedInUse, feed_of, schema_of
from ssmd.metadata.serving import check_environment, check_feed, check_for_exchange

__all__ = ["Deployment", "Problem", "Report", "check", "load", "load_feed"]


@dataclass(frozen=True)
class Report:
    """The outcome of check()."""

    files: list[str]
    """Every file that was read: environments, feeds, schemas, each in alphabetical order."""
    problems: list[Problem]
    """In the order of the files, and within each in the order of its lines."""
    deployments: dict[str, Deployment]
    """The environments that could be run, by name."""
    unusable: list[str]
    """The files of the environments that could not."""


def load(config_dir: str | os.PathLike[str], environment: str, today: date, parts: Parts) -> Deployment:
    """Return one environment with its feed and its schema. Raises ConfigError with every error, one a line.

    The warnings are left out: each line becomes an error in the log.
    """
    tree = _Tree(FilePath(config_dir), today, parts)
    tree.require(environment)
    deployment = tree.deploy(environment)
    if deployment is None:
        raise ConfigError("\n".join(str(problem) for problem in tree.problems() if not problem.warning))
    return deployment


def check(config_dir: str | os.PathLike[str], today: date, parts: Parts, names: Iterable[str] = ()) -> Report:
    """Check the whole tree, or the environments of these names and what they refer to.

    Raises ConfigError when there is no tree, or no environment of such a name.
    """
    tree = _Tree(FilePath(config_dir), today, parts)
    chosen = sorted(set(names))
    for name in chosen:
        tree.require(name)
    tree.read_environments(chosen)
    found = {name: tree.deploy(name) for name in chosen or tree.environments.names}
    for name in found:
        if found[name] is None:
            tree.report_dependence(name)
    if not chosen:
        tree.read_all()
    problems = tree.problems()
    if not found:
        message = "has no environment in it; add one, or name another directory with --config-dir"
        problems.append(Problem("environments/", None, "", message, warning=True))
    return Report(
        files=[file.file for file in tree.files()],
        problems=problems,
        deployments={name: deployment for name, deployment in found.items() if deployment},
        unusable=[tree.environments.file(name).file for name, deployment in found.items() if deployment is None],
    )


def load_feed(config_dir: str | os.PathLike[str], feed: str, parts: Parts) -> Feed:
    """Return a feed with all its versions. Raises ConfigError with every error, one a line."""
    tree = _Tree(FilePath(config_dir), date.max, parts)
    found = tree.feed(feed)
    if found is None:
        raise ConfigError("\n".join(str(problem) for problem in tree.problems() if not problem.warning))
    return found


def _in_order(files: Iterable[MetadataFile[Any]]) -> list[Problem]:
    """Return the problems of these files, those of a file in the order of its lines."""
    return [problem for file in files for problem in sorted(file.problems, key=lambda problem: problem.line or 0)]


class _Tree:
    """The three folders, whose files are read when they are needed."""

    def __init__(self, config_dir: FilePath, today: date, parts: Parts) -> None:
        self._config_dir = str(config_dir)
        self._shown = visible(self._config_dir)
        self._require_directory(config_dir)
        self._today = today
        self._parts = parts
        self.environments = Folder(config_dir, "environments", Environment, parts.of_environment)
        self._feeds = Folder(config_dir, "feeds", Feed, parts.of_feed)
        self._schemas = Folder(config_dir, "schemas", Schema, check=check_definitions)

    def _require_directory(self, config_dir: FilePath) -> None:
        # A directory without environments/ is one without environments: git does not keep an empty folder.
        try:
            if config_dir.is_dir():
                return
            config_dir.stat()
            reason = "it is a file; name the directory that has environments/ in it"
        except FileNotFoundError:
            reason = "there is no such directory; name the one that has environments/ in it"
        except (OSError, ValueError) as error:
            reason = f"{why_unusable(error)}; name the directory that has environments/ in it"
        raise ConfigError(f"the configuration directory {self._shown} cannot be used: {reason}")

    def require(self, name: str) -> None:
        """Raise ConfigError unless this is the name of an environment. No path ever is."""
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"`{visible(name, 60)}` is not the name of an environment; {self._shown}/environments has "
                f"{quoted(self.environments.names[:20]) or 'none'}"
            )
        if missing := self.environments.missing(name):
            raise ConfigError(f"{self._shown}: {missing}")

    def read_environments(self, chosen: Iterable[str]) -> None:
        """Read these environments, all when none is chosen. What is said about a feed depends on all that use it."""
        for name in chosen or self.environments.names:
            self.environments.file(name)

    def read_all(self) -> None:
        """Read the feeds and schemas that no environment has needed so far."""
        for name in self._feeds.names:
            check_calendar(self._feeds.file(name), self.environments.files)
        for name in self._schemas.names:
            self._schemas.file(name)

    def feed(self, name: str) -> Feed | None:
        """Return a feed, None when something is wrong with it. Raises ConfigError when there is none of this name."""
        if missing := self._feeds.missing(name):
            raise ConfigError(f"{self._shown}: {missing}")
        file = self._feeds.file(name)
        for index, version in file.versions(FeedVersion).items():
            check_feed(FeedInUse(file, index, version), self._parts)
        return file.model if file.sound else None

    def files(self) -> list[MetadataFile[Environment] | MetadataFile[Feed] | MetadataFile[Schema]]:
        """Return every file that was read."""
        return [*self.environments.files, *self._feeds.files, *self._schemas.files]

    def problems(self) -> list[Problem]:
        """Return the problems of every file that was read."""
        return _in_order(self.files())

    def deploy(self, name: str) -> Deployment | None:
        """Return the environment with what it refers to, None when something is wrong with any of it."""
        environment = self.environments.file(name)
        feed = feed_of(environment, self._feeds, self._today)
        schema, schema_version = schema_of(environment, self._schemas, self._today)
        check_environment(environment, self._parts)
        if feed is not None:
            check_feed(feed, self._parts)
            check_for_exchange(environment, feed, self._parts)
            check_calendar(feed.file, self.environments.files)
        check_schedule(environment, feed.file if feed else None, self._today)
        check_silences(environment, self._today)
        definition = definition_to_check(environment, schema, schema_version, FilePath(self._config_dir))
        used = (environment, feed.file if feed else None, schema)
        files = [file for file in used if file is not None]
        if not all(file.sound for file in files) or feed is None or feed.version is None or feed.index is None:
            return None
        if environment.model is None or feed.file.model is None:
            return None
        transport = self._parts.transports[environment.model.transport.type]  # The model has the default.
        return Deployment(
            environment=environment.model,
            feed=feed.file.model,
            version=feed.version,
            version_index=feed.index,
            schema=schema.model if schema else None,
            schema_version=schema_version,
            definition=definition,
            dialect=self._parts.dialect_name(feed.file.name, feed.version.exchange),
            connection=feed.file.sections[("versions", feed.index)],
            storage=environment.sections[("storage",)],
            transport=environment.sections.get(("transport",)) or transport(),
            config_dir=self._config_dir,
            warnings=_in_order(files),
            _lines={"environment": environment.line_map(), "feed": feed.file.line_map()},
        )

    def report_dependence(self, name: str) -> None:
        """Report an environment that has no error of its own, but refers to a file with errors."""
        environment = self.environments.file(name)
        if not environment.sound:
            return
        for field, folder in (("feed", self._feeds), ("schema", self._schemas)):
            reference = (environment.text(field) or "").partition(":")[0]
            if reference in folder.names and not (file := folder.file(reference)).sound:
                message = f"cannot be used, because {file.file} has errors; correct those"
                environment.report((field,), message)
