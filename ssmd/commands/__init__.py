"""The commands of `ssmd`. A new command is one file here and one line in this catalog.

The file's docstring is its help text, from which docopt parses the arguments. Its `main(arguments, environ)` returns
the exit code or raises an SsmdError. The modules are named here and not imported, so that each command starts fast.
"""

COMMANDS = {
    "run": "ssmd.commands.run",
    "validate": "ssmd.commands.validate",
    "init": "ssmd.commands.init",
    "sim": "ssmd.commands.sim",
    "verify": "ssmd.commands.verify",
    "check": "ssmd.commands.check",
    "shape": "ssmd.commands.shape",
    "seal": "ssmd.commands.seal",
    "cat": "ssmd.commands.cat",
    "compact": "ssmd.commands.compact",
    "replay": "ssmd.commands.replay",
    "report": "ssmd.commands.report",
    "import": "ssmd.commands.import_",
    "ship": "ssmd.commands.ship",
    "restore": "ssmd.commands.restore",
    "prune": "ssmd.commands.prune",
    "export": "ssmd.commands.export",
    "status": "ssmd.commands.status",
    "dashboard": "ssmd.commands.dashboard",
}

WITHOUT_GEVENT = frozenset(
    {
        *("init", "verify", "check", "shape", "seal", "cat", "compact", "report", "import", "ship", "export"),
        *("restore", "prune", "status"),
    }
)
"""The commands that read and write files, use the library of an engine, or ask one collector after the other. They run
without gevent, which takes half of the time to start, and which the threads of such a library do not get on with."""
