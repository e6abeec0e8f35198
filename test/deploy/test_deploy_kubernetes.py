"""The manifests: rendered by kubectl, checked against Kubernetes' own schemas and against what the collector does; and
the rendered ConfigMap, mounted as the kubelet mounts it, is what a collector runs from.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from patience import PATIENCE
from process import ROOT, Process
from prometheus_rule import OBJECT, RULES, prometheus_rule

from ssmd import __version__, wiring
from ssmd.commands.shard import shard_to_run
from ssmd.connector.config import WebSocketConfig
from ssmd.contracts.shard import Shard
from ssmd.metadata.loader import load
from ssmd.resolver.env import variables
from ssmd.runtime.queue import QUEUE_BYTES
from ssmd.runtime.runner import DRAIN_SECONDS
from ssmd.runtime.status import STUCK_SECONDS

pytestmark = pytest.mark.needs("kubectl", "kubernetes-validate")

K8S = ROOT / "deploy" / "k8s"
OVERLAYS = ["dev", "prod", "shards", "sim"]
ENVIRONMENTS = {"dev": "kalshi-dev", "prod": "kalshi-prod", "shards": "kalshi-prod", "sim": "kalshi-sim"}
RELEASES = ["1.27", "1.32", "1.37"]
"""Releases of Kubernetes: old ones that are still in use, and the newest that kubernetes-validate has."""


def kustomize(folder: Path) -> str:
    command: list[str | Path] = ["kubectl", "kustomize", folder]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@cache
def rendered(overlay: str) -> dict[str, dict[str, Any]]:
    """The objects of an overlay by kind; there is one of each."""
    objects = list(yaml.safe_load_all(kustomize(K8S / "overlays" / overlay)))
    by_kind = {each["kind"]: each for each in objects}
    assert len(by_kind) == len(objects)
    return by_kind


def workload(overlay: str) -> dict[str, Any]:
    """The object that makes the pods."""
    return rendered(overlay)["StatefulSet" if overlay == "shards" else "Deployment"]


def claim(overlay: str) -> dict[str, Any]:
    """The claim of a pod's volume."""
    if overlay == "shards":
        [template] = workload(overlay)["spec"]["volumeClaimTemplates"]
        return template
    return rendered(overlay)["PersistentVolumeClaim"]


def pod(overlay: str) -> dict[str, Any]:
    return workload(overlay)["spec"]["template"]["spec"]


def container(overlay: str) -> dict[str, Any]:
    [only] = pod(overlay)["containers"]
    return only


def strictly_valid(file: Path, release: str = RELEASES[-1]) -> subprocess.CompletedProcess[str]:
    command = ["kubernetes-validate", "--strict", "--kubernetes-version", release, str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_all_overlays_are_tested():
    assert sorted(path.name for path in (K8S / "overlays").iterdir()) == OVERLAYS


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_valid_by_the_schemas_of_kubernetes(overlay, release, tmp_path):
    file = tmp_path / "rendered.yaml"
    text = kustomize(K8S / "overlays" / overlay)
    file.write_text(text)
    valid = strictly_valid(file, release)
    assert valid.returncode == 0, valid.stdout + valid.stderr
    # An object that is not valid would be found.
    file.write_text(text.replace("terminationGracePeriodSeconds:", "terminationGraceSeconds:"))
    assert strictly_valid(file, release).returncode != 0


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_collector_is_run_with_the_environment_of_the_overlay(overlay):
    assert container(overlay)["args"] == ["run", ENVIRONMENTS[overlay], "--config-dir", "/etc/ssmd/exchanges"]
    assert container(overlay)["image"] == f"ssmd:{__version__}"
    # Never two at the same time.
    spec = workload(overlay)["spec"]
    if overlay != "shards":
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_pods_of_a_stateful_set_are_the_shards():
    objects = rendered("shards")
    assert "Deployment" not in objects
    assert "PersistentVolumeClaim" not in objects
    spec = workload("shards")["spec"]
    assert (spec["podManagementPolicy"], spec["ordinals"], spec["serviceName"]) == (
        "Parallel",
        {"start": 1},
        objects["Service"]["metadata"]["name"],
    )
    index, shard = container("shards")["env"]
    assert index["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
    of = spec["replicas"]
    for number in range(spec["ordinals"]["start"], spec["ordinals"]["start"] + of):
        text = shard["value"].replace(f"$({index['name']})", str(number))
        assert shard_to_run(None, {shard["name"]: text}) == Shard(number, of)
    budget = objects["PodDisruptionBudget"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert selects(budget["selector"]["matchLabels"], spec["template"])


def test_the_number_of_shards_is_set_in_one_place(tmp_path):
    overlay = tmp_path / "deploy" / "k8s" / "overlays" / "shards"
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copytree(K8S, tmp_path / "deploy" / "k8s")
    file = overlay / "kustomization.yaml"
    changed = file.read_text().replace("count: 2}", "count: 12}")
    file.write_text(f"nameSuffix: -two\n{changed}")
    objects = {each["kind"]: each for each in yaml.safe_load_all(kustomize(overlay))}
    spec = objects["StatefulSet"]["spec"]
    assert spec["replicas"] == 12
    assert spec["template"]["spec"]["containers"][0]["env"][1]["value"] == "$(POD_INDEX)/12"
    # The label by which the pods are selected follows the name.
    assert objects["StatefulSet"]["metadata"]["name"] == "kalshi-collector-two"
    for selector in (
        spec["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector["app"] == "kalshi-collector-two"
        assert selects(selector, spec["template"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pod_meets_the_restricted_pod_security_standard(overlay):
    assert rendered(overlay)["Namespace"]["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    spec, context = pod(overlay), container(overlay)["securityContext"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {spec["securityContext"][name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {10001}
    assert context == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = [mount["mountPath"] for mount in container(overlay)["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/var/lib/ssmd"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_names_and_labels_refer_to_existing_objects(overlay):
    objects = rendered(overlay)
    labels = workload(overlay)["spec"]["template"]["metadata"]["labels"].items()
    assert workload(overlay)["spec"]["selector"]["matchLabels"].items() <= labels
    assert objects["Service"]["spec"]["selector"].items() <= labels
    assert objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels
    volumes = {volume["name"]: volume for volume in pod(overlay)["volumes"]}
    assert volumes["config"]["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"] != "ssmd-config"
    if overlay == "shards":
        volumes["data"] = {}
        assert claim(overlay)["metadata"]["name"] == "data"
    else:
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim(overlay)["metadata"]["name"]
    assert {mount["name"] for mount in container(overlay)["volumeMounts"]} == set(volumes)
    [port] = container(overlay)["ports"]
    assert port == {"name": "http", "containerPort": 8080}
    assert objects["Service"]["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]
    assert {each["metadata"].get("namespace") for each in objects.values() if each["kind"] != "Namespace"} == {
        objects["Namespace"]["metadata"]["name"]
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_network_is_closed_except_for_dns_tls_and_monitoring(overlay):
    policy = rendered(overlay)["NetworkPolicy"]["spec"]
    assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]
    out = {(port["protocol"], port["port"]) for rule in policy["egress"] for port in rule["ports"]}
    assert out == (set() if overlay == "sim" else {("UDP", 53), ("TCP", 53), ("TCP", 443)})
    [inward] = policy["ingress"]
    assert inward["ports"] == [{"protocol": "TCP", "port": 8080}]
    assert inward["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_the_probes_leave_a_run_the_time_to_end_in_order():
    one = container("prod")
    assert pod("prod")["terminationGracePeriodSeconds"] >= DRAIN_SECONDS + 10
    live, ready, startup = (one[f"{name}Probe"] for name in ("liveness", "readiness", "startup"))
    assert live["httpGet"] == startup["httpGet"] == {"path": "/health", "port": "http"}
    assert ready["httpGet"] == {"path": "/ready", "port": "http"}
    # /health fails while a run that ends with an error drains; the kubelet must not cut that short.
    assert live["periodSeconds"] * live["failureThreshold"] >= 2 * (DRAIN_SECONDS + STUCK_SECONDS)
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_memory_suffices_for_a_full_queue_and_the_longest_messages(overlay):
    resources = container(overlay)["resources"]
    limit = int(resources["limits"]["memory"].removesuffix("Mi")) * 2**20
    interpreter = 62_000_000  # docs/reliability.md
    assert limit >= interpreter + QUEUE_BYTES + 4 * WebSocketConfig.max_message_bytes
    assert "cpu" not in resources["limits"]
    # The alert comes before the limit, and not for a full queue.
    alerts = (ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text()
    [megabytes] = re.findall(r"process_resident_memory_bytes\S* > (\d+) \* 1000 \* 1000$", alerts, re.MULTILINE)
    assert 1.5 * (interpreter + QUEUE_BYTES) < int(megabytes) * 1e6 < 0.8 * limit


def test_the_secret_is_used_where_it_is_needed_and_its_example_contains_no_key():
    assert "envFrom" not in container("sim")
    example = yaml.safe_load((K8S / "base" / "secret.example.yaml").read_text())
    for overlay in ("dev", "prod", "shards"):
        assert container(overlay)["envFrom"] == [{"secretRef": {"name": example["metadata"]["name"]}}]
    for name in ("kalshi-dev", "kalshi-prod"):
        deployment = load(ROOT / "conf", name, datetime.now(UTC).date(), wiring.parts())
        assert list(example["stringData"]) == variables(deployment.environment.keys["kalshi"].at("kalshi"))
    assert all(value.startswith("<") and value.endswith(">") for value in example["stringData"].values())
    assert strictly_valid(K8S / "base" / "secret.example.yaml").returncode == 0


def test_the_tree_in_the_pod_is_conf():
    """A file that is added to conf/ must be added to the generator and to the items."""
    real = {str(path.relative_to(ROOT / "conf")): path.read_text() for path in (ROOT / "conf").glob("*/*")}
    for overlay in OVERLAYS:
        keys = rendered(overlay)["ConfigMap"]["data"]
        [config] = [volume["configMap"] for volume in pod(overlay)["volumes"] if volume["name"] == "config"]
        assert {item["path"]: keys[item["key"]] for item in config["items"]} == real
        assert len(config["items"]) == len(keys)


def test_the_page_describes_the_overlays_as_they_are():
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    for overlay in OVERLAYS:
        namespace = rendered(overlay)["Namespace"]["metadata"]["name"]
        storage = claim(overlay)["spec"]["resources"]["requests"]["storage"]
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{overlay}` | `{namespace}` |")]
        assert f"`{container(overlay)['args'][1]}`" in row
        assert f"| {storage.removesuffix('Gi')} GiB |" in row
    assert set(re.findall(r"ssmd:(\d[\w.]*)", page)) == {__version__}


def test_an_overlay_can_hold_its_own_environment_as_the_page_says(tmp_path):
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    snippet = re.search(r"^configMapGenerator:\n(?: .+\n)+", page, re.MULTILINE).group()
    (tmp_path / "kalshi-dev.yaml").write_text("name: kalshi-dev\n")
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{os.path.relpath(K8S / 'base', tmp_path)}]\n{snippet}")
    objects = {each["kind"]: each for each in yaml.safe_load_all(kustomize(tmp_path))}
    [config] = [
        volume["configMap"]
        for volume in objects["Deployment"]["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "config"
    ]
    # Its own file replaces that of conf/, so the ConfigMap has another name, and the Deployment is rolled out.
    ours, theirs = objects["ConfigMap"], rendered("dev")["ConfigMap"]
    assert ours["data"] == theirs["data"] | {"environments.kalshi-dev.yaml": "name: kalshi-dev\n"}
    assert config["name"] == ours["metadata"]["name"] != theirs["metadata"]["name"]


@pytest.mark.parametrize("more", [[], ["shards"]], ids=["alone", "with shards"])
def test_with_keys_in_vault_the_pod_has_an_account_and_a_way_there(tmp_path, more):
    base = os.path.relpath(K8S / "base", tmp_path)
    components = [os.path.relpath(K8S / "components" / name, tmp_path) for name in (*more, "keys-vault")]
    overlay = {"namespace": "here", "resources": [base], "components": components}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    path = tmp_path / "out.yaml"
    path.write_text(kustomize(tmp_path))
    subprocess.run(["kubernetes-validate", "--strict", path], check=True, capture_output=True, timeout=PATIENCE)
    objects = {each["kind"]: each for each in yaml.safe_load_all(path.read_text())}
    account = objects["ServiceAccount"]["metadata"]
    assert (account["name"], account["namespace"]) == ("kalshi-collector", "here")
    pod = (objects.get("Deployment") or objects["StatefulSet"])["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == (account["name"], True)
    assert {"ports": [{"protocol": "TCP", "port": 8200}]} in objects["NetworkPolicy"]["spec"]["egress"]


def test_the_pod_monitor_takes_the_place_of_the_annotations(tmp_path):
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}
    template = rendered("prod")["Deployment"]["spec"]["template"]["metadata"]
    assert scrape.items() <= template["annotations"].items()
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{os.path.relpath(K8S / 'overlays' / 'prod', tmp_path)}]\n"
        f"components: [{os.path.relpath(K8S / 'components' / 'pod-monitor', tmp_path)}]\n"
    )
    objects = {each["kind"]: each for each in yaml.safe_load_all(kustomize(tmp_path))}
    template = objects["Deployment"]["spec"]["template"]["metadata"]
    assert not scrape.keys() & template["annotations"].keys()
    monitor = objects["PodMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= template["labels"].items()
    [endpoint] = monitor["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    # The alerts select by this job.
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "ssmd"}]


def test_the_prometheus_rule_has_the_rules_of_the_files(tmp_path):
    assert OBJECT.read_text() == prometheus_rule(), "run `python test/deploy/prometheus_rule.py --write`"
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{os.path.relpath(K8S / 'overlays' / 'prod', tmp_path)}]\n"
        f"components: [{os.path.relpath(K8S / 'components' / 'prometheus-rule', tmp_path)}]\n"
    )
    objects = {each["kind"]: each for each in yaml.safe_load_all(kustomize(tmp_path))}
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    # kustomize adds an empty line to some expressions, which changes nothing.
    assert words(objects["PrometheusRule"]["spec"]) == words({"groups": groups})
    assert len({group["name"] for group in groups}) == len(groups)


def words(value: Any) -> Any:
    """Return a value with single spaces for all white space in its texts."""
    if isinstance(value, dict):
        return {name: words(each) for name, each in value.items()}
    if isinstance(value, list):
        return list(map(words, value))
    return " ".join(value.split()) if isinstance(value, str) else value


def snippet(first: str) -> str:
    """Return the block of docs/kubernetes.md that begins with this line."""
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    [found] = re.findall(rf"^```yaml\n({re.escape(first)}\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return found


def selects(selector: dict[str, str], template: dict[str, Any]) -> bool:
    return selector.items() <= template["metadata"]["labels"].items()


def test_two_collectors_in_one_namespace_do_not_select_each_other(tmp_path):
    """The second one is made as the page says, beside prod with all components."""
    overlays = tmp_path / "deploy" / "k8s" / "overlays"
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copytree(K8S, overlays.parent)
    (overlays / "kraken").mkdir()
    (overlays / "kraken" / "kustomization.yaml").write_text(snippet("# deploy/k8s/overlays/kraken/kustomization.yaml"))
    (overlays / "both").mkdir()
    (overlays / "both" / "kustomization.yaml").write_text(
        "namespace: ssmd-prod\nresources: [../prod, ../kraken]\ncomponents: [../../components/prometheus-rule]\n"
    )
    objects = list(yaml.safe_load_all(kustomize(overlays / "both")))  # Equal names would be an error.
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for each in objects:
        by_kind.setdefault(each["kind"], []).append(each)
    assert {len(by_kind[kind]) for kind in ("Deployment", "Service", "NetworkPolicy", "PersistentVolumeClaim")} == {2}
    templates = [each["spec"]["template"] for each in by_kind["Deployment"]]
    assert [one["spec"]["containers"][0]["args"][1] for one in templates] == ["kalshi-prod", "kraken"]
    jobs = [each["spec"]["jobTemplate"]["spec"]["template"] for each in by_kind["CronJob"]]
    for number, (deployment, job) in enumerate(zip(by_kind["Deployment"], jobs, strict=True)):
        kinds = ("Service", "NetworkPolicy", "PersistentVolumeClaim")
        service, policy, claim = (by_kind[kind][number] for kind in kinds)
        [term] = job["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        for selector in (
            deployment["spec"]["selector"]["matchLabels"],
            service["spec"]["selector"],
            policy["spec"]["podSelector"]["matchLabels"],
            term["labelSelector"]["matchLabels"],
        ):
            assert [selects(selector, template) for template in templates] == [number == 0, number == 1]
            assert not any(selects(selector, each) for each in jobs)
        for template in (deployment["spec"]["template"], job):
            [data] = [volume for volume in template["spec"]["volumes"] if volume["name"] == "data"]
            assert data["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_two_collectors_in_one_pod_are_made_as_the_page_says(tmp_path):
    overlays = tmp_path / "deploy" / "k8s" / "overlays"
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copytree(K8S, overlays.parent)
    (overlays / "together").mkdir()
    (overlays / "together" / "kustomization.yaml").write_text(
        snippet("# deploy/k8s/overlays/together/kustomization.yaml")
    )
    text = kustomize(overlays / "together")
    (tmp_path / "rendered.yaml").write_text(text)
    valid = strictly_valid(tmp_path / "rendered.yaml")
    assert valid.returncode == 0, valid.stdout + valid.stderr
    objects = {each["kind"]: each for each in yaml.safe_load_all(text)}
    first, second = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert [one["args"][1] for one in (first, second)] == ["kalshi-prod", "kraken"]
    for same in ("image", "securityContext", "volumeMounts"):
        assert first[same] == second[same]
    ports = [port["containerPort"] for one in (first, second) for port in one["ports"]]
    assert ports == [port["port"] for port in objects["NetworkPolicy"]["spec"]["ingress"][0]["ports"]] == [8080, 8081]
    assert second["args"][-2:] == ["--listen", "0.0.0.0:8081"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        own = second[probe] | {"httpGet": second[probe]["httpGet"] | {"port": "http"}}
        assert own == first[probe]


ENGINES = {"nats": {4222}, "kafka": {9092, 9093}, "mqtt": {1883, 8883}}
"""The ports of the engines with a library: the extras of setup.py."""


def test_each_engine_has_a_component():
    extras = {path.stem for path in (ROOT / "deploy" / "extras").iterdir()}
    extras -= {"capnp", "parquet", "protobuf", "s3"}
    assert {path.name for path in (K8S / "components").glob("ship-*")} == {f"ship-{engine}" for engine in extras}
    assert set(ENGINES) == extras


@pytest.mark.parametrize("overlay", ["prod", "shards"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_component_of_an_engine_opens_its_ports_and_gives_the_relay_memory(tmp_path, engine, overlay):
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{os.path.relpath(K8S / 'overlays' / overlay, tmp_path)}]\n"
        f"components: [{os.path.relpath(K8S / 'components' / f'ship-{engine}', tmp_path)}]\n"
    )
    text = kustomize(tmp_path)
    (tmp_path / "rendered.yaml").write_text(text)
    valid = strictly_valid(tmp_path / "rendered.yaml")
    assert valid.returncode == 0, valid.stdout + valid.stderr
    objects = {each["kind"]: each for each in yaml.safe_load_all(text)}
    before = rendered(overlay)
    added = objects["NetworkPolicy"]["spec"]["egress"][len(before["NetworkPolicy"]["spec"]["egress"]) :]
    assert {(port["protocol"], port["port"]) for rule in added for port in rule["ports"]} == {
        ("TCP", port) for port in ENGINES[engine]
    }
    [one] = objects[workload(overlay)["kind"]]["spec"]["template"]["spec"]["containers"]
    limits = [int(each["resources"]["limits"]["memory"].removesuffix("Mi")) for each in (container(overlay), one)]
    assert limits[1] - limits[0] >= 128
    # Nothing else is different.
    for each in ("args", "env", "securityContext", "volumeMounts", "livenessProbe"):
        assert one.get(each) == container(overlay).get(each)


@pytest.mark.parametrize("name", ["shipping", "relay"])
def test_shipping_is_deployed_as_the_page_says(tmp_path, name):
    overlays = tmp_path / "deploy" / "k8s" / "overlays"
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copytree(K8S, overlays.parent)
    (overlays / name).mkdir()
    (overlays / name / "kustomization.yaml").write_text(
        snippet(f"# deploy/k8s/overlays/{name}/kustomization.yaml")
    )
    text = kustomize(overlays / name)
    (tmp_path / "rendered.yaml").write_text(text)
    valid = strictly_valid(tmp_path / "rendered.yaml")
    assert valid.returncode == 0, valid.stdout + valid.stderr
    objects = {each["kind"]: each for each in yaml.safe_load_all(text)}
    ports = {port["port"] for rule in objects["NetworkPolicy"]["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 4222}
    first, *others = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    for one in (first, *others):
        assert one["resources"]["requests"]["memory"] == one["resources"]["limits"]["memory"]
        for same in ("image", "securityContext", "volumeMounts", "envFrom"):
            assert one[same] == first[same]
    assert [one["args"] for one in others] == (
        [["ship", *first["args"][1:], "--listen", "0.0.0.0:8081"]] if name == "relay" else []
    )


def test_a_bucket_is_deployed_as_the_page_says(tmp_path):
    overlays = tmp_path / "deploy" / "k8s" / "overlays"
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copytree(K8S, overlays.parent)
    for name, files in {"bucket": ("kustomization", "service-account"), "export": ("kustomization",)}.items():
        (overlays / name).mkdir()
        for file in files:
            path = f"deploy/k8s/overlays/{name}/{file}.yaml"
            (tmp_path / path).write_text(snippet(f"# {path}"))
    text = kustomize(overlays / "bucket")
    (tmp_path / "rendered.yaml").write_text(text)
    valid = strictly_valid(tmp_path / "rendered.yaml")
    assert valid.returncode == 0, valid.stdout + valid.stderr
    objects = list(yaml.safe_load_all(text))
    [account] = [each["metadata"] for each in objects if each["kind"] == "ServiceAccount"]
    [collector] = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    assert collector["serviceAccountName"] == jobs_in(objects)["prune"]["spec"]["serviceAccountName"] == account["name"]
    memory = collector["containers"][0]["resources"]
    assert memory["requests"]["memory"] == memory["limits"]["memory"] == "640Mi"
    [one] = jobs_in(list(yaml.safe_load_all(kustomize(overlays / "export"))))["export"]["spec"]["containers"]
    assert one["args"] == ["export", "/var/lib/ssmd/data", "--to", "s3://my-bucket/lake", "--jobs", "1"]


@pytest.mark.parametrize("where", ["above", "below"])
def test_what_selects_a_collector_follows_its_name(tmp_path, where):
    """The components may be used by the overlay that sets the suffix, or by one that uses that overlay."""
    components = [os.path.relpath(K8S / "components" / name, tmp_path / "two") for name in ("compact", "pod-monitor")]
    for name, resource, suffix in (("one", K8S / "base", "nameSuffix: -two\n"), ("two", tmp_path / "one", "")):
        folder = tmp_path / name
        folder.mkdir()
        used = components if (name == "one") == (where == "below") else []
        (folder / "kustomization.yaml").write_text(
            f"namespace: ssmd-two\nresources: [{os.path.relpath(resource, folder)}]\ncomponents: {used}\n{suffix}"
        )
    objects = {each["kind"]: each for each in yaml.safe_load_all(kustomize(tmp_path / "two"))}
    [term] = objects["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    for selector in (term["labelSelector"], objects["PodMonitor"]["spec"]["selector"]):
        assert selector == {"matchLabels": {"app": "kalshi-collector-two"}}
    assert objects["Deployment"]["spec"]["template"]["metadata"]["labels"]["app"] == "kalshi-collector-two"


def test_the_nightly_job_is_in_the_overlay_and_runs_on_the_node_of_its_collector():
    objects = rendered("prod")
    job = objects["CronJob"]
    assert job["metadata"]["namespace"] == objects["Namespace"]["metadata"]["name"]
    template = job["spec"]["jobTemplate"]["spec"]["template"]
    [compact] = template["spec"]["containers"]
    assert compact["image"] == container("prod")["image"]
    assert template["spec"]["securityContext"] == pod("prod")["securityContext"]
    assert compact["securityContext"] == container("prod")["securityContext"]
    [volume] = template["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == objects["PersistentVolumeClaim"]["metadata"]["name"]
    [term] = template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    collector = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert term["labelSelector"]["matchLabels"].items() <= collector.items()
    # The Service, the policy and the Deployment do not select the job's pod as a collector.
    labels = template["metadata"]["labels"]
    for selector in (
        objects["Service"]["spec"]["selector"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        objects["Deployment"]["spec"]["selector"]["matchLabels"],
    ):
        assert not selector.items() <= labels.items()
    assert "CronJob" not in rendered("sim")


def with_components(tmp_path: Path, *names: str, overlay: str = "prod", more: str = "") -> list[dict[str, Any]]:
    """The objects of an overlay with further components, which are valid."""
    components = [os.path.relpath(K8S / "components" / name, tmp_path) for name in names]
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{os.path.relpath(K8S / 'overlays' / overlay, tmp_path)}]\ncomponents: {components}\n{more}"
    )
    text = kustomize(tmp_path)
    (tmp_path / "rendered.yaml").write_text(text)
    valid = strictly_valid(tmp_path / "rendered.yaml")
    assert valid.returncode == 0, valid.stdout + valid.stderr
    return list(yaml.safe_load_all(text))


def jobs_in(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pods of the nightly jobs, by their names."""
    jobs = [each for each in objects if each["kind"] == "CronJob"]
    named = {job["metadata"]["name"].removeprefix("kalshi-"): job["spec"]["jobTemplate"]["spec"] for job in jobs}
    return {name: job["template"] for name, job in named.items()}


def test_all_jobs_of_the_night_have_the_form_of_the_first_and_run_one_after_the_other(tmp_path):
    objects = with_components(tmp_path, "export", "prune", more="namespace: ssmd-prod\nnameSuffix: -two\n")
    jobs = {name.removesuffix("-two"): pod for name, pod in jobs_in(objects).items()}
    assert set(jobs) == {"compact", "export", "prune"}
    by_kind = {each["kind"]: each for each in objects}
    collector = by_kind["Deployment"]["spec"]["template"]
    for name, template in jobs.items():
        [one] = template["spec"]["containers"]
        [first] = jobs["compact"]["spec"]["containers"]
        assert one["securityContext"] == first["securityContext"]
        assert one["image"] == first["image"] == f"ssmd:{__version__}"
        for same in ("restartPolicy", "automountServiceAccountToken", "affinity", "securityContext"):
            assert template["spec"][same] == jobs["compact"]["spec"][same]
        [term] = template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert selects(term["labelSelector"]["matchLabels"], collector)
        # No Service, policy or Deployment takes the job for a collector.
        assert template["metadata"]["labels"] == {"app": f"kalshi-{name}"}
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == "kalshi-data-two"
        assert set(volumes) == {mount["name"] for mount in one["volumeMounts"]}
    specs = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "CronJob"}
    hours = [specs[f"kalshi-{name}-two"]["schedule"] for name in ("compact", "export", "prune")]
    assert hours == ["20 1 * * *", "20 2 * * *", "20 3 * * *"]
    for same in ("timeZone", "concurrencyPolicy", "startingDeadlineSeconds"):
        assert len({spec[same] for spec in specs.values()}) == 1


def test_the_job_that_prunes_has_the_environment_the_tree_and_the_keys_of_the_collector(tmp_path):
    objects = with_components(tmp_path, "prune", more="namespace: ssmd-prod\nnameSuffix: -two\n")
    [config] = [each["metadata"]["name"] for each in objects if each["kind"] == "ConfigMap"]
    [collector] = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    pruning = jobs_in(objects)["prune-two"]["spec"]
    [one], [first] = pruning["containers"], collector["containers"]
    assert one["args"] == ["prune", *first["args"][1:4]]
    assert one["args"][1:] == ["kalshi-prod", "--config-dir", "/etc/ssmd/exchanges"]
    volumes = {volume["name"]: volume for volume in pruning["volumes"]}
    assert volumes["config"] in collector["volumes"]
    assert volumes["config"]["configMap"]["name"] == config
    assert one["volumeMounts"] == first["volumeMounts"]
    assert one["envFrom"][0]["secretRef"]["name"] == first["envFrom"][0]["secretRef"]["name"]


def test_the_job_that_exports_reads_the_data_and_writes_nowhere_but_into_its_temporary_folder(tmp_path):
    exporting = jobs_in(with_components(tmp_path, "export"))["export"]["spec"]
    [one] = exporting["containers"]
    writable = [mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/tmp"]
    volumes = {volume["name"]: volume for volume in exporting["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["readOnly"] is True
    assert "emptyDir" in volumes["temporary"]


def test_the_component_for_parquet_changes_the_command_and_the_memory_of_the_nightly_job(tmp_path):
    [parquet] = jobs_in(with_components(tmp_path, "compact-parquet"))["compact"]["spec"]["containers"]
    [plain] = rendered("prod")["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    [script], [before] = parquet.pop("args"), plain["args"]
    assert script == before.replace("compact /var/lib/ssmd/data ", "compact /var/lib/ssmd/data --parquet ")
    assert int(parquet.pop("resources")["limits"]["memory"].removesuffix("Mi")) >= 512
    assert parquet == {name: value for name, value in plain.items() if name not in ("args", "resources")}


@pytest.mark.parametrize("overlay", ["prod", "shards", "sim"])
def test_the_component_of_s3_opens_its_ports_and_gives_the_upload_memory(tmp_path, overlay):
    objects = {each["kind"]: each for each in with_components(tmp_path, "storage-s3", overlay=overlay)}
    before = rendered(overlay)
    added = objects["NetworkPolicy"]["spec"]["egress"][len(before["NetworkPolicy"]["spec"]["egress"]) :]
    assert [(port["protocol"], port["port"]) for rule in added for port in rule["ports"]] == [
        ("TCP", 443),
        ("TCP", 9000),
        ("TCP", 8333),
    ]
    [one] = objects[workload(overlay)["kind"]]["spec"]["template"]["spec"]["containers"]
    limits = [int(each["resources"]["limits"]["memory"].removesuffix("Mi")) for each in (container(overlay), one)]
    assert limits[1] - limits[0] >= 384
    for each in ("args", "env", "securityContext", "volumeMounts", "livenessProbe"):
        assert one.get(each) == container(overlay).get(each)


class ConfigVolume:
    """A ConfigMap volume on disk, as the kubelet's atomic writer makes and updates it:

    environments -> ..data/environments     (a link for whatever stands at the top)
    ..data -> ..2026_11_22_10_30_00.1       (swapped by one rename)
    ..2026_11_22_10_30_00.1/environments/kalshi-sim.yaml
    """

    def __init__(self, path: Path, config_map: dict[str, Any], items: list[dict[str, str]]) -> None:
        self.path = path
        self._items = items
        self._versions = 0
        path.mkdir()
        self.update(config_map)
        for name in {item["path"].partition("/")[0] for item in items}:
            (path / name).symlink_to(f"..data/{name}")

    def update(self, config_map: dict[str, Any]) -> None:
        self._versions += 1
        new = self.path / f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{self._versions}"
        for item in self._items:
            file = new / item["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(config_map["data"][item["key"]])
        data = self.path / "..data"
        old = data.resolve() if data.is_symlink() else None
        (self.path / "..data_tmp").symlink_to(new.name)
        (self.path / "..data_tmp").rename(data)
        if old is not None:
            shutil.rmtree(old)


@pytest.fixture
def volume(tmp_path) -> ConfigVolume:
    """The ConfigMap of the sim overlay, at the path where its Deployment mounts it."""
    [config] = [volume["configMap"] for volume in pod("sim")["volumes"] if volume["name"] == "config"]
    return ConfigVolume(tmp_path / "exchanges", rendered("sim")["ConfigMap"], config["items"])


@pytest.fixture
def run(volume, tmp_path) -> Iterator[Any]:
    """Start the command of the sim overlay's container in its working directory, on the mounted tree."""
    started = []

    def run(*command: str) -> Process:
        arguments = list(command) or [*container("sim")["args"], "--listen", "127.0.0.1:0"]
        arguments = [str(volume.path) if each == "/etc/ssmd/exchanges" else each for each in arguments]
        started.append(Process(*arguments, cwd=tmp_path))
        return started[-1]

    yield run
    for process in started:
        process.__exit__()


def lines(folder: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in folder.glob("*/kalshi-sim.jsonl"))


def wait_for_lines(folder: Path, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while lines(folder) < count:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_mounted_tree_is_valid(volume, run):
    assert {path.name for path in volume.path.iterdir() if path.name[0] != "."} == {"environments", "feeds", "schemas"}
    validation = run("validate", "--strict", "--config-dir", "/etc/ssmd/exchanges")
    assert validation.wait() == 0, validation.other


def test_a_collector_runs_from_the_mounted_tree_whatever_is_put_in_its_place(volume, run, tmp_path):
    collector = run()
    collector.wait_for("connected")
    wait_for_lines(tmp_path / "data", 20)

    key = "environments.kalshi-sim.yaml"
    config_map = rendered("sim")["ConfigMap"]
    elsewhere = config_map["data"][key].replace("path: data ", "path: elsewhere ")
    assert elsewhere != config_map["data"][key]
    volume.update({"data": config_map["data"] | {key: elsewhere}})
    wait_for_lines(tmp_path / "data", lines(tmp_path / "data") + 20)  # It has loaded its tree, and goes on.
    assert collector.end() == 0

    restarted = run()
    restarted.wait_for("connected")
    wait_for_lines(tmp_path / "elsewhere", 1)
    assert restarted.end() == 0

    volume.update({"data": config_map["data"] | {key: "name: [\n"}})
    broken = run()
    assert broken.wait() == 78
    assert "environments/kalshi-sim.yaml:" in str(broken.events)
