"""The way in, for `python -m ssmd` and for the `ssmd` command: patch first, then everything else."""

from gevent import monkey

# Before any other import, so that no module gets hold of a socket, lock or thread that would block the hub.
monkey.patch_all()

from ssmd.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
