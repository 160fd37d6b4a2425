//! The metrics that `deploy/` names, and what is wrong with them. An alert on a metric that nobody exports is silent for ever.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How the names of metrics start, and those of recording rules.
const METRICS: [&str; 2] = ["mesh_", "libp2p_"];
const RECORDED: &str = "mesh:";
/// What a scrape puts on every series, and a histogram on its own.
const ADDED: [&str; 4] = ["instance", "job", "role", "le"];

/// `label` must be one of `values`, where these are written out.
type Matcher = (String, Vec<String>);

/// A name in an expression, with what is asked of its labels.
#[derive(Debug, PartialEq, Eq)]
struct Mention {
    name: String,
    matchers: Vec<Matcher>,
}

pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is wrong, where, given what nodes `exported`.
pub fn findings(exported: &str) -> Vec<String> {
    let rules = ["recording", "alerts"].map(|name| text(&deploy().join(format!("prometheus/rules/{name}.yml"))));
    let mut expressions: Vec<(String, String)> = Vec::new();
    for rules in &rules {
        expressions.extend(of_rules(rules).into_iter().map(|expression| ("rules".to_owned(), expression)));
    }
    for name in ["mesh", "node"] {
        let file = format!("{name}.json");
        let dashboard = serde_json::from_str(&text(&deploy().join("grafana/dashboards").join(&file))).expect("JSON");
        let mut queries = Vec::new();
        of_dashboard(&dashboard, &mut queries);
        assert!(queries.len() > 15, "{file}: {queries:?}");
        expressions.extend(queries.into_iter().map(|query| (file.clone(), query)));
    }
    let page = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md"));
    let known = Known { samples: samples(exported), page: rows(&page), recorded: values_of(&rules[0], "- record:") };
    let mut findings = known.wrong(&expressions);
    findings.extend(untested(&rules[1], &text(&deploy().join("prometheus/tests/alerts.yml"))));
    findings
}

/// Each alert is shown to fire, and to be silent.
fn untested(alerts: &str, tests: &str) -> Vec<String> {
    let names: BTreeSet<String> = values_of(tests, "- name:");
    let wanted = values_of(alerts, "- alert:")
        .into_iter()
        .flat_map(|alert| [" fires", " is silent"].map(|end| alert.clone() + end));
    wanted.filter(|name| !names.contains(name)).map(|name| format!("no test of the rules is called: {name}")).collect()
}

struct Known {
    /// Names of samples, with the labels and the values that they came with.
    samples: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// A family has no sample before its first event: of these the page tells, which a test compares with the code.
    page: BTreeSet<String>,
    recorded: BTreeSet<String>,
}

impl Known {
    fn wrong(&self, expressions: &[(String, String)]) -> Vec<String> {
        let mut findings = Vec::new();
        let mut seen = BTreeSet::new();
        for (place, expression) in expressions {
            for mention in mentions(expression) {
                let wrong = match mention.name.starts_with(RECORDED) {
                    true if self.recorded.contains(&mention.name) => None,
                    true => Some(format!("{} is recorded by no rule", mention.name)),
                    false => self.mistake(&mention),
                };
                findings.extend(wrong.map(|wrong| format!("{place}: {wrong}, in {expression}")));
                seen.insert(mention.name);
            }
        }
        // The scan would find nothing wrong in what it does not see, nor if all were believed for the page's sake.
        let exported = seen.iter().filter(|name| self.samples.contains_key(*name)).count();
        if exported < 50 {
            findings.push(format!("of what is watched only {exported} metrics were exported: {seen:?}"));
        }
        findings
    }

    fn mistake(&self, mention: &Mention) -> Option<String> {
        let name = &mention.name;
        let Some(labels) = self.samples.get(name) else {
            let family = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let is_known = self.page.contains(name) || family.is_some_and(|family| self.page.contains(family));
            return (!is_known).then(|| format!("{name} is exported by no node"));
        };
        mention.matchers.iter().find_map(|(label, values)| match labels.get(label) {
            _ if ADDED.contains(&label.as_str()) => None,
            None => Some(format!("{name} has no label {label}")),
            // All events are counted from the start; what else a label can be shows only when it happens.
            Some(known) if label == "event" => {
                let gone = values.iter().find(|value| !known.contains(*value));
                gone.map(|value| format!("{name} has no {label} {value}"))
            }
            Some(_) => None,
        })
    }
}

/// The expressions of a file of rules: what stands behind `expr:`, or indented below it.
fn of_rules(rules: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = rules.lines().peekable();
    let depth = |line: &str| line.len() - line.trim_start().len();
    while let Some(line) = lines.next() {
        let Some(expression) = line.trim_start().strip_prefix("expr:") else { continue };
        let mut expression = expression.trim_start_matches([' ', '|']).to_owned();
        while let Some(more) = lines.next_if(|next| depth(next) > depth(line)) {
            expression = expression + " " + more.trim();
        }
        found.push(expression);
    }
    found
}

/// What panels and variables of a dashboard ask.
fn of_dashboard(value: &Value, queries: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| match value {
            Value::String(text) if ["expr", "query", "definition"].contains(&key.as_str()) => {
                queries.push(text.clone())
            }
            value => of_dashboard(value, queries),
        }),
        Value::Array(values) => values.iter().for_each(|value| of_dashboard(value, queries)),
        _ => {}
    }
}

/// Our names in an expression. What is between quotes is no name.
fn mentions(expression: &str) -> Vec<Mention> {
    let mut found = Vec::new();
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    let mut rest = expression;
    while let Some(char) = rest.chars().next() {
        if char == '"' {
            rest = rest[1..].split_once('"').map_or("", |(_, rest)| rest);
            continue;
        }
        let length = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(length.max(char.len_utf8()));
        rest = behind;
        if METRICS.iter().any(|start| word.starts_with(start)) || word.starts_with(RECORDED) {
            let inside =
                behind.strip_prefix('{').and_then(|inside| inside.split_once('}')).map_or("", |(inside, _)| inside);
            found.push(Mention { name: word.to_owned(), matchers: matchers(inside) });
        }
    }
    found
}

fn matchers(inside: &str) -> Vec<Matcher> {
    let one = |text: &str| {
        let (label, value) = text.split_once('=')?;
        let value = value.trim_start_matches('~').trim_matches('"');
        Some((label.trim().trim_end_matches('!').to_owned(), value.split('|').map(str::to_owned).collect()))
    };
    inside.split(',').filter_map(|text| one(text.trim())).collect()
}

fn samples(exported: &str) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut found: BTreeMap<_, BTreeMap<_, BTreeSet<_>>> = BTreeMap::new();
    for line in exported.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let labels = found.entry(name.to_owned()).or_default();
        let inside = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(inside, _)| inside);
        for (label, values) in matchers(inside) {
            labels.entry(label).or_default().extend(values);
        }
    }
    found
}

/// The names in the first column of a page's tables.
fn rows(page: &str) -> BTreeSet<String> {
    page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name.to_owned()).collect()
}

/// What stands behind `key` on the lines that begin with it.
fn values_of(text: &str, key: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix(key)).map(|value| value.trim().to_owned()).collect()
}

#[test]
fn what_nobody_exports_is_found_in_rules_and_dashboards() {
    let exported = "# TYPE mesh_tasks_events counter\nmesh_tasks_events_total{event=\"done\"} 1\nmesh_members 3\n";
    let known = Known {
        samples: samples(exported),
        page: rows("| `mesh_wasm_runs_total` | counter |\n| `mesh_api_request_duration_seconds` | histogram |"),
        recorded: values_of("  - record: mesh:done:rate5m", "- record:"),
    };
    let wrong = |expression: &str| {
        let findings = known.wrong(&[("here".to_owned(), expression.to_owned())]);
        findings.iter().filter(|finding| finding.starts_with("here: ")).count()
    };
    for good in [
        "sum by (event) (rate(mesh_tasks_events_total{event=~\"done\", instance=\"$node\"}[5m]))",
        "mesh_members > 1 and on() mesh:done:rate5m",
        "rate(mesh_wasm_runs_total[1m]) / mesh_api_request_duration_seconds_bucket{le=\"+Inf\"}",
        "label_replace(up, \"mesh_gone\", \"mesh_gone\", \"a\", \"b\")",
    ] {
        assert_eq!(wrong(good), 0, "{good}");
    }
    for bad in [
        "mesh_gone",
        "rate(mesh_tasks_events[5m])",
        "mesh_tasks_events_total{event=~\"done|dome\"}",
        "mesh_tasks_events_total{evnt=\"done\"}",
        "1 - mesh:gone:rate5m",
        "mesh_members_bucket",
    ] {
        assert_eq!(wrong(bad), 1, "{bad}");
    }
    let rules = "- alert: A\n  expr: |\n    mesh_a\n      + mesh_b\n  for: 1m\n- alert: B\n  expr: mesh_c > 1\n";
    assert_eq!(of_rules(rules), [" mesh_a + mesh_b", "mesh_c > 1"]);
    assert_eq!(
        untested(rules, "- name: A fires\n- name: A is silent\n- name: B fires"),
        ["no test of the rules is called: B is silent"]
    );
    let mut queries = Vec::new();
    of_dashboard(&serde_json::json!({"a": [{"expr": "x"}], "b": {"query": {"query": "y"}}}), &mut queries);
    assert_eq!(queries, ["x", "y"]);
}
