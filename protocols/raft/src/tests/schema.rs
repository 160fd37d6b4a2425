//! The rules for `/mesh/raft/1` in `schema.cddl` against real encodings: each is as they say, and no damaged one is.

use super::sample;
use crate::fuzz::TARGETS;
use cddl_cat::{cbor::validate_cbor, context::BasicContext, flatten::flatten_from_str};
use ciborium::Value;

struct Schema(BasicContext);

impl Schema {
    fn read() -> Self {
        let rules = flatten_from_str(include_str!("../../../../proto/schema.cddl"));
        Self(BasicContext::new(rules.unwrap_or_else(|error| panic!("{error}"))))
    }

    fn check(&self, rule: &str, value: &Value) -> Result<(), String> {
        let rule = self.0.rules.get(rule).ok_or_else(|| format!("there is no rule {rule}"))?;
        validate_cbor(rule, value, &self.0).map_err(|error| error.to_string())
    }
}

const OTHERS: [&str; 5] = ["raft-request", "raft-response", "pbft-message", "ledger-operation", "task-frame"];

#[test]
fn encodings_are_as_the_schema_says() {
    let schema = Schema::read();
    for sample in sample::all() {
        let value = ciborium::from_reader(sample.bytes.as_slice()).unwrap();
        schema.check(sample.rule, &value).unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        for other in OTHERS {
            // One letter: what it answers, or that it is a question, is told by who sends it.
            let alike = ["raft-follow", "raft-busy"].contains(&sample.name) && other.starts_with("raft-");
            let fits = schema.check(other, &value).is_ok();
            assert_eq!(fits, other == sample.rule || alike, "{} as {other}", sample.name);
        }
    }
}

/// Changes each place of each sample in turn. Schema and decoder must agree on each: openraft's own types pass over what
/// they do not know, and were the decoder not stricter it would show here.
#[test]
fn schema_and_decoder_agree_on_what_is_damaged() {
    let (schema, mut tried, mut refused) = (Schema::read(), 0, 0);
    for sample in sample::all() {
        let (_, decoder) = TARGETS.into_iter().find(|(name, _)| *name == sample.target).unwrap();
        let whole: Value = ciborium::from_reader(sample.bytes.as_slice()).unwrap();
        for (place, damaged) in damaged(&whole) {
            let mut bytes = Vec::new();
            ciborium::into_writer(&damaged, &mut bytes).unwrap();
            let (fits, accepted) = (schema.check(sample.rule, &damaged).is_ok(), decoder(&bytes));
            assert_eq!(fits, accepted, "{}, {place}: the schema's word, and the decoder's", sample.name);
            refused += usize::from(!accepted);
            tried += 1;
        }
    }
    assert!(tried > 500 && refused * 10 > tried * 9, "{refused} of {tried} refused");
}

/// Every value with one damage somewhere in it.
fn damaged(value: &Value) -> Vec<(String, Value)> {
    let mut all = vec![("null".to_owned(), Value::Null)];
    match value {
        Value::Map(entries) => {
            let mut more = entries.clone();
            more.push((Value::Text("zz".into()), Value::Bool(true)));
            all.push(("entry added".into(), Value::Map(more)));
            for (at, (key, inner)) in entries.iter().enumerate() {
                // One node less is another configuration.
                if key.is_text() {
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
        // Operations, an outcome and a piece are bytes of any length.
        Value::Bytes(bytes) if bytes.len() != 32 => {}
        Value::Bytes(bytes) => {
            all.push(("bytes cut".into(), Value::Bytes(bytes[1..].to_vec())));
            all.push(("bytes added".into(), Value::Bytes([bytes.as_slice(), &[0]].concat())));
        }
        Value::Text(text) => {
            all.push(("text changed".into(), Value::Text(format!("{text}\n"))));
            all.push(("text emptied".into(), Value::Text(String::new())));
        }
        // One that there may be.
        Value::Null => {}
        Value::Integer(_) => all.push(("negative".into(), Value::Integer((-1).into()))),
        Value::Bool(_) => all.push(("number".into(), Value::Integer(1.into()))),
        _ => panic!("no encoding of ours has {value:?}"),
    }
    all
}
