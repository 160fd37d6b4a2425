//! `schema.cddl` against real encodings: each is as the schema says, and no damaged one is.

use crate::sample;
use cbor4ii::core::{Value, dec::Decode, enc::Encode, utils::BufWriter, utils::SliceReader};
use cddl_cat::{cbor::validate_cbor, context::BasicContext, flatten::flatten_from_str};
use mesh_proto::fuzz::TARGETS;
use std::collections::BTreeSet;

/// `schema.cddl`, read once: that takes as long as some hundred checks.
struct Schema(BasicContext);

impl Schema {
    fn read() -> Self {
        let rules = flatten_from_str(include_str!("../../schema.cddl"));
        Self(BasicContext::new(rules.unwrap_or_else(|error| panic!("{error}"))))
    }

    fn check(&self, rule: &str, bytes: &[u8]) -> Result<(), String> {
        let value = ciborium::from_reader(bytes).map_err(|error| error.to_string())?;
        let rule = self.0.rules.get(rule).ok_or_else(|| format!("there is no rule {rule}"))?;
        validate_cbor(rule, &value, &self.0).map_err(|error| error.to_string())
    }
}

#[test]
fn encodings_are_as_the_schema_says() {
    let (schema, mut rules) = (Schema::read(), BTreeSet::new());
    for sample in sample::all() {
        let Some(rule) = sample.rule else { continue };
        rules.insert(rule);
        schema.check(rule, &sample.bytes).unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        for other in OTHERS {
            // What is had to so much is asked for in the same words.
            let alike = [sample.name, other] == ["admit-known", "admit-request"]
                || [sample.name, other] == ["admit-knock", "admit-reply"]
                || [sample.name, other] == ["capabilities", "requirements"];
            let fits = schema.check(other, &sample.bytes).is_ok();
            assert_eq!(fits, other == rule || alike, "{} as {other}", sample.name);
        }
    }
    assert_eq!(rules.len(), 28);
}

const OTHERS: [&str; 27] = [
    "genesis",
    "credential",
    "admit-request",
    "admit-reply",
    "member-entry",
    "envelope",
    "signed-leaf",
    "task-spec",
    "task-frame",
    "control-message",
    "blob-request",
    "blob-reply",
    "logs-question",
    "ledger-command",
    "ledger-query",
    "ledger-answer",
    "ledger-node",
    "ledger-fetch",
    "ledger-fetched",
    "ledger-proof",
    "ledger-bundle",
    "ledger-operation",
    "ledger-ran",
    "pbft-message",
    "pbft-evidence",
    "capabilities",
    "requirements",
];

/// Rules of what is neither signed nor hashed, or is a user's to choose.
const FREE: [&str; 6] = ["task-", "control-", "blob-", "logs-", "ledger-", "pbft-"];

/// Changes each place of each sample in turn. Neither the schema nor the decoder may accept one, but for what is free in
/// a task or a command: were the schema too wide, or wider than the decoder, it would show here.
#[test]
fn no_damaged_encoding_is() {
    let (schema, mut tried, mut refused) = (Schema::read(), 0, 0);
    for sample in sample::all() {
        let Some(rule) = sample.rule else { continue };
        // Its items are damaged one by one.
        if sample.name == "task-frame" {
            continue;
        }
        let (_, decoder) = TARGETS.into_iter().find(|(name, _)| *name == sample.target).unwrap();
        let mut reader = SliceReader::new(&sample.bytes);
        let whole = Value::decode(&mut reader).unwrap();
        for (place, damaged) in damaged(&whole) {
            let mut writer = BufWriter::new(Vec::new());
            damaged.encode(&mut writer).unwrap();
            let bytes = writer.into_inner();
            let fits = schema.check(rule, &bytes).is_ok();
            let accepted = decoder(&bytes);
            if FREE.iter().any(|free| rule.starts_with(free)) {
                // Much of a task is its user's: another text or exit code is another task; and in a view change without
                // a proof there is a null. But the two must agree.
                assert!(fits || !accepted, "the decoder alone accepts {}, {place}", sample.name);
                let named = rule == "task-spec" || rule.starts_with("ledger-");
                let checked = named && place.ends_with("text emptied") || place.ends_with("text changed");
                // That its requirements go with its program no schema says.
                let checked = checked || sample.name == "task-spec-worker" && place.starts_with("Text(\"n\")");
                assert!(accepted || !fits || checked, "the schema alone accepts {}, {place}", sample.name);
            } else {
                assert!(!fits, "the schema accepts {}, {place}", sample.name);
                assert!(!accepted, "the decoder accepts {}, {place}", sample.name);
            }
            refused += usize::from(!accepted);
            tried += 1;
        }
    }
    assert!(tried > 2500 && refused * 10 > tried * 9, "{refused} of {tried} refused");
}

/// Every value with one damage somewhere in it.
fn damaged(value: &Value) -> Vec<(String, Value)> {
    let mut all = vec![("null".to_string(), Value::Null)];
    match value {
        Value::Map(entries) => {
            let mut more = entries.clone();
            more.push((Value::Text("zz".into()), Value::Bool(true)));
            all.push(("entry added".into(), Value::Map(more)));
            for (at, (key, inner)) in entries.iter().enumerate() {
                if !optional(key, inner) {
                    let mut fewer = entries.clone();
                    fewer.remove(at);
                    all.push((format!("{key:?} removed"), Value::Map(fewer)));
                }
                for (place, inner) in damaged(inner) {
                    let mut changed = entries.clone();
                    changed[at].1 = inner;
                    all.push((format!("{key:?} {place}"), Value::Map(changed)));
                }
            }
        }
        Value::Array(elements) => {
            for at in 0..elements.len() {
                for (place, inner) in damaged(&elements[at]) {
                    let mut changed = elements.clone();
                    changed[at] = inner;
                    all.push((format!("[{at}] {place}"), Value::Array(changed)));
                }
            }
        }
        // A payload is bytes of any length.
        Value::Bytes(bytes) if ![32, 64, 8].contains(&bytes.len()) => {}
        Value::Bytes(bytes) => {
            all.push(("bytes cut".into(), Value::Bytes(bytes[1..].to_vec())));
            all.push(("bytes added".into(), Value::Bytes([bytes.as_slice(), &[0]].concat())));
        }
        Value::Text(text) => {
            all.push(("text changed".into(), Value::Text(format!("{text}\n"))));
            all.push(("text emptied".into(), Value::Text(String::new())));
        }
        // One that may be left out.
        Value::Null => {}
        Value::Integer(_) => all.push(("negative".into(), Value::Integer(-1))),
        Value::Bool(_) => all.push(("number".into(), Value::Integer(1))),
        _ => panic!("no encoding of ours has {value:?}"),
    }
    all
}

/// The end of memberships in an invitation, a member's name, zone and capabilities; the invitation of a token, whose decoder asks for
/// more than the schema can.
fn optional(key: &Value, inner: &Value) -> bool {
    let text = |text: &str| Value::Text(text.into());
    let is_label = [text(sample::NAME), text(sample::ZONE)].contains(inner);
    let holds_a_key = match inner {
        Value::Map(entries) => entries.len() == 2 && entries.iter().any(|(key, _)| *key == text("k")),
        _ => false,
    };
    let is_texts = matches!(inner, Value::Array(all) if all.iter().all(|one| matches!(one, Value::Text(_))));
    *key == text("u") || is_label || (*key == text("h") && is_texts) || (*key == text("i") && holds_a_key)
}
