"""Makes the PrometheusRule of deploy/k8s out of the rule files in deploy/prometheus.

    python test/deploy/prometheus_rule.py           # prints it
    python test/deploy/prometheus_rule.py --write   # writes it to its place

kustomize cannot make a part of an object out of a file, so the rules are there twice. A test compares the two.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RULES = [ROOT / "deploy" / "prometheus" / name for name in ("recording.yaml", "alerts.yaml", "kubernetes.yaml")]
OBJECT = ROOT / "deploy" / "k8s" / "components" / "prometheus-rule" / "prometheus-rule.yaml"

HEAD = """\
# The rules of deploy/prometheus. `python test/deploy/prometheus_rule.py --write` makes this file out of them: change
# those, and not this one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ssmd
  labels: {app.kubernetes.io/name: ssmd}
spec:
  groups:
"""


def prometheus_rule() -> str:
    """Return the object as YAML: the groups of all files, moved to the right by the depth of `spec`."""
    groups = (path.read_text().split("\ngroups:\n")[1].splitlines() for path in RULES)
    return HEAD + "".join(f"  {line}\n" if line else "\n" for lines in groups for line in lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        OBJECT.write_text(prometheus_rule())
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        print(prometheus_rule(), end="")
