//! Every manifest parses; the patch of the Cluster makes the hook of a Pod as the operator creates it; the
//! times of a stop fit into each other; what the compose file mounts is there.

mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

const HOOK: &str = r#"psql -U postgres -c "SELECT pgtrickle.drain(timeout_s => 120)" || true"#;
/// The time in it.
const HOOK_S: u64 = 120;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The documents of a YAML file.
fn documents(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap_or_else(|e| panic!("{file}: {e}")))
        .collect()
}

/// The one document of this kind.
fn manifest(file: &str, kind: &str) -> Value {
    let mut found = documents(file);
    found.retain(|document| document["kind"] == kind);
    assert_eq!(found.len(), 1, "{file}: {kind}");
    found.remove(0)
}

fn cluster() -> Value {
    manifest("cnpg/cluster-production.yaml", "Cluster")
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .map_or(Vec::new(), |map| map.keys().map(String::as_str).collect())
}

/// A duration as the configuration file of the server takes it.
fn seconds(setting: &Value) -> u64 {
    let text = setting.as_str().unwrap();
    text.strip_suffix('s').unwrap_or(text).parse().unwrap()
}

#[test]
fn every_manifest_says_what_it_is() {
    let mut kinds = Vec::new();
    for entry in fs::read_dir(root().join("cnpg")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for document in documents(&format!("cnpg/{name}")) {
            for field in ["/apiVersion", "/kind", "/metadata/name"] {
                assert!(
                    document.pointer(field).is_some_and(Value::is_string),
                    "{name}: {field}"
                );
            }
            kinds.push(document["kind"].as_str().unwrap().to_owned());
        }
    }
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "Cluster",
            "ConfigMap",
            "PodMonitor",
            "Service",
            "StatefulSet"
        ]
    );
}

#[test]
fn a_cluster_uses_only_fields_that_it_has() {
    let cluster = cluster();
    assert_eq!(cluster["apiVersion"], "postgresql.cnpg.io/v1");
    let known = [
        "instances",
        "imageName",
        "stopDelay",
        "smartShutdownTimeout",
        "switchoverDelay",
        "postgresql",
        "bootstrap",
        "storage",
        "walStorage",
        "resources",
        "affinity",
        "monitoring",
    ];
    for key in keys(&cluster["spec"]) {
        assert!(known.contains(&key), "spec.{key}");
    }
    for key in keys(&cluster["spec"]["postgresql"]) {
        assert!(
            ["shared_preload_libraries", "extensions", "parameters"].contains(&key),
            "{key}"
        );
    }
    let extension = &cluster["spec"]["postgresql"]["extensions"][0];
    assert!(extension["image"]["reference"].is_string());
    // The names of volumes have no underscores.
    let name = extension["name"].as_str().unwrap();
    assert!(
        name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
        "{name}"
    );
    for (parameter, value) in cluster["spec"]["postgresql"]["parameters"]
        .as_object()
        .unwrap()
    {
        assert!(
            value.is_string(),
            "{parameter}: the operator takes strings only"
        );
    }
    assert_eq!(
        cluster["spec"]["postgresql"]["shared_preload_libraries"],
        json!(["pg_trickle"])
    );
    // The hook connects to `postgres`.
    assert_eq!(
        cluster["spec"]["bootstrap"]["initdb"]["postInitSQL"],
        json!(["CREATE EXTENSION pg_trickle"])
    );
    let map = manifest("cnpg/metrics-configmap.yaml", "ConfigMap");
    let reference = &cluster["spec"]["monitoring"]["customQueriesConfigMap"][0];
    assert_eq!(reference["name"], map["metadata"]["name"]);
    assert!(map["data"][reference["key"].as_str().unwrap()].is_string());
}

#[test]
fn the_patch_gives_a_pod_its_hook() {
    let cluster = cluster();
    let text = cluster["metadata"]["annotations"]["cnpg.io/podPatch"]
        .as_str()
        .unwrap();
    let patch: json_patch::Patch = serde_json::from_str(text).unwrap();
    let pod = |first: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "app-1" },
            "spec": {
                "containers": [{ "name": first, "image": "x" }, { "name": "sidecar", "image": "y" }],
                "terminationGracePeriodSeconds": 300,
            },
        })
    };
    let mut patched = pod("postgres");
    json_patch::patch(&mut patched, &patch).unwrap();
    let expected = json!({ "preStop": { "exec": { "command": ["sh", "-c", HOOK] } } });
    assert_eq!(patched["spec"]["containers"][0]["lifecycle"], expected);
    assert_eq!(
        patched["spec"]["containers"][1],
        pod("postgres")["spec"]["containers"][1]
    );
    // Where the first container is another one, nothing is patched.
    let mut other = pod("injected");
    assert!(json_patch::patch(&mut other, &patch).is_err());
    assert_eq!(other, pod("injected"));
}

#[test]
fn the_stateful_set_has_the_same_hook() {
    let set = manifest("cnpg/statefulset.yaml", "StatefulSet");
    let pod = &set["spec"]["template"]["spec"];
    let command = &pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"];
    assert_eq!(*command, json!(["sh", "-c", HOOK]));
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > HOOK_S + 30);
    assert_eq!(
        set["spec"]["selector"]["matchLabels"],
        set["spec"]["template"]["metadata"]["labels"]
    );
}

#[test]
fn the_grace_period_covers_hook_and_shutdown() {
    assert!(HOOK.contains(&format!("timeout_s => {HOOK_S})")));
    let spec = &cluster()["spec"];
    let grace_s = spec["stopDelay"].as_u64().unwrap();
    let smart_s = spec["smartShutdownTimeout"].as_u64().unwrap();
    let drain_s = seconds(&spec["postgresql"]["parameters"]["pg_trickle.drain_timeout"]);
    assert!(
        HOOK_S + smart_s + drain_s < grace_s,
        "{HOOK_S} + {smart_s} + {drain_s} < {grace_s}"
    );
    let runbook = fs::read_to_string(root().join("docs/RUNBOOK_DRAIN.md")).unwrap();
    assert!(runbook.contains(HOOK), "the runbook shows another hook");
}

#[test]
fn the_pod_monitor_takes_the_operators_prefix_off() {
    let monitor = manifest("cnpg/podmonitor.yaml", "PodMonitor");
    let rule = &monitor["spec"]["podMetricsEndpoints"][0]["metricRelabelings"][0];
    assert_eq!(rule["regex"], "cnpg_(pg_trickle_.+)");
    assert_eq!(rule["replacement"], "$1");
    for metric in monitoring::catalogue::names() {
        assert!(metric.starts_with("pg_trickle_"), "{metric}");
    }
    assert_eq!(
        monitor["spec"]["selector"]["matchLabels"]["cnpg.io/cluster"],
        cluster()["metadata"]["name"]
    );
}

#[test]
fn what_the_compose_file_mounts_is_there() {
    let compose = documents("monitoring/docker-compose.yml").remove(0);
    let mut mounted = 0;
    for (name, service) in compose["services"].as_object().unwrap() {
        for volume in service["volumes"].as_array().unwrap() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            if source.starts_with("./") {
                assert!(
                    root().join("monitoring").join(source).exists(),
                    "{name}: {source}"
                );
                mounted += 1;
            } else {
                assert!(compose["volumes"].get(source).is_some(), "{name}: {source}");
            }
        }
    }
    assert_eq!(mounted, 5);
    for file in ["datasources/prometheus.yml", "dashboards/pg_trickle.yml"] {
        let provisioned = documents(&format!("monitoring/grafana/provisioning/{file}")).remove(0);
        assert_eq!(provisioned["apiVersion"], 1, "{file}");
    }
}

#[test]
fn promtool_accepts_the_configuration() {
    let Some(promtool) = tools::find(
        "promtool_accepts_the_configuration",
        "promtool",
        "prometheus",
    ) else {
        return;
    };
    let output = Command::new(promtool)
        .args(["check", "config", "prometheus.yml"])
        .current_dir(root().join("monitoring/prometheus"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
