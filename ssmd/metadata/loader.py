"""The tree as a whole: an environment with the feed and the schema it refers to, or everything that is wrong.

load() is for a run, and reads only what that environment needs. check() looks at the whole tree, or at some of its
environments. Both report all problems at once, each of them once, however many environments refer to its file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path as FilePath

from ssmd.errors import ConfigError, printable
from ssmd.metadata.definition import verify, verify_all
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.document import why_unusable
from ssmd.metadata.fields import NAME
from ssmd.metadata.folder import Folder, Part
from ssmd.metadata.model import Environment, Feed, FeedVersion, Schema, SchemaVersion
from ssmd.metadata.parts import Parts
from ssmd.metadata.problem import Problem, quoted
from ssmd.metadata.serving import check_environment, check_feed, check_subscription
from ssmd.spelling import nearest

__all__ = ["Deployment", "Problem", "Report", "check", "load"]


@dataclass(frozen=True)
class Report:
    """What check() found."""

    files: list[str]
    """Every file that was read: environments, feeds, schemas, each in alphabetical order."""
    problems: list[Problem]
    """In the order of the files, and in each of its lines."""
    deployments: dict[str, Deployment]
    """By name, the environments that could be run."""


def load(config_dir: str | os.PathLike[str], environment: str, today: date, parts: Parts) -> Deployment:
    """Return one environment with its feed and its schema. Raises ConfigError with every problem, one a line."""
    tree = _Tree(FilePath(config_dir), today, parts)
    tree.require(environment)
    deployment = tree.deploy(environment)
    if deployment is None:
        raise ConfigError("\n".join(map(str, tree.problems())))
    return deployment


def check(config_dir: str | os.PathLike[str], today: date, parts: Parts, names: Iterable[str] = ()) -> Report:
    """Check the whole tree, or the environments of these names and what they refer to.

    Raises ConfigError when there is no tree, or no environment of such a name.
    """
    tree = _Tree(FilePath(config_dir), today, parts)
    chosen = sorted(set(names))
    for name in chosen:
        tree.require(name)
    found = {name: tree.deploy(name) for name in chosen or tree.environments.names}
    if not chosen:
        for name in tree.feeds.names:
            tree.feeds.part(name)
        for name in tree.schemas.names:
            tree.schema(name)
    problems = tree.problems()
    if not found:
        problems.append(Problem("environments/", None, "", "holds no environment; add one", warning=True))
    return Report(
        files=[part.file for part in tree.parts()],
        problems=problems,
        deployments={name: deployment for name, deployment in found.items() if deployment},
    )


class _Tree:
    def __init__(self, config_dir: FilePath, today: date, parts: Parts) -> None:
        self._shown = printable(str(config_dir))
        self._require_directory(config_dir)
        self._today = today
        self._parts = parts
        self.environments = Folder(config_dir, "environments", Environment, parts.of_environment)
        self.feeds = Folder(config_dir, "feeds", Feed, parts.of_feed)
        self.schemas = Folder(config_dir, "schemas", Schema)

    def _require_directory(self, config_dir: FilePath) -> None:
        try:
            (config_dir / "environments").stat()
        except FileNotFoundError:
            reason = "it has no environments/ in it" if config_dir.is_dir() else "there is no such directory"
        except NotADirectoryError:
            reason = "it is a file; name the directory that holds environments/"
        except (OSError, ValueError) as error:
            reason = why_unusable(error)
        else:
            return
        raise ConfigError(f"the configuration directory {self._shown} cannot be used: {reason}")

    def require(self, name: str) -> None:
        """Refuse a name of which there is no environment, and any that is a path."""
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"`{printable(name, 60)}` is no environment's name; name one of those in {self._shown}/environments: "
                f"{quoted(self.environments.names[:20]) or 'there are none'}"
            )
        if missing := self.environments.missing(name):
            raise ConfigError(f"{self._shown}: {missing}")

    def parts(self) -> list[Part[Environment] | Part[Feed] | Part[Schema]]:
        """Everything that was read."""
        return [*self.environments.parts, *self.feeds.parts, *self.schemas.parts]

    def problems(self) -> list[Problem]:
        return [
            problem for part in self.parts() for problem in sorted(part.problems, key=lambda problem: problem.line or 0)
        ]

    def schema(self, name: str) -> Part[Schema]:
        known = {part.name for part in self.schemas.parts}
        part = self.schemas.part(name)
        if name not in known:
            verify_all(part, self.schemas.path)
        return part

    def deploy(self, name: str) -> Deployment | None:
        """Return the environment with what it refers to, None when something is wrong with any of it."""
        environment = self.environments.part(name)
        check_environment(environment, self._parts)
        feed, version = self._feed(environment)
        schema, schema_version = self._schema(environment)
        if feed is not None and feed.model is not None and version is not None:
            check_feed(feed, version, self._parts)
            check_subscription(environment, feed.model, version, self._parts)
        files = [part for part in (environment, feed, schema) if part is not None]
        if not (environment.model and environment.document and feed and feed.model and feed.document and version):
            return None
        if not all(part.sound for part in files):
            return None
        index = feed.model.versions.index(version)
        return Deployment(
            environment=environment.model,
            feed=feed.model,
            version=version,
            version_index=index,
            schema=schema.model if schema else None,
            schema_version=schema_version,
            dialect=self._parts.dialect_name(feed.model.name, version.exchange),
            connection=feed.sections[("versions", index)],
            storage=environment.sections[("storage",)],
            warnings=[problem for part in files for problem in part.problems],
            _lines={"environment": environment.document.line_map(), "feed": feed.document.line_map()},
        )

    def _feed(self, environment: Part[Environment]) -> tuple[Part[Feed] | None, FeedVersion | None]:
        name = environment.text("feed")
        # A name that is no name has been reported by the model.
        if name is None or not NAME.fullmatch(name):
            return None, None
        if missing := self.feeds.missing(name):
            environment.report(("feed",), missing)
            return None, None
        feed = self.feeds.part(name)
        if feed.model is None or feed.document is None:
            return feed, None
        where = f"{feed.file}:{feed.document.line(('status',))}"
        if feed.model.status == "disabled":
            environment.report(("feed",), f"`{name}` is disabled; enable it in {where}, or name another feed")
        elif feed.model.status == "deprecated":
            environment.report(("feed",), f"`{name}` is deprecated (in {where}); name its successor", warning=True)
        version = feed.model.version_in_force(self._today)
        if version is None:
            spans = ", ".join(each.span() for each in feed.model.versions[:10])
            environment.report(
                ("feed",),
                f"`{name}` has no version in force on {self._today}: {spans}; correct the dates in {feed.file}",
            )
        return feed, version

    def _schema(self, environment: Part[Environment]) -> tuple[Part[Schema] | None, SchemaVersion | None]:
        name, _, label = (environment.text("schema") or "").partition(":")
        if not name or not label:
            return None, None
        if missing := self.schemas.missing(name):
            environment.report(("schema",), missing)
            return None, None
        schema = self.schema(name)
        if schema.model is None:
            return schema, None
        version = schema.model.version(label)
        if version is None:
            labels = [each.version for each in schema.model.versions]
            guess = nearest(label, labels)
            environment.report(
                ("schema",),
                f"`{name}` has no version `{printable(label, 40)}`{guess} (it has {quoted(labels[:20])})",
            )
            return schema, None
        verify(schema, schema.model.versions.index(version), self.schemas.path)
        if version.status != "active":
            environment.report(
                ("schema",),
                f"version {printable(label, 40)} of `{name}` has the status {version.status}; name one that is active",
                warning=True,
            )
        return schema, version
