//! Whether a node has what a task asks, and how well it suits it.
//!
//! What is hard is met or not, and who does not meet all of it is given nothing. What is soft makes a [`Score`], the mean
//! of how far each of them is met: wholly, or by the part that there is of an amount. From [`Score::SUITABLE`] on a node is
//! as good as any; below it is a makeshift, for when there is no other.

use mesh_proto::capability::{Capabilities, Name, Operator, Requirement, Requirements, Test, Value};
use std::{cmp::Ordering, fmt};

/// How far a node meets what is only preferred, in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(u32);

impl Score {
    pub const WHOLE: Self = Self(1_000_000);
    pub const SUITABLE: Self = Self(700_000);

    pub fn parts_per_million(self) -> u32 {
        self.0
    }

    pub fn is_suitable(self) -> bool {
        self >= Self::SUITABLE
    }

    /// By how much it is a makeshift: nothing where it is suitable.
    pub fn shortfall(self) -> u32 {
        if self.is_suitable() { 0 } else { Self::WHOLE.0 - self.0 }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / Self::WHOLE.0, self.0 % Self::WHOLE.0)
    }
}

/// How well it suits, or the first of what it may not lack and does.
pub fn rate<'a>(requirements: &'a Requirements, capabilities: &Capabilities) -> Result<Score, &'a Requirement> {
    if let Some(lacked) = lacked(requirements, capabilities).next() {
        return Err(lacked);
    }
    let soft = || requirements.iter().filter(|requirement| requirement.soft);
    let count = u64::try_from(soft().count()).unwrap_or(u64::MAX);
    let met: u64 = soft().map(|requirement| u64::from(share(requirement, capabilities))).sum();
    Ok(met.checked_div(count).and_then(|mean| u32::try_from(mean).ok()).map_or(Score::WHOLE, Score))
}

/// All of what it may not lack and does.
pub fn lacked<'a>(
    requirements: &'a Requirements,
    capabilities: &Capabilities,
) -> impl Iterator<Item = &'a Requirement> {
    requirements.hard().filter(|requirement| !is_met(requirement, capabilities))
}

/// What a node does not say that it has meets nothing but `!=`; and of nothing it does not have any.
pub fn is_met(requirement: &Requirement, capabilities: &Capabilities) -> bool {
    let had = capabilities.get(&requirement.name);
    match (&requirement.test, had) {
        (Test::Has, None) => false,
        (Test::Has, Some(value)) => value.and_then(Value::number) != Some(0),
        (Test::Compare(Operator::Not, asked), had) => {
            had.flatten().and_then(|had| order(had, asked)) != Some(Ordering::Equal)
        }
        (Test::Compare(_, _), None | Some(None)) => false,
        (Test::Compare(operator, asked), Some(Some(had))) => match order(had, asked) {
            Some(Ordering::Less) => matches!(operator, Operator::AtMost | Operator::Below),
            Some(Ordering::Equal) => matches!(operator, Operator::AtLeast | Operator::AtMost | Operator::Equal),
            Some(Ordering::Greater) => matches!(operator, Operator::AtLeast | Operator::Above),
            None => false,
        },
    }
}

/// How many tasks for workers of this kind a node can have under way at once. One that does not say how many has enough.
pub fn places(capabilities: &Capabilities, kind: &Name) -> u32 {
    match capabilities.get(kind) {
        None => 0,
        Some(value) => value.and_then(Value::number).map_or(u32::MAX, |places| places.try_into().unwrap_or(u32::MAX)),
    }
}

/// The same of all kinds that are asked for, of which the scarcest counts; `None` where none is.
pub fn places_for(capabilities: &Capabilities, requirements: &Requirements) -> Option<u32> {
    let kinds = requirements.hard().filter(|requirement| requirement.name.is_worker());
    kinds.map(|requirement| places(capabilities, &requirement.name)).min()
}

/// Where what is had stands to what is asked; nowhere if they are of different kinds, or of one without an order.
fn order(had: &Value, asked: &Value) -> Option<Ordering> {
    match (had, asked) {
        (Value::Text(had), Value::Text(asked)) => (had == asked).then_some(Ordering::Equal),
        (Value::Text(_), _) | (_, Value::Text(_)) => None,
        (Value::Amount(_) | Value::Size(_), Value::Amount(_) | Value::Size(_)) => {
            Some(had.number()?.cmp(&asked.number()?))
        }
        (Value::Version(_), _) | (_, Value::Version(_)) => Some(had.version()?.compare(&asked.version()?)),
    }
}

/// How far a requirement is met, in parts per million: all of them only if it is.
fn share(requirement: &Requirement, capabilities: &Capabilities) -> u32 {
    if is_met(requirement, capabilities) {
        return Score::WHOLE.0;
    }
    let (Test::Compare(operator, asked), Some(Some(had))) = (&requirement.test, capabilities.get(&requirement.name))
    else {
        return 0;
    };
    let (Some(had), Some(asked)) = (had.number(), asked.number()) else { return 0 };
    match operator {
        Operator::AtLeast | Operator::Above => portion(had, asked),
        Operator::AtMost | Operator::Below => portion(asked, had),
        Operator::Equal | Operator::Not => 0,
    }
}

fn portion(part: u64, whole: u64) -> u32 {
    let parts = (u128::from(part) * u128::from(Score::WHOLE.0)).checked_div(u128::from(whole)).unwrap_or(0);
    u32::try_from(parts).unwrap_or(u32::MAX).min(Score::WHOLE.0 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::btree_map, collection::vec, prelude::*};

    fn node(text: &str) -> Capabilities {
        Capabilities::parse(text.split(',')).unwrap()
    }

    fn asked(text: &str) -> Requirements {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_asked_is_had_or_not() {
        let node =
            node("cores=8,mem=16GiB,arch=x86_64,zone=eu,ssd,gpu=0,cuda=12.2,tool:ffmpeg=6.1.1,tool:sort,disk=1000");
        for (requirement, met) in [
            ("cores>=8,cores<=8,cores=8,cores>7,cores<9,cores!=9", true),
            ("cores>8", false),
            ("mem>=16GiB,mem<1TiB", true),
            ("mem>16GiB", false),
            ("arch=amd64,zone!=us", true),
            ("zone=us", false),
            ("zone!=eu", false),
            ("ssd,tool:sort,tool:ffmpeg,cuda", true),
            ("gpu", false),
            ("gpu=0", true),
            ("tool:ffmpeg>=6,tool:ffmpeg=6.1,tool:ffmpeg<7,tool:ffmpeg<=6", true),
            ("tool:ffmpeg>6", false),
            ("cuda>=12,cuda=12,cuda!=13,cuda>11.9", true),
            ("cuda>12", false),
            // Its version is not stated.
            ("tool:sort>=9", false),
            ("tool:sort!=9", true),
            // Of other kinds.
            ("disk>=1.5", true),
            ("disk>=1KiB", false),
            ("arch>=2.0", false),
            ("cores=many", false),
            // Not there.
            ("tpu", false),
            ("tpu<=1", false),
            ("tpu!=1", true),
        ] {
            let requirements: Result<Requirements, _> = requirement.parse();
            let Ok(requirements) = requirements else { continue };
            assert_eq!(rate(&requirements, &node).is_ok(), met, "{requirement}");
        }
    }

    #[test]
    fn the_first_that_is_lacked_is_named() {
        let requirements = asked("arch=x86_64,gpu>=2,zone=us,mem>=1GiB");
        let node = node("arch=x86_64,gpu=1,zone=eu,mem=2GiB");
        assert_eq!(rate(&requirements, &node).map_err(ToString::to_string), Err("gpu>=2".to_owned()));
        assert_eq!(lacked(&requirements, &node).map(ToString::to_string).collect::<Vec<_>>(), ["gpu>=2", "zone=us"]);
    }

    #[test]
    fn a_score_is_the_mean_of_what_is_preferred() {
        let node = node("cores=6,mem=4GiB,zone=eu,arch=x86_64");
        for (requirements, parts, suitable) in [
            ("", 1_000_000, true),
            ("zone=eu", 1_000_000, true),
            ("zone=us?", 0, false),
            ("zone=eu?,zone=us?", 500_000, false),
            ("cores>=8?", 750_000, true),
            ("cores>=8?,mem>=16GiB?", 500_000, false),
            ("cores>6?", 999_999, true),
            ("cores<=4?", 666_666, false),
            ("gpu>=1?,zone=eu?,mem>=1GiB?,cores>=6?", 750_000, true),
        ] {
            let score = rate(&asked(requirements), &node).unwrap();
            assert_eq!((score.parts_per_million(), score.is_suitable()), (parts, suitable), "{requirements}");
        }
        assert_eq!(Score(1_000_000).to_string(), "1.000000");
        assert_eq!(Score(66_666).to_string(), "0.066666");
    }

    fn any_capabilities() -> impl Strategy<Value = Capabilities> {
        let value = prop_oneof!["", "=[0-9]", "=[0-9]KiB", "=[0-9]\\.[0-9]", "=[xy]"];
        btree_map("[a-d]", value, 0..5).prop_map(|all| {
            let texts: Vec<String> = all.into_iter().map(|(name, value)| name + &value).collect();
            Capabilities::parse(texts.iter().map(String::as_str)).unwrap()
        })
    }

    fn any_requirements() -> impl Strategy<Value = Requirements> {
        let one = "[a-d](|(>=|<=|>|<|=|!=)([0-9]|[0-9]KiB|[0-9]\\.[0-9])|(=|!=)[xy])[?]?";
        vec(one, 0..6).prop_map(|all| Requirements::new(all.iter().map(|one| one.parse().unwrap()).collect()).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_hard_is_never_bent(requirements in any_requirements(), node in any_capabilities()) {
            let lacks: Vec<_> = requirements.hard().filter(|one| !is_met(one, &node)).collect();
            match rate(&requirements, &node) {
                Ok(_) => prop_assert!(lacks.is_empty()),
                Err(lacked) => prop_assert!(!lacked.soft && lacks.first() == Some(&lacked)),
            }
        }

        #[test]
        fn a_score_is_whole_exactly_if_all_is_met(requirements in any_requirements(), node in any_capabilities()) {
            if let Ok(score) = rate(&requirements, &node) {
                prop_assert!(score <= Score::WHOLE);
                prop_assert_eq!(score == Score::WHOLE, requirements.iter().all(|one| is_met(one, &node)));
                prop_assert_eq!(score.shortfall() == 0, score.is_suitable());
            }
        }

        /// Of what has an order exactly one of the three holds, and each sign means what it says.
        #[test]
        fn the_signs_agree(had in "[0-9]|[0-9]KiB|[0-9]\\.[0-9]|[xy]", than in "[0-9]|[0-9]KiB|[0-9]\\.[0-9]") {
            let node = node(&format!("a={had}"));
            let is = |sign: &str| rate(&asked(&format!("a{sign}{than}")), &node).is_ok();
            prop_assert!([is("<"), is("="), is(">")].iter().filter(|is| **is).count() <= 1);
            prop_assert_eq!(is("<="), is("<") || is("="));
            prop_assert_eq!(is(">="), is(">") || is("="));
            prop_assert_eq!(is("!="), !is("="));
        }

        #[test]
        fn more_of_what_is_asked_is_never_worse(asked_for in 0..99u64, less in 0..99u64, more in 0..99u64, sign in "(>=|>)[?]?") {
            let (sign, soft) = sign.split_at(sign.trim_end_matches('?').len());
            let requirements = asked(&format!("a{sign}{asked_for}{soft}"));
            let rated = |amount: u64| rate(&requirements, &node(&format!("a={amount}"))).ok();
            prop_assert!(rated(less.min(more)) <= rated(less.max(more)));
        }
    }
}
