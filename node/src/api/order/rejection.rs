//! What the ledger rejects, as problems: one table. 404 where nothing is there, 403 where it is not the asker's to do,
//! 409 where what is there is otherwise, 410 and 400 for ids, 507 and 503 where there is no room.

use crate::api::{Code, Problem, submission::show_date};
use mesh_proto::ledger::Rejection;

impl From<&Rejection> for Problem {
    fn from(rejection: &Rejection) -> Self {
        let problem = Self::new(code(rejection), detail(rejection));
        match retry_ms(rejection) {
            Some(ms) => problem.retry_after_ms(ms),
            None => problem,
        }
    }
}

fn code(rejection: &Rejection) -> Code {
    match rejection {
        Rejection::Invalid | Rejection::Ahead | Rejection::Electorate => Code::Malformed,
        Rejection::NotActive { .. } => Code::NotActive,
        Rejection::Stale { .. } => Code::TooOld,
        Rejection::Reused => Code::Conflict,
        Rejection::Full => Code::Full,
        Rejection::TooMany => Code::TooMany,
        Rejection::Mismatch { .. } => Code::Mismatch,
        Rejection::Unknown => Code::NotFound,
        Rejection::Decided => Code::Decided,
        Rejection::WrongRound { .. } => Code::WrongRound,
        Rejection::NotElector => Code::NotElector,
        Rejection::AlreadyVoted => Code::AlreadyVoted,
        Rejection::NotOwner => Code::NotOwner,
        Rejection::Held(_) => Code::Held,
        Rejection::NotHeld => Code::NotHeld,
        Rejection::NotInviter | Rejection::Expired | Rejection::Revoked { .. } => Code::Forbidden,
        Rejection::NotEntitled => Code::NotEntitled,
        Rejection::Overtaken { .. } => Code::Overtaken,
        Rejection::Pending => Code::Pending,
        Rejection::Already => Code::Already,
        Rejection::NotMember => Code::NotMember,
        Rejection::SecondIdentity => Code::SecondIdentity,
        Rejection::LastSeat => Code::LastSeat,
        Rejection::Unsupported => Code::Unsupported,
    }
}

/// What the ledger's own words leave out, since they are the same everywhere.
fn detail(rejection: &Rejection) -> String {
    match rejection {
        Rejection::Mismatch { version: Some(version) } => format!("the key holds version {version}"),
        Rejection::Mismatch { version: None } => "the key holds nothing".to_string(),
        Rejection::Held(held) => {
            let expires = show_date(held.expires);
            format!("{} of {} holds it under {} until {expires}, unless it renews", held.holder, held.owner, held.fence)
        }
        rejection => rejection.to_string(),
    }
}

/// Where time alone may help.
fn retry_ms(rejection: &Rejection) -> Option<u32> {
    match rejection {
        Rejection::Held(_) => Some(500),
        Rejection::TooMany | Rejection::Pending => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use mesh_proto::{
        id::NodeId,
        ledger::{Claimed, Fence, Index},
        time::Wall,
    };

    #[test]
    fn every_rejection_has_its_status() {
        let held = Claimed {
            owner: "default".parse().unwrap(),
            holder: NodeId::from_bytes([1; 32]),
            fence: Fence(7),
            granted: Wall(0),
            expires: Wall(1_000),
        };
        for (status, rejections) in [
            (400, vec![Rejection::Invalid, Rejection::Ahead, Rejection::Electorate]),
            (
                403,
                vec![
                    Rejection::NotElector,
                    Rejection::NotOwner,
                    Rejection::NotEntitled,
                    Rejection::NotInviter,
                    Rejection::Expired,
                    Rejection::Revoked { at: Wall(1) },
                ],
            ),
            (404, vec![Rejection::Unknown]),
            (
                409,
                vec![
                    Rejection::Reused,
                    Rejection::Mismatch { version: None },
                    Rejection::Decided,
                    Rejection::WrongRound { round: 2 },
                    Rejection::AlreadyVoted,
                    Rejection::Held(held.clone()),
                    Rejection::NotHeld,
                    Rejection::Overtaken { serial: 3 },
                    Rejection::Pending,
                    Rejection::Already,
                    Rejection::NotMember,
                    Rejection::SecondIdentity,
                    Rejection::LastSeat,
                    Rejection::Unsupported,
                    Rejection::NotActive { since: 2, active: 1 },
                ],
            ),
            (410, vec![Rejection::Stale { floor: Index(9) }]),
            (503, vec![Rejection::TooMany]),
            (507, vec![Rejection::Full]),
        ] {
            for rejection in rejections {
                let problem = Problem::from(&rejection);
                assert_eq!(StatusCode::from_u16(status).unwrap(), problem.code.status(), "{rejection:?}");
                assert!(!problem.detail.is_empty() && !problem.title.is_empty());
            }
        }
        let problem = Problem::from(&Rejection::Held(held));
        assert!(problem.detail.contains("under 7 until 1970-01-01T00:00:01Z"), "{}", problem.detail);
        assert_eq!(problem.retry_ms, Some(500));
        assert!(Problem::from(&Rejection::Mismatch { version: Some(4) }).detail.contains("version 4"));
    }
}
