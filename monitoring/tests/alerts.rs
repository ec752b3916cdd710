//! Every alert names metrics that exist, a section of the runbook, and has cases that promtool confirms.

mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml_ng::Value;

fn prometheus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("prometheus")
}

fn yaml(file: &str) -> Value {
    serde_yaml_ng::from_str(&fs::read_to_string(prometheus().join(file)).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_sequence().map_or(&[], Vec::as_slice)
}

fn alerts() -> Vec<Value> {
    let alerts: Vec<Value> = list(&yaml("alerts.yml")["groups"])
        .iter()
        .flat_map(|group| list(&group["rules"]).to_vec())
        .collect();
    assert!(!alerts.is_empty());
    alerts
}

#[test]
fn an_alert_uses_metrics_that_exist() {
    let known = monitoring::catalogue::names();
    for alert in alerts() {
        let expression = alert["expr"].as_str().unwrap();
        let used = monitoring::metrics_in(expression);
        assert!(!used.is_empty(), "{expression}");
        for metric in used {
            assert!(known.contains(metric), "{metric} in {expression}");
        }
    }
}

#[test]
fn an_alert_leads_to_a_section_of_the_runbook() {
    let headings = |file: &str| -> Vec<String> {
        fs::read_to_string(prometheus().join("../..").join(file))
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .map(|heading| heading.to_lowercase().replace(' ', "-"))
            .collect()
    };
    for alert in alerts() {
        let notes = &alert["annotations"];
        for note in ["summary", "description"] {
            assert!(notes[note].as_str().is_some_and(|text| !text.is_empty()));
        }
        let link = notes["runbook_url"].as_str().unwrap();
        let (file, anchor) = link.split_once('#').unwrap();
        let headings = headings(file);
        assert!(headings.iter().any(|heading| heading == anchor), "{link}");
    }
}

#[test]
fn an_alert_has_a_case_that_fires_and_two_that_do_not() {
    let mut cases: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for test in list(&yaml("alerts_test.yml")["tests"]) {
        for case in list(&test["alert_rule_test"]) {
            let name = case["alertname"].as_str().unwrap().to_owned();
            let (fires, silent) = cases.entry(name).or_default();
            match list(&case["exp_alerts"]).is_empty() {
                true => *silent += 1,
                false => *fires += 1,
            }
        }
    }
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let (fires, silent) = cases.get(name).copied().unwrap_or_default();
        assert!(
            fires >= 1 && silent >= 2,
            "{name}: {fires} fire, {silent} do not"
        );
    }
}

#[test]
fn promtool_confirms_every_case() {
    let Some(promtool) = tools::find("promtool_confirms_every_case", "promtool", "prometheus")
    else {
        return;
    };
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ] {
        let output = Command::new(&promtool)
            .args(arguments)
            .current_dir(prometheus())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
