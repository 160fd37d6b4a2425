//! What machines have, programs that are attached to them included, and what tasks ask of them; and whether the one meets the other, found out once more and apart from
//! the code that is looked at.

use super::dice::Dice;
use mesh_proto::{
    capability::{Capabilities, Name, Operator, Requirement, Requirements, Test, Value, WorkerKind},
    id::NodeId,
};

/// The kind of worker that there is.
pub fn kind() -> WorkerKind {
    "w".parse().expect("a lawful kind")
}

/// What a machine has, until it is started with more or less, or a worker comes or goes.
pub fn draw_capabilities(dice: &mut Dice) -> Capabilities {
    let mut all = vec![format!("cores={}", dice.range(1..=4)), format!("zone={}", dice.pick(&["a", "b"]))];
    if dice.chance(500) {
        all.push(format!("gpu={}", dice.range(1..=2)));
    }
    if dice.chance(500) {
        all.push(format!("worker.w={}", dice.range(1..=2)));
    }
    Capabilities::parse(all.iter().map(String::as_str)).expect("lawful capabilities")
}

/// What most tasks ask is nothing.
pub fn draw_requirements(dice: &mut Dice) -> Requirements {
    let asked: &[&str] = match dice.chance(150) {
        true => {
            &["gpu", "gpu>=2", "zone=a", "cores>=3", "gpu>=1,zone!=b", "cores<=2,zone=b?", "zone=a?", "cores>=4?,gpu"]
        }
        false => &[""],
    };
    dice.pick(asked).parse().expect("lawful requirements")
}

/// By how many a task is to be run: most by one.
pub fn draw_redundancy(dice: &mut Dice) -> u8 {
    if dice.chance(40) { *dice.pick(&[2, 3, 3, 3, 5, 5]) } else { 1 }
}

/// Whether it is for a worker, and then what else it asks.
pub fn draw_worker(dice: &mut Dice, asked: &Requirements) -> Option<Requirements> {
    dice.chance(120).then(|| kind().requiring(asked).expect("one more"))
}

/// Whether who has this may run what asks for that.
pub fn is_able(node: &NodeId, has: &Capabilities, asks: &Requirements) -> bool {
    asks.iter().all(|asked| asked.soft || is_met(node, has, asked))
}

fn is_met(node: &NodeId, has: &Capabilities, asked: &Requirement) -> bool {
    let text = |name: &Name| has.get(name).flatten().map(Value::to_string).unwrap_or_default();
    let (name, had) = (asked.name.as_str(), text(&asked.name));
    match (name, &asked.test) {
        ("gpu", Test::Has) => !had.is_empty(),
        ("worker.w", Test::Has) => number(&had) > 0,
        ("gpu" | "cores", Test::Compare(Operator::AtLeast, least)) => number(&had) >= number(&least.to_string()),
        ("cores", Test::Compare(Operator::AtMost, most)) => number(&had) <= number(&most.to_string()),
        ("zone", Test::Compare(Operator::Equal, zone)) => had == zone.to_string(),
        ("zone", Test::Compare(Operator::Not, zone)) => had != zone.to_string(),
        ("node", Test::Compare(Operator::Equal, wanted)) => wanted.to_string() == node.to_string(),
        // Nothing else is drawn.
        _ => false,
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_that_is_drawn_is_judged() {
        let mut dice = Dice::new(1, 0);
        let (mut able, mut unable, mut asks) = (0, 0, 0);
        for _ in 0..4_000 {
            let (has, asked) = (draw_capabilities(&mut dice), draw_requirements(&mut dice));
            let asked = draw_worker(&mut dice, &asked).unwrap_or(asked);
            asks += usize::from(!asked.is_empty());
            if asked.hard().next().is_some() {
                let is_able = is_able(&NodeId::from_bytes([1; 32]), &has, &asked);
                assert_eq!(is_able, mesh_tasks::capability::rate(&asked, &has).is_ok(), "{has} for {asked}");
                if is_able { able += 1 } else { unable += 1 }
            }
        }
        assert!(asks > 400 && able > 100 && unable > 100, "{asks} ask, {able} able, {unable} not");
    }
}
