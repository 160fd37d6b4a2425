use crate::api::Problem;
use axum::http::{HeaderMap, HeaderValue, header};
use mesh_proto::{id::Digest, ledger::Expect};

/// What a write must find: by one of the query, `If-Match` and `If-None-Match`; none if it is to be done anyway.
pub fn expected(headers: &HeaderMap, expect: Option<&str>) -> Result<Option<Expect>, Problem> {
    let given = (expect, headers.get(header::IF_MATCH), headers.get(header::IF_NONE_MATCH));
    match given {
        (None, None, None) => Ok(None),
        (Some(text), None, None) => parse_expect(text).map(Some),
        (None, Some(tag), None) => version(tag).map(|version| Some(Expect::Version(version))),
        (None, None, Some(all)) if all == "*" => Ok(Some(Expect::Absent)),
        (None, None, Some(_)) => Err(Problem::malformed("If-None-Match takes `*`: write only where nothing is")),
        _ => Err(Problem::malformed("give one of `expect`, If-Match and If-None-Match")),
    }
}

/// `absent`, the version of a write, or the BLAKE3 hash of a value.
pub fn parse_expect(text: &str) -> Result<Expect, Problem> {
    match text {
        "absent" => Ok(Expect::Absent),
        // No version is as long.
        hash if hash.len() == 64 => hash.parse::<Digest>().map(Expect::Value).map_err(Problem::malformed),
        version => version.parse().map(Expect::Version).map_err(|_| {
            let shown: String = version.chars().take(80).collect();
            Problem::malformed(format_args!("`{shown}` is nothing to expect: write `absent`, a version or a hash"))
        }),
    }
}

/// Of an entity tag as `GET` gives it.
fn version(tag: &HeaderValue) -> Result<u64, Problem> {
    let quoted = tag.to_str().ok().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
    quoted
        .and_then(|version| version.parse().ok())
        .ok_or_else(|| Problem::malformed("If-Match takes one entity tag as GET gives it, such as \"7\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_depends_on_one_thing_at_most() {
        let headers = |given: &[(header::HeaderName, &'static str)]| {
            given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect::<HeaderMap>()
        };
        let (matching, none) = (header::IF_MATCH, header::IF_NONE_MATCH);
        assert_eq!(expected(&headers(&[]), None), Ok(None));
        assert_eq!(expected(&headers(&[(matching.clone(), "\"7\"")]), None), Ok(Some(Expect::Version(7))));
        assert_eq!(expected(&headers(&[(none.clone(), "*")]), None), Ok(Some(Expect::Absent)));
        assert_eq!(expected(&headers(&[]), Some("absent")), Ok(Some(Expect::Absent)));
        assert_eq!(expected(&headers(&[]), Some("12")), Ok(Some(Expect::Version(12))));
        let hash = Digest::from_bytes([0xab; 32]);
        assert_eq!(expected(&headers(&[]), Some(&hash.to_string())), Ok(Some(Expect::Value(hash))));
        for (given, expect) in [
            (vec![(matching.clone(), "7")], None),
            (vec![(matching.clone(), "W/\"7\"")], None),
            (vec![(matching.clone(), "*")], None),
            (vec![(none.clone(), "\"7\"")], None),
            (vec![(matching, "\"7\"")], Some("7")),
            (vec![(none, "*")], Some("absent")),
            (vec![], Some("-1")),
            (vec![], Some("")),
        ] {
            assert!(expected(&headers(&given), expect).is_err(), "{given:?} {expect:?}");
        }
    }
}
